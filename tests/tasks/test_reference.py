"""docs/reference.md is what `doit reference` writes."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.checkout import ROOT, copy_project
from tests.tasks.toy import Checkout

FILE = "docs/reference.md"


@pytest.fixture
def copy(tmp_path: Path) -> Checkout:
    """A copy of this project, without the reference."""
    checkout = Checkout(copy_project(tmp_path / "copy"), tmp_path / "cache", Path("debian"))
    (checkout.root / FILE).unlink()
    return checkout


def test_the_reference_is_what_the_command_writes(copy: Checkout) -> None:
    done = copy.doit("reference")
    assert done.status == 0, done
    written = (copy.root / FILE).read_text()
    assert written == (ROOT / FILE).read_text(), "run `doit reference`"


def test_the_reference_says_the_same_everywhere_and_follows_the_code(copy: Checkout) -> None:
    # What this machine, its user and this run have of their own.
    assert copy.doit("reference", "set=full", "jobs=1", BQ2_WITH="zlib", LC_ALL="C").status == 0
    assert (copy.root / FILE).read_text() == (ROOT / FILE).read_text()
    copy.edit("plan/recipes/pkgconf.yaml", "pkgconf usr/bin/pkg-config", "pkgconf usr/bin/other")
    copy.edit("plan/compiling/styles.py", '("make", "install"', '("make", "all", "install"')
    copy.edit(
        "plan/reading/keys.py",
        "The hash of the file. It identifies the file.",
        "Its name among us.",
    )
    copy.edit("plan/settings/parameters.py", '"trixie"', '"sid"')
    copy.edit("tasks/check.py", "measure what the project promises", "measure all")
    assert copy.doit("reference").status == 0
    written = (copy.root / FILE).read_text()
    for text in (
        "usr/bin/other",
        "make all install",
        "Its name among us.",
        "measure all, and a plain",
    ):
        assert text in written
    assert "| `suite` | `sid` |" in written
