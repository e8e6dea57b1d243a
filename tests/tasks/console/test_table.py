"""Rows on a terminal of 80 columns."""

from __future__ import annotations

from tasks.console.table import table

WORDS = "word " * 30


def test_the_last_cell_is_wrapped_under_itself() -> None:
    lines = [*table([("a", WORDS.strip()), ("long", "x")], indent="  ")]
    assert [line[:8] for line in lines] == ["  a     ", *["        "] * 2, "  long  "]
    assert all(len(line) <= 80 for line in lines) and lines[-1] == "  long  x"
    assert " ".join(line[8:] for line in lines[:-1]) == WORDS.strip()


def test_a_cell_that_is_too_wide_is_whole_and_ends_its_line() -> None:
    path = "/a/path/" * 12
    lines = [*table([("a", path, "b", "c"), ("d", "e", "f", "g")])]
    assert lines == [f"a  {path}", " " * 25 + "b  c", f"d  {'e':<20}  f  g"]


def test_no_rows() -> None:
    assert [*table([])] == []
