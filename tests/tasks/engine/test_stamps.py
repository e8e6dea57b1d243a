"""tasks/engine/stamps.py: the stamps of finished steps, which may be damaged."""

from __future__ import annotations

import shutil

import pytest

from cache.store import Record
from tasks.engine.project import Project
from tasks.engine.stamps import Made, Stamp, artifacts, package_artifacts, product_artifacts
from tests.tasks.toy import SCRIPTS, Checkout

CONTENT = b"what a build gave"
ARTIFACT = "a" * 64


def stamp_of(project: Project, name: str = "left") -> Stamp:
    return Stamp(project, project.plan.product[name])


def record_of(project: Project) -> Record:
    """A record whose artifact lies in the store."""
    file = project.store.artifact(ARTIFACT)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(CONTENT)
    return Record("s" * 64, "left", "1", "sysroot-from-seed", ARTIFACT, len(CONTENT), 1, 1, 1)


def test_it_reads_what_was_written(toy: Checkout) -> None:
    stamp = stamp_of(toy.project())
    assert stamp.read() is None and stamp.read_inputs() is None
    stamp.write(record_of(toy.project()), {"depends": {"bottom": "b"}})
    assert stamp.read() == Made(ARTIFACT, len(CONTENT), "s" * 64)
    assert stamp.read_inputs() == {"depends": {"bottom": "b"}}
    assert stamp.target.read_text() == f"{ARTIFACT}\n"
    assert stamp.target == toy.root / "work" / "stamps" / "sysroot-from-seed" / "left"


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", "{}", '{"artifact": 1}', '{"artifact": "a"}', "\0", "\udcff"]
)
def test_what_cannot_be_read_is_no_stamp(toy: Checkout, text: str) -> None:
    stamp = stamp_of(toy.project())
    stamp.write(record_of(toy.project()), {})
    stamp.file.write_bytes(text.encode("utf-8", "surrogateescape"))
    assert stamp.read() is None


@pytest.mark.parametrize("content", [b"", b"{", b"7", b"\xff\xfe"])
def test_inputs_that_cannot_be_read_are_not_known(toy: Checkout, content: bytes) -> None:
    stamp = stamp_of(toy.project())
    stamp.write(record_of(toy.project()), {})
    stamp.inputs.write_bytes(content)
    assert stamp.read_inputs() is None


@pytest.mark.parametrize("content", [None, CONTENT[:-1], CONTENT + b"x"])
def test_a_stamp_is_as_good_as_its_artifact(toy: Checkout, content: bytes | None) -> None:
    project = toy.project()
    stamp = stamp_of(project)
    stamp.write(record_of(project), {})
    file = project.store.artifact(ARTIFACT)
    if content is None:
        file.unlink()
    else:
        file.write_bytes(content)
    assert stamp.read() is None


def test_to_remove_it_is_not_to_forget(toy: Checkout) -> None:
    project = toy.project()
    stamp = stamp_of(project)
    assert stamp.remove() == []
    stamp.write(record_of(project), {})
    assert stamp.remove() == [stamp.target, stamp.file, stamp.inputs]
    assert stamp.read() is None and not stamp.forgotten.exists()
    assert project.store.artifact(ARTIFACT).exists()
    stamp.forget()
    assert stamp.forgotten.exists()


@pytest.mark.namespace
def test_the_artifacts_of_those_that_stand(built: Checkout) -> None:
    project = built.project()
    made = {name: built.stamp(name)["artifact"] for name in SCRIPTS}
    assert product_artifacts(project) == made
    assert artifacts(project, project.plan.steps) == {
        f"sysroot-from-seed:{name}": artifact for name, artifact in made.items()
    }
    built.artifact("right").unlink()
    stamp_of(project, "top").remove()
    named = ["left", "right", "top"]
    found = package_artifacts(project, "sysroot-from-seed", named)
    assert found == {"left": made["left"]}
    shutil.rmtree(project.workdir / "stamps")
    assert product_artifacts(project) == {}
