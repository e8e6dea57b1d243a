from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from plan.compiling.toolchain import own_compiler
from plan.errors import BuildError
from plan.model import Command
from plan.reading.data import Data
from plan.reading.recipes import load_recipes
from plan.steps.planner import make_plan
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
        (("depends: []", "depends: []\ndirectory: x"), 6, "not for style script"),
        (("depends: []", "depends: []\noptions: [x]"), 6, "not for style script"),
        (('version: "1"', 'version: "1\\n2"'), 2, "one line of printable text"),
        (('version: "1"', 'version: ""'), 2, "one line of printable text"),
        (("depends: []", 'depends: []\nenvironment: {"A B": c}'), 6, "name of a variable"),
        (("depends: []", "depends: []\nfrom: tpo"), 6, "did you mean top?"),
        (("style: script", "style: make"), 6, "'build' is for style script, which needs it"),
        (("depends: []", "depends: []\nenvironment: {A: [1]}"), 6, "must be text"),
        (("depends: []", "depends: []\nvariables: [CC]"), 6, "only for style make"),
    ],
)
def test_mistakes_are_told_with_file_and_line(
    data: Path, change: tuple[str, str], line: int, words: str
) -> None:
    text = RECIPE.format(name="top", depends="").replace(*change)
    (data / "recipes" / "top.yaml").write_text(text)
    with pytest.raises(BuildError) as caught:
        load_recipes(Data(data))
    assert str(caught.value.where).endswith(f"recipes/top.yaml:{line}")
    assert words in str(caught.value)


@pytest.mark.fault("a source with a bad hash, file name or place", "one error")
@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"sha256": "a" * 63}, "64 hexadecimal digits"),
        ({"sha256": "A" * 64}, "in lower case"),
        ({"place": "https://u:secret@example.org/x"}, "a password in a URL"),
        ({"place": "https://token@example.org/x"}, "a password in a URL"),
        ({"place": f"git+https://u:secret@example.org/x@{'a' * 40}"}, "a password in a URL"),
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
        load_recipes(Data(data))


@pytest.mark.fault("an editor's lock file beside a recipe: a hidden link to nothing", "not read")
def test_a_lock_file_of_an_editor(recipe: Callable[..., Path], data: Path) -> None:
    recipe("top").with_name(".#top.yaml").symlink_to("me@here.1:2")
    (data / "seeds").mkdir(exist_ok=True)
    (data / "seeds" / ".#debian.yaml").symlink_to("me@here.1:2")
    assert list(load_recipes(Data(data))) == ["top"]


def test_a_recipe_can_share_the_sources_of_another(recipe: Callable[..., Path], data: Path) -> None:
    recipe("owner", extra=SOURCE.format(**GOOD))
    recipe("top", extra="from: owner\n")
    recipes = load_recipes(Data(data))
    assert recipes["top"].sources == recipes["owner"].sources != ()


def test_the_compiler_tells_all_recipes_its_directory(
    recipe: Callable[..., Path], data: Path
) -> None:
    recipe("cc", extra="resources: /usr/lib/cc/1\n")
    path = recipe(
        "top", extra="options: [--lib=/sysroot$RESOURCES/lib, $$RESOURCES, $RESOURCES_X]\n"
    )
    script = "style: script\nbuild: |\n  true\n"
    path.write_text(path.read_text().replace(script, "style: configure\n"))
    recipes = load_recipes(Data(data))
    # plan/compiling/styles.py reads the others: a plain $, and a variable that is none.
    assert recipes["top"].options == (
        "--lib=/sysroot/usr/lib/cc/1/lib",
        "$$RESOURCES",
        "$RESOURCES_X",
    )
    own = own_compiler(recipes)
    assert (own.package, own.resources) == ("cc", "/usr/lib/cc/1")


@pytest.mark.fault("two recipes that are the compiler", "refused; both are named")
def test_only_one_recipe_is_the_compiler(recipe: Callable[..., Path], data: Path) -> None:
    recipe("top", extra="resources: lib/cc\n")
    with pytest.raises(BuildError, match="'resources' must be below /usr"):
        load_recipes(Data(data))
    recipe("top", extra="resources: /usr/lib/cc\n")
    recipe("other", extra="resources: /usr/lib/cc\n")
    with pytest.raises(BuildError, match="'resources': other has it") as caught:
        load_recipes(Data(data))
    assert caught.value.where and "recipes/top.yaml:" in caught.value.where


