"""The layer tests/layers/packages: its recipes, and commands that show that the programs work."""

from __future__ import annotations

import os
from pathlib import Path

LAYER = Path(__file__).parent / "layers" / "packages"
RECIPES = sorted((LAYER / "recipes").glob("*.yaml"))
CHEAPEST = ("entr", "cjson", "pigz", "which", "inih")
"""They take 16 seconds of processor time in all."""

_LISTED = f"/lib/ld-musl-{os.uname().machine}.so.1 --list"
# Package → a command in the machine, and what it prints. $usr is where the package is.
COMMANDS = {
    "cjson": (f"{_LISTED} $usr/lib/libcjson.so >/tmp/out && echo loads", "loads"),
    "datamash": ("printf '1\\n2\\n' | datamash sum 1", "3"),
    "entr": ("echo /etc/passwd | entr -nz echo ran", "ran"),
    "file": ("file -b -m $usr/share/misc/magic.mgc /etc/passwd", "ASCII text"),
    "gawk": ("gawk 'BEGIN { print length(PROCINFO), toupper(\"ran\") }' | cut -d' ' -f2", "RAN"),
    "htop": ("htop --version", "htop 3.4.1"),
    "inih": (f"{_LISTED} $usr/lib/libinih.so >/tmp/out && echo loads", "loads"),
    "jq": ("echo '{\"a\": [1, 2]}' | jq '.a | add'", "3"),
    "less": ("less --version | head -1", "less 668 (POSIX regular expressions)"),
    "libuv": (f"{_LISTED} $usr/lib/libuv.so >/tmp/out && echo loads", "loads"),
    "lighttpd": ("lighttpd -v | head -1", "lighttpd/1.4.79 - a light and fast webserver"),
    "mawk": ("echo 1 2 | mawk '{ print $1 + $2 }'", "3"),
    "nano": ("nano --version | head -1", " GNU nano, version 8.4"),
    "nasm": ("nasm -v", "NASM version 2.16.03 compiled on Jan  1 2025"),
    "ncurses": ("TERM=linux TERMINFO=$usr/share/terminfo tput cols", "80"),
    "patch": ("$usr/bin/patch --version | head -1", "GNU patch 2.8"),
    "pigz": ("echo ran | pigz | pigz -d", "ran"),
    "sed": ("echo ran | $usr/bin/sed -E s/r/R/", "Ran"),
    "tmux": ("tmux -V", "tmux 3.5a"),
    "which": ("PATH=/usr/bin $usr/bin/which sh", "/usr/bin/sh"),
}


def script(packages: list[str], usr: str) -> str:
    """A shell script that prints one line for each of `packages`, which are in `usr`."""
    paths = f"usr={usr}; export PATH=$usr/bin:$PATH LD_LIBRARY_PATH=$usr/lib"
    return "; ".join([paths, *(f"{COMMANDS[name][0]} 2>&1 | head -1" for name in packages)])


def expected(packages: list[str]) -> list[str]:
    """The lines that `script` prints in a machine where all of it works."""
    return [COMMANDS[name][1] for name in packages]
