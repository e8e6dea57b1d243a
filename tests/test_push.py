"""doit push, to a machine in QEMU: what comes up is kept, what does not is not, the power goes.

The images differ in files of a layer, so only the kernel is linked again. Everything else comes
from the user's cache: without the kernel's objects there, which take long, this is skipped.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from rootfs.archives.files import file_sha256
from rootfs.push.facts import Parts
from rootfs.push.push import SPARE_S, Next, push
from rootfs.push.reach import Answer, Refused, Silent, Way
from rootfs.vm.entrance import CREDENTIAL, HERE, Entrance, opened
from tests.checkout import copy_project, own_cache
from tests.machine.guest import Guest, Key

SECONDS = 1800
pytestmark = [
    pytest.mark.qemu,
    pytest.mark.namespace,
    pytest.mark.slow,
    pytest.mark.timeout(2 * SECONDS),
]

# Image → the files of its layer.
IMAGES = {
    "first": {"etc/which": "first\n"},
    "second": {"etc/which": "second\n"},
    # The first program ends, which is a panic.
    "panics": {"etc/which": "panics\n", "init": "#!/bin/sh\nexit 1\n"},
    # It comes up, and nobody can get in.
    "deaf": {"etc/which": "deaf\n", "etc/service/ssh": "#!/bin/sh\nexec sleep 100000\n"},
}
READY = "ssh: root, with your key"


class Checkout:
    """A checkout that builds the images, and the way into the machine that runs."""

    def __init__(self, root: Path, way: Entrance) -> None:
        self.root, self.way, self.layer = root, way, root.parent / "layer"

    @property
    def key(self) -> Key:
        return Key(self.way.key)

    @property
    def reach(self) -> Way:
        return Way(HERE, self.way.port, (self.way.key,), alone=True)

    def choose(self, image: str) -> None:
        """Let the next build be of this image."""
        files = self.layer / "files"
        shutil.rmtree(files, ignore_errors=True)
        for name, text in IMAGES[image].items():
            (files / name).parent.mkdir(parents=True, exist_ok=True)
            (files / name).write_text(text)
            if text.startswith("#!"):
                (files / name).chmod(0o755)

    def start(self, *words: str) -> subprocess.Popen[str]:
        kept = {name: value for name, value in os.environ.items() if name[:4] != "BQ2_"}
        more = ("set=base", "seed=debian", "loader=crystal", f"layer={self.layer}")
        return subprocess.Popen(
            [sys.executable, "-m", "doit", *words, *more],
            cwd=self.root,
            env={**kept, "BQ2_CACHE": str(self.root.parent / "cache")},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def doit(self, *words: str, status: int = 0) -> str:
        process = self.start(*words)
        try:
            said, _ = process.communicate(timeout=SECONDS)
        finally:
            process.kill()
        assert (process.returncode != 0) == (status != 0), said
        return said

    def image(self, name: str) -> Path:
        """One of IMAGES, built."""
        file = self.layer.with_name(f"{name}.raw")
        if not file.exists():
            self.choose(name)
            self.doit("image", "format=raw", f"output={file}")
        return file

    def next(self, name: str) -> Next:
        """What an update brings of an image: read from the image itself."""
        image, found = self.image(name), dict[str, Path]()
        for path in ("EFI/BOOT/BOOTX64.EFI", "BQ2/A/LOADER.EFI", "BQ2/A/KERNEL.EFI"):
            found[path] = image.with_name(f"{name}-{Path(path).name}")
            argv = ["mcopy", "-n", "-o", "-i", f"{image}@@1M", f"::/{path}", found[path]]
            subprocess.run(argv, check=True)
        starter, loader, kernel = found.values()
        parts = Parts(file_sha256(loader), file_sha256(kernel))
        return Next("x86_64", loader, kernel, parts, file_sha256(starter))


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Checkout]:
    directory = tmp_path_factory.mktemp("push")
    root = copy_project(directory / "checkout")
    mine = own_cache()
    records = [json.loads(each.read_text()) for each in (mine / "steps").glob("*.json")]
    if "linux" not in {each["name"] for each in records} or os.uname().machine != "x86_64":
        pytest.skip(
            "the kernel's objects are not in the cache; tests/test_end_to_end.py brings them"
        )
    for part in ("sources", "steps", "artifacts"):
        shutil.copytree(mine / part, directory / "cache" / part, copy_function=_link)
    layer = directory / "layer"
    layer.mkdir()
    (layer / "layer.yaml").write_text("name: mine\n")
    with opened(root / "work" / "ssh") as way:
        assert way
        yield Checkout(root, way)


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


@pytest.fixture
def disk(checkout: Checkout, tmp_path: Path) -> Path:
    """A disk of the machine's own, with the first image."""
    return Path(shutil.copy(checkout.image("first"), tmp_path / "disk.raw"))


@contextmanager
def running(checkout: Checkout, disk: Path, tmp_path: Path) -> Iterator[Guest]:
    """The machine; the end of the block is a power cut."""
    files = [(CREDENTIAL, checkout.way.public_key)]
    # One processor: emulated ones wait for each other, longest when a machine starts again.
    port = checkout.way.port
    with Guest(disk, tmp_path, port=port, files=files, persist=True, cpus=1) as guest:
        guest.expect(READY)
        yield guest


def which(checkout: Checkout, guest: Guest) -> str:
    return guest.ssh(checkout.key, "cat /etc/which").stdout.strip()


