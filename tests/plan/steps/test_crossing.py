"""Plans for another architecture than the build architecture."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from plan.compiling.toolchain import additions, environment, own_compiler
from plan.errors import BuildError
from plan.model import Step
from plan.reading.changes import ENTRY_KEYS
from plan.reading.data import Data
from plan.reading.overrides import load_overrides
from plan.reading.recipes import load_recipes
from plan.steps.plan import Plan
from plan.steps.planner import load_machines, make_plan
from plan.steps.toolbox import seed_tools
from tests.plan.conftest import PLAN

CONFIGURE = (
    'name: {0}\nversion: "1"\nlicense: MIT\ndescription: a test\ndepends: [{1}]\ntools: [{2}]\n'
    "style: configure\n"
)


def crossed(data: Path, set_name: str = "base", **more: object) -> Plan:
    names = {"set_name": set_name, "arch_name": "aarch64", "build_name": "x86_64"}
    return make_plan(data, **(names | more))  # type: ignore[arg-type]


def native(data: Path, name: str, set_name: str = "base") -> Plan:
    return make_plan(data, set_name=set_name, arch_name=name)


def text_of(step: Step, path: str) -> str:
    return next(each.text for each in step.additions if each.path == path)


def paths(step: Step) -> set[str]:
    return {each.path for each in step.additions}


def test_a_crossed_step_is_told_both_machines(data: Path) -> None:
    (data / "recipes" / "top.yaml").write_text(CONFIGURE.format("top", "", ""))
    step = crossed(data).product["top"]
    assert step.commands[0].argv[1:3] == (
        "--build=x86_64-bq2-linux-musl",
        "--host=aarch64-bq2-linux-musl",
    )
    told = dict(step.environment)
    assert told["BUILD"] == "x86_64-bq2-linux-musl"
    assert (told["TARGET"], told["ARCH"]) == ("aarch64-bq2-linux-musl", "aarch64")
    assert told["KERNEL_ARCH"] == "arm64"
    assert "--target=aarch64-bq2-linux-musl" in text_of(step, "/toolchain/target.cfg")
    assert "set(CMAKE_CROSSCOMPILING ON)" in text_of(step, "/toolchain/target.cmake")
    assert "set(CMAKE_SYSTEM_PROCESSOR aarch64)" in text_of(step, "/toolchain/target.cmake")


def test_only_what_can_run_is_given_a_loader(data: Path, recipe: Callable[..., Path]) -> None:
    recipe("top")
    assert not any("ld-musl" in path for path in paths(crossed(data).product["top"]))
    assert "/usr/lib/ld-musl-aarch64.so.1" in paths(native(data, "aarch64").product["top"])


def test_on_its_own_machine_nothing_says_that_it_could_be_crossed(data: Path) -> None:
    (data / "recipes" / "top.yaml").write_text(CONFIGURE.format("top", "", ""))
    plan = native(data, "x86_64")
    same = make_plan(data, set_name="base", arch_name="x86_64", build_name="x86_64")
    assert plan.digest == same.digest
    step = plan.product["top"]
    assert "BUILD" not in dict(step.environment)
    assert step.commands[0].argv[1:3] == (
        "--build=x86_64-bq2-linux-musl",
        "--host=x86_64-bq2-linux-musl",
    )
    assert "build" not in json.loads(plan.as_json({}))
    assert json.loads(crossed(data).as_json({}))["build"] == "x86_64"


FULL = """\
full:
  phase: rootfs-from-sysroot
  packages: [cc, top]
  exclude: []
"""


@pytest.fixture
def two_phases(data: Path) -> Path:
    """A set whose packages are all built by the package cc, which is one of them."""
    with (data / "sets.yaml").open("a") as file:
        file.write(FULL)
    (data / "toolbox.yaml").write_text("every: [cc]\n")
    for name in ("cc", "top"):
        (data / "recipes" / f"{name}.yaml").write_text(CONFIGURE.format(name, "", ""))
    return data


def test_the_tools_are_of_the_machine_and_the_product_of_the_target(two_phases: Path) -> None:
    plan = crossed(two_phases, "full")
    first, second = plan.phases["sysroot-from-seed"], plan.phases["rootfs-from-sysroot"]
    # The first phase is that of the machine's own plan, but for what is only a tool there.
    assert first == native(two_phases, "x86_64", "full").phases["sysroot-from-seed"]
    assert second["top"].tools == ("cc",)
    assert "--host=aarch64-bq2-linux-musl" in second["top"].commands[0].argv
    assert dict(second["top"].environment)["BUILD"] == "x86_64-bq2-linux-musl"
    assert plan.product == second


def test_what_runs_in_a_build_is_compiled_without_a_word_of_the_target() -> None:
    """HOSTCC compiles for the root that it runs in: the seed's C library, or that of the tools."""
    machines = load_machines(Data(PLAN), "x86_64", "aarch64")
    own = own_compiler(load_recipes(Data(PLAN)))
    for compiler in (seed_tools(PLAN / "seeds", "debian", "x86_64").compiler or own, own):
        assert environment(machines, compiler)["HOSTCC"] == "clang"
        assert environment(machines, compiler)["PATH"].startswith(compiler.programs)
        assert not any("ld-musl" in each.path for each in additions(machines, compiler, own))


