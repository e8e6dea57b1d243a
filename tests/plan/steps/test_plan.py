from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from plan.errors import BuildError
from plan.model import Source
from plan.steps.identity import step_id, step_inputs
from plan.steps.plan import Plan
from plan.steps.planner import make_plan


def planned(data: Path) -> Plan:
    return make_plan(data, set_name="base", arch_name="x86_64")


def test_the_plan_is_the_closure_in_order(recipe: Callable[..., Path], data: Path) -> None:
    recipe("top", "left", "right")
    recipe("left", "bottom")
    recipe("right", "bottom")
    recipe("bottom")
    recipe("unused")
    plan = planned(data)
    assert list(plan.product) == ["bottom", "left", "right", "top"]
    assert plan.product["top"].depends == ("bottom", "left", "right")


def test_plan_json_holds_the_literal_commands(recipe: Callable[..., Path], data: Path) -> None:
    recipe("top")
    content = json.loads(planned(data).as_json({"name": "seed"}))
    (step,) = content["steps"]
    assert step["commands"][0] == {"argv": ["sh", "-euc", "true\n"], "cwd": "/source"}
    assert ["TARGET", "x86_64-bq2-linux-musl"] in step["environment"]
    assert content["digest"] == planned(data).digest


def test_comments_and_reasons_do_not_change_the_plan(
    recipe: Callable[..., Path], data: Path
) -> None:
    path = recipe("top")
    before = planned(data).digest
    path.write_text("# a comment\n" + path.read_text().replace("a test needs it", "another why"))
    assert planned(data).digest == before
    path.write_text(path.read_text().replace("  true\n", "  false\n"))
    assert planned(data).digest != before


def test_a_cycle_and_unknown_packages_name_the_place(
    recipe: Callable[..., Path], data: Path
) -> None:
    recipe("top", "other")
    recipe("other", "top")
    with pytest.raises(BuildError, match="other → top → other") as caught:
        planned(data)
    assert caught.value.where == "plan/recipes/other.yaml:5"
    (data / "recipes" / "other.yaml").unlink()
    recipe("topp")
    (data / "recipes" / "top.yaml").unlink()
    with pytest.raises(BuildError) as caught:
        planned(data)
    assert caught.value.where == "plan/sets.yaml:3"
    assert caught.value.hint == "did you mean topp?"


def test_an_initramfs_of_what_the_set_has_not_names_the_set(
    recipe: Callable[..., Path], data: Path
) -> None:
    recipe("top", "below")
    recipe("below")
    recipe("aside")
    sets = data / "sets.yaml"
    initramfs = "  initramfs: {kernel: top, packages: [below]}\n"
    sets.write_text(sets.read_text() + initramfs)
    assert list(planned(data).product) == ["below", "top"]
    sets.write_text(sets.read_text().replace("[below]", "[aside]"))
    with pytest.raises(BuildError, match="the initramfs of the set base contains aside") as caught:
        planned(data)
    assert "add aside to the set's packages" in str(caught.value)


@pytest.mark.fault("a set whose kernel is not one of its packages", "refused; the nearest is named")
def test_the_kernel_is_one_of_the_packages(recipe: Callable[..., Path], data: Path) -> None:
    recipe("top")
    with (data / "sets.yaml").open("a") as file:
        file.write("  initramfs: {kernel: topp, packages: []}\n")
    with pytest.raises(BuildError, match="the kernel 'topp' is not one of the packages") as caught:
        planned(data)
    assert caught.value.hint == "did you mean top?"
    assert caught.value.where == "plan/sets.yaml:5"


@pytest.mark.fault(
    "with=NAME in a set whose image is only an initramfs",
    "the package, and what only it needs, are in the initramfs",
)
@pytest.mark.fault("a set that is a list or a text, not a mapping", "told with its line")
@pytest.mark.parametrize(("text", "kind"), [("[top]", "list"), ("top", "text"), ("", "text")])
def test_a_set_is_a_mapping(recipe: Callable[..., Path], data: Path, text: str, kind: str) -> None:
    recipe("top")
    with (data / "sets.yaml").open("a") as file:
        file.write(f"mine: {text}\n")
    with pytest.raises(BuildError, match=f"'mine' must be a mapping, not {kind}") as caught:
        make_plan(data, set_name="mine", arch_name="x86_64")
    assert caught.value.where == "plan/sets.yaml:5"


def test_an_added_package_is_in_the_image(recipe: Callable[..., Path], data: Path) -> None:
    recipe("top", "below")
    recipe("below")
    recipe("kernel")
    recipe("mine", "library", "below")
    recipe("library")
    sets = data / "sets.yaml"
    text = sets.read_text().replace("packages: [top]\n", "packages: [top, kernel]\n")
    sets.write_text(text + "  initramfs: {kernel: kernel, packages: [top]}\n")
    names = {"set_name": "base", "arch_name": "x86_64"}
    step = make_plan(data, **names, added=["mine"]).product["kernel"]  # type: ignore[arg-type]
    assert step.initramfs and step.initramfs.packages == ("top", "library", "mine")
    plan = make_plan(data, **names, added=["mine"])  # type: ignore[arg-type]
    assert [*plan.product][-1] == "kernel", "after all that it contains"
    assert planned(data).product["kernel"].initramfs.packages == ("top",)  # type: ignore[union-attr]
    (data / "toolbox.yaml").write_text("every: [top]\n")
    sets.write_text(sets.read_text() + "  root: yes\n")
    step = make_plan(data, **names, added=["mine"]).product["kernel"]  # type: ignore[arg-type]
    assert step.initramfs and step.initramfs.packages == ("top",)


