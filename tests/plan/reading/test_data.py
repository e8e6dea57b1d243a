"""plan/reading/data.py: the data of this project and of layers, in order."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from plan.errors import BuildError
from plan.reading.data import Data, load_data
from plan.reading.overrides import load_overrides
from plan.reading.recipes import load_recipes
from plan.steps.plan import Plan
from plan.steps.planner import make_plan
from tests.plan.conftest import RECIPE

fault = pytest.mark.fault


def planned(data: Data, **more: str) -> Plan:
    return make_plan(data, **{"set_name": "base", "arch_name": "x86_64"} | more)  # type: ignore[arg-type]


@pytest.fixture
def layer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A layer with the recipe `mine`."""
    directory = tmp_path_factory.mktemp("layers") / "one"
    (directory / "recipes").mkdir(parents=True)
    write(directory, "mine")
    return directory


def write(layer: Path, name: str, *depends: str, extra: str = "") -> None:
    text = RECIPE.format(name=name, depends=", ".join(depends)) + extra
    (layer / "recipes" / f"{name}.yaml").write_text(text)


def test_a_layer_adds_recipes_and_sets(
    recipe: Callable[..., Path], data: Path, layer: Path
) -> None:
    recipe("top")
    before = planned(Data(data))
    (layer / "recipes" / "mine").mkdir()
    (layer / "recipes" / "mine" / "note").write_text("a file of it")
    write(layer, "mine", "top")
    (layer / "sets.yaml").write_text("more:\n  extends: base\n  packages: [mine]\n")
    both = load_data(data, [layer])
    assert planned(both).digest == before.digest, "nothing that is built needs the layer"
    plan = planned(both, set_name="more")
    assert plan.wanted == ("top", "mine")
    assert plan.product["mine"].files[0][0] == "note"
    assert plan.product["top"] == before.product["top"]
    assert {name: each.name for name, each in plan.layered.items()} == {"mine": "one"}


def test_a_layer_has_words_for_licenses(
    recipe: Callable[..., Path], data: Path, layer: Path
) -> None:
    recipe("top")
    file = layer / "recipes" / "mine.yaml"
    file.write_text(file.read_text().replace("MIT", "Beerware"))
    with pytest.raises(BuildError, match="unknown SPDX license 'Beerware'") as caught:
        load_recipes(load_data(data, [layer]))
    assert caught.value.where == f"{file}:3"
    (layer / "licenses.yaml").write_text("licenses: [Beerware]\n")
    assert load_recipes(load_data(data, [layer]))["mine"].license == "Beerware"
    (layer / "licenses.yaml").write_text("licenses: [Beerware, Beer Ware]\n")
    with pytest.raises(BuildError, match="'Beer Ware' is no identifier of SPDX"):
        load_recipes(load_data(data, [layer]))


def test_a_layer_adds_an_architecture(recipe: Callable[..., Path], data: Path, layer: Path) -> None:
    recipe("top")
    text = (data / "architectures.yaml").read_text()
    found = re.search(r"^riscv64:\n(?:[ #].*\n|\n)+", text, re.MULTILINE)
    assert found
    entry = found[0].replace("riscv64", "riscv32")
    (layer / "architectures.yaml").write_text(entry)
    plan = planned(load_data(data, [layer]), arch_name="riscv32", build_name="x86_64")
    assert plan.arch.triple == "riscv32-bq2-linux-musl"
    file = layer / "architectures.yaml"
    file.write_text(entry.replace("  triple: ", "  tripel: "))
    with pytest.raises(BuildError, match="unknown key 'tripel'") as caught:
        planned(load_data(data, [layer]), arch_name="riscv32", build_name="x86_64")
    assert (caught.value.where or "").startswith(f"{file}:")


def test_what_a_layer_replaces_has_its_place(
    recipe: Callable[..., Path], data: Path, layer: Path
) -> None:
    recipe("top")
    recipe("zlib")
    write(layer, "top", "mine", extra="remove: [usr/x]\n")
    (layer / "layer.yaml").write_text("replaces: [top]\n")
    both = load_data(data, [layer])
    assert list(load_recipes(both)) == ["top", "zlib", "mine"]
    assert planned(both).product["top"].remove[-1] == "usr/x"


def test_a_seed_file_of_a_layer_is_beside_the_others(data: Path, layer: Path) -> None:
    (layer / "seeds").mkdir()
    (layer / "seeds" / "debian-riscv64.lock.yaml").write_text("a: b\n")
    seeds = load_data(data, [layer]).seeds
    assert (seeds / "debian-riscv64.lock.yaml").parent == layer / "seeds"
    assert (seeds / "debian.yaml").parent == data / "seeds"
    names = {path.name for path in seeds.glob("debian-*.yaml")}
    assert {"debian-riscv64.lock.yaml", "debian-x86_64.lock.yaml"} <= names


@fault(
    "a file in a layer's directory that has the name of one of plan/", "it is no part of the layer"
)
@pytest.mark.parametrize("name", ["toolbox.yaml", "libraries.yaml", "costs.yaml", "wheels.yaml"])
def test_other_files_of_a_layer_do_not_matter(
    recipe: Callable[..., Path], data: Path, layer: Path, name: str
) -> None:
    recipe("top")
    (data / name).write_text("every: []\n")
    before = planned(load_data(data, [layer]))
    (layer / name).write_text("every: [mine]\n")
    both = load_data(data, [layer])
    assert both / name == data / name
    assert planned(both).digest == before.digest