def test_its_files_come_with_their_hashes(recipe: Callable[..., Path], data: Path) -> None:
    recipe("top")
    (data / "recipes" / "top" / "patches").mkdir(parents=True)
    (data / "recipes" / "top" / "patches" / "b.patch").write_text("b")
    (data / "recipes" / "top" / "a.config").write_text("a")
    files = load_recipes(Data(data))["top"].files
    assert [path for path, _ in files] == ["a.config", "patches/b.patch"]
    assert files[0][1].startswith("ca978112ca1bbdca")  # sha256("a")


SOURCES = """\
sources:
  - {sha256: HASH, size: 0, file: a.tar, urls: [https://x.test/a.tar]}
  - {sha256: HASH, size: 0, file: b.tar.gz, urls: [https://x.test/b.tar.gz], INTO}
"""


@pytest.mark.fault(
    "a source that is unpacked out of the source, over all of it, or applied too",
    "refused; the line",
)
@pytest.mark.parametrize(
    ("into", "message", "line"),
    [
        ("into: ../x", "'into' must be a directory inside the source", 10),
        ("into: /x", "'into' must be a directory inside the source", 10),
        ("into: .", "'into' must be a directory inside the source", 10),
        ("into: x, patch: yes", "a source is unpacked or applied, not both", 10),
        ("patch: maybe", "'patch' must be a", 10),
    ],
)
def test_a_source_has_a_place(
    recipe: Callable[..., Path], data: Path, into: str, message: str, line: int
) -> None:
    recipe("top", extra=SOURCES.replace("HASH", "0" * 64).replace("INTO", into))
    with pytest.raises(BuildError, match=message) as caught:
        load_recipes(Data(data))
    assert caught.value.where and caught.value.where.endswith(f"recipes/top.yaml:{line + 1}")


def test_the_first_source_is_the_source(recipe: Callable[..., Path], data: Path) -> None:
    text = SOURCES.replace("HASH", "0" * 64).replace("a.tar]", "a.tar], into: x")
    recipe("top", extra=text.replace(", INTO", ""))
    with pytest.raises(BuildError, match="'into' is not for the first source"):
        load_recipes(Data(data))


@pytest.mark.fault(
    "two sources with one file name, as v1.0.tar.gz of two projects: only one would be in /input",
    "told with the line of the second one",
)
@pytest.mark.parametrize("name", ["b.tar.gz", "initramfs.cpio"])
def test_sources_have_names_of_their_own(
    recipe: Callable[..., Path], data: Path, name: str
) -> None:
    text = SOURCES.replace("HASH", "0" * 64).replace("INTO", "into: x")
    entry = f"  - {{sha256: {'1' * 64}, size: 1, file: {name}, urls: []}}\n"
    path = recipe("top", extra=text + entry)
    with pytest.raises(BuildError, match=f"there is another {name} in /input") as caught:
        load_recipes(Data(data))
    line = len(path.read_text().splitlines())
    assert caught.value.where and caught.value.where.endswith(f"recipes/top.yaml:{line}")
    assert "give one of them another" in (caught.value.hint or "")
    recipe("top", extra=text + entry.replace(name, "c.tar"))
    assert len(load_recipes(Data(data))["top"].sources) == 3
    recipe("top", extra=text + entry.replace(name, '""'))
    with pytest.raises(BuildError, match="must be a plain file name"):
        load_recipes(Data(data))


@pytest.mark.fault(
    "a variable of a recipe or an override whose name no process can have", "refused; the line"
)
@pytest.mark.parametrize("key", ["environment", "crossed"])
@pytest.mark.parametrize("name", ["A=B", ""])
def test_names_of_variables(recipe: Callable[..., Path], data: Path, key: str, name: str) -> None:
    inside = f"{{{name!r}: x}}"
    text = inside if key == "environment" else f"{{environment: {inside}}}"
    path = recipe("top", extra=f"{key}: {text}\n")
    with pytest.raises(BuildError, match=f"'{name}' cannot be the name of a variable") as caught:
        load_recipes(Data(data))
    line = len(path.read_text().splitlines())
    assert caught.value.where and caught.value.where.endswith(f"recipes/top.yaml:{line}")


# --- options and variables ---------------------------------------------------------------------

