"""Tools that a seed lacks: the recipes that build them, and the order."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from plan.compiling import toolchain
from plan.compiling.architecture import Machines, load_architecture
from plan.errors import BuildError
from plan.model import SYSROOT_FROM_SEED
from plan.reading.data import Data
from plan.reading.recipes import load_recipes
from plan.steps.plan import Plan
from plan.steps.planner import make_plan
from plan.steps.toolbox import seed_tools
from tests.checkout import ROOT
from tests.plan.conftest import RECIPE

DATA = ROOT / "plan"


def plan(seed: str) -> Plan:
    tools = seed_tools(DATA / "seeds", seed, "x86_64")
    return make_plan(DATA, set_name="full", arch_name="x86_64", seed=tools)


def test_a_seed_that_lacks_nothing_is_the_root_of_all_steps() -> None:
    assert not any(step.tools for step in plan("debian").phases[SYSROOT_FROM_SEED].values())


def test_what_a_seed_lacks_is_built_before_what_needs_it() -> None:
    made = plan("alpine")
    first = made.phases[SYSROOT_FROM_SEED]
    order = list(first)
    for name, step in first.items():
        assert all(order.index(tool) < order.index(name) for tool in step.tools)
    # Each of them is built with those above it in the seed's file.
    assert first["seed-libc"].tools == ()
    assert first["seed-make"].tools == ("seed-libc",)
    assert first["seed-binutils"].tools == ("seed-libc", "seed-make")
    assert first["seed-python"].tools == ("seed-libc", "seed-make", "seed-binutils")
    assert {"seed-make", "seed-python"} <= set(first["llvm"].tools)
    # They run on the machine that builds, and are linked to nothing that is built for the target.
    assert "seed-m4" in first["bison"].tools and "musl" not in first["bison"].tools


@pytest.mark.parametrize("target", ["aarch64", "riscv64", "x86_64"])
def test_no_seed_compiles_llvm_for_the_base_set(target: str) -> None:
    tools = seed_tools(DATA / "seeds", "alpine", "x86_64")
    made = make_plan(DATA, set_name="base", arch_name=target, build_name="x86_64", seed=tools)
    steps = made.phases[SYSROOT_FROM_SEED]
    assert "llvm" not in steps
    assert "seed-binutils" in steps["linux"].tools and "seed-binutils" in steps["busybox"].tools
    assert not any(name.startswith("seed-") for name in made.product)


def test_what_crystal_runs_has_its_libraries_where_the_product_is_of_another_machine() -> None:
    tools = seed_tools(DATA / "seeds", "alpine", "x86_64")
    libraries = ("seed-unwind", "seed-bdwgc", "seed-libevent", "seed-pcre2")
    for target in ("aarch64", "x86_64"):
        made = make_plan(DATA, set_name="base", arch_name=target, build_name="x86_64", seed=tools)
        steps = made.phases[SYSROOT_FROM_SEED]
        assert [name for name in steps["about"].tools if name in libraries] == (
            [*libraries] if target == "aarch64" else []
        )


def test_what_is_built_for_the_seed_is_not_in_the_product() -> None:
    made = plan("alpine")
    assert not {"seed-make", "seed-python"} & set(made.product)
    assert made.product_digest == plan("debian").product_digest


def test_the_second_phase_does_not_know_the_seed() -> None:
    one, other = plan("debian").product, plan("alpine").product
    assert one == other


@pytest.mark.fault("a seed that names a recipe which is not there", "the nearest name is told")
def test_a_tool_that_no_recipe_makes_is_told(tmp_path: Path) -> None:
    tools = replace(seed_tools(DATA / "seeds", "debian", "x86_64"), makes={"seed-mak": ("make",)})
    with pytest.raises(BuildError) as caught:
        make_plan(DATA, set_name="base", arch_name="x86_64", seed=tools)
    assert "seed-make" in str(caught.value)


# A tool that nothing can make, on any machine.
NO_CRYSTAL = {"crystal": "nobody compiled it"}


@pytest.mark.fault("a seed without a tool that nothing makes", "the package, the tool, the reason")
@pytest.mark.parametrize("seed", ["alpine", "debian"])
def test_a_tool_that_cannot_be_had_is_told(seed: str) -> None:
    tools = replace(seed_tools(DATA / "seeds", seed, "aarch64"), missing=NO_CRYSTAL)
    with pytest.raises(BuildError) as caught:
        make_plan(DATA, set_name="base", arch_name="aarch64", seed=tools, added=["about"])
    assert "about needs crystal, which the seed does not have: nobody" in str(caught.value)
    with pytest.raises(BuildError, match="crystal needs crystal, which the seed does not have"):
        make_plan(DATA, set_name="full", arch_name="aarch64", seed=tools)
    made = make_plan(DATA, set_name="base-tools", arch_name="aarch64", seed=tools)
    assert ("seed-make" in made.phases[SYSROOT_FROM_SEED]) == (seed == "alpine")


@pytest.mark.parametrize(("missing", "lacks"), [(NO_CRYSTAL, ["about"]), ({}, [])])
def test_what_a_seed_cannot_build_is_left_out_of_the_first_phase(
    missing: dict[str, str], lacks: list[str]
) -> None:
    tools = replace(seed_tools(DATA / "seeds", "debian", "aarch64"), missing=missing)
    made = make_plan(DATA, set_name="base", arch_name="aarch64", seed=tools)
    assert list(made.without) == lacks
    assert ("about" in made.wanted) == ("about" in made.set.initramfs.packages) == (not lacks)
    assert all("nobody compiled it" in why for why in made.without.values())


@pytest.mark.parametrize("arch", ["aarch64", "x86_64"])
@pytest.mark.parametrize("seed", ["alpine", "debian"])
@pytest.mark.parametrize("set_name", ["base", "full"])
def test_machines_of_every_seed_build_everything(set_name: str, seed: str, arch: str) -> None:
    def planned(build: str) -> Plan:
        tools = seed_tools(DATA / "seeds", seed, build)
        return make_plan(DATA, set_name=set_name, arch_name=arch, build_name=build, seed=tools)

    one, other = planned("aarch64"), planned("x86_64")
    assert not one.without and not other.without
    assert one.wanted == other.wanted and "about" in one.wanted


def test_a_loader_is_laid_in_only_where_the_seed_has_another_c_library() -> None:
    arch = load_architecture("x86_64")
    own = toolchain.own_compiler(load_recipes(Data(DATA)))

    def paths(seed: str) -> set[str]:
        compiler = seed_tools(DATA / "seeds", seed, "x86_64").compiler or own
        return {each.path for each in toolchain.additions(Machines(arch, arch), compiler, own)}

    loader, searched = "/usr/lib/ld-musl-x86_64.so.1", "/etc/ld-musl-x86_64.path"
    assert {loader, searched} <= paths("debian")
    assert searched in paths("alpine") and loader not in paths("alpine")
    assert not {loader, searched} & paths("self")


@pytest.mark.parametrize("target", ["aarch64", "x86_64"])
@pytest.mark.parametrize("seed", ["alpine", "debian"])
def test_tools_that_no_seed_has_are_built_for_what_needs_them(
    tmp_path: Path, seed: str, target: str
) -> None:
    shutil.copytree(DATA, tmp_path / "plan")
    text = RECIPE.format(name="mine", depends="musl").replace(
        "script\nbuild: |\n  true", "autoreconf"
    )
    (tmp_path / "plan" / "recipes" / "mine.yaml").write_text(text)

    def made(**more: Any) -> Plan:
        names = {"arch_name": target, "build_name": "x86_64"}
        return make_plan(tmp_path / "plan", added=["mine"], **{**names, **more})

    tools = seed_tools(DATA / "seeds", seed, "x86_64")
    steps = made(set_name="base", seed=tools).phases[SYSROOT_FROM_SEED]
    own = ("autoconf", "automake", "libtool")
    assert tuple(name for name in steps["mine"].tools if name in own) == own
    order = list(steps)
    assert all(order.index(name) < order.index("mine") for name in own)
    assert steps["automake"].tools[-1] == "autoconf" and "autoconf" not in steps["autoconf"].tools
    assert not {*own} & {*steps["busybox"].tools}
    with pytest.raises(
        BuildError, match="cannot build itself: it lacks autoconf, automake, libtool"
    ):
        made(set_name="full", seed=tools)