def test_an_image_without_what_only_compiling_needs(
    recipe: Callable[..., Path], data: Path
) -> None:
    """It does not change how a package is built, only what the image has of it."""
    recipe("top")
    recipe("kernel", "top")
    recipe("mine", "library", extra="devel: [usr/bin/mine-config]\n")
    recipe("library", extra="devel: [usr/share/library]\n")
    sets = data / "sets.yaml"
    text = sets.read_text().replace("packages: [top]\n", "packages: [top, kernel]\n")
    text += "  initramfs: {kernel: kernel, packages: [top], exclude: [usr/share/x, usr/include]}\n"
    own = ("usr/share/x", "usr/include")

    def excluded(more: str = "", name: str = "base") -> tuple[str, ...]:
        sets.write_text(text + more)
        names = {"set_name": name, "arch_name": "x86_64"}
        step = make_plan(data, **names, added=["mine"]).product["kernel"]  # type: ignore[arg-type]
        assert step.initramfs
        return step.initramfs.exclude

    step = make_plan(data, set_name="base", arch_name="x86_64", added=["mine"]).product["mine"]
    assert excluded() == own
    slim = excluded("  devel: no\n")
    assert slim[:2] == own and slim.count("usr/include") == 1 and "usr/lib/*.a" in slim
    assert slim[-2:] == ("usr/share/library", "usr/bin/mine-config")
    # A set that extends it may want them all the same.
    assert excluded("  devel: no\nbig: {extends: base, packages: [], devel: yes}\n", "big") == own
    assert excluded("big: {extends: base, packages: [], devel: no}\n", "big") == slim
    plan = make_plan(data, set_name="base", arch_name="x86_64", added=["mine"])
    assert plan.product["mine"] == step


@pytest.mark.fault(
    "with=NAME of a package that depends on the kernel with the initramfs", "refused by both names"
)
def test_an_added_package_cannot_depend_on_what_contains_it(
    recipe: Callable[..., Path], data: Path
) -> None:
    recipe("top")
    recipe("kernel")
    recipe("mine", "kernel")
    sets = data / "sets.yaml"
    text = sets.read_text().replace("packages: [top]\n", "packages: [top, kernel]\n")
    sets.write_text(text + "  initramfs: {kernel: kernel, packages: [top]}\n")
    with pytest.raises(BuildError, match="mine depends on kernel, whose initramfs") as caught:
        make_plan(data, set_name="base", arch_name="x86_64", added=["mine"])
    assert caught.value.where == "with="
    sets.write_text(sets.read_text() + "more: {extends: base, packages: [mine]}\n")
    with pytest.raises(BuildError, match="mine depends on kernel, whose initramfs") as caught:
        make_plan(data, set_name="more", arch_name="x86_64")
    assert str(caught.value.where).endswith("sets.yaml")


@pytest.mark.fault(
    "a set with a root partition without the packages that write it",
    "refused before anything is built; the line, and the packages",
)
def test_a_root_partition_needs_its_tools(recipe: Callable[..., Path], data: Path) -> None:
    recipe("top")
    recipe("writer", "library")
    recipe("library")
    (data / "toolbox.yaml").write_text("every: [top]\nimage: [top, writer]\n")
    sets = data / "sets.yaml"
    sets.write_text(sets.read_text() + "  root: yes\n")
    with pytest.raises(BuildError, match="lacks library, writer") as caught:
        planned(data)
    assert caught.value.where == "plan/sets.yaml:5"
    assert "add them to its packages" in (caught.value.hint or "")
    with pytest.raises(BuildError, match="for another architecture") as caught:
        make_plan(data, set_name="base", arch_name="aarch64", build_name="x86_64")
    assert caught.value.where == "plan/sets.yaml:5"
    sets.write_text(sets.read_text().replace("[top]", "[top, writer]"))
    assert [*planned(data).product] == ["top", "library", "writer"]


def test_step_ids_change_with_all_that_the_output_depends_on(
    recipe: Callable[..., Path], data: Path
) -> None:
    recipe("top", "bottom")
    recipe("bottom")
    step = planned(data).product["top"]

    def identity(**changes: object) -> str:
        inputs = {"build_root": "seed", "artifacts": {"bottom": "1"}, "image": None} | changes
        return step_id(step_inputs(step, **inputs))  # type: ignore[arg-type]

    ids = {
        identity(),
        identity(build_root="other"),
        identity(artifacts={"bottom": "2"}),
        identity(image={"a": 1}),
    }
    assert len(ids) == 4
    assert identity() == identity()
    assert identity(artifacts={"bottom": "1", "other": "3"}) == identity()


def test_where_a_source_is_found_does_not_change_the_step_id(
    recipe: Callable[..., Path], data: Path
) -> None:
    recipe("top")
    step = planned(data).product["top"]
    here = Source("a" * 64, 1, "x.tar", ("https://here.test/x",))
    there = replace(here, urls=("https://there.test/x",), size=2)
    other = replace(here, exclude=("docs",))

    def identity(*sources: Source) -> str:
        changed = replace(step, sources=sources)
        return step_id(step_inputs(changed, build_root="seed", artifacts={}))

    assert identity(here) == identity(there) != identity(other)
    # The first source is unpacked at /source, the others are files with their names in /input.
    renamed, wheel = replace(here, file="y.tar"), replace(here, file="x-1-py3-none-any.whl")
    assert identity(here, here) == identity(renamed, here) != identity(here, renamed)
    assert identity(here, here) != identity(wheel, here)
