"""A machine that is used at its screen and keyboard alone: the login text is read from the screen.

The text is not recognized by a program for that: the machine shows all characters in a known order,
and so the test learns their shapes.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from rootfs.vm.boot import PROMPT
from tests.machine.guest import Guest

pytestmark = [pytest.mark.qemu, pytest.mark.slow, pytest.mark.timeout(600)]

WIDTH, HEIGHT = 8, 16  # pixels of a character in the kernel's font
CHARACTERS = "".join(map(chr, range(33, 127)))
SHOW_ALL = r"""awk 'BEGIN { printf "\033[H\033[2J"; for (i = 33; i < 127; i++) printf "%c", i }'"""

Shape = bytes
"""The pixels of a character: 1 where they are lit."""


def rows(screen: Path) -> Iterator[list[Shape]]:
    """The shapes in each row of characters of `screen`, a portable pixmap (PPM, P6)."""
    _, size, _, pixels = screen.read_bytes().split(b"\n", 3)
    width, height = map(int, size.split())
    lit = bytes(value > 64 for value in pixels[1::3])  # green
    lines = [lit[start : start + width] for start in range(0, width * height, width)]
    for top in range(0, height - HEIGHT + 1, HEIGHT):
        cells = range(0, width - WIDTH + 1, WIDTH)
        yield [
            b"".join(line[left : left + WIDTH] for line in lines[top : top + HEIGHT])
            for left in cells
        ]


def screen(guest: Guest, path: Path) -> list[list[Shape]]:
    guest.ask("screendump", filename=str(path))
    return [*rows(path)]


def typed(guest: Guest, keys: str) -> None:
    """Press the `keys` on the machine's keyboard."""
    for key in keys.split():
        guest.ask("send-key", keys=[{"type": "qcode", "data": key}])
        time.sleep(0.2)


@pytest.mark.parametrize("card", ["VGA", "virtio-vga"])
def test_the_screen_and_the_keyboard(real_image: Path, tmp_path: Path, card: str) -> None:
    with Guest(real_image, tmp_path, options=["-device", card]) as guest:
        guest.expect(PROMPT)
        time.sleep(5)  # the other console comes up at the same time
        login = screen(guest, tmp_path / "login.ppm")
        guest.type("\n")
        guest.expect("# ")
        guest.type(f"{SHOW_ALL} > /dev/tty1; echo shown all\n")
        guest.expect("\nshown all")
        shapes = dict(zip(screen(guest, tmp_path / "all.ppm")[0], CHARACTERS, strict=False))
        assert len(shapes) == len(CHARACTERS)
        text = "\n".join("".join(shapes.get(shape, " ") for shape in row) for row in login)
        assert "bootstrap-qcow2" in text and PROMPT.strip() in text, text
        typed(guest, "ret p o w e r o f f ret")
        guest.expect("The machine stops.")
        assert guest.ended() == 0
