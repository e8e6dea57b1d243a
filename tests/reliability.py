"""Writes docs/reliability.md: each fault, its result, and the test that shows it.

    @pytest.mark.fault(what, result)     on a test, or on one of its parameters
                  │
    python -m tests.reliability ──collect──▶ the table

A test without the mark has no row, and every row has a test.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest

from tasks.commands import COMMANDS, OF_DOIT

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "reliability.md"
HEADING = """\
# What can go wrong

`.venv/bin/python -m tests.reliability` writes this page from the tests. Each row is one test, which
fails if the row is not true. `./bq2 test` runs the tests; `./bq2 test nightly` runs those marked
*slow*.

"""


class _Collector:
    """Takes the rows from the tests that pytest collects."""

    def __init__(self) -> None:
        self.rows: list[tuple[str, str, str, str]] = []

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        for item in session.items:
            slow = " *(slow)*" if item.get_closest_marker("slow") else ""
            for mark in item.iter_markers("fault"):
                what, result = mark.args
                # Without its parameters: one row may stand for many inputs.
                module, _, name = item.nodeid.partition("[")[0].partition("::")
                self.rows.append((module, what + slow, result, name))


def page(rows: Iterable[tuple[str, str, str, str]]) -> str:
    """The page with `rows`, a table for each module of tests."""
    by_module: dict[str, list[tuple[str, str, str]]] = {}
    for module, *rest in dict.fromkeys(rows):
        by_module.setdefault(module, []).append((rest[0], rest[1], rest[2]))
    parts = [HEADING]
    for module, inside in sorted(by_module.items()):
        parts.append(f"## {module}\n\n| fault or input | what happens | test |\n|---|---|---|\n")
        parts += [
            f"| {_cell(what)} | {_cell(result)} | `{name}` |\n" for what, result, name in inside
        ]
        parts.append("\n")
    return "".join(parts).rstrip("\n") + "\n"


def _cell(text: str) -> str:
    # As README.md spells commands: the code says `doit`, because in the image it is that.
    text = re.sub(rf"\bdoit (?=({'|'.join([*COMMANDS, *OF_DOIT])})\b)", "./bq2 ", text)
    text += "…" if text.endswith(" ") else ""  # the beginning of a message
    return text.replace("|", "\\|").replace("\n", " ")


def collected() -> str:
    """The page as the tests of now make it. Runs none of them."""
    collector = _Collector()
    tests = str(ROOT / "tests")
    status = pytest.main(["--collect-only", "-qq", "--rootdir", str(ROOT), tests], [collector])
    assert status == pytest.ExitCode.OK, status
    return page(collector.rows)


if __name__ == "__main__":
    PAGE.write_text(collected(), encoding="utf-8")
    sys.stdout.write(f"{PAGE}\n")
