"""A layer on the real command line: what is built with it, who tells of it, where it travels."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from plan.documents import provenance
from plan.documents.sbom import sbom
from tasks import bundle
from tasks.completion import words
from tasks.engine.products import proof
from tasks.engine.products.products import all_own_files, own_hash
from tasks.engine.survey import told_plan
from tests.tasks.toy import Checkout

pytestmark = pytest.mark.namespace
fault = pytest.mark.fault


def with_layer(toy: Checkout, directory: Path, *, below: str = "bottom", of: str = "base") -> Path:
    """A layer with the package `extra`, which depends on `below`, a set with it that extends `of`,
    and files; `toy` is run with it.
    """
    path = toy.recipe("extra", f"cat /sysroot/usr/share/{below} /recipe/note > $share/extra", below)
    (directory / "recipes" / "extra").mkdir(parents=True)
    shutil.move(path, directory / "recipes" / "extra.yaml")
    (directory / "recipes" / "extra" / "note").write_text("of a layer\n")
    (directory / "sets.yaml").write_text(f"more: {{extends: {of}, packages: [extra]}}\n")
    (directory / "files" / "usr" / "share").mkdir(parents=True)
    (directory / "files" / "usr" / "share" / "left").write_text("of a layer\n")
    (directory / "files" / "usr" / "share" / "run").write_text("#!/bin/sh\n")
    (directory / "files" / "usr" / "share" / "run").chmod(0o755)
    text = "name: mine\nmodes: {usr/share/left: '0600'}\nlinks: {usr/share/link: left}\n"
    (directory / "layer.yaml").write_text(text)
    toy.variables |= {"BQ2_LAYER": str(directory), "BQ2_SET": "more"}
    return directory


@pytest.fixture
def layer(toy: Checkout, tmp_path: Path) -> Path:
    return with_layer(toy, tmp_path / "layer")


def test_a_layer_is_built_and_is_in_the_image(built: Checkout, tmp_path: Path) -> None:
    layer = with_layer(built, tmp_path / "layer")
    # What the project builds without it stays as it is, except for the initramfs.
    built.builds("extra", "mine-files", "kernel")
    assert built.tree("extra", "usr/share/extra").read_text() == "bottom\nof a layer\n"
    tree = built.tree("mine-files", "usr/share")
    assert [(tree / name).lstat().st_mode & 0o777 for name in ("left", "run")] == [0o600, 0o755]
    assert (tree / "link").readlink() == Path("left")
    initramfs = built.tree("kernel", "boot/kernel.efi").read_bytes()
    assert b"usr/share/extra\0" in initramfs
    # The layer's file, not that of the package `left`.
    name, _, after = initramfs.partition(b"usr/share/left\0")
    assert name and after.lstrip(b"\0").startswith(b"of a layer\n")
    done = built.doit("pkg")
    assert done.status == 0 and not done.built, done
    (layer / "recipes" / "extra" / "note").write_text("changed\n")
    assert "files.note" in built.doit("why", "pkg:extra").said
    built.builds("extra", "kernel")
    # Without the layer, the first system is there again.
    del built.variables["BQ2_LAYER"]
    assert built.doit("pkg", "set=base").built == []


def test_who_tells_of_a_layer(toy: Checkout, layer: Path) -> None:
    assert "set more, x86_64, layer mine" in toy.doit("status").said
    rows = toy.doit("list", "pkg").said.splitlines()
    assert [row.split()[0] for row in rows if row.endswith("mine")] == ["extra", "mine-files"]
    project = toy.project()
    assert told_plan(project.plan).endswith("layer mine")
    (own,) = project.plan.layers
    bill = json.loads(sbom(project.plan, {}))
    told = {each["name"]: each.get("properties") for each in bill["components"]}
    value = [{"name": "bootstrap-qcow2:layer", "value": f"mine {own.sha256}"}]
    assert told["extra"] == value and told["bottom"] is None


def test_the_provenance_names_it_by_its_hash(built: Checkout, tmp_path: Path) -> None:
    layer = with_layer(built, tmp_path / "layer")
    assert built.doit("pkg").status == 0
    project = built.project()
    definition = proof.statement(project)["predicate"]["buildDefinition"]
    (told,) = definition["externalParameters"]["layers"]
    assert told["name"] == "mine" and told["annotations"]["packages"] == ["extra", "mine-files"]
    before = own_hash(project)
    (layer / "recipes" / "extra.yaml").write_text(
        (layer / "recipes" / "extra.yaml").read_text() + "# Only a comment.\n"
    )
    other = built.project()
    assert other.plan.digest == project.plan.digest
    assert other.plan.layers[0].sha256 != told["digest"]["sha256"]
    assert own_hash(other) != before, "a product holds the text of the layer"


def test_a_layer_travels(toy: Checkout, layer: Path, tmp_path: Path) -> None:
    """Into a bundle, and into the project of a product: it plans the same there."""
    before = toy.project()
    for name, content, runs in all_own_files(before):
        path = tmp_path / "there" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        path.chmod(0o755 if runs else 0o644)
    there = Checkout(tmp_path / "there", toy.cache, toy.seed, {"BQ2_SET": "more"})
    (there.root / "local.yaml").write_text("layer: layers/mine\n")
    own = own_hash(before)
    bundled = {name: content for name, content, _ in bundle._contents(before)}
    assert b"layer: layers/mine\n" in bundled["bootstrap-qcow2/local.yaml"]
    assert "bootstrap-qcow2/layers/mine/recipes/extra/note" in bundled
    shutil.rmtree(layer)
    after = there.project()
    assert after.plan.digest == before.plan.digest
    assert own_hash(after) == own


def test_a_folder_is_built_again_when_a_file_changes_and_travels(
    toy: Checkout, tmp_path: Path
) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "note").write_text("first\n")
    text = f"[{{folder: '{folder}'}}]"
    toy.recipe("extra", "cat note > $share/extra", "bottom", sources=text)
    toy.variables["BQ2_WITH"] = "extra"
    assert toy.doit("pkg:extra").built == ["bottom", "extra"]
    assert toy.tree("extra", "usr/share/extra").read_text() == "first\n"
    (folder / "note").write_text("second\n")
    done = toy.doit("pkg:extra", "offline=1")
    assert done.built == ["extra"], done
    assert toy.tree("extra", "usr/share/extra").read_text() == "second\n"
    assert toy.doit("pkg:extra").built == []
    before = toy.project()
    (bundled,) = (
        content for name, content, _ in bundle._contents(before) if name.endswith("extra/note")
    )
    for name, content, _ in all_own_files(before):
        path = tmp_path / "there" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    shutil.rmtree(folder)
    there = Checkout(tmp_path / "there", toy.cache, toy.seed, toy.variables)
    assert there.project().plan.digest == before.plan.digest
    assert bundled == b"second\n"
    assert "there is no folder" in toy.doit("pkg:extra").said


def test_overrides_are_applied_to_a_layer(toy: Checkout, layer: Path) -> None:
    file = toy.root / "work" / "overrides.yaml"
    file.parent.mkdir()
    file.write_text("extra: {version: '2'}\n")
    assert "version: 1 → 2" in toy.doit("overrides").said
    done = toy.doit("overrides", "apply")
    assert done.status == 0, done
    assert f"{layer}/recipes/extra.yaml: version" in done.said
    assert "version: '2'\n" in (layer / "recipes" / "extra.yaml").read_text()
    assert not file.exists()


@fault(
    "`overrides apply` with a layer that holds the work directory, links and a folder as a source",
    "only what is read is copied to try it; it is applied",
)
def test_overrides_are_applied_beside_anything(toy: Checkout, layer: Path) -> None:
    folder = layer.parent / "code"
    folder.mkdir()
    (folder / "a.c").write_text("")
    recipe = layer / "recipes" / "extra.yaml"
    recipe.write_text(recipe.read_text() + "sources:\n  - folder: ../../code\n")
    (layer / "README.link").symlink_to("/gone")
    file = layer / "work" / "overrides.yaml"
    file.parent.mkdir()
    file.write_text("extra: {version: '2'}\nbottom: {description: other}\n")
    done = toy.doit("overrides", "apply", f"workdir={layer}/work")
    assert done.status == 0, done
    assert "version: '2'\n" in recipe.read_text() and not file.exists()


def test_completion_knows_it(toy: Checkout, layer: Path) -> None:
    root, here = toy.root, layer.parent
    assert words(["layer=layer"], "pkg:ext", root=root, here=here) == ["pkg:extra"]
    assert words(["layer=layer"], "set=mo", root=root, here=here) == ["set=more"]
    assert words([], "pkg:ext", root=root, here=here) == []
    assert words([], "layer=layer/f,layer/re", root=root, here=here) == [
        "layer=layer/f,layer/recipes/"
    ]
    (root / "local.yaml").write_text(f"jobs: 2\nlayer: {layer}  # mine\n")
    assert words(["image"], "with=ext", root=root, here=here) == ["with=extra"]


def test_a_new_layer_is_one(toy: Checkout, tmp_path: Path) -> None:
    done = toy.doit("layer", "new", f"{tmp_path}/own")
    assert done.status == 0 and f"image layer={tmp_path}/own set=own" in done.said, done
    # The toy has no compiler, which the real packages below `hello` need.
    toy.recipe("musl", "true")
    toy.recipe("compiler-rt", "true")
    toy.variables |= {"BQ2_LAYER": f"{tmp_path}/own", "BQ2_SET": "own"}
    plan = toy.project().plan
    assert {"hello", "own-files"} < {*plan.wanted}
    assert plan.product["hello"].files[0][0] == "hello.c"
    assert "ln -s -- hello usr/bin/greet" in plan.product["own-files"].commands[0].argv[2]


@fault(
    "layer new in the checkout, where its files are not ignored",
    "refused, with the command that writes it beside the checkout",
)
@pytest.mark.parametrize("path", ["mine", "tasks/mine", "output", "work"])
def test_a_new_layer_is_outside_of_the_checkout(toy: Checkout, path: str) -> None:
    done = toy.doit("layer", "new", path)
    assert done.status != 0 and "cannot be in this checkout" in done.said, done
    assert f"doit layer new ../{Path(path).name} writes it beside" in done.said, done
    assert not (toy.root / path / "layer.yaml").exists()


@fault("layer new with the name of a package, or a comma in its path", "refused")
@pytest.mark.parametrize("path", ["bottom", "base", "riscv64", "a,b/own"])
def test_a_new_layer_has_a_name_of_its_own(toy: Checkout, tmp_path: Path, path: str) -> None:
    done = toy.doit("layer", "new", f"{tmp_path}/{path}")
    assert done.status != 0 and done.said.count("ERROR: ") == 1, done
    assert not (tmp_path / path).exists()


def test_the_path_of_a_new_layer_is_quoted(toy: Checkout, tmp_path: Path) -> None:
    done = toy.doit("layer", "new", f"{tmp_path}/a b/own")
    assert f"layer='{tmp_path}/a b/own' set=own" in done.said, done


@fault("layer new of a path that is not empty", "refused; nothing is written")
def test_a_new_layer_is_in_a_new_place(toy: Checkout, layer: Path) -> None:
    before = sorted(layer.rglob("*"))
    done = toy.doit("layer", "new", str(layer))
    assert done.status != 0 and "this path exists already" in done.said
    assert sorted(layer.rglob("*")) == before


@fault("layer= of a path that is not there", "refused as the person wrote it, before anything")
def test_a_layer_that_is_not_there(toy: Checkout) -> None:
    done = toy.doit("pkg", "layer=nowhere")
    assert done.status != 0 and "Traceback" not in done.said, done
    assert "command line: layer cannot be 'nowhere'" in done.said
    assert "it must be existing directories" in done.said


@fault("a tree of a layer below a directory that is a link", "refused as a package, with the path")
def test_a_tree_that_does_not_fit(toy: Checkout, layer: Path) -> None:
    toy.recipe(
        "bottom", "mkdir /dest/usr/bin; ln -s usr/bin /dest/bin; echo bottom > $share/bottom"
    )
    toy.edit("plan/sets.yaml", "packages: [top, kernel]", "packages: [bottom, top, kernel]")
    (layer / "files" / "bin").mkdir()
    (layer / "files" / "bin" / "x").write_text("x")
    done = toy.doit("pkg:mine-files", "pkg:bottom")
    assert done.status != 0 and "bin" in done.said and "Traceback" not in done.said, done


def test_what_local_yaml_says_of_an_app_travels(toy: Checkout, tmp_path: Path) -> None:
    """Into a bundle, and into the project of a product; overrides are applied beside it."""
    app = tmp_path / "hello"
    (app / "src").mkdir(parents=True)
    (app / "src" / "hello.cr").touch()
    (app / "shard.yml").write_text("name: hello\ntargets: {hello: {main: src/hello.cr}}\n")
    (toy.root / "plan" / "libraries.yaml").touch()
    for name in ("libunwind", "pcre2", "bdwgc", "libevent", "crystal"):
        toy.recipe(name, "true")
    (toy.root / "local.yaml").write_text(
        f"app:\n  directory: {app}\n  ports: 8080:80\n  arguments: ['a: b', '']\n"
        '  environment: {LINES: "one\\ntwo\\n", PORT: 80}\n'
    )
    toy.variables["BQ2_LOADER"] = "none"
    before = toy.project()
    own = own_hash(before)
    for name, content, _ in bundle._contents(before):
        path = tmp_path / "there" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    there = Checkout(tmp_path / "there" / "bootstrap-qcow2", toy.cache, toy.seed, toy.variables)
    local = (there.root / "local.yaml").read_text()
    assert "app:\n  directory: folders/hello\n  ports: " in local
    shutil.rmtree(app)
    after = there.project()
    assert after.settings.ports == ((8080, 80),)
    assert after.data.app and before.data.app
    assert after.data.app.table["after"] == before.data.app.table["after"]
    assert "export LINES=" in after.data.app.table["after"]
    assert after.plan.digest == before.plan.digest
    told = provenance._external(after.plan, [])
    assert told["app_section"] == provenance._external(before.plan, [])["app_section"]
    assert told["app_section"]["arguments"] == ["a: b", ""]
    assert own_hash(after) == own
    (there.root / "work").mkdir()
    (there.root / "work" / "overrides.yaml").write_text("left: {version: '2'}\n")
    done = there.doit("overrides", "apply")
    assert done.status == 0 and "left.yaml: version" in done.said, done
