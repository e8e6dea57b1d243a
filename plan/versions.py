"""Versions of upstream releases: read out of Debian's names for them, and put in order.

    zlib_1.3.dfsg+really1.3.1.orig.tar.gz ──upstream──▶ 1.3.1 ──order──▶ less than 1.3.2

The order is that of Debian policy, 5.6.12: numbers as numbers, "~" before the end of the text.
"""

from __future__ import annotations

import re

# What Debian, or an upstream, hangs on to the number of a release: licence-cleaned, a repack, a
# word for what every release is.
_TAIL = re.compile(r"([+.~-](dfsg|ds|repack|stable)[.\d]*)+\Z")
_PARTS = re.compile(r"(\D*)(\d*)")


def upstream(text: str) -> str:
    """The upstream's version in the version of an upstream tarball's name.

    Such a name has neither Debian's epoch nor its revision; what Debian added else goes too.
    """
    return _TAIL.sub("", text.rpartition("+really")[2])


def order(version: str) -> list[tuple[tuple[int, ...], int]]:
    """A key to sort versions by."""
    return [(_weights(text), int(digits or 0)) for text, digits in _PARTS.findall(version)]


def _weights(text: str) -> tuple[int, ...]:
    """Letters before other signs, the end of the text before both, "~" before the end."""
    return (*(-1 if c == "~" else ord(c) + (0 if c.isalpha() else 256) for c in text), 0)
