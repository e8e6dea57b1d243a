"""Reads the log of a failed build: the first real error in it, and what probably caused it.

log ──without the commands' own texts──▶ first line that is an error
                                   └──▶ the first cause whose pattern is found in it, or after it
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from plan.model import Command

# Only the end of a long log is read: what stopped the build is there.
READ = 4 << 20  # characters
# Where a cause is looked for: in these lines before the first error and all after; without one, in
# the last lines.
LINES, TAIL = 3, 40

_ERROR = re.compile(
    r"error:|Error:|fatal:|undefined symbol|No space left on device|\*\*\* \[|cannot find -l"
    r"|FAILED -- saving rejects"
)
# Scripts that try things out say such words too, and go on: only where there is no better line.
_PERHAPS = re.compile(r": not found|: unrecognized|Killed|Permission denied")
# What says only that something before failed.
_ECHO = re.compile(r"\*\*\* |make\[\d+\]|ninja: |^FAILED: ")


@dataclass(frozen=True)
class Cause:
    """What a log like this means. `words` and `remedy` may use the pattern's groups as {0}."""

    pattern: re.Pattern[str]
    words: str
    remedy: str


def _cause(pattern: str, words: str, remedy: str) -> Cause:
    return Cause(re.compile(pattern, re.MULTILINE), words, remedy)


CAUSES = (
    _cause(
        r"No space left on device",
        "the disk is full, or /tmp, which holds a quarter of the memory",
        "free some space (df -h) or inodes (df -i) for the work directory; what is built is kept",
    ),
    _cause(
        r"Disk quota exceeded",
        "a quota on the disk is used up",
        "remove files of yours there, or have the quota raised (quota -s); what is built is kept",
    ),
    _cause(
        r"\bKilled\b|out of memory|Cannot allocate memory|memory exhausted|std::bad_alloc",
        "out of memory",
        "let fewer processes run at once: jobs=1",
    ),
    _cause(
        r"[Cc]ould not resolve host|Temporary failure in name resolution|Network is unreachable"
        r"|Name or service not known|bad address '",
        "the build wanted the network, which no build has",
        "what it would fetch goes into the recipe's sources",
    ),
    _cause(
        r"Hunk #\d+ FAILED|malformed patch|can't find file to patch|No file to patch",
        "a patch does not apply",
        "make it anew against this version: doit shell, edit, doit patch",
    ),
    _cause(
        r"(?:unknown argument|[Uu]nrecognized (?:command-line )?option|[Uu]nsupported option"
        r"|unknown (?:warning )?option|invalid option|unrecognized:)"
        r"[:\s]*(?:[^'\"`\n]*['\"`])?([^\s'\"`;]+)",
        "a program does not know the option {0}",
        "look for it in the recipe, or in overrides.yaml",
    ),
    _cause(
        r"fatal error: '?([\w./+-]+\.\w+)'?(?: file not found|: No such file)",
        "the header {0} is missing",
        "add the package that brings it to the recipe's `depends`",
    ),
    _cause(
        r"(?:unable to find library|cannot find|library not found for) -l([\w+.-]+)",
        "the library {0} is missing",
        "add the package that brings it to the recipe's `depends`",
    ),
    _cause(
        r"undefined symbol: ([^\n>]+)",
        "nothing that is linked defines {0}",
        "a library is missing in `depends`, or among the options of the link",
    ),
    _cause(
        r"(?:^|/|\] )(?:sh|ash|bash|env|make|gmake|ninja|python3)(?:\[\d+\])?: "
        r"(?:line \d+: |\d+: |\*\*\* )?'?([\w.+-]+)'?: (?:command )?(?:not found|No such file)",
        "the program {0} is missing in the build root",
        "add the package that brings it to the recipe's `tools`",
    ),
    _cause(
        r"Exec format error",
        "a program was started that is for another architecture than this machine's",
        "if the build compiled it: docs/reference.md, `crossed`; if it is of the seed (build=): "
        "install qemu-user-static, which has the kernel run such programs",
    ),
    _cause(
        r"No module named '?([\w.]+)|Can't locate (\S+) in @INC",
        "a module of Python or Perl is missing: {0}",
        "add the package that brings it to the recipe's `tools`",
    ),
    _cause(
        r"Read-only file system",
        "the build wrote outside of /source, /build, /dest and /tmp",
        "tell it to write to $DESTDIR, or to build in /build",
    ),
)


@dataclass(frozen=True)
class Diagnosis:
    """The first error of a log and its cause; each "" if none was recognised."""

    error: str
    cause: str
    remedy: str


def diagnose(log: str, commands: Sequence[Command], status: int) -> Diagnosis:
    """What `log` says of a failed build of `commands` that ended with `status`."""
    text = _own_words(log[-READ:], commands)
    error = _first_error(text)
    # What comes long before the first error, the tests of a configure script, caused nothing.
    place = _lines_before(text, text.find(error) if error else len(text), LINES if error else TAIL)
    for cause in CAUSES:
        found = cause.pattern.search(text, place)
        if found:
            groups = [group for group in found.groups() if group] or [""]
            return Diagnosis(error, cause.words.format(*groups), cause.remedy)
    if status in (137, -9):
        return Diagnosis(error, "it was killed, as a rule for want of memory", CAUSES[1].remedy)
    return Diagnosis(error, "", "")


def _lines_before(text: str, place: int, lines: int) -> int:
    """Where the line begins that is so many `lines` before the one at `place`."""
    for _ in range(lines + 1):
        place = text.rfind("\n", 0, max(place, 0))
    return place + 1


def _own_words(log: str, commands: Sequence[Command]) -> str:
    """`log` without the commands that it repeats: a script may speak of errors that never were."""
    for command in commands:
        log = log.replace(f"+ {shlex.join(command.argv)}\n", "")
    return log


def _first_error(text: str) -> str:
    lines = [line.strip() for line in text.splitlines()]
    errors = [line for line in lines if _ERROR.search(line)]
    perhaps = [line for line in lines if _PERHAPS.search(line)]
    own = [line for line in errors if not _ECHO.search(line)]
    return next(iter([*own, *perhaps, *errors]), "")
