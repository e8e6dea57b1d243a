"""inspect, sign: a toy image with a root partition, and the findings after one byte is changed.

The real command line makes the image; this machine's mke2fs is a package. The test changes a copy
without compression in place, and finds the positions with debugfs and qemu-img.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rootfs.inspection.inspection import Check, Inspection
from tests.rootfs.tools import tool
from tests.tasks.test_phases import RECIPES
from tests.tasks.toy import Checkout, make_checkout

pytestmark = pytest.mark.namespace

NAME = "bootstrap-qcow2-full-x86_64.qcow2"
FULL = """\
full:
  phase: rootfs-from-sysroot
  packages: [base, mke2fs, first, last, kernel]
  exclude: []
  root: yes
  initramfs: {kernel: kernel, packages: [base]}
"""
FIRST = """\
echo the first > $share/first
ln $share/first $share/again; ln -s first $share/link; ln -s first $share/taken; mkdir $share/empty
cp LICENSE $share/license; dd if=/dev/zero of=$share/sparse bs=1024 count=300 2>/dev/null
"""
ESP = 1 << 20  # where the first partition begins on the disk


def put_mke2fs(directory: Path) -> None:
    """This machine's mke2fs and the libraries that it is linked to, as a root has them."""
    program = shutil.which("mke2fs", path="/usr/sbin:/sbin:/usr/bin")
    assert program
    (directory / "usr" / "bin").mkdir(parents=True)
    shutil.copy(program, directory / "usr" / "bin" / "mke2fs")
    for path in re.findall(r"(/\S+) \(0x", tool("ldd", program)):
        target = directory / path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)


def put_source(checkout: Checkout) -> str:
    """A source in the cache: a tarball with a license; what a recipe says of it."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for name, text in {"LICENSE": b"do what you like\n", "LICENSES/MIT": b"MIT\n"}.items():
            info = tarfile.TarInfo(f"thing-1/{name}")
            info.size = len(text)
            tar.addfile(info, io.BytesIO(text))
    content = archive.getvalue()
    digest = hashlib.sha256(content).hexdigest()
    (checkout.cache / "sources").mkdir(parents=True, exist_ok=True)
    (checkout.cache / "sources" / digest).write_bytes(content)
    return f"[{{sha256: {digest}, size: {len(content)}, file: thing-1.tar, urls: []}}]"


def make_full(checkout: Checkout) -> Checkout:
    """Give the toy a set `full` whose image has a root partition."""
    plan = checkout.root / "plan"
    (plan / "sets.yaml").write_text(FULL)
    (plan / "toolbox.yaml").write_text("every: [base]\n")
    for name in ("base", "kernel"):
        checkout.recipe(name, RECIPES[name])
    checkout.recipe("mke2fs", "cp -R /recipe/. /dest\nchmod 755 /dest/usr/bin/* /dest/lib64/*")
    put_mke2fs(plan / "recipes" / "mke2fs")
    checkout.recipe("first", FIRST, sources=put_source(checkout))
    checkout.recipe("last", "echo the last > $share/taken", "first")
    checkout.variables["BQ2_SET"] = "full"
    return checkout


@pytest.fixture(scope="module")
def full(
    tmp_path_factory: pytest.TempPathFactory, template: Path, seed: Path
) -> Iterator[Checkout]:
    """A checkout whose image is made."""
    if os.uname().machine != "x86_64":
        pytest.skip("where the loader and its libraries lie is known for x86_64")
    directory = tmp_path_factory.mktemp("full")
    made = make_full(
        make_checkout(template, directory / "checkout", cache=directory / "cache", seed=seed)
    )
    done = made.doit("image")
    assert done.status == 0, done
    yield made


@pytest.fixture(scope="module")
def image(full: Checkout) -> Path:
    return full.root / "output" / NAME


@pytest.fixture(scope="module")
def plain(image: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The image with every cluster as it is, beside it the raw disk and the root partition."""
    directory = tmp_path_factory.mktemp("plain")
    tool("qemu-img", "convert", "-O", "qcow2", image, directory / NAME)
    tool("qemu-img", "convert", "-O", "raw", image, directory / "raw")
    return directory / NAME


