"""tasks/engine/products/products.py: when a product is up to date; which project files it has.

tests/tasks/test_products.py tests the contents of products.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from rootfs.archives.files import file_sha256
from tasks.engine.products.oci import oci
from tasks.engine.products.products import (
    Product,
    image,
    override_files,
    own_files,
    own_hash,
    sysroot,
)
from tasks.engine.project import Project
from tests.tasks.toy import SCRIPTS, Checkout, bring_about

Make = Callable[[Project], Product]


@pytest.fixture(params=[image, sysroot, oci], ids=["image", "sysroot", "oci"])
def make(request: pytest.FixtureRequest) -> Make:
    found: Make = request.param
    return found


def made(toy: Checkout, make: Make) -> Product:
    product = make(toy.project())
    assert not product.is_up_to_date()
    product.make()
    assert product.is_up_to_date()
    return product


@pytest.mark.fault(
    "a file of the project is edited while the image that holds it is written",
    "the next run writes the image again",
)
def test_what_is_edited_meanwhile_makes_it_out_of_date(toy: Checkout) -> None:
    source = toy.root / "LICENSE"

    def write(_: Project, out: Path) -> dict[str, str]:
        out.parent.mkdir(exist_ok=True)
        out.write_bytes(source.read_bytes())
        source.write_text("edited")
        return {}

    project = toy.project()
    project.workdir.mkdir()
    product = Product(project, "x", lambda _: {"source": source.read_text()}, write)
    product.make()
    assert not product.is_up_to_date()
    product.make()
    assert product.is_up_to_date() and product.file.read_text() == "edited"


@pytest.mark.namespace
def test_it_is_up_to_date_until_it_is_touched(built: Checkout, make: Make) -> None:
    file = made(built, make).file
    assert make(built.project()).is_up_to_date()
    assert not make(built.project(output="other")).is_up_to_date()
    first, times = file.read_bytes(), file.stat()
    file.write_bytes(first + b"x")
    os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert not make(built.project()).is_up_to_date()
    file.unlink()
    assert not make(built.project()).is_up_to_date()
    product = make(built.project())
    product.make()
    assert file.read_bytes() == first and make(built.project()).is_up_to_date()
    os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns - 10**9))
    assert not product.is_up_to_date()


@pytest.mark.namespace
def test_it_is_forgotten_and_its_record_may_be_damaged(built: Checkout, make: Make) -> None:
    product = made(built, make)
    product.stamp_file.write_text("{")
    assert not product.is_up_to_date()
    product.make()
    product.forget()
    product.forget()
    assert not product.is_up_to_date() and product.file.exists()


def _other_kernel(toy: Checkout) -> None:
    toy.edit("plan/recipes/left.yaml", "echo left", "echo other")
    bring_about(toy.project())


def _lost_kernel(toy: Checkout) -> None:
    toy.artifact("kernel").unlink()


def _lost_top(toy: Checkout) -> None:
    toy.artifact("top").unlink()


def _own_file(toy: Checkout) -> None:
    toy.edit("dodo.py", "bootstrap-qcow2: a", "bootstrap-qcow2: one")


def _a_comment(toy: Checkout) -> None:
    toy.edit("plan/recipes/left.yaml", "name: left", "# why\nname: left")


# What happens, and which products are then not up to date. The toy's image is an initramfs: it
# holds nothing of this project, but what its kernel holds.
CHANGES: dict[str, tuple[Callable[[Checkout], None], set[Make]]] = {
    "another kernel": (_other_kernel, {image, sysroot, oci}),
    "a lost kernel": (_lost_kernel, {image, sysroot, oci}),
    "a lost package": (_lost_top, {sysroot, oci}),
    "a file of the project": (_own_file, {sysroot, oci}),
    "a comment in a recipe": (_a_comment, {sysroot, oci}),
}


@pytest.mark.namespace
@pytest.mark.parametrize("change", CHANGES)
def test_it_is_written_again_when_what_it_is_made_of_changes(
    built: Checkout, make: Make, change: str
) -> None:
    happens, expected = CHANGES[change]
    before = made(built, make).made_of()
    happens(built)
    after = make(built.project())
    assert after.is_up_to_date() == (make not in expected)
    if make not in expected:
        assert after.made_of() == before


@pytest.mark.namespace
def test_its_parts_are_known(built: Checkout) -> None:
    expected = {image: "EFI/BOOT", sysroot: "provenance", oci: "manifest"}
    for make, part in expected.items():
        product = made(built, make)
        parts = product.parts()
        assert next(iter(parts.items())) == (product.file.name, file_sha256(product.file))
        assert any(part in name for name in parts)
    kernel = built.tree("kernel", "boot/kernel.efi")
    assert image(built.project()).parts()["EFI/BOOT/BOOTX64.EFI"] == file_sha256(kernel)


@pytest.mark.namespace
def test_another_work_directory_makes_the_same(built: Checkout, make: Make) -> None:
    first = made(built, make)
    project = built.project(workdir="other", output="second")
    assert bring_about(project) == []
    second = make(project)
    second.make()
    assert second.file == built.root / "second"
    assert second.file.read_bytes() == first.file.read_bytes()
    assert second.stamp_file != first.stamp_file


def test_the_files_of_the_project_are_those_of_its_checkout(toy: Checkout) -> None:
    (toy.root / "plan" / "seeds" / "0.drift.json").touch()
    (toy.root / "work").mkdir()
    (toy.root / "other.txt").touch()
    (toy.root / "cache" / "paths.py").chmod(0o755)
    found = {name: (content, executable) for name, content, executable in own_files(toy.root)}
    assert list(found) == sorted(found)
    assert {"dodo.py", "LICENSE", "tasks/engine/products/products.py"} <= found.keys()
    assert {f"plan/recipes/{name}.yaml" for name in SCRIPTS} <= found.keys()
    assert found["dodo.py"] == ((toy.root / "dodo.py").read_bytes(), False)
    assert found["cache/paths.py"][1]
    made_here = ("work/", "other", "plan/seeds/0")
    assert not [name for name in found if name.startswith(made_here) or "__pycache__" in name]


def test_overrides_are_those_of_the_product_s_own_work_directory(toy: Checkout) -> None:
    project = toy.project(workdir="elsewhere")
    assert override_files(project) == []
    before = own_hash(project)
    (toy.root / "elsewhere").mkdir()
    text = "left:\n  version: '9'\n"
    Path(toy.root, "elsewhere", "overrides.yaml").write_text(text)
    project = toy.project(workdir="elsewhere")
    assert override_files(project) == [("work/overrides.yaml", text.encode(), False)]
    assert own_hash(project) != before


@pytest.mark.namespace
def test_a_product_is_told_of(built: Checkout) -> None:
    project = built.project()
    project.events.begin(command=["test"])
    product = sysroot(project)
    product.make()
    last = json.loads(project.events.path.read_text().splitlines()[-1])
    assert last["event"] == "product" and last["file"] == str(product.file)
    assert last["size"] == product.file.stat().st_size
