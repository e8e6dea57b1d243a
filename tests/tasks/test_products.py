"""image, sysroot, oci: their contents, when they are written again, and that bytes stay equal."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.nobody import AS_ORDINARY, NOBODY, USERS, open_directory, ordinary_python
from tests.rootfs.tools import tool
from tests.tasks.toy import SCRIPTS, Checkout, make_checkout, make_seed, make_template

pytestmark = pytest.mark.namespace

SOURCE = b"what a package is made of\n"
DIGEST = hashlib.sha256(SOURCE).hexdigest()


def product(checkout: Checkout, suffix: str) -> Path:
    return checkout.root / "output" / f"bootstrap-qcow2-base-x86_64.{suffix}"


def with_source(checkout: Checkout) -> Checkout:
    """`bottom` gets a second source, which nobody could fetch, but it is in the cache."""
    directory = checkout.cache / "sources"
    directory.mkdir(parents=True, exist_ok=True)
    (directory / DIGEST).write_bytes(SOURCE)
    place = f"{{sha256: {DIGEST}, size: {len(SOURCE)}, file: note.txt, urls: []}}"
    archive = directory / "tar"
    with tarfile.open(archive, "w") as tar:
        tar.add(checkout.root / "LICENSE", "thing-1/LICENSE")
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    size = archive.stat().st_size
    archive.rename(directory / digest)
    for path in directory.iterdir():
        path.chmod(0o444)  # as the cache keeps them
    first = f"{{sha256: {digest}, size: {size}, file: thing-1.tar, urls: []}}"
    script = "cat /input/note.txt LICENSE > $share/bottom"
    checkout.recipe("bottom", script, sources=f"[{first}, {place}]")
    return checkout


# --- contents ----------------------------------------------------------------------------------


def test_the_tarball_holds_the_tree_and_all_it_was_made_from(toy: Checkout) -> None:
    with_source(toy)
    left_out = "mkdir -p /dest/usr/src; echo > /dest/usr/src/x; " + SCRIPTS["right"]
    toy.recipe("right", left_out, "bottom")
    assert toy.doit("sysroot").status == 0
    plan = toy.plan()
    whole = product(toy, "tar")
    names = tool("tar", "-t", "-f", whole).splitlines()
    assert names == list(dict.fromkeys(names)), "a name twice"
    assert {f"usr/share/{name}" for name in ("bottom", "left", "right", "top")} <= {*names}
    assert "boot/kernel.efi" in names and "usr/src/" not in names
    sources = {
        name for name in names if name.startswith("workspace/cache/sources/") and name[-1] != "/"
    }
    assert sources == {
        f"workspace/cache/sources/{path.name}"
        for path in (toy.cache / "sources").iterdir()
        if path.is_file()
    }
    assert len(sources) == 2
    unpacked = toy.root / "unpacked"
    unpacked.mkdir()
    tool("tar", "-x", "-f", whole, "-C", unpacked)
    workspace = unpacked / "workspace"
    own_plan = json.loads((workspace / "plan.json").read_text())
    assert own_plan["digest"] == plan["product"] and own_plan["steps"] == plan["steps"]
    assert (workspace / "cache" / "sources" / DIGEST).read_bytes() == SOURCE
    own = workspace / "bootstrap-qcow2"
    for name in ("dodo.py", "plan/recipes/bottom.yaml", "rootfs/archives/pack.py", "LICENSE"):
        assert (own / name).read_bytes() == (toy.root / name).read_bytes()
    assert not list(own.rglob("__pycache__")) and not (own / "work").exists()

    done = toy.doit("sysroot", "sources=no", "output=elsewhere/small.tar")
    assert done.status == 0 and done.built == []
    small = tool("tar", "-t", "-f", toy.root / "elsewhere" / "small.tar").splitlines()
    assert {*names} - {*small} == sources


def test_the_unpacked_workspace_builds_the_same_again(toy: Checkout, tmp_path: Path) -> None:
    """The tarball is enough: its sources are a cache, its project is a checkout."""
    with_source(toy)
    assert toy.doit("sysroot").status == 0
    unpacked = tmp_path / "unpacked"
    unpacked.mkdir()
    tool("tar", "-x", "-f", product(toy, "tar"), "-C", unpacked)
    workspace = unpacked / "workspace"
    again = Checkout(workspace / "bootstrap-qcow2", workspace / "cache", toy.seed)
    assert again.doit("sysroot", "offline=1").status == 0
    assert product(again, "tar").read_bytes() == product(toy, "tar").read_bytes()


def test_the_image_boots_what_the_initramfs_says_it_is(built: Checkout) -> None:
    assert built.doit("image").status == 0
    raw, kernel = built.root / "raw", built.root / "kernel.efi"
    tool("qemu-img", "check", product(built, "qcow2"))
    tool("qemu-img", "convert", "-O", "raw", product(built, "qcow2"), raw)
    tool("mcopy", "-n", "-i", f"{raw}@@1M", "::/EFI/BOOT/BOOTX64.EFI", kernel)
    content = kernel.read_bytes()
    names = tool("cpio", "-t", stdin=content).splitlines()
    assert {"dev/console", "usr/share/top", "etc/bq2/image.json"} <= {*names}
    said = json.loads(tool("cpio", "-i", "--to-stdout", "etc/bq2/image.json", stdin=content))
    plan = built.plan()
    assert (said["set"], said["arch"], said["plan"]) == ("base", "x86_64", plan["product"])
    assert said["seed"] == f"seed {plan['seed']['identity']}"
    assert [package["name"] for package in said["packages"]] == ["bottom", "left", "right", "top"]
    for package in said["packages"]:
        assert package["artifact"] == built.stamp(package["name"])["artifact"]


def test_the_image_in_other_formats(built: Checkout) -> None:
    """QEMU finds the same disk in each, and each has its own proof."""
    assert built.doit("image").status == 0
    for form, name in {"raw": "raw", "vmdk": "vmdk", "vdi": "vdi", "vhd": "vpc"}.items():
        done = built.doit("image", f"format={form}")
        assert done.status == 0 and str(product(built, form)) in done.said, done
        first, other = product(built, "qcow2"), product(built, form)
        tool("qemu-img", "compare", "-F", name, "-f", "qcow2", first, other)
        told = json.loads(other.with_name(f"{other.name}.provenance.json").read_text())
        digest = hashlib.sha256(other.read_bytes()).hexdigest()
        assert told["subject"][0]["digest"] == {"sha256": digest}
        assert built.doit("image", f"format={form}").said == "image is up to date\n"
        assert "matches its own records" in built.doit("inspect", f"format={form}").said
    assert built.doit("image").said == "image is up to date\n"


def oci_blobs(path: Path) -> dict[str, bytes]:
    with tarfile.open(path) as tar:
        read = {member.name: tar.extractfile(member) for member in tar}
        return {name: file.read() for name, file in read.items() if file}


def test_the_layer_of_the_oci_image_is_the_tarball(built: Checkout) -> None:
    for task in ("sysroot", "oci"):
        done = built.doit(task)
        assert done.status == 0 and done.built == [], done
    made = product(built, "oci.tar")
    digest = hashlib.sha256(product(built, "tar").read_bytes()).hexdigest()
    blobs = oci_blobs(made)
    assert blobs[f"blobs/sha256/{digest}"] == product(built, "tar").read_bytes()
    told = json.loads(made.with_name(f"{made.name}.provenance.json").read_text())
    parts = {row["name"]: row["digest"]["sha256"] for row in told["subject"]}
    (manifest,) = json.loads(blobs["index.json"])["manifests"]
    assert f"sha256:{parts['manifest']}" == manifest["digest"]
    assert parts["layer"] == digest and "/etc/bq2/provenance.json" in parts
    assert "bootstrap-qcow2/" in " ".join(tool("tar", "-t", "-f", product(built, "tar")).split())


@pytest.mark.fault(
    "an architecture to join has no OCI image", "one error with the command; nothing is written"
)
def test_the_oci_image_of_several_architectures(toy: Checkout) -> None:
    joined = toy.root / "output" / "bootstrap-qcow2-base.oci.tar"
    words = ("oci", "archs=x86_64,aarch64")
    assert toy.doit("oci").status == 0
    done = toy.doit(*words)
    assert done.status != 0 and "oci arch=aarch64 makes it" in done.said, done
    assert not joined.exists()
    assert toy.doit("oci", "arch=aarch64").status == 0
    assert toy.doit(*words).status == 0
    first = joined.read_bytes()
    (index,) = json.loads(oci_blobs(joined)["index.json"])["manifests"]
    found = json.loads(oci_blobs(joined)[f"blobs/{index['digest'].replace(':', '/')}"])
    assert [each["platform"]["architecture"] for each in found["manifests"]] == ["arm64", "amd64"]
    assert toy.doit(*words).said == "oci is up to date\n"
    joined.unlink()
    assert toy.doit("oci", "archs=aarch64,x86_64").status == 0
    assert joined.read_bytes() == first, "the order of the names shows"


# --- up to date --------------------------------------------------------------------------------


def _delete(path: Path) -> None:
    path.unlink()


def _touch(path: Path) -> None:
    os.utime(path)


def _modify(path: Path) -> None:
    with path.open("r+b") as file:
        file.write(b"other")


@pytest.mark.parametrize(
    ("task", "suffix"), [("image", "qcow2"), ("sysroot", "tar"), ("oci", "oci.tar")]
)
def test_a_product_is_written_again_when_somebody_changed_it(
    built: Checkout, task: str, suffix: str
) -> None:
    assert str(product(built, suffix)) in built.doit(task).said
    content = product(built, suffix).read_bytes()
    for change in (_delete, _touch, _modify):
        change(product(built, suffix))
        done = built.builds(words=[task])
        assert f"{task} is up to date" not in done.said, change
        assert product(built, suffix).read_bytes() == content
    built.doit("forget", task)
    assert f"{task} is up to date" not in built.doit(task).said
    assert built.doit(task).said == f"{task} is up to date\n"


def test_what_the_products_are_made_of_reaches_them(built: Checkout) -> None:
    for task in ("image", "sysroot"):
        assert built.doit(task).status == 0
    built.edit("plan/recipes/bottom.yaml", "bottom is a toy", "it is better")
    # A reason is in the project that the tarball carries, and nowhere in the image.
    assert "image is up to date" in built.doit("image").said
    assert "sysroot is up to date" not in built.doit("sysroot").said
    # The tarball has this project's files with their execute bit: that counts as content.
    (built.root / "dodo.py").chmod(0o755)
    assert "sysroot is up to date" not in built.doit("sysroot").said


# --- reproducible ------------------------------------------------------------------------------


@pytest.fixture
def open_place() -> Iterator[Path]:
    with open_directory() as directory:
        yield directory


def as_nobody(directory: Path, command: list[str]) -> list[str]:
    """`command` as an ordinary user with a strict umask; Python's libraries come along."""
    libraries = directory / "libraries"
    libraries.mkdir()
    for name in ("doit", "yaml", "_yaml", "tqdm"):
        spec = find_spec(name)
        assert spec and spec.origin
        shutil.copytree(Path(spec.origin).parent, libraries / name)
    subprocess.run(["chown", "-R", f"{NOBODY}:{NOBODY}", directory], check=True)
    return [*AS_ORDINARY, *command]


