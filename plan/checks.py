"""The checks of parameter values: each returns the canonical text or raises ValueError.

The error names the expected form or the nearest valid value. Paths are absolute already.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path

from plan.errors import nearest
from plan.model import PHASES
from plan.outputs import require_room
from plan.typed import typed

ALPINE, DEBIAN, SELF, AUTO = "alpine", "debian", "self", "auto"
_BUNDLE = b"README.txt\0"  # the name in the first header of the tar
PINNED_SEEDS = (ALPINE, DEBIAN)  # what plan/seeds/ describes
SEEDS = (*PINNED_SEEDS, SELF)


def names(text: str) -> list[str]:
    """The names in a comma-separated list."""
    return [name for each in text.split(",") if (name := each.strip())]


def as_it_is(text: str, directory: Path) -> str:
    """`text` unchanged, because it is not a path."""
    return text


def placed(text: str, directory: Path) -> str:
    """The path `text` as an absolute path; a relative path starts at `directory`.

    "~" is the home: of shells only bash replaces it in NAME=~/PATH, and nothing does in local.yaml.
    """
    path = Path(text)
    if text == "~" or text.startswith("~/"):
        with contextlib.suppress(RuntimeError):  # no home is known
            path = path.expanduser()
    return os.fspath(directory / path) if text else ""


def _holds(test: Callable[[], bool]) -> bool:
    """Whether `test` of a path holds: not if the path is too long, or in another's directory."""
    try:
        return test()
    except OSError:
        return False


def placed_seed(text: str, directory: Path) -> str:
    """Like `placed`, for a seed; the name of a seed stays unchanged, even if misspelt."""
    path = placed(text, directory)
    is_path = text not in (AUTO, *SEEDS) and ("/" in text or _holds(Path(path).exists))
    return path if is_path else text


def placed_list(text: str, directory: Path) -> str:
    """Like `placed`, for paths that are separated by commas."""
    return ",".join(placed(each, directory) for each in names(text))


def one_of(*known: str) -> Callable[[str], str]:
    """One of `known`."""

    def check(text: str) -> str:
        if text not in known:
            raise ValueError(nearest(text, known))
        return text

    return check


def architecture(known: Sequence[str]) -> Callable[[str], str]:
    """One of the architectures `known`."""

    def check(text: str) -> str:
        if text not in known:
            cause = f"; {_PERSONALITY}" if text == os.uname().machine else ""
            raise ValueError(f"{nearest(text, known)} (plan/architectures.yaml can add one){cause}")
        return text

    return check


_PERSONALITY = (
    "the kernel gives this name (uname -m); under linux32 or setarch, a 64-bit system gives the "
    "name of its 32-bit relative: run without it"
)


def some_of(*known: str) -> Callable[[str], str]:
    """Some of `known`, separated by commas."""

    def check(text: str) -> str:
        return ",".join(dict.fromkeys(one_of(*known)(name) for name in names(text)))

    return check


def flag(text: str) -> str:
    """Yes or no, in several spellings, as "1" or "0"."""
    for value, words in (("1", ("1", "yes", "true", "on")), ("0", ("0", "no", "false", "off"))):
        if text.lower() in words:
            return value
    raise ValueError("it must be yes or no")


def _is_whole(text: str, low: int, high: int) -> bool:
    """Whether `text` is a whole number from `low` to `high`, also with leading zeros."""
    digits = text.lstrip("0") or "0"
    # int() refuses thousands of digits with an error of its own.
    known = text.isascii() and text.isdecimal() and len(digits) <= len(str(high))
    return known and low <= int(digits) <= high


def count(text: str) -> str:
    """A whole number from 1 to 1024."""
    if not _is_whole(text, 1, 1024):
        raise ValueError("it must be a whole number from 1 to 1024")
    return str(int(text))


def processors(text: str) -> str:
    """A number of processors that the kernel of the image drives, or an empty text."""
    if text and not _is_whole(text, 1, 64):
        raise ValueError("it must be a whole number from 1 to 64")
    return str(int(text)) if text else ""


def memory(text: str) -> str:
    """A size of memory, like 2G or 512M, as a number of MiB; or an empty text."""
    found = re.fullmatch(r"(\d{1,9})([MmGg])(?:i?[Bb])?", text)
    if not text:
        return ""
    if not found:
        raise ValueError("it must be a size like 2G or 512M")
    mebibytes = int(found[1]) * (1024 if found[2] in "Gg" else 1)
    if not 128 <= mebibytes <= 1 << 20:
        raise ValueError("it must be a size from 128M to 1024G")
    return f"{mebibytes}M"


def ports(text: str) -> str:
    """Pairs of TCP ports, "here:there", separated by commas; no port of this machine twice."""
    pairs = [pair.split(":") for pair in names(text)]
    for pair in pairs:
        if len(pair) != 2 or not all(is_port(port) for port in pair):
            raise ValueError(
                "it must be a list of pairs of ports (1 to 65535), like 8080:80,2222:22"
            )
    here = [int(pair[0]) for pair in pairs]
    if twice := {port for port in here if here.count(port) > 1}:
        raise ValueError(f"port {min(twice)} of this machine is in it twice")
    return ",".join(f"{int(here)}:{int(there)}" for here, there in pairs)


