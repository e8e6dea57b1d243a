"""plan/own_files.py: what a run may not write to."""

from __future__ import annotations

from pathlib import Path

import pytest

from plan.errors import BuildError
from plan.own_files import OWN_FILES, own_part
from plan.settings.resolve import resolve
from tests.checkout import ROOT


def test_the_parts_of_a_checkout(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("plan")
    for path, part in (
        ("plan", "plan"),
        ("tasks/new/x", "tasks"),
        ("work/../docs/x", "docs"),
        ("link/x", "plan"),
        ("", "."),
        ("work/x", ""),
        ("mine", ""),
        ("../plan", ""),
    ):
        assert own_part(tmp_path, tmp_path / path) == part, path
    assert all((ROOT / name).exists() for name in OWN_FILES)


@pytest.mark.fault(
    "output= or workdir= in the project's own directories, or the checkout itself as workdir=",
    "refused, with the reason and other places",
)
@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("output", "README.md"),
        ("output", "plan/recipes/x.yaml"),
        ("output", ".git/x"),
        ("workdir", "."),
        ("workdir", "tasks"),
        ("workdir", "link"),
    ],
)
def test_what_may_not_be_written_to(tmp_path: Path, name: str, path: str) -> None:
    (tmp_path / "link").symlink_to("cache")
    with pytest.raises(BuildError, match=f"{name} cannot be ") as caught:
        resolve(tmp_path, {name: path}, {})
    assert caught.value.where == "command line" and "outside" in str(caught.value.hint)


def test_what_may_be_written_to(tmp_path: Path) -> None:
    for path in ("work", "output/x", "mine/x", "/tmp/x"):
        assert resolve(tmp_path, {"output": path, "workdir": path}, {}).workdir == tmp_path / path
