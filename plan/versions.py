"""Upstream versions: read from Debian's file names, and sorted.

    zlib_1.3.dfsg+really1.3.1.orig.tar.gz ──upstream──▶ 1.3.1 ──order──▶ less than 1.3.2

The order is that of Debian policy, 5.6.12: numbers as numbers, "~" before the end of the text.
"""

from __future__ import annotations

import re

# Suffixes that Debian, or an upstream, adds to a version: for removed files, a repack, or a word
# that every release has.
_TAIL = re.compile(r"([+.~-](dfsg|ds|repack|stable)[.\d]*)+\Z")
_PARTS = re.compile(r"(\D*)(\d*)")


def upstream(text: str) -> str:
    """The upstream version in the version of a Debian upstream tarball.

    Such a version has no epoch and no revision; Debian's other suffixes are removed.
    """
    return _TAIL.sub("", text.rpartition("+really")[2])


def order(version: str) -> list[tuple[tuple[int, ...], int]]:
    """A key to sort versions by."""
    return [(_weights(text), int(digits or 0)) for text, digits in _PARTS.findall(version)]


def _weights(text: str) -> tuple[int, ...]:
    """Letters sort before other signs, the end before both, "~" before the end."""
    return (*(-1 if c == "~" else ord(c) + (0 if c.isalpha() else 256) for c in text), 0)
