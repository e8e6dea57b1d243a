"""tasks/engine/plan_files.py: a step's file changes exactly when its authored data changes."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable

import pytest

from plan.steps.plan import canonical
from tasks.engine.builder import Builder
from tasks.engine.plan_files import authored, digest_file, is_written, step_file, write_plan
from tests.tasks.toy import SCRIPTS, Checkout, snapshot

RECIPES = "plan/recipes"
Change = Callable[[Checkout], object]


def files(toy: Checkout) -> dict[str, bytes]:
    """The content of each step's file, after the plan was written."""
    project = toy.project()
    write_plan(project)
    return {step.name: step_file(project, step).read_bytes() for step in project.plan.steps}


def edit(name: str, old: str, new: str) -> Change:
    return lambda toy: toy.edit(f"{RECIPES}/{name}.yaml", old, new)


def _file_of_left(toy: Checkout) -> None:
    (toy.root / RECIPES / "left").mkdir()
    (toy.root / RECIPES / "left" / "note").write_text("one")


def _override(toy: Checkout) -> None:
    (toy.root / "work").mkdir(exist_ok=True)
    (toy.root / "work" / "overrides.yaml").write_text("left:\n  version: '9'\n")


def _other_seed(toy: Checkout) -> None:
    other = shutil.copytree(toy.seed, toy.root / "other", symlinks=True)
    (other / "more").touch()
    toy.variables["BQ2_SEED"] = "other"


# What is edited, and the steps whose files it changes. The kernel's holds what the image says of
# itself, the plan's digest among it.
CHANGES: dict[str, tuple[Change, set[str]]] = {
    "nothing": (lambda toy: None, set()),
    "a comment": (edit("left", "name: left", "# why not\nname: left"), set()),
    "the reason": (edit("left", "left is a toy", "it is good"), set()),
    "a command": (edit("left", "echo left", "echo other"), {"left", "kernel"}),
    "the version": (edit("left", "version: '1'", "version: '2'"), {"left", "kernel"}),
    "a dependency": (edit("right", "[bottom]", "[bottom, left]"), {"right", "kernel"}),
    "the license": (edit("right", "license: MIT", "license: ISC"), {"kernel"}),
    "a file of a recipe": (_file_of_left, {"left", "kernel"}),
    "an override": (_override, {"left", "kernel"}),
    "the seed": (_other_seed, {*SCRIPTS}),
    "what an initramfs leaves": (
        lambda toy: toy.edit("plan/sets.yaml", "[usr/include]", "[usr/share/left]"),
        {"kernel"},
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_file_changes_with_what_is_authored_of_its_step(toy: Checkout, change: str) -> None:
    happens, expected = CHANGES[change]
    before = files(toy)
    assert is_written(toy.project())
    happens(toy)
    assert is_written(toy.project()) == (not expected)
    after = files(toy)
    assert {name for name in SCRIPTS if before[name] != after[name]} == expected
    assert is_written(toy.project())


def test_where_a_source_is_found_is_not_authored_of_a_step(toy: Checkout) -> None:
    source = "[{sha256: '" + "0" * 64 + "', size: 7, file: a.tar, urls: ['https://one/a.tar']}]"
    recipe = toy.recipe("left", "cat LICENSE > $share/left", "bottom", sources=source)
    before = files(toy)
    toy.edit(str(recipe.relative_to(toy.root)), "https://one", "https://two")
    assert files(toy) == before
    toy.edit(str(recipe.relative_to(toy.root)), "0" * 64, "1" * 64)
    after = files(toy)
    assert {name for name in SCRIPTS if before[name] != after[name]} == {"left", "kernel"}


@pytest.mark.namespace
def test_a_file_holds_all_of_the_inputs_but_the_artifacts(built: Checkout) -> None:
    """A step whose file and whose dependencies' artifacts are as they were has the id it had."""
    project = built.project()
    write_plan(project)
    made = {step.task: built.stamp(step.name)["artifact"] for step in project.plan.steps}
    for step in project.plan.steps:
        told = json.loads(step_file(project, step).read_text())
        inputs = json.loads(canonical(Builder(project, step).inputs(made)))
        inputs["depends"] = [[name, ""] for name, _ in inputs["depends"]]
        for package in (inputs["image"] or {}).get("packages", []):
            package["artifact"] = ""
        assert told == inputs


def test_another_format_of_the_inputs_changes_all(
    toy: Checkout, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = files(toy)
    monkeypatch.setattr("plan.steps.identity.FORMAT", -1)
    assert not is_written(toy.project())
    after = files(toy)
    assert all(before[name] != after[name] for name in SCRIPTS)


def test_another_format_of_the_initramfs_changes_what_has_one(
    toy: Checkout, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = files(toy)
    monkeypatch.setattr("plan.steps.identity.INITRAMFS_FORMAT", -1)
    assert not is_written(toy.project())
    after = files(toy)
    assert {name for name in SCRIPTS if before[name] != after[name]} == {"kernel"}


def test_the_plan_is_written_whole_and_again_the_same(toy: Checkout) -> None:
    project = toy.project()
    assert not is_written(project)
    write_plan(project)
    told = json.loads(project.plan_file.read_text())
    assert [step["name"] for step in told["steps"]] == [*SCRIPTS]
    assert told["digest"] == project.plan.digest
    assert told["seed"] == project.seed.describe()
    first = {name: state[2] for name, state in snapshot(toy.root / "work").items()}
    write_plan(toy.project())
    assert {name: state[2] for name, state in snapshot(toy.root / "work").items()} == first


@pytest.mark.parametrize("content", [None, "", "0" * 64])
def test_a_digest_that_is_lost_or_another_is_not_that_of_now(
    toy: Checkout, content: str | None
) -> None:
    project = toy.project()
    write_plan(project)
    if content is None:
        digest_file(project).unlink()
    else:
        digest_file(project).write_text(content)
    assert not is_written(project)


@pytest.mark.fault("plan.json in the work directory is damaged or lost", "it is written anew")
@pytest.mark.parametrize("content", [None, "{", ""])
def test_a_damaged_plan_is_not_that_of_now(toy: Checkout, content: str | None) -> None:
    toy.plan()
    file = toy.root / "work" / "plan.json"
    whole = file.read_text()
    file.unlink() if content is None else file.write_text(content)
    assert toy.doit("plan").status == 0
    assert file.read_text() == whole


def test_what_the_plan_is_made_from(toy: Checkout) -> None:
    _file_of_left(toy)
    _override(toy)
    found = {str(path.relative_to(toy.root)) for path in authored(toy.project())}
    assert {f"{RECIPES}/{name}.yaml" for name in SCRIPTS} <= found
    assert {f"{RECIPES}/left/note", "plan/sets.yaml", "work/overrides.yaml"} <= found
    assert not any(name.endswith(".py") for name in found)
