"""verify: each step a second time under other conditions; the bits have to be the same.

    what stands ──▶ for each step: build again (tasks/again.py) ──▶ compare ──▶ work/verified/
                ──▶ for tarball and image: write again          ──▶ compare ──▶ work/verified/

A step is built from what stands, never from what another second build gave: each is judged alone.
Nothing of it gets into the store. What was found identical is not built again.
"""

from __future__ import annotations

import shutil
import time
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from plan.errors import BuildError, nearest
from plan.model import Step
from rootfs import difference
from rootfs.bytes import first_difference, mapped
from rootfs.difference import Difference
from rootfs.files import file_sha256, fresh_folder, remove_tree
from tasks import variations
from tasks.again import Again
from tasks.console import in_words, say, speaking
from tasks.inspect import task_inspect
from tasks.products import Product, image, sysroot
from tasks.project import project
from tasks.stamps import Stamp
from tasks.verified import DIFFERS, FAILED, IDENTICAL, Verdict, Verified

SHOWN = 5  # differences of one package
PRODUCTS = {"sysroot": sysroot, "image": image}


def task_verify() -> dict[str, Any]:
    """build each step again under other conditions, and compare; packages=, variations=, image="""
    if project.settings.image:
        return task_inspect()  # a finished image is held against what it says of itself
    needs = [step.task for step in _chosen()] if _some() else [*project.plan.phases, *PRODUCTS]
    return {
        "task_dep": needs,
        "setup": ["fetch", "seed"],
        "actions": [(speaking(_verify),)],
    }


@dataclass(frozen=True)
class Subject:
    """What is verified: `step`, or the product that `task` writes. The rest is what stands."""

    task: str
    step: Step | None
    identity: str
    artifact: str
    file: Path

    @property
    def name(self) -> str:
        """That of its file in work/verified/."""
        return f"{self.step.phase}-{self.step.name}" if self.step else f"product-{self.task}"


def _verify() -> None:
    project.require("fetch", "seed")
    names, lacking = variations.chosen(project)
    subjects = [_step(step) for step in _steps()]
    if not _some():
        subjects += [_product(task, product) for task, product in PRODUCTS.items()]
    say(f"varied: {', '.join(sorted(names))}")
    for name, why in sorted(lacking.items()):
        say(f"  not {name}: {why}")
    again = Again(project, names)
    identical = [_is_identical(subject, again) for subject in subjects]
    remove_tree(again.folder)
    say(f"{sum(identical)} of {len(identical)} identical")
    project.exit_status = 0 if all(identical) else 1


def _some() -> bool:
    """Whether only some steps were asked for; then the products are not looked at."""
    return bool(project.settings.packages or project.settings.phase)


def _chosen() -> list[Step]:
    """The steps of the chosen packages and of the chosen phase, or of all."""
    names, phase = project.settings.packages, project.settings.phase
    return [
        step
        for step in project.plan.steps
        if (not names or step.name in names) and phase in ("", step.phase)
    ]


def _steps() -> list[Step]:
    """What was chosen. Raises BuildError for a misspelt package, or for nothing at all."""
    chosen = _chosen()
    known = {step.name for step in project.plan.steps}
    for name in project.settings.packages:
        if name not in known:
            raise BuildError(f"there is no package {name!r}", hint=nearest(name, known))
    if not chosen:
        raise BuildError(
            f"none of it is built in the phase {project.settings.phase}",
            hint=f"the set {project.settings.set} has: {', '.join(project.plan.phases)}",
        )
    return chosen


def _step(step: Step) -> Subject:
    stamp = Stamp(project, step).require()
    artifact = stamp["artifact"]
    project.store.require_intact(artifact, step.name)
    return Subject(step.task, step, stamp["step"], artifact, project.store.artifact(artifact))


def _product(task: str, product: Product) -> Subject:
    return Subject(task, None, product.made_of(), file_sha256(product.file), product.file)


def _is_identical(subject: Subject, again: Again) -> bool:
    """Make the subject again, unless that was done before; say and keep what was found."""
    verified, varied = Verified(project.workdir, subject.name), again.varied(subject.step)
    known = verified.read(subject.identity, subject.artifact)
    if known and known.covers(varied):
        say(f"{subject.task:<32} identical, as found before")
        return True
    start = time.monotonic()
    made = again.step(subject.step) if subject.step else again.product(subject.task)
    took = in_words(time.monotonic() - start)
    if made is None:
        verdict, found = FAILED, list[Difference]()
    else:
        found = _differences(subject, made, again)
        verdict = DIFFERS if found else IDENTICAL
    told = [asdict(each) for each in found]
    verified.keep(Verdict(subject.identity, subject.artifact, verdict, sorted(varied), told))
    say(f"{subject.task:<32} {verdict}, {took}")
    if made is None:
        lines, log = again.failure(subject.step)
        shutil.copyfile(log, verified.made)
        say("\n".join(f"  {line}" for line in [*lines, f"log: {verified.made}"]))
    elif found:
        made.replace(verified.made)
        _show(found, subject.file, verified.made)
    return verdict == IDENTICAL


def _differences(subject: Subject, made: Path, again: Again) -> list[Difference]:
    """All that differs between what stands and `made`."""
    from rootfs.archive import unpack

    with mapped(subject.file) as old, mapped(made) as new:
        if first_difference(old, new) is None:
            return []
    found = list[Difference]()
    if subject.step:
        before, after = (fresh_folder(again.folder / name) for name in ("old", "new"))
        unpack(subject.file, before)
        unpack(made, after)
        found = list(difference.trees(before, after, again.marks))
    whole = difference.files(subject.file, made, subject.file.name, again.marks)
    # Trees that are the same were packed in another way.
    return found or [each for each in (whole,) if each]


def _show(found: list[Difference], old: Path, new: Path) -> None:
    for each in islice(found, SHOWN):
        say("\n" + "\n".join(f"  {line}" for line in each.lines))
    if len(found) > SHOWN:
        say(f"\n  and {len(found) - SHOWN} more")
    say(f"\n  old    {old}\n  new    {new}\n")