def test_files_for_one_architecture_are_part_of_its_steps_alone(
    data: Path, recipe: Callable[..., Path]
) -> None:
    recipe("top")
    directory = data / "recipes" / "top"
    directory.mkdir()
    for name in ("x86_64.config", "aarch64.config", "script"):
        (directory / name).write_text(name)
    assert [name for name, _ in crossed(data).product["top"].files] == ["aarch64.config", "script"]
    before = native(data, "x86_64").digest
    (directory / "aarch64.config").write_text("changed")
    assert native(data, "x86_64").digest == before
    (directory / "aarch64.config").unlink()
    assert native(data, "x86_64").digest == before
    with pytest.raises(BuildError, match="top is not written for aarch64 yet") as caught:
        crossed(data)
    assert caught.value.where == "plan/recipes/top/aarch64.config"


@pytest.mark.fault(
    "a recipe has patches for one architecture, or a layer a file with the name of one",
    "a patch is applied where it belongs; the layer's file is in each product",
)
def test_patches_for_one_architecture(data: Path, recipe: Callable[..., Path]) -> None:
    recipe("top")
    patches = data / "recipes" / "top" / "patches"
    (patches / "more").mkdir(parents=True)
    for name in ("01-all", "aarch64"):
        (patches / f"{name}.patch").write_text(name)
    (data / "recipes" / "top" / "keys").mkdir()
    (data / "recipes" / "top" / "keys" / "aarch64.pub").write_text("a key")

    def applied(step: Step) -> list[str]:
        return [command.argv[-1] for command in step.commands if command.argv[0] == "patch"]

    assert applied(native(data, "x86_64").product["top"]) == ["/recipe/patches/01-all.patch"]
    assert applied(crossed(data).product["top"])[1:] == ["/recipe/patches/aarch64.patch"]
    files = [name for name, _ in native(data, "x86_64").product["top"].files]
    assert files == ["keys/aarch64.pub", "patches/01-all.patch"]
    # A patch for x86_64 does not stand for a file that is missing.
    (data / "recipes" / "top" / "aarch64.config").touch()
    (patches / "x86_64.patch").touch()
    with pytest.raises(BuildError, match="top is not written for x86_64 yet") as caught:
        native(data, "x86_64")
    assert caught.value.where == "plan/recipes/top/x86_64.config"


CROSSED = """\
environment: {A: "1", B: "2"}
crossed:
  environment: {B: "3"}
  add-build: |
    false
  build: |
    echo crossed
"""


def test_what_is_other_where_a_recipe_is_crossed(data: Path, recipe: Callable[..., Path]) -> None:
    recipe("top", extra=CROSSED)
    step = crossed(data).product["top"]
    assert step.commands[0].argv[2] == "echo crossed\nfalse\n"
    assert {"A": "1", "B": "3"}.items() <= dict(step.environment).items()
    assert native(data, "x86_64").product["top"].commands[0].argv[2] == "true\n"


AS_TOOL = """\
environment: {A: "1"}
as-tool:
  environment: {A: "2"}
  depends: []
"""


def test_a_tool_of_the_second_phase_leaves_out_what_no_build_uses(two_phases: Path) -> None:
    """But not where it makes what another machine runs: that may need the rest."""
    with (two_phases / "recipes" / "cc.yaml").open("a") as file:
        file.write(AS_TOOL)
    plan = native(two_phases, "x86_64", "full")
    found = [
        dict(phase["cc"].environment)["A"]
        for each in (plan, crossed(two_phases, "full"))
        for phase in each.phases.values()
    ]
    assert found == ["2", "1", "1", "1"]
    overrides = two_phases / "overrides.yaml"
    overrides.write_text("cc:\n  environment: {A: '3'}\n")
    changed = make_plan(two_phases, set_name="full", arch_name="x86_64", overrides=overrides)
    assert {dict(phase["cc"].environment)["A"] for phase in changed.phases.values()} == {"3"}


