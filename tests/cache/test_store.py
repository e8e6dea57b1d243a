"""cache.store: entries are whole or absent, and found by what they were built from."""

from __future__ import annotations

import hashlib
import json
import os
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
        ["artifacts", f"{DIGEST}.tar", "steps", f"{'1' * 64}.json"]
    ), "something else was left"


def test_two_steps_may_give_the_same_bytes(store: Store) -> None:
    put(store, record("1" * 64))
    put(store, record("2" * 64))
    put(store, record("1" * 64))
    assert store.find("1" * 64) == record("1" * 64)
    assert store.find("2" * 64) == record("2" * 64)


def test_a_step_may_give_other_bytes_the_next_time(store: Store) -> None:
    put(store, record())
    put(store, record(data=b"others"), b"others")
    assert store.find("1" * 64) == record(data=b"others")


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
