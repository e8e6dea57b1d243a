"""Compares the artifacts from other seeds with ours, and stores the result in work/challenged/.

artifacts from another seed ──▶ identical, or differs ──▶ Verdict("seed=…") ──▶ the proof
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict

from rootfs.compare.compare import Difference
from tasks.engine.project import Project
from tasks.engine.records.verdicts import CHALLENGED, DIFFERS, IDENTICAL, Verdict, Verified
from tasks.engine.stamps import Made, Stamp


def keep(
    project: Project,
    seed: str,
    made: Mapping[str, str],
    *,
    differences: Mapping[str, Iterable[Difference]] | None = None,
    shared: Iterable[str] = (),
    further: Iterable[str] = (),
) -> None:
    """Store the result for `seed`: `made`, its artifacts of some packages of the product by name.

    differences: of artifacts that differ, if they are known. shared: the files that are in both
    seeds. further: what else was different.
    """
    for name, artifact in made.items():
        stamp = _stamp(project, name)
        verdict = IDENTICAL if artifact == stamp.artifact else DIFFERS
        found = [asdict(each) for each in (differences or {}).get(name, ())]
        told = (stamp.step, stamp.artifact, verdict, [f"seed={seed}", *further], found, [*shared])
        _file(project, name).keep(Verdict(*told))


def known(project: Project, seed: str, *further: str) -> dict[str, str]:
    """The known artifacts from `seed` in its current form, by package.

    further: what else must have been different.
    """
    found = {}
    for name in project.plan.product:
        stamp = _stamp(project, name)
        verdict = _file(project, name).read(stamp.step, stamp.artifact)
        if verdict and verdict.covers({f"seed={seed}", *further}):
            found[name] = stamp.artifact
    return found


def _stamp(project: Project, name: str) -> Made:
    return Stamp(project, project.plan.product[name]).require()


def _file(project: Project, name: str) -> Verified:
    return Verified(project.workdir, f"{project.plan.set.phase}-{name}", CHALLENGED)