def state(disk: Path) -> str:
    """The beginning of the sector, once the machine is off."""
    argv = ["mtype", "-i", f"{disk}@@1M", "::/BQ2/STATE"]
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout[:9]


def test_what_comes_up_is_kept(checkout: Checkout, disk: Path, tmp_path: Path) -> None:
    checkout.choose("second")
    with running(checkout, disk, tmp_path) as guest:
        assert which(checkout, guest) == "first"
        said = checkout.doit("push", "run=grep second /etc/which")
        assert f"{HERE}: runs the new image, and keeps it" in said
        assert which(checkout, guest) == "second"
        assert "has this already" in checkout.doit("push")
        service(checkout)
    assert state(disk) == "BQ2 B - B"
    with running(checkout, disk, tmp_path) as guest:
        assert which(checkout, guest) == "second"
        # And back: now the first place is the other one.
        checkout.choose("first")
        checkout.doit("push")
        assert which(checkout, guest) == "first"
    assert state(disk) == "BQ2 A - A"


def service(checkout: Checkout) -> None:
    """What push asks of an app: here of services that every machine has."""
    checkout.reach.step("well", "ssh", "22")
    for words, why in ((("ssh", "80"), ["silent", "80"]), (("nothing",), ["down"])):
        with pytest.raises(Refused) as caught:
            checkout.reach.step("well", *words)
        assert caught.value.why == why


@pytest.mark.fault(
    "the image of an update panics, or its command fails",
    "the machine is back with the old one by itself; `push` fails and says so",
)
def test_what_does_not_come_up_is_not_kept(checkout: Checkout, disk: Path, tmp_path: Path) -> None:
    with running(checkout, disk, tmp_path) as guest:
        checkout.choose("panics")
        said = checkout.doit("push", status=1)
        assert "the new image did not come up; the machine is back with the old one" in said
        assert "Kernel panic" in guest.console
        assert which(checkout, guest) == "first"
        checkout.choose("second")
        said = checkout.doit("push", "run=echo told; exit 3", status=1)
        assert "ended there with the status 3; the new image is not kept" in said
        assert "told" in said
        # The panic, the old one, the second one, and the old one again.
        for _ in range(3):
            guest.expect(READY)
    assert state(disk)[:7] == "BQ2 A -"
    with running(checkout, disk, tmp_path) as guest:
        assert which(checkout, guest) == "first"


@pytest.mark.fault(
    "the image of an update comes up, and nobody can get in",
    "after its time the machine starts again by itself, with the old one",
)
def test_nobody_can_get_in(checkout: Checkout, disk: Path, tmp_path: Path) -> None:
    checkout.choose("deaf")
    with running(checkout, disk, tmp_path) as guest:
        said = checkout.doit("push", "wait=20", status=1)
        assert "it is not up with the new image within 20 s" in said
        assert "its next start has the old one" in said
        guest.expect("nobody kept this system", SPARE_S + 300)
        guest.expect(READY)
        assert which(checkout, guest) == "first"


class Cut(BaseException):
    """The power went."""


@dataclass(frozen=True)
class Failing(Way):
    """A way to a machine whose power goes at `moment`: before or after a step, or while the machine
    starts what is tried; a number is so many seconds after the copy began."""

    guest: Guest | None = None
    moment: str | float = ""

    def step(self, step: str, *words: str, data: bytes = b"", seconds: float = 600) -> Answer:
        """The step, up to that moment. Raises Cut."""
        assert self.guest
        if step == self.moment:
            raise Cut
        if step == "copy" and isinstance(self.moment, float):
            threading.Timer(self.moment, self.guest.process.kill).start()
        try:
            answer = super().step(step, *words, data=data, seconds=seconds)
        except Silent:
            if isinstance(self.moment, float):
                raise Cut from None
            raise
        if self.moment == f"after {step}" or isinstance(self.moment, float):
            raise Cut
        if step == "mark" and self.moment == "starting":
            self.guest.expect("bootstrap-qcow2: Linux")
            raise Cut
        return answer


@pytest.mark.fault(
    "the power goes at any moment of an update",
    "the machine boots with the old image until the new one is kept; the next update works",
)
@pytest.mark.parametrize(
    ("moment", "expected"),
    [
        (1.0, "A - A"),
        (2.0, "A - A"),
        (3.0, "A - A"),
        ("mark", "A - A"),
        ("after mark", "A B A"),
        ("starting", "A - B"),
        ("keep", "A - B"),
        ("after keep", "B - B"),
    ],
)
def test_the_power_goes(
    checkout: Checkout, disk: Path, tmp_path: Path, moment: str | float, expected: str
) -> None:
    new = checkout.next("second")
    with running(checkout, disk, tmp_path) as guest, suppress(Cut):
        reach = checkout.reach
        way = Failing(reach.host, reach.port, reach.keys, True, None, guest, moment)
        push(way, new, print, wait_s=300)
    assert state(disk) == f"BQ2 {expected}"
    if expected == "A B A":
        # The one start that it was marked for; and the power goes again.
        with running(checkout, disk, tmp_path) as guest:
            assert which(checkout, guest) == "second"
    with running(checkout, disk, tmp_path) as guest:
        assert which(checkout, guest) == ("second" if expected == "B - B" else "first")
        push(checkout.reach, new, print, wait_s=300)
        assert which(checkout, guest) == "second"
    assert state(disk) == "BQ2 B - B"
