"""Reads the log of a failed build: finds the first real error and its probable cause.

log ──without the echoed commands──▶ the first line that is an error
                               └──▶ the first cause whose pattern matches at that line or later
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from plan.model import Command
from plan.typed import typed

# Only the end of a long log is read: the error that stopped the build is there.
READ = 4 << 20  # characters
# A cause is searched from LINES lines before the first error, or in the last TAIL lines if no
# error is found.
LINES, TAIL = 3, 40

_ERROR = re.compile(
    r"error:|Error:|fatal:|undefined symbol|No space left on device|\*\*\* \[|cannot find -l"
    r"|FAILED -- saving rejects"
)
# Scripts that test for features print these too and continue: used only if no line matches _ERROR.
_PERHAPS = re.compile(r": not found|: unrecognized|Killed|Permission denied")
# Lines that only report an earlier failure.
_ECHO = re.compile(r"\*\*\* |make\[\d+\]|ninja: |^FAILED: ")


@dataclass(frozen=True)
class Cause:
    """The cause that a pattern shows. `words` may use the pattern's first group as {0}."""

    pattern: re.Pattern[str]
    words: str
    remedy: str


def _cause(pattern: str, words: str, remedy: str) -> Cause:
    return Cause(re.compile(pattern, re.MULTILINE), words, remedy)


_FEWER = "run fewer processes at once: jobs=1"
CAUSES = (
    _cause(
        r"No space left on device",
        "the disk is full, or /tmp (a quarter of the memory) is full",
        "free some space (df -h) or inodes (df -i) for the work directory; finished packages are "
        "kept",
    ),
    _cause(
        r"Disk quota exceeded",
        "your disk quota is used up",
        "remove files, or have the quota raised (quota -s); finished packages are kept",
    ),
    _cause(
        r"\bKilled\b|out of memory|Cannot allocate memory|memory exhausted|std::bad_alloc",
        "out of memory",
        _FEWER,
    ),
    _cause(
        r"[Cc]ould not resolve host|Temporary failure in name resolution|Network is unreachable"
        r"|Name or service not known|bad address '",
        "the build tried to use the network; no build has a network",
        "add the file that it downloads to the recipe's sources",
    ),
    _cause(
        r"Hunk #\d+ FAILED|malformed patch|can't find file to patch|No file to patch",
        "a patch does not apply",
        f"make it again for this version: {typed('shell pkg:NAME')}, edit, "
        f"{typed('patch pkg:NAME')}",
    ),
    _cause(
        r"(?:unknown argument|[Uu]nrecognized (?:command-line )?option|[Uu]nsupported option"
        r"|unknown (?:warning )?option|invalid option|unrecognized:)"
        r"[:\s]*(?:[^'\"`\n]*['\"`])?([^\s'\"`;]+)",
        "a program does not know the option {0}",
        "find the option in the recipe or in overrides.yaml",
    ),
    _cause(
        r"unknown type name '(__BEGIN_DECLS)'"
        r"|fatal error: '?((?:sys/cdefs|sys/queue|argp|error|execinfo|fts|obstack)\.h)\b",
        "the C library of GNU has {0}, and musl has not",
        "patch the source; for __BEGIN_DECLS, flags of the compiler are enough: "
        "-D__BEGIN_DECLS= -D__END_DECLS=",
    ),
    _cause(
        r"fatal error: '?([\w./+-]+\.\w+)'?(?: file not found|: No such file)",
        "the header {0} is missing",
        "add the package that installs it to the recipe's `depends`",
    ),
    _cause(
        r"unable to find library -lgc\b[\s\S]*macro_run",
        "a macro of Crystal (ECR has one) starts a program while it compiles, and the seed has no "
        "libraries of this machine to link it to",
        "build it with seed=alpine or seed=debian",
    ),
    _cause(
        r"(?:unable to find library|cannot find|library not found for) -l([\w+.-]+)",
        "the library {0} is missing",
        "add the package that installs it to the recipe's `depends`",
    ),
    _cause(
        r"undefined symbol: ([^\n>]+)",
        "no linked library or object defines {0}",
        "add the library to `depends` or to the linker's options",
    ),
    _cause(
        r"(?:^|/|\] )(?:sh|ash|bash|env|make|gmake|ninja|python3)(?:\[\d+\])?: "
        r"(?:line \d+: |\d+: |\*\*\* )?'?([\w.+-]+)'?: (?:command )?(?:not found|No such file)",
        "the program {0} is missing in the build root",
        "add the package that installs it to the recipe's `tools`",
    ),
    _cause(
        r"Exec format error",
        "the build started a program for another architecture",
        "if the build compiled it: docs/reference.md, `crossed`; if it comes from the seed "
        "(build=): install qemu-user-static, so that the kernel can run it",
    ),
    _cause(
        r"No module named '?([\w.]+)|Can't locate (\S+) in @INC",
        "a Python or Perl module is missing: {0}",
        "add the package that installs it to the recipe's `tools`",
    ),
    _cause(
        r"Read-only file system",
        "the build wrote outside of /source, /build, /dest and /tmp",
        "make it install to $DESTDIR, or build in /build",
    ),
)


@dataclass(frozen=True)
class Diagnosis:
    """The first error of a log, its cause and the remedy; each "" if none was recognised."""

    error: str
    cause: str
    remedy: str


def diagnose(log: str, commands: Sequence[Command], status: int) -> Diagnosis:
    """Diagnose a failed build of `commands` from its `log` and its exit `status`."""
    text = _own_words(log[-READ:], commands)
    error = _first_error(text)
    # Lines long before the first error are tests of a configure script, not the cause.
    place = _lines_before(text, text.find(error) if error else len(text), LINES if error else TAIL)
    for cause in CAUSES:
        found = cause.pattern.search(text, place)
        if found:
            groups = [group for group in found.groups() if group] or [""]
            return Diagnosis(error, cause.words.format(*groups), cause.remedy)
    if status in (137, -9):
        return Diagnosis(error, "it was killed, most likely out of memory", _FEWER)
    return Diagnosis(error, "", "")


def _lines_before(text: str, place: int, lines: int) -> int:
    """The offset at which the line begins that is `lines` lines before the one at `place`."""
    for _ in range(lines + 1):
        place = text.rfind("\n", 0, max(place, 0))
    return place + 1


def _own_words(log: str, commands: Sequence[Command]) -> str:
    """`log` without the commands it echoes: a script's text may contain the word error."""
    for command in commands:
        log = log.replace(f"+ {shlex.join(command.argv)}\n", "")
    return log


def _first_error(text: str) -> str:
    lines = [line.strip() for line in text.splitlines()]
    errors = [line for line in lines if _ERROR.search(line)]
    perhaps = [line for line in lines if _PERHAPS.search(line)]
    own = [line for line in errors if not _ECHO.search(line)]
    return next(iter([*own, *perhaps, *errors]), "")