def pairs(text: str) -> tuple[tuple[int, int], ...]:
    """The pairs in a text that `ports` returned or would accept."""
    found = (pair.split(":") for pair in names(text))
    return tuple((int(here), int(there)) for here, there in found)


def is_port(text: str) -> bool:
    """Whether `text` is the number of a TCP port."""
    return _is_whole(text, 1, 65535)


def minutes(text: str) -> str:
    """A number of minutes, also a fraction; an empty text means no limit."""
    plain = text.isascii() and text.replace(".", "", 1).isdecimal()
    if text and not (plain and 0 < float(text) < 1e6):
        raise ValueError("it must be a number of minutes")
    return text


def seed(text: str) -> str:
    """The name of a seed, or the path of one."""
    if text in (AUTO, *SEEDS):
        return text
    if "/" in text:
        if not _holds(Path(text).exists):
            raise ValueError("no such directory or tarball")
        return _readable(text, "directory or tarball")
    raise ValueError(nearest(text, (AUTO, *SEEDS)) + " (or the path of a directory or tarball)")


def seconds(text: str) -> str:
    """A number of seconds, up to two hours."""
    if not _is_whole(text, 1, 7200):
        raise ValueError("it must be a whole number of seconds, from 1 to 7200")
    return str(int(text))


def packages(text: str) -> str:
    """Names of packages, separated by commas, or an empty text."""
    if not all(re.fullmatch(r"[a-z0-9][a-z0-9+.-]*", each) for each in names(text)):
        raise ValueError("it must be names of packages, separated by commas, like llvm,cmake")
    return ",".join(dict.fromkeys(names(text)))


def age(text: str) -> str:
    """A number of days."""
    if not _is_whole(text, 0, 99999):
        raise ValueError("it must be a whole number of days")
    return str(int(text))


def sample(text: str) -> str:
    """How many of the steps: a whole number, or all; an empty text means that none is drawn."""
    if text in ("", "all"):
        return text
    if not _is_whole(text, 1, 1024):
        raise ValueError("it must be a whole number from 1 to 1024, or all")
    return str(int(text))


def path(text: str) -> str:
    """A path that need not exist."""
    if not text or "\0" in text:
        raise ValueError("it must be a path")
    return text


def suite(text: str) -> str:
    """The name of a Debian suite."""
    if not text.replace("-", "").isalnum():
        raise ValueError("it must be the name of a Debian suite, like trixie or sid")
    return text


def _readable(text: str, kind: str) -> str:
    """The path `text`, which exists. Raises ValueError if this user may not read it."""
    if not os.access(text, os.R_OK | (os.X_OK if _holds(Path(text).is_dir) else 0)):
        raise ValueError(
            f"it must be a {kind} that you may read; its owner can allow it with chmod"
        )
    return text


def directory(text: str) -> str:
    """A directory that exists, or an empty text."""
    if text and not _holds(Path(text).is_dir):
        raise ValueError("it must be an existing directory")
    return _readable(text, "directory") if text else text


def file(text: str) -> str:
    """A file that exists, or an empty text."""
    if text and not _holds(Path(text).is_file):
        raise ValueError("it must be an existing file")
    return _readable(text, "file") if text else text


def bundle(text: str) -> str:
    """A file that begins as a bundle does, or an empty text."""
    if not file(text):
        return text
    try:
        with Path(text).open("rb") as opened:
            beginning = opened.read(len(_BUNDLE))
    except OSError as error:
        raise ValueError(f"it cannot be read: {error.strerror}") from None
    if beginning != _BUNDLE:
        raise ValueError(
            f"it must be a file that {typed('bundle')} wrote; this is none, or is damaged"
        )
    return text


def directories(text: str) -> str:
    """Directories that exist, separated by commas; or an empty text."""
    absent = [each for each in names(text) if not _holds(Path(each).is_dir)]
    if absent:
        which = f"; {absent[0]} is none" if absent != [text] else ""
        raise ValueError(f"it must be existing directories, separated by commas{which}")
    return ",".join(_readable(each, "directory") for each in names(text))


def output(text: str) -> str:
    """A file that may be written, or an empty text."""
    try:
        if text:
            require_room(Path(path(text)))
    except OSError as error:
        raise ValueError(error.strerror) from None
    return text


def sha256(text: str) -> str:
    """A sha256 in hexadecimal, or an empty text."""
    if text and not (len(text) == 64 and set(text) <= set("0123456789abcdef")):
        raise ValueError("it must be the 64 hexadecimal digits of a sha256")
    return text


def listed(text: str) -> str:
    """Names that the plan checks, separated by commas; each once."""
    return ",".join(dict.fromkeys(names(anything(text))))


def phase(text: str) -> str:
    """The name of a phase, or an empty text."""
    return one_of(*PHASES)(text) if text else ""


def anything(text: str) -> str:
    """Any text that a command line can hold."""
    if "\0" in text:
        raise ValueError("it must be a text without a zero byte")
    return text