def looked(image: Path, beside: Path | None = None) -> dict[str, Check]:
    """What the inspection finds, by what it looks at."""
    with image.open("rb") as file:
        told = beside.read_bytes() if beside else None
        return {check.what: check for check in Inspection(file, image.name, told).checks()}


def bad(found: dict[str, Check]) -> dict[str, str]:
    return {what: check.found for what, check in found.items() if not check.good}


# --- an honest image ---------------------------------------------------------------------------


def test_an_image_is_what_it_says(full: Checkout, image: Path) -> None:
    done = full.doit("inspect")
    assert done.status == 0, done
    assert "matches its own records" in done.said and "DIFFERS" not in done.said
    for name in ("base", "mke2fs", "first", "last", "kernel"):
        assert re.search(rf"^package {name} +identical [0-9a-f]{{12}}$", done.said, re.M), done
    # As nobody in particular, at another place and under another name, beside nothing.
    other = image.with_name("other.qcow2")
    shutil.copy(image, other)
    alone = full.doit("inspect", f"image={other}")
    assert alone.status == 0 and "only the image's own word" in alone.said, alone
    other.unlink()


@pytest.mark.fault(
    "one byte of an image in another format is changed", "`doit inspect` names it, status 1"
)
@pytest.mark.parametrize(("form", "title"), [("vmdk", "VMDK"), ("vdi", "VDI")])
def test_an_image_of_another_format(full: Checkout, form: str, title: str) -> None:
    """A raw or VHD file has the size of the disk: tests/tasks/test_products.py has small ones."""
    assert full.doit("image", f"format={form}").status == 0
    done = full.doit("inspect", f"format={form}")
    assert done.status == 0 and re.search(rf"^{title} ", done.said, re.M), done
    made = full.root / "output" / f"{Path(NAME).stem}.{form}"
    with made.open("r+b") as file:
        at = file.read().index(b"the first\n")
        file.seek(at)
        file.write(b"T")
    done = full.doit("inspect", f"image={made}")
    assert done.status == 1 and "differs: package first, provenance beside it" in done.said, done
    assert full.doit("image").status == 0  # for the other tests, the last build is the QCOW2


def test_what_qemu_wrote_anew_holds_the_same(plain: Path, image: Path) -> None:
    assert bad(looked(plain)) == {}
    told = image.with_name(f"{NAME}.provenance.json")
    # The disk is the same, the file is not: that is told, and nothing else.
    assert bad(looked(plain, told)) == {
        "provenance beside it": f"its hashes are not those of {NAME}"
    }


def test_the_proof_inside_names_all_and_nothing_of_the_seed(full: Checkout, plain: Path) -> None:
    root = partition(plain)
    told = json.loads(tool("debugfs", "-R", "cat /etc/bq2/provenance.json", root))
    names = {row["name"] for row in told["subject"]}
    assert {"first", "/workspace/plan.json", "/etc/bq2/sbom.cdx.json"} <= names
    assert "/workspace/bootstrap-qcow2/dodo.py" in names
    text = json.dumps(told)
    identity = full.plan()["seed"]["identity"]
    stamps = (full.root / "work" / "stamps").rglob("*.json")
    steps = {json.loads(path.read_text()).get("step") for path in stamps if "proof" not in str(path)
             and "products" not in str(path)}  # fmt: skip
    assert identity not in text and not any(step in text for step in steps if step)
    (source,) = told["predicate"]["buildDefinition"]["resolvedDependencies"]
    assert source["name"] == "thing-1.tar"
    license = tool("debugfs", "-R", "cat /etc/bq2/licenses/first", root).splitlines()
    assert [line.partition("  ")[2] for line in license] == [
        "thing-1.tar: LICENSE",
        "thing-1.tar: LICENSES/MIT",
    ]
    digest = hashlib.sha256(b"do what you like\n").hexdigest()
    text = tool("debugfs", "-R", f"cat /etc/bq2/licenses/texts/{digest}", root)
    assert text == "do what you like\n"


