"""cache/store.py: entries are complete or absent, and found by their inputs."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from cache.store import DAY, Record, Store
from plan.errors import BuildError

DATA = b"an artifact"
DIGEST = hashlib.sha256(DATA).hexdigest()


def record(step: str = "1" * 64, data: bytes = DATA) -> Record:
    digest = hashlib.sha256(data).hexdigest()
    return Record(step, "zlib", "1.3", "sysroot-from-seed", digest, len(data), 1.5, 2.5, 4096)


def put(store: Store, entry: Record, data: bytes = DATA) -> None:
    packed = store.scratch() / f".{os.urandom(4).hex()}.part"
    packed.write_bytes(data)
    store.register(packed, entry)


@pytest.fixture
def store(cache_root: Path) -> Store:
    made = Store()
    assert made.root == cache_root
    return made


def test_what_was_registered_is_found(store: Store) -> None:
    assert store.find("1" * 64) is None
    put(store, record())
    assert store.find("1" * 64) == record()
    assert store.find("2" * 64) is None
    assert store.artifact(DIGEST).read_bytes() == DATA
    assert store.artifact(DIGEST).stat().st_mode & 0o777 == 0o444
    store.require_intact(DIGEST, "it")
    assert store.tree(DIGEST).name == DIGEST and not store.tree(DIGEST).exists()
    assert sorted(path.name for path in store.root.rglob("*")) == sorted(
        ["artifacts", f"{DIGEST}.tar", "steps", "lock", f"{'1' * 64}.json"]
    ), "something else was left"


def test_two_steps_may_give_the_same_bytes(store: Store) -> None:
    put(store, record("1" * 64))
    put(store, record("2" * 64))
    put(store, record("1" * 64))
    assert store.find("1" * 64) == record("1" * 64)
    assert store.find("2" * 64) == record("2" * 64)


@pytest.mark.fault(
    "a later build of a step gives other bytes", "both are kept, the first one is believed"
)
def test_a_step_that_gives_other_bytes_is_contradicted(store: Store) -> None:
    put(store, record())
    assert store.contradicting("1" * 64) == [] and store.contradicted() == []
    others = [record(data=data) for data in (b"others", b"yet others", b"others")]
    for each, data in zip(others, (b"others", b"yet others", b"others"), strict=True):
        put(store, each, data)
    put(store, record())
    assert store.find("1" * 64) == record()
    assert store.contradicting("1" * 64) == [record(), *others[:2]]
    assert store.contradicted() == [[record(), *others[:2]]]
    assert all(store.artifact(each.artifact).exists() for each in (record(), *others))
    store.choose(others[1])
    assert store.find("1" * 64) == others[1] and store.contradicted() == []


@pytest.mark.fault(
    "a step is built again because its artifact was lost, and gives other bytes",
    "it is contradicted all the same",
)
def test_a_record_counts_though_its_artifact_is_gone(store: Store) -> None:
    put(store, record())
    store.artifact(DIGEST).unlink()
    put(store, record(data=b"others"), b"others")
    assert store.contradicting("1" * 64) == [record(), record(data=b"others")]
    store.choose(record())
    assert store.find("1" * 64) is None


REGISTER = """\
import sys
from cache.store import Store
from tests.cache.test_store import put, record
print("ready", flush=True)
sys.stdin.readline()
for step in range(50):
    data = sys.argv[1].encode()
    put(Store(), record(f"{step:064x}", data), data)
"""


@pytest.mark.fault(
    "two checkouts register different artifacts of a step at the same moment", "both are kept"
)
def test_two_processes_register_at_once(store: Store) -> None:
    command = [sys.executable, "-c", REGISTER]
    environment = {**os.environ, "BQ2_CACHE": str(store.root)}
    running = [
        subprocess.Popen(
            [*command, word], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment
        )
        for word in ("one", "two", "three")
    ]
    for each in running:
        assert each.stdout and each.stdout.readline() == b"ready\n"
    for each in running:
        assert each.stdin
        each.stdin.write(b"go\n")
        each.stdin.flush()
    for each in running:
        each.communicate()
    assert [each.returncode for each in running] == [0, 0, 0]
    for step in (f"{number:064x}" for number in range(50)):
        found = store.contradicting(step)
        assert {each.size for each in found} == {3, 5} and len(found) == 3
        assert store.find(step) == found[0]


@pytest.mark.fault("what says that a step is contradicted cannot be read", "one error; its remedy")
def test_a_damaged_contradiction_is_no_permission(store: Store) -> None:
    put(store, record())
    put(store, record(data=b"others"), b"others")
    (store.root / "contradicted" / f"{'1' * 64}.json").write_text("{")
    with pytest.raises(BuildError, match="cannot be read"):
        store.contradicting("1" * 64)


def _artifact(store: Store, change: Callable[[bytes], bytes]) -> None:
    path = store.artifact(DIGEST)
    path.chmod(0o600)
    path.write_bytes(change(path.read_bytes()))


def _record(store: Store, text: str) -> None:
    (store.root / "steps" / f"{'1' * 64}.json").write_text(text)


@pytest.mark.fault(
    "an artifact or a record is missing, cut, too long or no JSON",
    "it counts as missing",
)
@pytest.mark.parametrize(
    "damage",
    [
        lambda store: store.artifact(DIGEST).unlink(),
        lambda store: _artifact(store, lambda data: data[:-1]),
        lambda store: _artifact(store, lambda data: data + b"x"),
        lambda store: _record(store, ""),
        lambda store: _record(store, "{"),
        lambda store: _record(store, "[]"),
        lambda store: _record(store, "{}"),
        lambda store: _record(store, '"text"'),
        lambda store: _record(store, json.dumps({"step": "1" * 64})),
        lambda store: _record(store, "\0" * 100),
    ],
    ids=["no artifact", "short", "long", "empty", "cut", "list", "{}", "text", "keys", "zeros"],
)
def test_a_damaged_entry_counts_as_missing_until_it_is_registered_again(
    store: Store, damage: Callable[[Store], None]
) -> None:
    put(store, record())
    damage(store)
    assert store.find("1" * 64) is None
    put(store, record())
    assert store.find("1" * 64) == record()


@pytest.mark.fault(
    "an artifact has other bytes of the same size",
    "it is found by reading, and removed",
)
def test_changed_bytes_of_the_same_size_are_found_by_looking(store: Store) -> None:
    put(store, record())
    _artifact(store, lambda data: data.swapcase())
    assert store.find("1" * 64) == record()
    with pytest.raises(BuildError) as caught:
        store.require_intact(DIGEST, "it")
    assert "the artifact of it was damaged" in caught.value.message
    assert store.find("1" * 64) is None, "a damaged artifact has to go"


@pytest.mark.fault(
    "killed runs leave unfinished files in the cache",
    "they are removed after a day; those of living runs stay",
)
def test_what_the_killed_left_is_swept_after_a_day(store: Store) -> None:
    put(store, record())
    gone, here, old = 2**22 + 1, os.getpid(), time.time() - 2 * DAY  # beyond the largest pid
    names = [f"trees/.{gone}.tree", f"artifacts/.{gone}.old", f"artifacts/.{here}.mine"]
    for name in (*names, f"artifacts/.{gone}.new"):
        path = store.root / name
        path.parent.mkdir(exist_ok=True)
        path.mkdir() if "tree" in name else path.touch()
    for name in names:
        os.utime(store.root / name, (old, old))
    store.sweep()
    left = {path.name for path in store.root.rglob(".*")}
    assert left == {f".{here}.mine", f".{gone}.new"}
    assert store.find("1" * 64) == record()
