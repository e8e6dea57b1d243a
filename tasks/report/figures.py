"""Formats figures for people; a dash means that the value is not known."""

from __future__ import annotations

from datetime import UTC, datetime

from tasks.engine.records.duration import in_words

UNKNOWN = "\N{EN DASH}"
SHORT = 12  # digits of a hash
CHARACTER = 6.6  # px: the approximate width of a character at 12 px


def size(count: float | None) -> str:
    """Bytes: "152.5 MB", "3.1 kB"."""
    if count is None:
        return UNKNOWN
    for unit, power in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= power:
            return f"{count / power:.1f} {unit}"
    return f"{count:.0f} B"


def memory(count: float | None) -> str:
    """Bytes of memory: "204 MiB"."""
    return UNKNOWN if count is None else f"{count / (1 << 20):.0f} MiB"


def seconds(duration: float | None) -> str:
    """A duration: "0.4 s", "40 s", "12 min", "2 h 05 min"."""
    if duration is None:
        return UNKNOWN
    return f"{duration:.1f} s" if duration < 10 else in_words(duration)


def clock(time: float) -> str:
    """A moment: "2025-01-01 00:00 UTC"."""
    return datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%d %H:%M UTC")


def count(number: int, what: str) -> str:
    """A number of things: "1 package", "2 packages"."""
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def difference(before: float, after: float) -> str:
    """The change of a size or duration in per cent: "+3.1 %"; "" if `before` is less than 1."""
    return f"{(after - before) / before:+.1%}".replace("%", " %") if before >= 1 else ""
