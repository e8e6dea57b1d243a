from __future__ import annotations

from pathlib import Path

import pytest

from plan.errors import BuildError
from plan.reading.patch_series import patch_series
from plan.reading.recipe_files import Made

fault = pytest.mark.fault


def in_order(directory: Path, series: str | None) -> list[str]:
    """The patches of a recipe with a.patch, b.patch and fixes/c.patch, and this file `series`."""
    made = {}
    names = ["patches/a.patch", "patches/b.patch", "patches/fixes/c.patch"]
    for name in [*names, *(["patches/series"] if series is not None else [])]:
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(series if series and name.endswith("series") else "")
        made[name] = Made((path,))
    return patch_series({"other": Made(()), **made})


def test_without_a_series_the_names_order_them(tmp_path: Path) -> None:
    assert in_order(tmp_path, None) == [
        "patches/a.patch",
        "patches/b.patch",
        "patches/fixes/c.patch",
    ]


def test_a_series_orders_them(tmp_path: Path) -> None:
    series = "# upstream\nfixes/c.patch -p1 # first\n\n  a.patch\n# not now: b.patch\n"
    assert in_order(tmp_path, series) == ["patches/fixes/c.patch", "patches/a.patch"]
    marked = f"\ufeff{series.removeprefix('# upstream')}"  # as some editors begin a file
    assert in_order(tmp_path, marked) == ["patches/fixes/c.patch", "patches/a.patch"]


@fault(
    "patches/series with a patch that is not there, that it leaves out, or with another -p",
    "refused; the line, and the nearest name",
)
@pytest.mark.parametrize(
    ("series", "message", "line", "hint"),
    [
        ("a.patch\nb.patc\nfixes/c.patch\n", "there is no patch 'b.patc'", ":2", "mean b.patch?"),
        ("a.patch\nfixes/c.patch\n", "the patch b.patch is not listed", "", "add its name"),
        ("a.patch\na.patch\n", "the patch a.patch would be applied twice", ":2", ""),
        ("series\n", "there is no patch 'series'", ":1", "known: a.patch"),
        ("b.patch\nfixes/c.patch\n# aa.patch\n", "the patch a.patch is not listed", "", "add"),
        ("a.patch -p0\n", "cannot be applied: 'a.patch -p0'", ":1", "applied with -p1"),
        ("a.patch b.patch\n", "cannot be applied: 'a.patch b.patch'", ":1", "only the name"),
    ],
)
def test_a_wrong_series(tmp_path: Path, series: str, message: str, line: str, hint: str) -> None:
    with pytest.raises(BuildError) as caught:
        in_order(tmp_path, series)
    assert caught.value.message == message
    assert caught.value.where == f"{tmp_path}/patches/series{line}"
    assert hint in (caught.value.hint or "")


@fault(
    "patches/ has texts, what editors leave, and NAME.diff",
    "without a series only NAME.patch is applied; another name is refused",
)
def test_only_patches_are_applied(tmp_path: Path) -> None:
    made = {}
    for name in ("a.patch", "a.patch~", ".a.patch.swp", "README.md", "old/b.patch.orig"):
        made[f"patches/{name}"] = Made((tmp_path / name,))
    assert patch_series(made) == ["patches/a.patch"]
    made["patches/b.diff"] = Made((tmp_path / "b.diff",))
    with pytest.raises(BuildError, match=r"only NAME\.patch is applied") as caught:
        patch_series(made)
    assert caught.value.where == f"{tmp_path}/b.diff"
