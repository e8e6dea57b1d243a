"""tasks/engine/builder.py: a step from its inputs to its stamp: up to date, stored or built."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from plan.model import Step
from plan.steps.identity import step_id
from rootfs.sandbox.step import StepFailed
from tasks.engine.builder import Builder
from tasks.engine.project import Project
from tasks.engine.stamps import Made
from tests.tasks.toy import SCRIPTS, Checkout, bring_about, make_checkout, snapshot

pytestmark = pytest.mark.namespace
LEFT = "plan/recipes/left.yaml"
BOTTOM = "plan/recipes/bottom.yaml"


def step_of(project: Project, name: str) -> Step:
    return project.plan.product[name]


def builder(project: Project, name: str) -> Builder:
    return Builder(project, step_of(project, name))


def heard(project: Project) -> list[dict[str, Any]]:
    """The events of `project` from now on."""
    found: list[dict[str, Any]] = []
    project.workdir.mkdir(parents=True, exist_ok=True)
    project.events.begin(command=["test"])
    project.events.listeners.append(lambda event: found.append(dict(event)))
    return found


def test_a_build_registers_what_it_gave_and_stamps_it(toy: Checkout) -> None:
    project = toy.project()
    events = heard(project)
    assert bring_about(project) == [*SCRIPTS]
    for name in SCRIPTS:
        one = builder(project, name)
        stamp = one.stamp.read()
        assert stamp and stamp.step == one.step_id() and one.is_here()
        record = project.store.find(stamp.step)
        assert record and (record.name, record.artifact) == (name, stamp.artifact)
        content = project.store.artifact(record.artifact).read_bytes()
        assert hashlib.sha256(content).hexdigest() == record.artifact
        assert one.stamp.target.read_text() == f"{record.artifact}\n"
        inputs = one.stamp.read_inputs()
        assert inputs and inputs.pop("tools") == [] and step_id(inputs) == stamp.step
        assert not one.directory.exists()
    ends = [event for event in events if event["event"] == "end"]
    assert [event["step"] for event in ends] == [step.task for step in project.plan.steps]
    assert all(event["changed"] for event in ends)


def test_another_work_directory_takes_it_over_from_the_store(built: Checkout) -> None:
    project = built.project(workdir="other")
    events = heard(project)
    before = snapshot(built.cache / "artifacts"), snapshot(built.cache / "steps")
    assert bring_about(project) == []
    assert (snapshot(built.cache / "artifacts"), snapshot(built.cache / "steps")) == before
    hits = [event for event in events if event["event"] == "hit"]
    assert {event["origin"] for event in hits} == {"from the store"}
    assert [event["step"] for event in hits] == [step.task for step in project.plan.steps]
    for name in SCRIPTS:
        assert builder(project, name).stamp.read() == Made(**built.stamp(name))


def test_what_is_taken_over_is_said_to_be_used(built: Checkout) -> None:
    from cache.uses import recent

    (built.root / "dodo.py").touch()
    project = built.project(workdir="other")
    project.uses.begin(Path("/another"), "plan", sources=set(), seed="seed")
    bring_about(project)
    use, _ = recent(1, built.cache)
    for name in SCRIPTS:
        assert use.steps[built.stamp(name)["step"]] == built.stamp(name)["artifact"]


def test_what_the_store_has_is_not_built_though_doit_asks_for_it(built: Checkout) -> None:
    """doit compares files: a change and its reversal leave a task to be run, and nothing to do."""
    project = built.project(workdir="other")
    events = heard(project)
    for step in project.plan.steps:
        Builder(project, step).build()
    assert [event["event"] for event in events] == ["hit"] * len(SCRIPTS)


def test_nothing_is_taken_over_before_what_comes_before_stands(built: Checkout) -> None:
    project = built.project(workdir="other")
    top = builder(project, "top")
    assert top.step_id() is None and top.inputs({}) is None and top.facts({}) is None
    assert not top.take_over() and not top.is_here()


def test_the_step_id_depends_on_nothing_of_the_place(
    built: Checkout, template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = make_checkout(template, tmp_path / "o", cache=tmp_path / "o-cache", seed=built.seed)
    for name, value in {"TZ": "Asia/Tokyo", "LANG": "de_DE.UTF-8", "HOME": "/nowhere"}.items():
        monkeypatch.setenv(name, value)
    project = other.project(workdir="somewhere", jobs="1", overlay="0")
    bring_about(project)
    for name in SCRIPTS:
        assert builder(project, name).step_id() == built.stamp(name)["step"]
        assert builder(project, name).stamp.read() == Made(**built.stamp(name))


def test_equal_bytes_stop_a_rebuild_from_spreading(built: Checkout) -> None:
    before = {name: built.stamp(name) for name in SCRIPTS}
    built.edit(BOTTOM, "echo bottom", "echo 'bottom'")
    project = built.project()
    events = heard(project)
    # The image says which plan it is of, and the kernel holds that.
    assert bring_about(project) == ["bottom", "kernel"]
    after = {name: built.stamp(name) for name in SCRIPTS}
    assert after["bottom"]["step"] != before["bottom"]["step"]
    assert after["bottom"]["artifact"] == before["bottom"]["artifact"]
    for name in ("left", "right", "top"):
        assert after[name] == before[name]
    ends = {event["step"]: event["changed"] for event in events if event["event"] == "end"}
    assert ends == {"sysroot-from-seed:bottom": False, "sysroot-from-seed:kernel": True}


def test_other_bytes_reach_all_that_depends_on_them(built: Checkout) -> None:
    before = {name: built.stamp(name)["step"] for name in SCRIPTS}
    built.edit(LEFT, "echo left", "echo other")
    assert bring_about(built.project()) == ["left", "top", "kernel"]
    after = {name: built.stamp(name)["step"] for name in SCRIPTS}
    assert {name for name in SCRIPTS if before[name] != after[name]} == {"left", "top", "kernel"}
    built.edit(LEFT, "echo other", "echo left")
    assert bring_about(built.project()) == []
    assert {name: built.stamp(name)["step"] for name in SCRIPTS} == before


def test_what_is_forgotten_is_built_though_the_store_has_it(built: Checkout) -> None:
    project = built.project()
    left = builder(project, "left")
    assert left.is_here() and left.take_over()
    left.forget()
    assert not left.is_here() and not left.take_over()
    before = built.stamp("left")
    assert bring_about(project) == ["left"]
    assert left.is_here() and left.take_over() and built.stamp("left") == before


def test_what_failed_stays_forgotten_and_leaves_no_stamp(built: Checkout) -> None:
    built.edit(LEFT, "echo left", "exit 7; echo left")
    project = built.project()
    left = builder(project, "left")
    left.forget()
    before = left.stamp.file.read_bytes(), snapshot(built.cache / "steps")
    with pytest.raises(StepFailed) as caught:
        bring_about(project)
    assert caught.value.result.status == 7 and caught.value.log == left.directory / "log"
    assert (left.stamp.file.read_bytes(), snapshot(built.cache / "steps")) == before
    assert not left.is_here() and left.stamp.forgotten.exists()


@pytest.mark.parametrize("damage", ["gone", "cut off"])
def test_an_artifact_that_is_not_whole_is_not_here(built: Checkout, damage: str) -> None:
    project = built.project()
    left = builder(project, "left")
    before = built.stamp("left")
    artifact = built.artifact("left")
    if damage == "gone":
        artifact.unlink()
    else:
        artifact.chmod(0o644)
        artifact.write_bytes(artifact.read_bytes()[:-1])
    assert not left.is_here() and not left.take_over()
    assert bring_about(project) == ["left"]
    assert left.is_here() and built.stamp("left") == before


def test_what_a_step_knows_of_its_tools_and_dependencies(built: Checkout) -> None:
    project = built.project()
    made = {step.task: built.stamp(step.name)["artifact"] for step in project.plan.steps}
    facts = builder(project, "top").facts(made)
    names = ("bottom", "left", "right")
    wanted = [[name, built.stamp(name)["artifact"]] for name in names]
    assert facts and facts["depends"] == wanted
    assert facts["build_root"] == project.seed.identity and facts["tools"] == []
    kernel = builder(project, "kernel").facts(made)
    assert kernel and project.plan.product_digest in json.dumps(kernel["image"])


@pytest.mark.namespace
@pytest.mark.fault(
    "with=NAME, and the initramfs excludes all files of that package", "one line says so"
)
def test_an_added_package_that_the_image_leaves_out(toy: Checkout) -> None:
    toy.recipe("headers", "mkdir -p /dest/usr/include; echo > /dest/usr/include/x.h")
    toy.recipe("seen", "mkdir -p /dest/usr/include; echo > /dest/usr/include/y.h; echo > /dest/y")
    done = toy.doit("image", "with=headers,seen")
    assert done.status == 0, done
    assert done.said.count("is in the image: `exclude` of the initramfs in plan/sets.yaml") == 1
    assert "no file of headers is in the image" in done.said, done
