"""What a machine says of itself: the place that an update may write, and each refusal."""

from __future__ import annotations

import pytest

from plan.errors import BuildError
from rootfs.push.facts import Esp, Parts, facts, fitting
from rootfs.push.reach import Answer

LOOK = """\
boot 0b5e
keys 1
esp /dev/vda1 {kept} - {started} 00
file 11  EFI/BOOT/BOOTX64.EFI
file 22  BQ2/A/LOADER.EFI
file 33  BQ2/A/KERNEL.EFI
file 44  BQ2/B/KERNEL.EFI
image {{"name": "bootstrap-qcow2",
image  "set": "base", "arch": "x86_64"{more}}}
"""


def said(kept: str = "A", started: str = "A", more: str = "", **changes: str) -> Answer:
    """An answer; `changes`: kind → another text in place of all lines of that kind."""
    lines = []
    for line in LOOK.format(kept=kept, started=started, more=more).splitlines():
        kind = line.partition(" ")[0]
        lines.append(changes.get(kind, line))
        changes |= {kind: ""} if kind in changes else {}
    return Answer.of("\n".join(lines))


def esp(answer: Answer) -> Esp:
    return fitting(facts(answer, "web"), "x86_64", "web")


@pytest.mark.parametrize(
    ("kept", "started", "place"),
    [("A", "A", "B"), ("B", "B", "A"), ("A", "B", "B"), ("B", "A", "A"), ("?", "-", "B")],
)
def test_what_each_start_takes_is_never_written(kept: str, started: str, place: str) -> None:
    assert esp(said(kept, started)).next == place


def test_a_place_counts_if_it_is_complete() -> None:
    found = esp(said())
    assert found.places == {"A": Parts("22", "33")}
    assert (found.device, found.starter) == ("/dev/vda1", "11")


REFUSED = {
    "it is a machine of aarch64, and this image is for x86_64": said(
        image='image {"name": "bootstrap-qcow2", "arch": "aarch64"}'
    ),
    "it is no machine of bootstrap-qcow2": said(image='image {"name": "other"}'),
    "its answer is not understood": said(image="image <html>"),
    "its system is on a root partition": said(more=', "root": "5f"'),
    "its firmware starts the kernel itself": said(esp="other /dev/vda1", file=""),
    "cannot be mounted: /dev/vda1": said(esp="unreadable /dev/vda1", file=""),
    "it has no EFI system partition": said(esp="", file=""),
    "several of its disks could be the one": said(keys="keys 1\nesp /dev/vdb1 A - A 00"),
    "your key is only in its memory": said(keys="keys 0"),
}


@pytest.mark.fault(
    "a machine of another kind, architecture, set or disk is to be updated",
    "one error says what it is, and what to do; nothing is written there",
)
@pytest.mark.parametrize("message", REFUSED)
def test_what_is_refused(message: str) -> None:
    with pytest.raises(BuildError, match=message) as caught:
        esp(REFUSED[message])
    assert caught.value.where == "web"
    assert caught.value.hint