def test_another_seed_gives_the_same_image(
    full: Checkout, image: Path, template: Path, tmp_path: Path
) -> None:
    """To the last file of its root; and what lies beside it names the other seed."""
    seed = shutil.copytree(full.seed, tmp_path / "other-seed", symlinks=True)
    (seed / "usr" / "more").write_text("of no use\n")
    other = make_checkout(template, tmp_path / "checkout", cache=tmp_path / "cache", seed=seed)
    done = make_full(other).doit("image")
    assert done.status == 0, done
    made = other.root / "output" / NAME
    one, two = (path.with_name(f"{NAME}.provenance.json").read_text() for path in (image, made))
    assert "other-seed" in two and "other-seed" not in one
    # The file system is this machine's mke2fs's, which knows no SOURCE_DATE_EPOCH: what is in it
    # is named by the proof inside, and the kernel by what lies beside.
    _, *same = json.loads(one)["subject"]
    assert same == json.loads(two)["subject"][1:]
    assert [row["name"] for row in same] == ["EFI/BOOT/BOOTX64.EFI", "/etc/bq2/provenance.json"]
    assert bad(looked(made)) == {}


# --- one changed byte --------------------------------------------------------------------------


def partition(plain: Path) -> str:
    """The root partition, as debugfs finds it in the raw disk."""
    return f"{raw(plain)}?offset={root_at(plain)}"


def raw(plain: Path) -> Path:
    return plain.with_name("raw")


def root_at(plain: Path) -> int:
    (start,) = re.findall(r"^ +2 +(\d+)", tool("sgdisk", "-p", raw(plain)), re.M)
    return 512 * int(start)


def in_file(plain: Path, offset: int) -> int:
    """Where byte `offset` of the disk lies in the file, by qemu-img."""
    rows = json.loads(tool("qemu-img", "map", "--output=json", plain))
    (row,) = [row for row in rows if row["start"] <= offset < row["start"] + row["length"]]
    return int(row["offset"]) + offset - int(row["start"])


def block_of(plain: Path, path: str) -> int:
    """Where the content of a file of the root partition begins on the disk."""
    first = tool("debugfs", "-R", f"blocks {path}", partition(plain)).split()[0]
    return root_at(plain) + 4096 * int(first)


def inode_of(plain: Path, path: str) -> int:
    """Where its inode lies on the disk."""
    said = tool("debugfs", "-R", f"imap {path}", partition(plain))
    found = re.search(r"located at block (\d+), offset 0x([0-9a-f]+)", said)
    assert found, said
    return root_at(plain) + 4096 * int(found[1]) + int(found[2], 16)


def kernel_at(plain: Path) -> int:
    """Where the toy's kernel, a cpio archive, begins on the disk."""
    with raw(plain).open("rb") as file:
        file.seek(ESP)
        volume = file.read(34 << 20)
    return ESP + volume.index(b"070701")