# All that a build could see of whoever runs it: modes and owners, its environment, its machine.
NOSY = r"""
find /toolchain /recipe /input /source /build /dest /sysroot /etc > /tmp/names
for name in / /bin /dev /tmp /usr $(cat /tmp/names); do
  [ -L $name ] || stat -c '%a %u %g %n' $name
done > $share/modes
cp -R /recipe/. /source/. $share
cp -a /build /dest/usr/build
env | grep -v -e JOBS= -e MAKEFLAGS= -e PARALLEL | sort > $share/environment
for command in id 'uname -a' umask hostname pwd 'date +%Z' 'ls / /dev' 'ls /proc/self/fd'; do
  $command
done > $share/right
"""


def nosy(checkout: Checkout) -> Checkout:
    """`right` copies all it can find out about the machine into its artifact."""
    checkout.recipe("right", NOSY.strip(), "bottom", **{"from": "bottom"})
    own = checkout.root / "plan" / "recipes" / "right"
    (own / "inside").mkdir(parents=True)
    (own / "inside" / "script").write_text("#!/bin/sh\n")
    (own / "inside" / "script").chmod(0o755)
    (own / "note").write_text("note\n")
    return with_source(checkout)


@pytest.mark.fault(
    "another user, directory, umask, locale, time zone, number of processes",
    "artifacts, tarball and image have the same bytes",
)
@pytest.mark.parametrize("user", USERS)
def test_two_checkouts_give_the_same_bytes(open_place: Path, user: str) -> None:
    """Other directories, umask, user, jobs, time zone and locale; the same artifacts and files."""
    seed, template = make_seed(open_place / "seed"), make_template(open_place / "template")
    one = make_checkout(template, open_place / "one", cache=open_place / "cache", seed=seed)
    inside = open_place / "other" / "much" / "deeper"
    other = make_checkout(template, inside / "two", cache=inside / "cache", seed=seed)
    nosy(one)
    nosy(other)
    subprocess.run(["chmod", "-R", "go-rwx", other.root], check=True)
    words = ("-m", "doit", "run", "image", "sysroot", "oci")
    first = [sys.executable, *words, "jobs=2"]
    if user == "nobody":
        second = as_nobody(inside, [ordinary_python(), *words, "jobs=1"])
    else:
        second = ["sh", "-c", 'umask 077; exec "$@"', "sh", sys.executable, *words, "jobs=1"]
    different = {"TZ": "Asia/Tokyo", "LANG": "tr_TR.UTF-8", "LC_ALL": "", "HOME": str(inside)}
    different |= {"PYTHONPATH": str(inside / "libraries"), "PYTHONHASHSEED": "7"}
    for checkout, command, variables in ((one, first, {}), (other, second, different)):
        done = checkout.run(command, **variables)
        assert done.status == 0, done.said
    for name in ("modes", "environment", "right"):
        file = f"usr/share/{name}"
        assert one.tree("right", file).read_text() == other.tree("right", file).read_text()
    for name in SCRIPTS:
        assert one.stamp(name) == other.stamp(name)
    for suffix in ("tar", "qcow2", "oci.tar"):
        assert product(one, suffix).read_bytes() == product(other, suffix).read_bytes(), suffix
    if user == "nobody":
        assert product(other, "tar").stat().st_uid == NOBODY
