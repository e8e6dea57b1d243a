"""overrides: recipes changed for one work directory, shown, and written into the recipes."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from rootfs.compare.unified_diff import unified
from tests.rootfs.tools import tool
from tests.tasks.test_commands import refused
from tests.tasks.test_layer import with_layer
from tests.tasks.test_products import product, with_source
from tests.tasks.toy import DEPENDS, ROOT, SCRIPTS, Checkout

pytestmark = pytest.mark.namespace

LICENSE = (ROOT / "LICENSE").read_bytes()
PATCH = unified("LICENSE", LICENSE, b"patched\n" + LICENSE)


def override(checkout: Checkout, text: str, patches: str = "") -> Path:
    """Write the overrides, and `patches` (a name) as one of `bottom`."""
    work = checkout.root / "work"
    work.mkdir(exist_ok=True)
    if patches:
        (work / "patches" / "bottom").mkdir(parents=True, exist_ok=True)
        (work / "patches" / "bottom" / patches).write_text(PATCH)
    (work / "overrides.yaml").write_text(text)
    return work / "overrides.yaml"


def said(checkout: Checkout, *words: str) -> str:
    done = checkout.doit("overrides", *words)
    assert done.status == 0, done
    return done.said


@pytest.mark.parametrize(
    ("text", "messages"),
    [
        ("bottm: {build: x}", ["overrides.yaml:1: there is no recipe 'bottm'", "mean bottom?"]),
        ("top:\n  envirnment: {}", ["overrides.yaml:2: unknown key", "mean environment?"]),
        ("top:\n  name: x", ["overrides.yaml:2: unknown key 'name'"]),
        ("sysroot-from-sed:top: {}", ["1: there is no phase", "mean sysroot-from-seed?"]),
        ("sysroot-from-seed:*: {build: x}", ["overrides.yaml:1: unknown key 'build'"]),
        ("top:\n  add-depends: [botom]", ["overrides.yaml:2: depends on 'botom'", "bottom?"]),
        ("top:\n  sources: [{sha: a}]", ["overrides.yaml:2: unknown key 'sha'", "sha256?"]),
        ("top:\n  target: x", ["overrides.yaml:2: 'target' is only for style cmake"]),
        ("top:\n  environment: {A: [1]}", ["overrides.yaml:2: 'A' must be text"]),
        ("top: x", ["overrides.yaml:1: 'top' must contain a mapping"]),
        ("top: {", ["overrides.yaml:", "broken YAML"]),
        ("bottom:\n  patches: [fx.patch]", ["2: there is no patch 'fx.patch'", "mean fix.patch?"]),
        ("bottom:\n  patches: [../x]", ["2: '../x' is not a valid name of a patch"]),
        ("bottom:\n  patches: [fix.patch, fix.patch]", ["yaml:2: the patch 'fix.patch'"]),
    ],
)  # fmt: skip
def test_mistakes_are_told_with_their_line(toy: Checkout, text: str, messages: list[str]) -> None:
    override(toy, text, "fix.patch")
    answer = refused(toy, "pkg")
    assert all(message in answer for message in messages), answer


def test_a_patch_that_is_a_directory(toy: Checkout) -> None:
    file = override(toy, "bottom:\n  patches: [fix.patch]")
    place = file.parent / "patches" / "bottom" / "fix.patch"
    place.mkdir(parents=True)
    answer = refused(toy, "pkg")
    assert "patches/bottom/fix.patch: this is no file" in answer, answer


def test_what_is_touched_is_built_again_and_nothing_else(built: Checkout) -> None:
    override(built, "right:\n  environment: {WORD: other}\n")
    done = built.builds("right", "kernel")  # the kernel tells the plan of its initramfs
    assert "the same bytes as before" in done.said
    file = override(built, "right:\n  add-build: echo $WORD >> $share/right\n")
    file.write_text(file.read_text() + "sysroot-from-seed:*: {environment: {WORD: every}}\n")
    built.builds("bottom", "left", "right", "top", "kernel")
    assert built.tree("right", "usr/share/right").read_text() == "bottom\nevery\n"
    file.unlink()
    done = built.builds()
    assert set(done.from_store) == {*SCRIPTS}


def test_what_is_nearer_to_the_package_wins(toy: Checkout) -> None:
    toy.recipe("top", "true", *DEPENDS["top"], environment="{A: recipe, B: recipe}")
    override(
        toy,
        "sysroot-from-seed:*: {environment: {A: every, C: every, D: every}}\n"
        "sysroot-from-seed:top: {environment: {B: one}, add-build: 'echo 3'}\n"
        "top: {environment: {B: two, D: two}, build: echo 1, add-build: echo 2}\n",
    )
    step = next(step for step in toy.plan()["steps"] if step["name"] == "top")
    environment = dict(step["environment"])
    assert [environment[name] for name in "ABCD"] == ["recipe", "one", "every", "two"]
    assert step["commands"][0]["argv"][2] == "echo 1\necho 2\necho 3\n"
    other = next(step for step in toy.plan()["steps"] if step["name"] == "bottom")
    assert dict(other["environment"])["A"] == "every"


def test_the_difference_is_shown(toy: Checkout) -> None:
    assert said(toy) == "no overrides\n"
    override(
        toy,
        "bottom:\n"
        "  environment: {CFLAGS: -O1}\n"
        "  add-build: echo more\n"
        "  add-remove: [usr/x]\n"
        "  version: '2'\n"
        "  patches: [fix.patch]\n"
        "rootfs-from-sysroot:top: {version: '3'}\n",
        "fix.patch",
    )
    assert said(toy) == (
        "pkg:bottom\n"
        "  version: 1 → 2\n"
        "  environment.CFLAGS: -O2 → -O1\n"
        "  build:\n"
        "    @@ -2 +2,2 @@\n"
        "     echo bottom > $share/bottom\n"
        "    +echo more\n"
        "  remove: nothing → usr/x\n"
        "  patches: nothing → fix.patch\n"
        "rootfs-from-sysroot:top\n"
        "  changes nothing in the set base\n"
    )
    assert "did you mean apply?" in toy.doit("overrides", "aply").said


def test_it_is_compared_with_the_recipe_of_this_product(toy: Checkout) -> None:
    toy.recipe("bottom", "true", environment="{A: '1'}", crossed="{environment: {A: '2'}}")
    override(toy, "bottom: {environment: {A: '1'}}\n")
    assert said(toy) == "bottom\n  changes nothing in the set base\n"
    assert said(toy, "arch=aarch64") == "pkg:bottom\n  environment.A: 2 → 1\n"


def test_a_product_says_so_and_builds_the_same_again(toy: Checkout, tmp_path: Path) -> None:
    with_source(toy)
    override(
        toy, "bottom:\n  add-build: echo x >> $share/bottom\n  patches: [a.patch]\n", "a.patch"
    )
    (toy.root / "work" / "patches" / "bottom" / "unnamed.patch").write_text("x")
    assert toy.doit("sysroot").status == 0
    unpacked = tmp_path / "unpacked"
    unpacked.mkdir()
    tool("tar", "-x", "-f", product(toy, "tar"), "-C", unpacked)
    assert (unpacked / "usr/share/bottom").read_text().splitlines()[1] == "patched"
    assert json.loads((unpacked / "etc/bq2/image.json").read_text())["overridden"] == ["bottom"]
    workspace = unpacked / "workspace"
    work = workspace / "bootstrap-qcow2" / "work"
    inside = sorted(path.relative_to(work).as_posix() for path in work.rglob("*.*"))
    assert inside == ["overrides.yaml", "patches/bottom/a.patch"]
    again = Checkout(workspace / "bootstrap-qcow2", workspace / "cache", toy.seed)
    assert again.doit("sysroot", "offline=1").status == 0
    assert product(again, "tar").read_bytes() == product(toy, "tar").read_bytes()
    # Another patch is another product.
    patch = toy.root / "work" / "patches" / "bottom" / "a.patch"
    patch.write_text(PATCH.replace("patched", "mended"))
    built = toy.doit("sysroot").built
    assert sorted(built) == ["bottom", "kernel", "left", "right", "top"]


# --- apply -------------------------------------------------------------------------------------


def test_applied_they_are_recipes_and_the_plan_is_the_same(toy: Checkout) -> None:
    with_source(toy)
    recipe = toy.root / "plan" / "recipes" / "bottom.yaml"
    recipe.write_text("# Mine.\n" + recipe.read_text() + "# The end.\n")
    before = recipe.read_text()
    file = override(
        toy,
        "# Why.\n"
        "bottom:\n"
        "  environment: {CFLAGS: -O1}\n"
        "  add-build: echo x >> $share/bottom\n"
        "  patches: [a.patch]\n"
        "sysroot-from-seed:*: {environment: {CFLAGS: -O3}}\n",
        "a.patch",
    )
    (toy.root / "plan" / "recipes" / "bottom").mkdir()
    (toy.root / "plan" / "recipes" / "bottom" / "zz").write_text("sorts after patches")
    plan, stamped = toy.plan(), toy.doit("pkg:bottom")
    assert stamped.built == ["bottom"], stamped
    answer = said(toy, "apply")
    assert "plan/recipes/bottom.yaml: environment, build" in answer
    assert "sysroot-from-seed:* stays in" in answer and f"digest {plan['digest']}" in answer
    assert toy.plan()["digest"] == plan["digest"]
    assert file.read_text() == "# Why.\nsysroot-from-seed:*: {environment: {CFLAGS: -O3}}\n"
    assert recipe.read_text() == before.replace(
        "style: script\n", "style: script\nenvironment:\n  CFLAGS: -O1\n"
    ).replace("# The end", "  echo x >> $share/bottom\n# The end")
    assert (toy.root / "plan/recipes/bottom/patches/a.patch").read_text() == PATCH
    assert not list((toy.root / "work" / "patches").rglob("*.patch"))
    assert toy.doit("pkg:bottom").built == []


@pytest.mark.fault(
    "`overrides apply` cannot write one of the recipes", "nothing is changed; it can be tried again"
)
def test_what_cannot_be_written_changes_nothing(toy: Checkout, tmp_path: Path) -> None:
    with_source(toy)
    layer = with_layer(toy, tmp_path / "layer")
    file = override(
        toy, "bottom: {version: '2', patches: [a.patch]}\nextra: {version: '2'}\n", "a.patch"
    )
    texts = [file, toy.root / "work/patches/bottom/a.patch", *toy.root.glob("plan/recipes/*.yaml")]
    before = {path: path.read_bytes() for path in texts}
    (layer / "recipes").chmod(0o555)
    if os.access(layer / "recipes", os.W_OK):
        pytest.skip("root may write everywhere")
    done = toy.doit("overrides", "apply")
    assert done.status != 0 and "Permission denied" in done.said, done
    assert {path: path.read_bytes() for path in texts} == before
    assert not (toy.root / "plan" / "recipes" / "bottom" / "patches" / "a.patch").exists()
    (layer / "recipes").chmod(0o755)
    assert toy.doit("overrides", "apply").status == 0


def test_with_nothing_left_the_file_goes(toy: Checkout) -> None:
    file = override(toy, "top: {version: '2'}\n")
    assert "plan/recipes/top.yaml: version" in said(toy, "apply")
    assert not file.exists() and said(toy, "apply") == "no overrides\n"
    assert "version: '2'\n" in (toy.root / "plan" / "recipes" / "top.yaml").read_text()


def test_nothing_is_written_where_the_order_of_patches_would_change(toy: Checkout) -> None:
    with_source(toy)
    own = toy.root / "plan" / "recipes" / "bottom" / "patches"
    own.mkdir(parents=True)
    (own / "b.patch").write_text(PATCH)
    file = override(toy, "bottom: {patches: [a.patch], version: '2'}\n", "a.patch")
    commands = toy.plan()["steps"][0]["commands"]
    assert [command["argv"][-1] for command in commands][:2] == [
        *("/recipe/patches/b.patch", "/recipe/patches/a.patch"),
    ]
    before = (file.read_text(), (toy.root / "plan/recipes/bottom.yaml").read_text())
    done = toy.doit("overrides", "apply")
    assert done.status != 0 and "overrides.yaml:1: the patches of bottom" in done.said, done
    assert before == (file.read_text(), (toy.root / "plan/recipes/bottom.yaml").read_text())
    assert [path.name for path in own.iterdir()] == ["b.patch"]