PLACES: dict[str, Any] = {
    "a file of the root": lambda p: in_file(p, block_of(p, "/usr/share/license")),
    "a file of the project": lambda p: in_file(
        p, block_of(p, "/workspace/bootstrap-qcow2/dodo.py")
    ),
    "a source": lambda p: in_file(p, block_of(p, f"/workspace/cache/sources/{source_of(p)}")),
    "the provenance inside": lambda p: in_file(p, block_of(p, "/etc/bq2/provenance.json") + 30),
    "the hash of a step": lambda p: in_file(p, step_in_provenance(p)),
    "the mode of an inode": lambda p: in_file(p, inode_of(p, "/usr/share/first")),
    "the time of an inode": lambda p: in_file(p, inode_of(p, "/usr/share/first") + 0x10),
    "a directory": lambda p: in_file(p, block_of(p, "/usr/share") + 30),
    "the superblock": lambda p: in_file(p, root_at(p) + 1024 + 0x78),
    "the partition table": lambda p: in_file(p, 512 + 56),
    "a partition's entry": lambda p: in_file(p, 1024 + 20),
    "the protective MBR": lambda p: in_file(p, 450),
    "the backup of the table": lambda p: in_file(p, raw(p).stat().st_size - 512 + 40),
    "the FAT": lambda p: in_file(p, ESP + 32 * 512 + 13),
    "FAT's boot sector": lambda p: in_file(p, ESP + 14),
    "the kernel": lambda p: in_file(p, kernel_at(p) + 200),
    "the refcounts of QCOW2": lambda p: table_of(p, 48, 1, 9),
    "the L1 table of QCOW2": lambda p: table_of(p, 40, 0, 5),
    "the L2 table of QCOW2": lambda p: table_of(p, 40, 1, 6),
}
NAMED = {
    "a file of the root": ("package first", "its files give"),
    "a file of the project": ("files of the workspace", "/dodo.py differs"),
    "a source": ("sources", "thing-1.tar"),
    "the provenance inside": ("provenance", "/etc/bq2/provenance.json"),
    "the hash of a step": ("provenance", "/etc/bq2/provenance.json"),
    "the mode of an inode": ("ext4", "the checksum of the inode"),
    "the time of an inode": ("ext4", "the checksum of the inode"),
    "a directory": ("ext4", "the directory"),
    "the superblock": ("ext4", "the checksum of the superblock"),
    "the partition table": ("partition table", "the primary partition table"),
    "a partition's entry": ("partition table", "the primary partition entries"),
    "the protective MBR": ("partition table", "its protective MBR"),
    "the backup of the table": ("partition table", "the backup partition table"),
    "the FAT": ("ESP", "the two file allocation tables differ"),
    "FAT's boot sector": ("ESP", "the boot sector and its backup differ"),
    "the kernel": ("kernel", "differs from the kernel of the package"),
    "the refcounts of QCOW2": ("QCOW2", "times, not"),
    "the L1 table of QCOW2": ("QCOW2", ""),
    "the L2 table of QCOW2": ("QCOW2", ""),
}  # fmt: skip


def step_in_provenance(plain: Path) -> int:
    """Where the disk holds the hash of what the step `base` does."""
    told = tool("debugfs", "-R", "cat /etc/bq2/provenance.json", partition(plain))
    return block_of(plain, "/etc/bq2/provenance.json") + told.index('"base": "') + 9


def source_of(plain: Path) -> str:
    listed = tool("debugfs", "-R", "ls -p /workspace/cache/sources", partition(plain))
    return next(name for name in re.findall(r"/([0-9a-f]{64})/", listed))


def table_of(plain: Path, field: int, deeper: int, skip: int) -> int:
    """Byte `skip` of a table of the file, which the header's field at `field` leads to, and then
    `deeper` times its first entry."""
    content = plain.read_bytes()
    for _ in range(deeper + 1):
        field = int.from_bytes(content[field : field + 8], "big") & 0x00FFFFFFFFFFFE00
    return field + skip


@pytest.mark.parametrize(
    "place",
    [
        pytest.param(
            each,
            marks=pytest.mark.fault(
                f"one byte of an image is changed: {each}", "`doit inspect` names it, status 1"
            ),
        )
        for each in PLACES
    ],
)
def test_one_changed_byte_is_named(plain: Path, place: str) -> None:
    at = PLACES[place](plain)
    with plain.open("r+b") as file:
        file.seek(at)
        (old,) = file.read(1)
        file.seek(at)
        file.write(bytes([old ^ 1]))
    try:
        found = bad(looked(plain))
    finally:
        with plain.open("r+b") as file:
            file.seek(at)
            file.write(bytes([old]))
    what, words = NAMED[place]
    assert what in found and words in found[what], found


def test_a_file_that_nobody_answers_for(plain: Path, tmp_path: Path) -> None:
    """And one that is gone, and one with another owner: written by debugfs, checksums and all."""
    for commands, what, words in (
        (["write /etc/hostname /usr/share/more"], "nothing else", "/usr/share/more belongs to"),
        (["rm /usr/share/license"], "package first", "/usr/share/license: is missing"),
        (["set_inode_field /usr/share/first uid 5"], "root file system", "/usr/share/"),
        (["set_inode_field /usr/share/taken mode 0104755"], "root file system", "/usr/share/taken"),
    ):
        disk = tmp_path / "disk"
        tool("cp", "--sparse=auto", raw(plain), disk)
        for command in commands:
            tool("debugfs", "-w", "-R", command, f"{disk}?offset={root_at(plain)}")
        tool("qemu-img", "convert", "-O", "qcow2", disk, tmp_path / NAME)
        found = bad(looked(tmp_path / NAME))
        assert what in found and words in found[what], found


