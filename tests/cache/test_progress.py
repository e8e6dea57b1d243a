"""cache/progress.py: the output on a terminal and elsewhere."""

from __future__ import annotations

import io

from cache.progress import Bar, Lines, Progress, choose


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def play(progress: Progress) -> None:
    progress.begin(2, 5_000_000)
    progress.add(3_000_000)
    progress.note("example.org is not asked again: does not answer")
    progress.done("a.tar.gz", 1_200_000, "https://example.org/a.tar.gz")
    progress.add(-100)
    progress.end()


def test_lines_where_there_is_no_terminal() -> None:
    stream = io.StringIO()
    progress = choose(stream)
    assert isinstance(progress, Lines)
    play(progress)
    assert stream.getvalue() == (
        "example.org is not asked again: does not answer\n"
        "[1/2] a.tar.gz (1.2 MB) from https://example.org/a.tar.gz\n"
    )


def test_a_bar_on_a_terminal() -> None:
    stream = Terminal()
    progress = choose(stream)
    assert isinstance(progress, Bar)
    play(progress)
    shown = stream.getvalue()
    assert "example.org is not asked again: does not answer\n" in shown
    assert "fetched 1/2:  60%" in shown
    assert shown.endswith("\n")


def test_a_bar_that_never_began_can_end() -> None:
    stream = Terminal()
    Bar(stream).end()
    assert stream.getvalue() == ""