MAKE = """\
name: top
version: "1"
license: MIT
description: a test needs it
depends: []
style: make
"""
MAKEFILE = """\
CC = gcc
CFLAGS += -Iinclude
all:
\t@echo "$(CC)|$(AR)|$(CFLAGS)|$(MORE)"
install: all
"""


def commands_of(data: Path, more: str, **named: str) -> tuple[Command, ...]:
    (data / "recipes" / "top.yaml").write_text(MAKE + more)
    names = {"set_name": "base", "arch_name": "x86_64"} | named
    return make_plan(data, **names).product["top"].commands  # type: ignore[arg-type]


@pytest.mark.fault(
    "a Makefile that says CC = gcc",
    "the style `make` gives the compiler and its tools on make's command line; a recipe's options "
    "win, and the Makefile's own CFLAGS stay",
)
@pytest.mark.parametrize(
    ("more", "said"),
    [
        ("", "clang --config=/toolchain/target.cfg|llvm-ar|-O2 -Iinclude|"),
        ("environment: {CC: cc1}", "cc1|llvm-ar|-O2 -Iinclude|"),
        ("options: [CC=mine, MORE=$CC]", "mine|llvm-ar|-O2 -Iinclude|clang --config"),
        ("options: ['MORE=${AR} $(AR) $$$$']", "clang --config=/toolchain/target.cfg|llvm-ar|"),
        ("variables: [CFLAGS]", "gcc|llvm-ar|-O2|"),
        ("variables: []", "gcc|llvm-ar|-O2 -Iinclude|"),
    ],
)
def test_make_uses_our_compiler(data: Path, tmp_path: Path, more: str, said: str) -> None:
    (tmp_path / "Makefile").write_text(MAKEFILE)
    build, install, _ = commands_of(data, more)
    for command in (build, install):
        told = {"PATH": os.environ["PATH"], "AR": "llvm-ar", "CFLAGS": "-O2"}
        made = subprocess.check_output(command.argv, cwd=tmp_path, env=told, text=True)
        assert made.startswith(said)
    if "${AR}" in more:
        assert made.endswith("|llvm-ar llvm-ar $\n")


def test_options_name_the_variables_of_the_step(data: Path) -> None:
    more = "options: [--a=$ARCH, '--b=${TARGET}s', --c=$BUILD, --d=$OWN, $$CC, $(CC), $@]\n"
    build, *_ = commands_of(data, f"{more}environment: {{OWN: x}}\nvariables: []\n")
    assert build.argv[1:] == (
        *("--a=x86_64", "--b=x86_64-bq2-linux-musls", "--c=x86_64-bq2-linux-musl", "--d=x"),
        *("$CC", "$(CC)", "$@"),
    )
    build, *_ = commands_of(data, more.replace("--d=$OWN, ", ""), arch_name="aarch64")
    assert "--a=aarch64" in build.argv


@pytest.mark.fault(
    "an option of a recipe names a variable that its step does not have",
    "one error with the file, its line and the nearest name",
)
@pytest.mark.parametrize(
    ("more", "line", "words"),
    [
        ("options: [--target=$TARGTE]", 7, "did you mean TARGET?"),
        ("options: ['${NOTHING}']", 7, "NOTHING is no variable of the step"),
        ("options: [-Wl,-rpath,$ORIGIN]", 7, "a plain $ is written $$"),
        ("variables: [RANLB]", 7, "did you mean RANLIB?"),
        ("environment: {A: b}\noptions: [$B]", 8, "B is no variable of the step"),
    ],
)
def test_an_unknown_variable_is_refused(data: Path, more: str, line: int, words: str) -> None:
    with pytest.raises(BuildError) as caught:
        commands_of(data, more)
    assert str(caught.value.where).endswith(f"recipes/top.yaml:{line}")
    assert words in str(caught.value)


def test_the_real_recipes_load_quickly() -> None:
    """0.15 s is promised for 40 recipes; a test under load allows for five times that."""
    start = time.perf_counter()
    plan = make_plan(PLAN, set_name="base", arch_name="x86_64")
    assert len(plan.digest) == 64
    assert time.perf_counter() - start < 0.75
    assert all(recipe.description and recipe.license for recipe in plan.recipes.values())


def test_every_source_of_debian_has_a_second_place() -> None:
    sources = [source for recipe in load_recipes(Data(PLAN)).values() for source in recipe.sources]
    of_debian = [each for each in sources if any(url.startswith("debian:") for url in each.urls)]
    assert of_debian
    assert [each.file for each in of_debian if not each.snapshot] == []
