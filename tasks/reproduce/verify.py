"""verify: builds each step again under other conditions; the bits must be the same.

    artifacts ──▶ for each step: build again (tasks/reproduce/again.py) ─▶ compare ─▶ work/verified/
              ──▶ for tarball and image: write again            ─▶ compare ─▶ work/verified/

sample=: only some of the steps that were taken from a shared cache, drawn by chance. Those that
come out the same are signed, and sent to publish=.

A step is built from the first builds of its dependencies, never from second builds: each step is
tested alone. No result gets into the store. Identical steps are not built again.
"""

from __future__ import annotations

import random
import shutil
import time
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path

from plan.errors import BuildError
from plan.model import Step
from rootfs.archives.files import file_sha256, fresh_directory, remove_tree
from rootfs.compare import compare
from rootfs.compare.bytes import first_difference, mapped
from rootfs.compare.compare import Difference
from tasks.actions import DoitTask, speaking
from tasks.console.console import say
from tasks.engine.no_such import no_such
from tasks.engine.products.products import Product
from tasks.engine.project import Project
from tasks.engine.records.duration import in_words
from tasks.engine.records.verdicts import DIFFERS, FAILED, IDENTICAL, Verdict, Verified
from tasks.engine.stamps import Stamp
from tasks.products import of_the_set
from tasks.publish import before_publish, send
from tasks.reproduce import variations
from tasks.reproduce.again import Again
from tasks.reproduce.other_file_system import mounted

SHOWN = 5  # differences of one package


def task_verify(project: Project) -> DoitTask:
    """build each step again under other conditions, and compare the bytes

    verify packages=musl,image
    verify variations=jobs,umask
    verify sample=5 cache=URL trust=FILE publish=URL key=FILE
    """
    needs = [*project.plan.phases, *_chosen_products(project)]
    if _some(project):
        needs = [*(step.task for step in _chosen(project)), *_chosen_products(project)]
    return {
        "task_dep": needs,
        "setup": ["fetch", "seed"],
        "actions": [(speaking(_verify), [project])],
    }


def before_verify(project: Project, _words: Sequence[str]) -> None:
    """Raise BuildError if a package is misspelt, no step is chosen, a named variation is
    not possible here, or what is to be sent to a shared cache cannot be signed.
    """
    _steps(project)
    if project.settings.variations:
        variations.chosen(project)
    if project.settings.publish and not project.settings.sample:
        if project.settings.origin["publish"] == "command line":
            raise BuildError(
                "publish= has no effect without sample=",
                where="command line",
                hint="verify sends what it drew: give both, or leave out publish=",
            )
    elif project.settings.publish:
        before_publish(project, ())


@dataclass(frozen=True)
class Subject:
    """What is verified: `step`, or the product that `task` writes. The rest is the first build."""

    task: str
    step: Step | None
    identity: str
    artifact: str
    file: Path

    @property
    def name(self) -> str:
        """The name of its file in work/verified/."""
        return self.step.file_stem if self.step else f"product-{self.task}"


def _verify(project: Project) -> None:
    project.require("fetch", "seed")
    names, lacking = variations.chosen(project)
    steps = _drawn(project) if project.settings.sample else _steps(project)
    subjects = [_step(project, step) for step in steps]
    made = of_the_set(project)
    subjects += [_product(task, made[task](project)) for task in _chosen_products(project)]
    say(f"varied: {', '.join(sorted(names))}")
    for name, why in sorted(lacking.items()):
        say(f"  not {name}: {why}")
    for line in variations.told(project, names):
        say(f"  {line}")
    directory = fresh_directory(project.workdir / "verify")
    disk = mounted(directory / "disk") if "filesystem" in names else nullcontext(directory)
    with disk as place:
        again = Again(project, names, directory, place)
        identical = [_is_identical(project, subject, again) for subject in subjects]
    remove_tree(directory)
    say(f"{sum(identical)} of {len(identical)} identical")
    project.exit_status = 0 if all(identical) else 1
    if project.settings.sample and project.settings.publish:
        same = [each for each, is_same in zip(subjects, identical, strict=True) if is_same]
        found = [project.store.find(each.identity) for each in same]
        send(project, [record for record in found if record], [])


