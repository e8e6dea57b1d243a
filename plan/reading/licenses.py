"""SPDX license expressions, and the identifiers that our recipes use.

    "Apache-2.0 WITH LLVM-exception" ──check──▶ each word is known, and allowed at its position

The words are a part of the SPDX license list. To add a package with another license, add its
identifier here, as https://spdx.org/licenses/ spells it. Grammar: SPDX 2.3, annex D.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from types import MappingProxyType

from plan.errors import BuildError, nearest

LICENSES = frozenset(
    {
        *("0BSD", "Apache-2.0", "Artistic-1.0-Perl", "BSD-1-Clause", "BSD-2-Clause"),
        *("BSD-3-Clause", "BSD-3-Clause-flex", "GPL-1.0-or-later", "GPL-2.0-only"),
        *("GPL-2.0-or-later", "GPL-3.0-or-later", "ISC", "LGPL-2.0-only", "LGPL-3.0-or-later"),
        *("MIT", "MPL-2.0", "Python-2.0", "Unlicense", "Zlib", "blessing", "bzip2-1.0.6", "curl"),
    }
)
EXCEPTIONS = frozenset({"LLVM-exception", "Linux-syscall-note", "PCRE2-exception"})
_WORD = re.compile(r"[()]|[^\s()]+")
IDENTIFIER = re.compile(r"[A-Za-z0-9.-]+")
# A license that SPDX does not list: annex D, license-ref.
_OWN = re.compile(rf"LicenseRef-{IDENTIFIER.pattern}\Z")

# Word → the words that may follow; "license" and "exception" stand for identifiers.
_AFTER_OPERAND = frozenset({"AND", "OR", ")"})
_FOLLOWS = {
    "(": frozenset({"(", "license"}),
    "AND": frozenset({"(", "license"}),
    "OR": frozenset({"(", "license"}),
    "WITH": frozenset({"exception"}),
    "license": _AFTER_OPERAND | {"WITH"},
    "exception": _AFTER_OPERAND,
    ")": _AFTER_OPERAND,
}


Words = Mapping[str, Collection[str]]
"""Further identifiers, by kind: "license" or "exception"."""


def check(expression: str, where: str, more: Words = MappingProxyType({})) -> None:
    """Raise BuildError, with `where`, unless `expression` is valid and uses known identifiers.

    `more`: identifiers of layers.
    """
    may_follow, depth, kind = _FOLLOWS["("], 0, "("
    for word in _WORD.findall(expression):
        kind = _kind(word, may_follow, where, more)
        if kind not in may_follow:
            raise _broken(expression, f"{word!r} is not allowed at its position", where)
        depth += {"(": 1, ")": -1}.get(kind, 0)
        if depth < 0:
            raise _broken(expression, "a closing parenthesis has no opening one", where)
        may_follow = _FOLLOWS[kind]
    if depth or kind not in ("license", "exception", ")"):
        raise _broken(expression, "it is not complete", where)


def _kind(word: str, may_follow: frozenset[str], where: str, more: Words) -> str:
    """The kind of `word`: itself, or "license" or "exception", whichever is allowed here."""
    if word in _FOLLOWS and word not in ("license", "exception"):
        return word
    kind = "exception" if "exception" in may_follow else "license"
    known = (EXCEPTIONS if kind == "exception" else LICENSES).union(more.get(kind, ()))
    if kind in may_follow and word not in known and not _OWN.match(word):
        # GPL-2.0 lacks its suffix (-only); MPL-2.0 and LGPL-2.0 only look similar.
        near = [each for each in known if each.lower().startswith(word.lower())]
        near = near or [each for each in known if _family(each) == _family(word)]
        # A single one is meant, however short the word is.
        one = f"did you mean {near[0]}?" if len(near) == 1 else ""
        told = one or nearest(word, near, listed=near or known)
        raise BuildError(
            f"unknown SPDX {kind} {word!r}",
            where=where,
            hint=f"{told} (add a new one to plan/reading/licenses.py, or to a layer's "
            "licenses.yaml)",
        )
    return kind


def _family(word: str) -> tuple[str, str]:
    """What a slip of the pen leaves: the first letters of a name with a version, and its digits."""
    digits = "".join(re.findall(r"\d", word))
    return word.lower().partition("-")[0] if digits else "", digits


def _broken(expression: str, why: str, where: str) -> BuildError:
    return BuildError(
        f"not an SPDX expression: {expression!r}: {why}",
        where=where,
        hint="use identifiers with AND, OR, WITH and parentheses: MIT OR (GPL-2.0-only AND Zlib)",
    )
