"""A disk that is full at each stage: the failure says so, and with more space a run continues.

The disk is a small tmpfs over the directory that the stage writes to; later it gets more space.
`test_limits.py` tests a disk that fills up during a step.
"""

from __future__ import annotations

import io
import shlex
import shutil
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cache.loopback import Site
from tests.tasks.test_fetch import PLAIN, with_sources
from tests.tasks.test_limits import RESIZE, as_master
from tests.tasks.toy import SCRIPTS, Checkout, Done, doit

pytestmark = pytest.mark.namespace

LARGE = 20 << 20  # bytes
# What is run, what before with all the space it needs, the directory that is small, and its size.
STAGES = {
    "fetching": ("pkg", "settings", "cache", "200k"),
    "unpacking the seed": ("seed", "settings", "cache", "10m"),
    "unpacking a source": ("pkg:bottom", "seed", "checkout/work", "10m"),
    "packing": ("pkg:bottom", "seed", "cache", "10m"),
    "writing the tarball": ("sysroot", "pkg", "checkout/output", "10m"),
    "writing the image": ("image", "pkg", "checkout/output", "10m"),
}


@pytest.fixture
def site() -> Iterator[Site]:
    made = Site()
    yield made
    made.close()


@pytest.mark.parametrize(
    "stage",
    [
        pytest.param(stage, marks=pytest.mark.fault(f"the disk is full when {stage}", after))
        for stage, after in dict.fromkeys(STAGES, "it is said; with space it goes on").items()
    ],
)
def test_a_full_disk(toy: Checkout, site: Site, stage: str) -> None:
    command, before, directory, size = STAGES[stage]
    make_large(toy, stage, site)
    place, kept = toy.root.parent / directory, toy.root.parent / "kept"
    place.mkdir(exist_ok=True)
    run = shlex.join(doit(command))
    done = as_master(
        toy,
        f"""cp -a {place} {kept}
        mount -t tmpfs -o size={size} tmpfs {place}
        cp -a {kept}/. {place}
        {shlex.join(doit(before))} > /dev/null
        {run} && exit 1 || echo "=== status $?"
        find {toy.root.parent} -name '.[0-9]*'
        echo "=== now there is space"
        {RESIZE}200m {place}
        {run}""",
    )
    assert done.status == 0 and "Traceback" not in done.said, done.said
    first, left, second = done.said.split("=== ")
    assert "No space left on device" in first, first
    assert "free some space" in first or "make room" in first, first
    assert left.count("\n") == 1, "something unfinished takes space"
    assert set(Done(0, second).built) == {"pkg": {*SCRIPTS}, "pkg:bottom": {"bottom"}}.get(
        command, set()
    )


def make_large(toy: Checkout, stage: str, site: Site) -> None:
    """Have the stage write more than there is."""
    if stage == "fetching":
        with_sources(toy, PLAIN, site.url("good"))
    elif stage == "unpacking the seed":
        toy.seed = Path(shutil.copytree(toy.seed, toy.root.parent / "large-seed", symlinks=True))
        (toy.seed / "large").write_bytes(bytes(LARGE))
    elif stage == "unpacking a source":
        with_sources(toy, archive_of(bytes(LARGE)), site.url("good"))
    elif stage == "writing the image":
        random = f"dd if=/dev/urandom of=/dest/boot/kernel.efi bs=1M count={LARGE >> 20}"
        toy.recipe("kernel", f"mkdir /dest/boot\n{random}", "top")
    else:
        zeros = f"dd if=/dev/zero of=$share/large bs=1M count={LARGE >> 20}"
        toy.recipe("bottom", f"{zeros}\n{SCRIPTS['bottom']}")


def archive_of(content: bytes) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz", compresslevel=1) as tar:
        member = tarfile.TarInfo("thing-1/file")
        member.size = len(content)
        tar.addfile(member, io.BytesIO(content))
    return out.getvalue()