def _drawn(project: Project) -> list[Step]:
    """Some of the chosen steps that were taken from shared caches, and that were not built again
    yet. Nobody can foresee which: so no builder knows which of its records will be checked.
    """
    wanted, taken = project.settings.sample, list[Step]()
    for step in _steps(project):
        made = Stamp(project, step).require()
        record = project.store.find(made.step)
        known = Verified(project.workdir, step.file_stem).read(made.step, made.artifact)
        if record and record.origin and not (known and known.verdict == IDENTICAL):
            taken.append(step)
    count = len(taken) if wanted == "all" else min(int(wanted), len(taken))
    say(f"steps that were taken and not built again yet: {len(taken)}; built again now: {count}")
    drawn = random.SystemRandom().sample(taken, count)
    return [step for step in taken if step in drawn]


def _some(project: Project) -> bool:
    """Whether only a part was requested."""
    return bool(project.settings.packages or project.settings.phase)


def _chosen_products(project: Project) -> list[str]:
    """The products that `packages=` names; all if nothing is chosen."""
    if project.settings.sample:
        return []
    some, names = _some(project), project.settings.packages
    return [task for task in of_the_set(project) if not some or task in names]


def _chosen(project: Project) -> list[Step]:
    """The steps of the chosen packages in the chosen phase; default: all."""
    names, phase = project.settings.packages, project.settings.phase
    return [
        step
        for step in project.plan.steps
        if (not names or step.name in names) and phase in ("", step.phase)
    ]


def _steps(project: Project) -> list[Step]:
    """The chosen steps. Raises BuildError if a package is misspelt, or no step is chosen."""
    chosen = _chosen(project)
    known = {step.name for step in project.plan.steps} | {*of_the_set(project)}
    for name in project.settings.packages:
        if name not in known:
            raise no_such(project, name, known)
    if not chosen and not _chosen_products(project):
        raise BuildError(
            f"the phase {project.settings.phase} builds none of these packages",
            hint=f"the set {project.settings.set} has: {', '.join(project.plan.phases)}",
        )
    return chosen


def _step(project: Project, step: Step) -> Subject:
    stamp = Stamp(project, step).require()
    project.store.require_intact(stamp.artifact, step.name)
    file = project.store.artifact(stamp.artifact)
    return Subject(step.task, step, stamp.step, stamp.artifact, file)


def _product(task: str, product: Product) -> Subject:
    return Subject(task, None, product.made_of(), file_sha256(product.file), product.file)


def _is_identical(project: Project, subject: Subject, again: Again) -> bool:
    """Build the subject again, unless that was done before; print and store the result."""
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
        shutil.move(made, verified.made)  # it may be on another file system
        _show(found, subject.file, verified.made)
    return verdict == IDENTICAL


def _differences(subject: Subject, made: Path, again: Again) -> list[Difference]:
    """All differences between the first build and `made`."""
    from rootfs.archives.unpack import unpack

    with mapped(subject.file) as old, mapped(made) as new:
        if first_difference(old, new) is None:
            return []
    found = list[Difference]()
    if subject.step:
        before, after = (fresh_directory(again.directory / name) for name in ("old", "new"))
        unpack(subject.file, before)
        unpack(made, after)
        found = list(compare.trees(before, after, again.marks))
    whole = compare.files(subject.file, made, subject.file.name, again.marks)
    # Equal trees were packed differently.
    return found or [each for each in (whole,) if each]


def _show(found: list[Difference], old: Path, new: Path) -> None:
    for each in islice(found, SHOWN):
        say("\n" + "\n".join(f"  {line}" for line in each.lines))
    if len(found) > SHOWN:
        say(f"\n  and {len(found) - SHOWN} more")
    say(f"\n  old    {old}\n  new    {new}\n")
