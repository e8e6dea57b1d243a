"""tasks.progress: what is said of a log that Ninja writes."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tasks.progress import Estimate, last_steps, told


@pytest.mark.parametrize(
    ("text", "steps"),
    [
        ("", None),
        ("+ make\ncc [1/2] x\n", None),
        ("+ cmake --build /build\n[1/30] Building a\n[2/30] Building b\n", (2, 30)),
        ("[9/30] Building a\nwarning: [1/2] is no step\n", (9, 30)),
        ("[1/9] a\n" + "x" * 100_000 + "\n", None),
        ("[1/9] a\n" + "x" * 100_000 + "\n[2/9] b\n", (2, 9)),
    ],
)
def test_the_last_step_of_a_log(tmp_path: Path, text: str, steps: tuple[int, int] | None) -> None:
    log = tmp_path / "log"
    log.write_text(text)
    assert last_steps(log) == steps


def test_without_a_log_nothing_is_said(tmp_path: Path) -> None:
    said: list[str] = []
    with told(tmp_path / "log", said.append, seconds=0.01):
        time.sleep(0.05)
    assert said == []


def test_it_is_said_while_it_runs_and_no_longer(tmp_path: Path) -> None:
    said: list[str] = []
    (tmp_path / "log").write_text("[5/10] a\n")
    with told(tmp_path / "log", said.append, seconds=0.01):
        time.sleep(0.1)
    count = len(said)
    time.sleep(0.05)
    assert count == len(said) > 1
    assert set(said) == {"5 of 10"}


def test_the_estimate_follows_the_pace_since_the_first_look() -> None:
    estimate = Estimate()
    assert estimate.text(100, 1000, 0.0) == "100 of 1000"
    assert estimate.text(200, 1000, 60.0) == "200 of 1000, about 8 min to go"
    # Another project's steps begin anew.
    assert estimate.text(3, 40, 120.0) == "3 of 40"
    assert estimate.text(23, 40, 180.0) == "23 of 40, about 1 min to go"