# --- beside it ---------------------------------------------------------------------------------


def copied(full: Checkout, directory: Path) -> Path:
    """The image with all that lies beside it, in another directory."""
    shutil.copytree(full.root / "output", directory / "output")
    return directory / "output" / NAME


@pytest.mark.fault(
    "the provenance beside an image names another digest", "`doit inspect` says so, status 1"
)
def test_another_provenance_beside_it(full: Checkout, tmp_path: Path) -> None:
    path = copied(full, tmp_path)
    told = path.with_name(f"{NAME}.provenance.json")
    text = told.read_text()
    statement = json.loads(text)
    assert statement["_type"] == "https://in-toto.io/Statement/v1"
    assert statement["predicateType"] == "https://slsa.dev/provenance/v1"
    digest = statement["subject"][0]["digest"]["sha256"]
    told.write_text(text.replace(digest, digest[::-1]))
    done = full.doit("inspect", f"image={path}")
    assert done.status == 1 and f"DIFFERS: its hashes are not those of {NAME}" in done.said, done
    artifact = next(
        row["digest"]["sha256"]
        for row in statement["predicate"]["buildDefinition"]["resolvedDependencies"]
        if row["name"] == "rootfs-from-sysroot:first"
    )
    told.write_text(text.replace(artifact, artifact[::-1]))
    assert "does not list packages of the image: first" in bad(looked(path, told)).popitem()[1]
    told.write_text("{")
    done = full.doit("inspect", f"image={path}")
    assert done.status == 1 and "is not JSON" in done.said and "Traceback" not in done.said, done


@pytest.mark.fault(
    "the provenance was changed after it was signed, or another key signed it",
    "`doit inspect key=` says so, status 1",
)
def test_a_signature(full: Checkout, tmp_path: Path) -> None:
    for name in ("mine", "other"):
        words = ("-q", "-t", "ed25519", "-N", "", "-C", "somebody")
        tool("ssh-keygen", *words, "-f", tmp_path / name)
    unsigned = full.doit("inspect", f"key={tmp_path}/mine.pub")
    assert unsigned.status == 1 and "doit sign key=FILE" in unsigned.said, unsigned
    signed = full.doit("sign", f"key={tmp_path}/mine")
    assert signed.status == 0, signed
    again = full.doit("sign", f"key={tmp_path}/mine")
    assert again.status == 0, again
    good = full.doit("inspect", f"key={tmp_path}/mine.pub")
    assert good.status == 0 and 'Good "bootstrap-qcow2" signature' in good.said, good
    other = full.doit("inspect", f"key={tmp_path}/other.pub")
    assert other.status == 1 and "signature" in other.said and "DIFFERS" in other.said, other
    path = copied(full, tmp_path)
    told = path.with_name(f"{NAME}.provenance.json")
    told.write_text(told.read_text().replace('"x86_64"', '"x86_65"', 1))
    changed = full.doit("inspect", f"image={path}", f"key={tmp_path}/mine.pub")
    assert changed.status == 1 and "differs: signature" in changed.said, changed
    (full.root / "output" / f"{NAME}.provenance.json.sig").unlink()


