"""Finds the probable cause of a difference between two builds, from the bytes around it.

old, new ─▶ random UUIDs? ─▶ a word that only one build knows? ─▶ a time? ─▶ unknown
"""

from __future__ import annotations

import re
import struct
import time
from collections.abc import Mapping, Sequence

# Cause → words that only one of the two builds knows (its paths, its host name).
Marks = Mapping[str, Sequence[str]]

UNKNOWN = "not known"
TIME, RANDOM = "a time stamp", "a random number"
ORDER, BUILD_ID = "another order", "a build id"
MODE, USER = "the umask or an ACL", "the user id"

EARLIEST = 1_577_836_800  # 2020: an older time comes from a source
YEAR = 365 * 86_400  # seconds
_TIMES = (
    rb"\b\d{10}\b",
    rb"\d\d:\d\d(:\d\d)?",
    rb"\b20[2-9]\d-?[01]\d-?[0-3]\d",
    rb"\b(Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) [ \d]\d\b",
)
_NUMBER = re.compile(rb"\d{10}")
_CHARACTERS = {0, *b"\t\n\r", *range(0x20, 0x7F)}
_UUID = rb"[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}"


def likely(old: bytes, new: bytes, at: int, marks: Marks) -> str:
    """The likely cause of a difference.

    old, new: bytes around it. at: the index of the first different byte in both.
    """
    if _match(_UUID, old, at) and _match(_UUID, new, at):
        return RANDOM
    for cause, words in marks.items():
        if any(_is_of_one(word.encode(), old, new, at) for word in words):
            return cause
    written = _is_written_time(old, at) and _is_written_time(new, at)
    return TIME if written or _is_binary_time(old, new, at) else UNKNOWN


def _is_of_one(word: bytes, old: bytes, new: bytes, at: int) -> bool:
    """Whether only one of the two has `word`; a number must be at the difference itself."""
    if word.isdigit():
        return word in (_match(rb"\b\d+\b", text, at) for text in (old, new))
    return (word in old) != (word in new)


def _is_written_time(text: bytes, at: int) -> bool:
    """Whether the characters at the index `at` are a recent time or date."""
    found = [match for pattern in _TIMES if (match := _match(pattern, text, at))]
    return any(not _NUMBER.fullmatch(match) or _is_recent(int(match)) for match in found)


def _is_binary_time(old: bytes, new: bytes, at: int) -> bool:
    """Whether four bytes around the index `at` are a recent time, and `new` has a later one."""
    for start in range(max(at - 3, 0), at + 1):
        words = old[start : start + 4], new[start : start + 4]
        # Text, read as a number, is often a time of these years: skip it.
        if any(len(word) < 4 or set(word) <= _CHARACTERS for word in words):
            continue
        for order in ("<I", ">I"):
            before, after = (struct.unpack(order, word)[0] for word in words)
            if before < after and _is_recent(before) and _is_recent(after):
                return True
    return False


def _match(pattern: bytes, text: bytes, at: int) -> bytes:
    """The match of `pattern` in `text` that contains the index `at`; b"" if none."""
    found = (match for match in re.finditer(pattern, text) if match.start() <= at < match.end())
    return next((match[0] for match in found), b"")


def _is_recent(seconds: int) -> bool:
    return EARLIEST <= seconds <= time.time() + YEAR
