"""docs/reliability.md matches the marks of the tests."""

from __future__ import annotations

import subprocess
import sys

from tests.reliability import PAGE, ROOT, page


def test_the_page_is_that_of_the_tests() -> None:
    code = "from tests.reliability import collected; import sys; sys.stderr.write(collected())"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    written = done.stderr[done.stderr.index("# What can go wrong") :]
    assert written == PAGE.read_text(), "python -m tests.reliability writes it anew"


def test_rows_of_one_module_stand_together_and_once() -> None:
    rows = [
        ("b.py", "x|y", "z", "test_b"),
        ("a.py", "p", "q", "test_a"),
        ("a.py", "p", "q", "test_a"),
    ]
    text = page(rows)
    assert text.index("## a.py") < text.index("## b.py")
    assert text.count("| p | q | `test_a` |") == 1 and "| x\\|y | z | `test_b` |" in text
