"""Snapshots of builds: stored if they differ, compared, and skipped if they are damaged."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tasks.report.snapshots import changes, comparison, keep, kept, kind

BEFORE = {"version": "1", "artifact": "aa", "size": 10, "cpu": 1.0}


def shot(**steps: Any) -> dict[str, Any]:
    return {"steps": steps, "products": {}}


@pytest.mark.parametrize(
    ("after", "words"),
    [
        (BEFORE | {"version": "2", "artifact": "bb"}, "other version"),
        (BEFORE | {"artifact": "bb"}, "other bytes"),
        (BEFORE | {"cpu": 2.0}, "built again, the same bytes"),
        (BEFORE | {"artifact": None}, "to be made"),
        (None, "gone"),
    ],
)
def test_what_became_of_a_step(after: dict[str, Any] | None, words: str) -> None:
    assert kind(BEFORE, after) == words


def test_what_is_new() -> None:
    assert kind(None, BEFORE) == "new" and kind(BEFORE | {"artifact": None}, BEFORE) == "made"


def test_only_what_differs_is_kept_and_told(tmp_path: Path) -> None:
    assert comparison(tmp_path, "base-x86_64") is None
    old, new = shot(a=BEFORE, b=BEFORE), shot(a=BEFORE, c=BEFORE)
    for time, each in enumerate((old, old, new, new)):
        keep(tmp_path, "base-x86_64", each, time)
        keep(tmp_path, "base-aarch64", each, time)
    assert [each["time"] for each in kept(tmp_path, "base-x86_64")] == [0, 2]
    found = comparison(tmp_path, "base-x86_64")
    assert found and (found.before, found.after) == (0, 2)
    assert [(each.name, each.kind) for each in found.changes] == [("c", "new"), ("b", "gone")]
    assert [*changes(new, new)] == []


@pytest.mark.parametrize("text", ["", "[]", "{", '{"time": 1}'])
def test_a_broken_one_is_as_none(tmp_path: Path, text: str) -> None:
    keep(tmp_path, "base-x86_64", shot(a=BEFORE), 1)
    (tmp_path / "base-x86_64-0002.json").write_text(text)
    assert comparison(tmp_path, "base-x86_64") is None
    keep(tmp_path, "base-x86_64", shot(b=BEFORE), 3)
    found = comparison(tmp_path, "base-x86_64")
    assert found and len(found.changes) == 2
    assert (tmp_path / "base-x86_64-0002.json").read_text() == text