@fault("a layer that names what the project has, without `replaces`", "both files, and the key")
@pytest.mark.parametrize(
    ("file", "text", "name"),
    [
        ("recipes/top.yaml", RECIPE.format(name="top", depends=""), "top"),
        ("sets.yaml", "base: {extends: base, packages: []}\n", "base"),
        ("architectures.yaml", "x86_64: {}\n", "x86_64"),
        ("seeds/debian.yaml", "a: b\n", "debian.yaml"),
    ],
)
def test_what_is_there_is_not_replaced_without_a_word(
    recipe: Callable[..., Path], data: Path, layer: Path, file: str, text: str, name: str
) -> None:
    recipe("top")
    (layer / file).parent.mkdir(exist_ok=True)
    (layer / file).write_text(text)
    with pytest.raises(BuildError, match=f"defines {name} already") as caught:
        load_data(data, [layer])
    assert caught.value.where == str(layer / file)
    assert f"replaces: [{name}]" in (caught.value.hint or "")


@fault(
    "files in a layer for a recipe that only the project has", "refused, with both ways to do it"
)
def test_files_need_their_recipe_in_the_layer(
    recipe: Callable[..., Path], data: Path, layer: Path
) -> None:
    recipe("top")
    files = layer / "recipes" / "top"
    files.mkdir()
    with pytest.raises(BuildError, match="the recipe top is not of this layer") as caught:
        load_data(data, [layer])
    assert caught.value.where == str(files)
    assert "replaces: [top]" in (caught.value.hint or "")
    assert "overrides.yaml" in (caught.value.hint or "")


@fault("`replaces` of a layer with a name that nothing has", "the line, and the nearest name")
def test_replaces_is_checked(recipe: Callable[..., Path], data: Path, layer: Path) -> None:
    recipe("top")
    (layer / "layer.yaml").write_text("name: one\nreplaces: [topp]\n")
    with pytest.raises(BuildError, match="'topp', which nothing before it has") as caught:
        load_data(data, [layer])
    assert caught.value.where == f"{layer / 'layer.yaml'}:2"
    assert caught.value.hint == "did you mean top?"
    (layer / "layer.yaml").write_text("name: one\nreplaces: [mine]\n")
    with pytest.raises(BuildError, match="'mine', which nothing before it has") as caught:
        load_data(data, [layer])
    assert caught.value.hint == "remove it from `replaces`: the layer adds it"


@fault("a layer whose recipes make a cycle with the project's", "the cycle, and the layer's file")
def test_a_cycle_through_a_layer_names_it(
    recipe: Callable[..., Path], data: Path, layer: Path
) -> None:
    recipe("low")
    recipe("top", "low")
    write(layer, "mine", "top")
    write(layer, "low", "mine")
    (layer / "layer.yaml").write_text("replaces: [low]\n")
    with pytest.raises(BuildError, match="low → mine → top → low") as caught:
        planned(load_data(data, [layer]))
    assert caught.value.where == f"{layer / 'recipes' / 'low.yaml'}:5"


@fault("two layers with one name, or a set that extends itself", "refused; both are named")
def test_names_are_the_layers_own(
    recipe: Callable[..., Path], data: Path, layer: Path, tmp_path: Path
) -> None:
    recipe("top")
    (layer / "sets.yaml").write_text("a: {extends: b, packages: []}\nb: {extends: a, packages: []}")
    with pytest.raises(BuildError, match="a set cannot extend itself: a → b → a"):
        planned(load_data(data, [layer]), set_name="a")
    with pytest.raises(BuildError, match="this layer is given twice"):
        load_data(data, [layer, layer])
    other = tmp_path / "one"
    (other / "kernel").mkdir(parents=True)
    with pytest.raises(BuildError, match="two layers have the name one"):
        load_data(data, [layer, other])


@fault("a layer's set with the kernel in its own initramfs", "refused, with the line of the set")
def test_a_kernel_in_itself(recipe: Callable[..., Path], data: Path, layer: Path) -> None:
    recipe("kernel")
    (layer / "sets.yaml").write_text(
        "a:\n  phase: sysroot-from-seed\n  packages: [kernel]\n  exclude: []\n"
        "  initramfs: {kernel: kernel, packages: [kernel], exclude: []}\n"
    )
    with pytest.raises(BuildError, match="cannot be in its own initramfs") as caught:
        planned(load_data(data, [layer]), set_name="a")
    assert caught.value.where == f"{layer / 'sets.yaml'}:5"


@fault("a directory of files for a recipe that a layer does not have", "refused, nearest name")
def test_files_of_no_recipe(data: Path, layer: Path) -> None:
    (layer / "recipes" / "mnie").mkdir()
    (layer / "recipes" / "mnie" / "a.patch").write_text("")
    with pytest.raises(BuildError, match="there is no recipe mnie") as caught:
        load_data(data, [layer])
    assert caught.value.hint == "did you mean mine?"


def test_overrides_change_a_layers_package(
    recipe: Callable[..., Path], data: Path, layer: Path, tmp_path: Path
) -> None:
    recipe("top")
    (layer / "recipes" / "mine" / "patches").mkdir(parents=True)
    (layer / "recipes" / "mine" / "patches" / "a.patch").write_text("a")
    file = tmp_path / "overrides.yaml"
    file.write_text("mine: {version: '2', patches: [a.patch]}\n")
    (tmp_path / "patches" / "mine").mkdir(parents=True)
    (tmp_path / "patches" / "mine" / "a.patch").write_text("b")
    with pytest.raises(BuildError, match=r"already has a patch 'a\.patch'"):
        load_overrides(load_data(data, [layer]), file)


@fault(
    "a bundle or a product, where the path of a folder leads to another directory",
    "the source is the folder that was packed",
)
def test_a_packed_folder_comes_first(data: Path, layer: Path) -> None:
    found = load_data(data, layers=[layer])
    there = found.folder("mine", "../..")
    assert there == layer.parent
    packed = data.parent / "folders" / "mine"
    packed.mkdir(parents=True)
    assert found.folder("mine", "../..") == packed
