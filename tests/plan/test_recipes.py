from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from plan.errors import BuildError
from plan.planner import make_plan
from plan.recipes import load_recipes
from tests.plan.conftest import PLAN, RECIPE

SOURCE = """\
sources:
  - sha256: {sha256}
    size: 5
    file: {file}
    urls: [{place}]
    {more}
"""
GOOD = {"sha256": "a" * 64, "file": "x.tar.gz", "place": "https://example.org/x.tar.gz", "more": ""}


@pytest.mark.fault("a recipe with a mistake", "one error with file and line")
@pytest.mark.parametrize(
    ("change", "line", "words"),
    [
        (("version:", "verison:"), 2, "did you mean version?"),
        (("style: script", "style: scripts"), 6, "did you mean script?"),
        (("description:", "why:"), 4, "its name is description now"),
        (("name: top", "name: tip"), 1, "must be the file's"),
        (("description: a test needs it\n", ""), 1, "'description' is missing"),
        (("depends: []", "depends: [tpo]"), 5, "did you mean top?"),
        (("depends: []", "depends: [{a: b}]"), 5, "list of plain values"),
        (("depends: []", "depends: []\ndirectory: ../x"), 6, "inside the source"),
        (("depends: []", "depends: []\nfrom: tpo"), 6, "did you mean top?"),
        (("style: script", "style: make"), 6, "'build' and style script need each other"),
        (("depends: []", "depends: []\nenvironment: {A: [1]}"), 6, "must be text"),
    ],
)
def test_mistakes_are_told_with_file_and_line(
    data: Path, change: tuple[str, str], line: int, words: str
) -> None:
    text = RECIPE.format(name="top", depends="").replace(*change)
    (data / "recipes" / "top.yaml").write_text(text)
    with pytest.raises(BuildError) as caught:
        load_recipes(data / "recipes")
    assert str(caught.value.where).endswith(f"recipes/top.yaml:{line}")
    assert words in str(caught.value)


@pytest.mark.fault("a source with a bad hash, file name or place", "one error")
@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"sha256": "a" * 63}, "64 hexadecimal digits"),
        ({"sha256": "A" * 64}, "64 hexadecimal digits"),
        ({"file": "../x"}, "plain file name"),
        ({"place": "file:///etc/passwd"}, "not a URL"),
        ({"place": "debian:../../x"}, "not a URL"),
        ({"more": "snapshot: yesterday"}, "not a time of snapshot.debian.org: .yesterday"),
    ],
)
def test_sources_are_checked(
    recipe: Callable[..., Path], data: Path, wrong: dict[str, str], words: str
) -> None:
    recipe("top", extra=SOURCE.format(**(GOOD | wrong)))
    with pytest.raises(BuildError, match=words):
        load_recipes(data / "recipes")


def test_a_recipe_can_share_the_sources_of_another(recipe: Callable[..., Path], data: Path) -> None:
    recipe("owner", extra=SOURCE.format(**GOOD))
    recipe("top", extra="from: owner\n")
    recipes = load_recipes(data / "recipes")
    assert recipes["top"].sources == recipes["owner"].sources != ()


def test_its_files_come_with_their_hashes(recipe: Callable[..., Path], data: Path) -> None:
    recipe("top")
    (data / "recipes" / "top" / "patches").mkdir(parents=True)
    (data / "recipes" / "top" / "patches" / "b.patch").write_text("b")
    (data / "recipes" / "top" / "a.config").write_text("a")
    files = load_recipes(data / "recipes")["top"].files
    assert [path for path, _ in files] == ["a.config", "patches/b.patch"]
    assert files[0][1].startswith("ca978112ca1bbdca")  # sha256("a")


def test_the_real_recipes_load_quickly() -> None:
    """0.15 s is promised for 40 recipes; a test under load allows for five times that."""
    start = time.perf_counter()
    plan = make_plan(PLAN, set_name="base", arch_name="x86_64")
    assert len(plan.digest) == 64
    assert time.perf_counter() - start < 0.75
    assert all(recipe.description and recipe.license for recipe in plan.recipes.values())


def test_every_source_of_debian_has_a_second_place() -> None:
    sources = [
        source for recipe in load_recipes(PLAN / "recipes").values() for source in recipe.sources
    ]
    of_debian = [each for each in sources if any(url.startswith("debian:") for url in each.urls)]
    assert of_debian
    assert [each.file for each in of_debian if not each.snapshot] == []
