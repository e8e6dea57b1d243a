"""SPDX licence expressions, and the identifiers that our recipes use.

    "Apache-2.0 WITH LLVM-exception" ──check──▶ each word known, and in a place where it may stand

The words are a choice out of the SPDX licence list: who adds a package with another licence adds
its identifier here, as https://spdx.org/licenses/ spells it. Grammar: SPDX 2.3, annex D.
"""

from __future__ import annotations

import re

from plan.errors import BuildError, nearest

LICENCES = frozenset(
    {
        *("0BSD", "Apache-2.0", "Artistic-1.0-Perl", "BSD-1-Clause", "BSD-2-Clause"),
        *("BSD-3-Clause", "BSD-3-Clause-flex", "GPL-1.0-or-later", "GPL-2.0-only"),
        *("GPL-2.0-or-later", "GPL-3.0-or-later", "ISC", "LGPL-2.0-only", "LGPL-3.0-or-later"),
        *("MIT", "MPL-2.0", "Python-2.0", "Zlib", "blessing", "bzip2-1.0.6", "curl"),
    }
)
EXCEPTIONS = frozenset({"LLVM-exception", "Linux-syscall-note", "PCRE2-exception"})
_WORD = re.compile(r"[()]|[^\s()]+")

# What may follow what; "licence" and "exception" stand for identifiers.
_AFTER_OPERAND = frozenset({"AND", "OR", ")"})
_FOLLOWS = {
    "(": frozenset({"(", "licence"}),
    "AND": frozenset({"(", "licence"}),
    "OR": frozenset({"(", "licence"}),
    "WITH": frozenset({"exception"}),
    "licence": _AFTER_OPERAND | {"WITH"},
    "exception": _AFTER_OPERAND,
    ")": _AFTER_OPERAND,
}


def check(expression: str, where: str) -> None:
    """Raise BuildError, with `where`, unless `expression` is a valid one of known identifiers."""
    may_follow, depth, kind = _FOLLOWS["("], 0, "("
    for word in _WORD.findall(expression):
        kind = _kind(word, may_follow, where)
        if kind not in may_follow:
            raise _broken(expression, f"{word!r} cannot stand where it does", where)
        depth += {"(": 1, ")": -1}.get(kind, 0)
        if depth < 0:
            raise _broken(expression, "a parenthesis is closed that is not open", where)
        may_follow = _FOLLOWS[kind]
    if depth or kind not in ("licence", "exception", ")"):
        raise _broken(expression, "its end is missing", where)


def _kind(word: str, may_follow: frozenset[str], where: str) -> str:
    """What `word` is: itself, or "licence" or "exception", whichever can stand there."""
    if word in _FOLLOWS and word not in ("licence", "exception"):
        return word
    kind = "exception" if "exception" in may_follow else "licence"
    known = EXCEPTIONS if kind == "exception" else LICENCES
    if kind in may_follow and word not in known:
        # GPL-2.0 lacks its end; MPL-2.0 is only spelt alike.
        near = [each for each in known if each.startswith(word)] or known
        raise BuildError(
            f"unknown SPDX {kind} {word!r}",
            where=where,
            hint=f"{nearest(word, near)} (a new one is added to plan/licences.py)",
        )
    return kind


def _broken(expression: str, why: str, where: str) -> BuildError:
    return BuildError(
        f"no SPDX expression: {expression!r}: {why}",
        where=where,
        hint="identifiers with AND, OR, WITH and parentheses: MIT OR (GPL-2.0-only AND Zlib)",
    )
