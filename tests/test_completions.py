"""completions/: the real shells, with simulated key presses, and the words that they offer."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.rootfs.terminal import ROOT, Terminal

OFFER = """
source completions/bq2.bash
cd "$1"
COMP_LINE=$2 COMP_POINT=${#2}
_bq2 "${2%% *}"
printf '%s\\n' "${COMPREPLY[@]}"
"""
STARTS = {
    "bash": ["bash", "--norc", "--noprofile", "-i"],
    "zsh": ["zsh", "-f", "-i"],
}
BEGIN_OF_LINE = b"\x01"


def offered(line: str, *, directory: Path = ROOT) -> list[str]:
    """What bash would offer at the end of `line`, typed in `directory`."""
    command = ["bash", "-c", OFFER, "bash", os.fspath(directory), line]
    # It complains that it has no terminal to tell that no blank shall follow.
    done = subprocess.run(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=True
    )
    return done.stdout.split()


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("./bq2 ima", ["image"]),
        ("./bq2 forget pkg:zli", ["zlib"]),
        ("doit set=", ["base", "base-tools", "full"]),
        ("doit image with=zlib,pcr", ["zlib,pcre2"]),
        ("./bq2 image set=base strict=n", ["no"]),
    ],
)
def test_what_bash_offers(line: str, expected: list[str]) -> None:
    assert offered(line) == expected


def test_paths_are_those_of_where_the_person_stands(tmp_path: Path) -> None:
    (tmp_path / "mine.qcow2").touch()
    (tmp_path / "plan.py").write_text("raise SystemExit")
    bq2 = f"{ROOT}/bq2"
    assert offered(f"{bq2} inspect image=mi", directory=tmp_path) == ["mine.qcow2"]
    assert offered(f"{bq2} inspect image=REA", directory=tmp_path) == []


def test_nothing_is_offered_for_others(tmp_path: Path) -> None:
    (tmp_path / "bq2").touch()
    assert offered("doit ima", directory=tmp_path) == []
    assert offered("./bq2 ima", directory=tmp_path) == []
    assert offered(f"{os.path.relpath(ROOT, tmp_path)}/bq2 ima", directory=tmp_path) == ["image"]


@pytest.mark.parametrize("shell", STARTS)
def test_at_the_keyboard(shell: str, tmp_path: Path) -> None:
    """The line is completed and, instead of being run, shown by an `echo` put before it."""
    assert shutil.which(shell), f"{shell} is not installed; .ci/run names what the tests need"
    code = "import os, sys; os.execvp(sys.argv[1], sys.argv[1:])"
    with Terminal(code, *STARTS[shell]) as terminal:
        setting = {"bash": "bind 'set enable-bracketed-paste off'", "zsh": "bindkey -e"}[shell]
        home = f"export HOME={tmp_path}; {setting}; source completions/bq2.{shell}; echo re''ady\r"
        terminal.type(home.encode())
        terminal.expect(b"ready")
        for keys, line in (
            (b"./bq2 forget pkg:zli\t", b"./bq2 forget pkg:zlib"),
            (b"doit imag\tsett\t", b"doit image settings"),
            (b"./bq2 image set=b\t", b"./bq2 image set=base"),
            (b"./bq2 work\tcompl\tx", b"./bq2 workdir=completions/x"),
        ):
            terminal.type(keys + BEGIN_OF_LINE + b"echo \r")
            terminal.expect(b"\n" + line)