@pytest.mark.fault("ssh-keygen is not installed", "`doit sign` says what to install")
def test_no_ssh_keygen(full: Checkout, tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text("")
    done = full.doit("sign", f"key={key}", PATH=str(tmp_path))
    assert done.status != 0 and "openssh-client" in done.said and "Traceback" not in done.said
    done = full.doit("sign", f"key={key}")
    assert (
        done.status != 0 and "this file is no SSH key" in done.said and "Traceback" not in done.said
    )
    assert "no key is given" in full.doit("sign").said


def test_what_was_verified_is_told(full: Checkout) -> None:
    told = full.root / "output" / f"{NAME}.provenance.json"
    before = told.read_bytes()
    stamp = json.loads(
        (full.root / "work" / "stamps" / "rootfs-from-sysroot" / "first.json").read_text()
    )
    row = {key: stamp[key] for key in ("step", "artifact")}
    row |= {"variations": ["jobs"], "verdict": "identical"}
    directory = full.root / "work" / "verified"
    directory.mkdir()
    (directory / "rootfs-from-sysroot-first.json").write_text(json.dumps(row))
    (directory / "broken.json").write_text("[]")
    assert full.doit("image").status == 0
    steps = json.loads(told.read_text())["predicate"]["buildDefinition"]["resolvedDependencies"]
    found = {each["name"]: each["annotations"].get("verified") for each in steps}
    verdict = [{"variations": ["jobs"], "verdict": "identical"}]
    assert found["rootfs-from-sysroot:first"] == verdict
    assert [name for name, each in found.items() if each] == ["rootfs-from-sysroot:first"]
    assert "image is up to date" in full.doit("image").said
    shutil.rmtree(directory)
    assert full.doit("image").status == 0
    assert told.read_bytes() == before


@pytest.mark.fault("what lies beside an image is removed", "the next `doit image` writes it again")
def test_what_lies_beside_comes_back(full: Checkout, image: Path) -> None:
    for suffix in (".provenance.json", ".artifacts.jsonl"):
        path = image.with_name(NAME + suffix)
        content, modified = path.read_bytes(), image.stat().st_mtime_ns
        path.unlink()
        assert full.doit("image").status == 0
        assert path.read_bytes() == content and image.stat().st_mtime_ns == modified


def test_each_artifact_has_a_statement(full: Checkout, image: Path) -> None:
    rows = image.with_name(f"{NAME}.artifacts.jsonl").read_text().splitlines()
    told = {row["subject"][0]["name"]: row for row in map(json.loads, rows)}
    assert len(told) == len(rows) == 6
    last = told["rootfs-from-sysroot:last"]["predicate"]["buildDefinition"]
    assert last["externalParameters"] == {
        "package": "last",
        "phase": "rootfs-from-sysroot",
        "version": "1",
    }
    names = [row["name"] for row in last["resolvedDependencies"]]
    expected = ["build root", "sysroot-from-seed:base", "rootfs-from-sysroot:first"]
    assert names == expected
    text = image.with_name(f"{NAME}.provenance.json").read_text() + "".join(rows)
    for mine in (str(full.root), str(full.cache)):
        assert mine not in text


# --- a base image ------------------------------------------------------------------------------


def test_a_base_image_is_held_against_what_lies_beside_it(built: Checkout) -> None:
    """It has no root partition: its kernel and its packages are those of the provenance."""
    assert built.doit("image").status == 0
    done = built.doit("inspect")
    assert done.status == 0 and "and 4 artifacts" in done.said, done
    path = built.root / "output" / "bootstrap-qcow2-base-x86_64.qcow2"
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size - (1 << 16))
    cut = built.doit("inspect")
    assert cut.status == 1 and "QCOW2" in cut.said and "Traceback" not in cut.said, cut
    path.write_bytes(b"nothing")
    none = built.doit("inspect")
    assert none.status == 1 and "is not a QCOW2 file" in none.said, none
    path.unlink()
    gone = built.doit("inspect")
    assert gone.status != 0 and "doit image set=base " in gone.said, gone


def test_the_tarball_has_the_proof_too(built: Checkout, tmp_path: Path) -> None:
    assert built.doit("sysroot").status == 0
    path = built.root / "output" / "bootstrap-qcow2-base-x86_64.tar"
    subprocess.run(["tar", "-x", "-f", path, "-C", tmp_path], check=True)
    told = json.loads((tmp_path / "etc/bq2/provenance.json").read_text())
    for row in told["subject"]:
        if row["name"].startswith("/"):
            content = (tmp_path / row["name"][1:]).read_bytes()
            assert hashlib.sha256(content).hexdigest() == row["digest"]["sha256"], row
    # A base system is compiled by the seed, and says by which.
    assert told["predicate"]["buildDefinition"]["resolvedDependencies"][0]["name"] == "seed"
    outside = json.loads(path.with_name(f"{path.name}.provenance.json").read_text())
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert outside["subject"][0] == {"name": path.name, "digest": {"sha256": digest}}
