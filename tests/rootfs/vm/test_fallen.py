"""rootfs/vm/fallen.py: a program that does not stay up is found on the console, in any pieces."""

from __future__ import annotations

import pytest

from plan.errors import BuildError
from rootfs.vm.fallen import Watch

CONSOLE = (
    b"kernel\r\nUnhandled exception: earlier\r\n"
    b"bq2: notes ended with the status 1, and is started again\r\n"
    b"Unhandled exception: \x1b[31mno port\r\n"
    + b"  from '??'\r\n" * 20
    + b"=== bq2 notes does not stay up: it ended with the status 1\r\nlater\r\n"
)


@pytest.mark.parametrize("size", [1, 7, 1 << 16])
def test_the_last_lines_are_told(size: int) -> None:
    watch = Watch()
    told = [watch.heard(CONSOLE[at : at + size]) for at in range(0, len(CONSOLE), size)]
    assert told[-1] and (size > 1 or told.index(True) == CONSOLE.index(b"later") - 1)
    with pytest.raises(BuildError, match="notes does not stay up: it ended with the status 1") as e:
        watch.require_up("image")
    said = str(e.value)
    assert "Unhandled exception: no port" in said and "later" not in said and "earlier" not in said


def test_another_line_is_none() -> None:
    watch = Watch()
    assert not watch.heard(b"=== bq2 run start\r\nnotes does not stay up\r\n")
    watch.require_up("image")


def test_little_is_kept_of_much() -> None:
    watch = Watch()
    for _ in range(100):
        watch.heard(b"x" * 5000 + b"\n")
    assert len(watch._text) < 40_000
    assert watch.heard(CONSOLE)