def test_the_tools_of_this_project_build_without_tls_and_without_other_targets() -> None:
    plan = native(PLAN, "x86_64", "full")
    first, second = plan.phases.values()
    assert not {"openssl", "sqlite"} & first.keys()
    assert {"openssl", "sqlite"} <= second.keys()
    crossing = crossed(PLAN, "full").phases["sysroot-from-seed"]
    assert [
        dict(each["llvm"].environment).get("TARGETS") for each in (first, second, crossing)
    ] == [
        "own",
        None,
        None,
    ]


def test_overrides_come_after_what_is_crossed(data: Path, recipe: Callable[..., Path]) -> None:
    recipe("top", extra=CROSSED)
    overrides = data / "overrides.yaml"
    overrides.write_text("top:\n  environment: {B: '4'}\n  build: echo mine\n")
    step = crossed(data, overrides=overrides).product["top"]
    assert step.commands[0].argv[2] == "echo mine"
    assert dict(step.environment)["B"] == "4"


@pytest.mark.parametrize(
    ("extra", "message", "hint"),
    [
        ("crossed: {biuld: x}\n", "unknown key 'biuld'", "did you mean build?"),
        ("crossed: {style: make}\n", "unknown key 'style'", None),
        ("crossed: {environment: {A: [1]}}\n", "'A' must be text", None),
        ("crossed: {remove: [[1]]}\n", "'remove' must be a list of plain values", None),
    ],
)
def test_what_crossed_cannot_say(
    data: Path, recipe: Callable[..., Path], extra: str, message: str, hint: str | None
) -> None:
    recipe("top", extra=extra)
    with pytest.raises(BuildError, match=message) as caught:
        native(data, "x86_64")
    assert (caught.value.where or "").startswith("plan/recipes/top.yaml:9")
    assert hint is None or caught.value.hint == hint


def test_an_override_cannot_say_how_a_recipe_is_crossed() -> None:
    assert {"as-tool", "crossed", "name", "style"}.isdisjoint(ENTRY_KEYS)


def test_what_an_architecture_cannot_have_is_left_out(
    data: Path, recipe: Callable[..., Path]
) -> None:
    recipe("top")
    recipe("more")
    recipe("needs", "more")
    sets = data / "sets.yaml"
    initramfs = "  initramfs: {kernel: top, packages: [more]}\n"
    sets.write_text(sets.read_text().replace("[top]", "[top, more]") + initramfs)
    file = data / "architectures.yaml"
    without = "aarch64:\n  without: {more: nobody wrote it}\n"
    file.write_text(file.read_text().replace("aarch64:\n", without, 1))
    plan = native(data, "aarch64")
    assert (list(plan.product), plan.set.initramfs.packages) == (["top"], ())
    assert list(native(data, "x86_64").product) == ["more", "top"]
    for added in ("more", "needs"):
        with pytest.raises(BuildError, match="more does not exist for aarch64: nobody wrote it"):
            make_plan(data, set_name="base", arch_name="aarch64", added=[added])


@pytest.mark.parametrize("set_name", ["base", "full"])
def test_both_sets_can_be_crossed(set_name: str) -> None:
    plan = crossed(PLAN, set_name)
    assert list(plan.product) == list(native(PLAN, "x86_64", set_name).product)
    files = {name for name, _ in plan.product["linux"].files}
    assert {"aarch64.config", "disks.config", "make-kernel"} < files
    assert not files & {"x86_64.config", "riscv64.config"}
    busybox = plan.product["busybox"].commands[0].argv[2]
    assert "./busybox --list" not in busybox and "busybox.links" in busybox


@pytest.mark.fault(
    "an architecture that a set's compiler does not know, set=full arch=riscv64",
    "the plan is refused, with what the set lacks and why",
)
def test_a_set_without_its_compiler_says_why() -> None:
    with pytest.raises(BuildError, match="it lacks llvm") as caught:
        crossed(PLAN, "full", arch_name="riscv64")
    assert "no llvm for riscv64: plan/recipes/llvm.yaml" in (caught.value.hint or "")


def test_the_image_of_a_product_that_cannot_be_run_is_made_by_tools_of_the_machine() -> None:
    plan = crossed(PLAN, "full")
    assert {step.phase for step in plan.image_tools} == {"sysroot-from-seed"}
    assert [step.name for step in plan.image_tools][-1] == "e2fsprogs"
    own = native(PLAN, "aarch64", "full")
    assert own.image_tools == list(own.product.values())
    assert "e2fsprogs" not in own.phases["sysroot-from-seed"]


def test_recipes_that_nothing_changes_are_made_once() -> None:
    changes = load_overrides(Data(PLAN), None)
    phases = ("sysroot-from-seed", "rootfs-from-sysroot")
    made = [changes.made(phase) for phase in phases]
    assert made[0] is made[1]
