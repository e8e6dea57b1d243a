"""tasks/engine/seeds/roots.py: the parts and names of seeds. tests/rootfs tests the unpacking."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from cache.seedlock import Drift
from cache.store import Store
from plan.errors import BuildError
from plan.seeding.alpine import load_alpine
from plan.seeding.debian import debs
from tasks.engine.seeds.given import content_of
from tasks.engine.seeds.roots import AlpineRoot, CompletedRoot, DebianRoot, PathRoot
from tests.checkout import ROOT
from tests.plan.seeding.test_path import elf

SEEDS = ROOT / "plan" / "seeds"


def debian(store: Path, data: Path = SEEDS) -> DebianRoot:
    return DebianRoot(data, "x86_64", Store(store))


def drifted(root: DebianRoot) -> DebianRoot:
    """`root` again, after one of its packages was replaced."""
    pinned = root.packages[0].lock.debs[0]
    taken = replace(pinned, version="999", sha256="9" * 64)
    record = [{"name": pinned.name, "pinned": asdict(pinned), "taken": asdict(taken)}]
    root.packages[0].drift_file.parent.mkdir(parents=True, exist_ok=True)
    root.packages[0].drift_file.write_text(json.dumps(record))
    return debian(root.store.root)


def test_a_seed_is_named_by_its_packages_and_by_what_shapes_its_tree(tmp_path: Path) -> None:
    data = tmp_path / "seeds"
    shutil.copytree(SEEDS, data)
    before = debian(tmp_path, data).identity
    authored = data / "debian.yaml"
    authored.write_text("# a comment\n" + authored.read_text())
    assert debian(tmp_path, data).identity == before
    authored.write_text(authored.read_text().replace("  - usr/share/doc\n", ""))
    shaped = debian(tmp_path, data).identity
    lock = data / "debian-x86_64.lock.yaml"
    lock.write_text("\n".join(lock.read_text().splitlines()[:-1]) + "\n")
    assert len({before, shaped, debian(tmp_path, data).identity}) == 3


def test_drift_replaces_the_package_and_is_told(tmp_path: Path) -> None:
    before = debian(tmp_path)
    assert before.describe()["drift"] == []
    after = drifted(before)
    assert after.sources[0].sha256 == "9" * 64
    assert after.sources[1:] == before.sources[1:]
    assert after.identity != before.identity
    assert after.describe()["drift"][0]["taken"]["version"] == "999"


def test_what_a_successor_newly_needs_is_used_too(tmp_path: Path) -> None:
    before = debian(tmp_path)
    pinned = before.packages[0].lock.debs[0]
    new = replace(pinned, name="new", sha256="8" * 64)
    before.packages[0].keep(
        [Drift(pinned.name, pinned, pinned), Drift("new", None, new, by="gone")]
    )
    assert [each["name"] for each in debian(tmp_path).drift] == [pinned.name]
    before.packages[0].keep([Drift("new", None, new, by=pinned.name)])
    used = debian(tmp_path).packages[0]
    assert [each["name"] for each in used.drift] == [pinned.name, "new"]
    assert new in used.debs and len(used.debs) == len(used.pinned) + 1
    # A successor of it keeps its reason.
    used.keep([Drift("new", new, replace(new, sha256="7" * 64))])
    assert debian(tmp_path).drift[-1]["by"] == pinned.name


def test_a_bundle_brings_the_record_of_drift_beside_the_lock_file(tmp_path: Path) -> None:
    before = debian(tmp_path / "one")
    assert before.packages[0].record is None
    after = drifted(before)
    assert after.packages[0].record
    data = tmp_path / "seeds"
    shutil.copytree(SEEDS, data)
    name, content = after.packages[0].record
    (data / name).write_bytes(content)
    elsewhere = debian(tmp_path / "two", data)
    assert elsewhere.identity == after.identity and elsewhere.describe() == after.describe()


def test_a_broken_record_of_drift_counts_as_none(tmp_path: Path) -> None:
    root = debian(tmp_path)
    drifted(root).packages[0].drift_file.write_text("{")
    assert debian(tmp_path).identity == root.identity


def test_an_architecture_without_a_seed_is_told(tmp_path: Path) -> None:
    with pytest.raises(BuildError) as caught:
        DebianRoot(SEEDS, "riscv64", Store(tmp_path))
    assert "no seed debian for machines of riscv64" in str(caught.value)
    assert "build on another machine" in str(caught.value)


def test_an_architecture_without_a_lock_is_told(tmp_path: Path) -> None:
    shutil.copy(SEEDS / "debian.yaml", tmp_path)
    with pytest.raises(BuildError) as caught:
        debian(tmp_path, tmp_path)
    assert "doit lock set=base build=x86_64" in str(caught.value)


def test_both_seeds_are_pinned_for_both_architectures(tmp_path: Path) -> None:
    alpine = [AlpineRoot(SEEDS, arch, Store(tmp_path)) for arch in ("x86_64", "aarch64")]
    assert all(root.sources[0].file.endswith(f"{root.name[7:]}.tar.gz") for root in alpine)
    debian = [DebianRoot(SEEDS, arch, Store(tmp_path)) for arch in ("x86_64", "aarch64")]
    for root, its in zip(debian, ("_amd64.deb", "_arm64.deb"), strict=True):
        own = debs(root.packages[0].debs)
        assert all(source.file.endswith((its, "_all.deb")) for source in own)
    assert len({root.identity for root in (*alpine, *debian)}) == 4


def test_the_tools_that_are_made_first_are_no_part_of_the_root(tmp_path: Path) -> None:
    data = tmp_path / "seeds"
    shutil.copytree(SEEDS, data)
    file = data / "alpine.yaml"
    text, lists = file.read_text(), ("\nmakes:", "\nmakes-crossed:")
    assert all(name in text for name in lists)
    file.write_text(text[: text.index(lists[0])])
    found, usual = (AlpineRoot(each, "x86_64", Store(tmp_path)) for each in (data, SEEDS))
    assert found.identity == usual.identity


@pytest.mark.parametrize("kind", [AlpineRoot, DebianRoot])
def test_every_machine_has_the_same_crystal_and_runs_it(
    kind: type[AlpineRoot | DebianRoot], tmp_path: Path
) -> None:
    x86_64, aarch64 = (
        {deb.name: deb for deb in kind(SEEDS, arch, Store(tmp_path)).debs}
        for arch in ("x86_64", "aarch64")
    )
    assert aarch64["crystal"] == x86_64["crystal"]
    assert "qemu-user" in aarch64 and "qemu-user" not in x86_64


def test_a_package_of_another_architecture_drifts_like_the_others(tmp_path: Path) -> None:
    before = DebianRoot(SEEDS, "aarch64", Store(tmp_path))
    identity = before.identity
    crystal = next(deb for deb in before.debs if deb.name == "crystal")
    before.packages[1].keep([Drift("crystal", crystal, replace(crystal, sha256="9" * 64))])
    after = DebianRoot(SEEDS, "aarch64", Store(tmp_path))
    assert [each["name"] for each in after.drift] == ["crystal"]
    assert after.identity != identity and len(after.sources) == len(before.sources)


@pytest.mark.fault(
    "build=aarch64, and qemu-user is missing in the lock file, or too old",
    "one error before anything is built; the remedy pins it again",
)
@pytest.mark.parametrize("kind", [AlpineRoot, DebianRoot])
@pytest.mark.parametrize(
    ("line", "reason"),
    [("", "the package qemu-user is not in it"), ("1:7.2+dfsg-7", "qemu-user 1:7.2+dfsg-7 is too")],
)
def test_an_emulator_that_will_not_do_is_told(
    kind: type[AlpineRoot | DebianRoot], line: str, reason: str, tmp_path: Path
) -> None:
    data = tmp_path / "seeds"
    shutil.copytree(SEEDS, data)
    lock = data / "debian-aarch64.lock.yaml"
    kept = [each for each in lock.read_text().splitlines() if "name: qemu-user," not in each]
    old = (
        f'- {{name: qemu-user, version: "{line}", size: 1, path: pool/q.deb, sha256: {"ab" * 32}}}'
    )
    lock.write_text("\n".join([*kept, *([old] if line else [])]) + "\n")
    with pytest.raises(BuildError) as caught:
        kind(data, "aarch64", Store(tmp_path))
    assert caught.value.message.startswith(reason)
    assert caught.value.where == "plan/seeds/debian-aarch64.lock.yaml"
    assert "lock build=aarch64" in (caught.value.hint or "")


def test_another_release_of_alpine_is_known_by_its_hash_and_checked(tmp_path: Path) -> None:
    tarball, store = tmp_path / "mine.tar.gz", Store(tmp_path / "store")
    tarball.write_bytes(b"mine")
    own = AlpineRoot(SEEDS, "x86_64", store)
    other = AlpineRoot(SEEDS, "x86_64", store, (tarball, "0" * 64))
    assert other.identity != own.identity
    assert own.authored.source not in other.sources and len(other.sources) == len(own.sources) - 1
    with pytest.raises(BuildError) as caught:
        other.unpack({}, tmp_path / "root")
    assert "its sha256 is " in caught.value.message and "seed_sha256" in str(caught.value)


@pytest.mark.fault(
    "seed_tarball= is a root for another architecture", "one error, before anything is built"
)
def test_a_root_of_another_machine_is_refused(tmp_path: Path) -> None:
    shell = tmp_path / "root" / "bin" / "sh"
    shell.parent.mkdir(parents=True)
    shell.write_bytes(elf(183))
    tarball, store = tmp_path / "other.tar.gz", Store(tmp_path / "store")
    subprocess.run(["tar", "-C", tmp_path / "root", "-czf", tarball, "."], check=True)
    own = load_alpine(SEEDS / "alpine.yaml", "x86_64")
    bare = replace(own, wheels=(), foreign=None, programs=(), links=())
    root = CompletedRoot("mine", SEEDS, store, bare, (tarball, content_of(tarball)))
    with pytest.raises(BuildError, match="is a root for aarch64") as caught:
        root.make({})
    assert caught.value.where == str(tarball) and not root.tree.exists()


def test_drift_of_one_seed_keeps_what_is_recorded_of_the_other(tmp_path: Path) -> None:
    root = drifted(debian(tmp_path))
    name = root.drift[0]["name"]
    alpine = AlpineRoot(SEEDS, "x86_64", root.store)
    assert (name in {deb.name for deb in alpine.debs}) == bool(alpine.drift)
    crystal = next(deb for deb in alpine.debs if deb.name == "crystal")
    alpine.packages[0].keep([Drift("crystal", crystal, crystal)])
    assert [each["name"] for each in alpine.drift] == ["crystal"]
    again = AlpineRoot(SEEDS, "x86_64", root.store)
    assert [each["name"] for each in again.drift] == ["crystal"]
    assert {each["name"] for each in debian(tmp_path).drift} == {name, "crystal"}


def test_a_path_is_known_by_its_content(tmp_path: Path) -> None:
    directory = tmp_path / "root"
    directory.mkdir()
    (directory / "file").write_text("1")
    before = content_of(directory)
    (directory / "file").write_text("22")
    assert content_of(directory) != before
    one, two = tmp_path / "one.tar", tmp_path / "two.tar"
    one.write_bytes(b"same")
    two.write_bytes(b"same")
    store = Store(tmp_path / "store")
    assert len({PathRoot(path, store, content_of(path)).identity for path in (one, two)}) == 1
