"""What other seeds gave, held against what stands, and kept: work/challenged/ (tasks/verified.py).

artifacts from another seed ──▶ identical, or differs ──▶ Verdict("seed=…") ──▶ the proof
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict

from rootfs.difference import Difference
from tasks.project import Project
from tasks.stamps import Stamp
from tasks.verified import CHALLENGED, DIFFERS, IDENTICAL, Verdict, Verified


def keep(
    project: Project,
    seed: str,
    made: Mapping[str, str],
    *,
    differences: Mapping[str, Iterable[Difference]] | None = None,
    shared: Iterable[str] = (),
) -> None:
    """Keep what `seed` gave: `made`, the artifacts of some packages of the product by name.

    differences: of those that are not the same, where they are known. shared: the files that this
    seed and that of the project are both made of.
    """
    for name, artifact in made.items():
        stamp = _stamp(project, name)
        verdict = IDENTICAL if artifact == stamp["artifact"] else DIFFERS
        found = [asdict(each) for each in (differences or {}).get(name, ())]
        told = (stamp["step"], stamp["artifact"], verdict, [f"seed={seed}"], found, [*shared])
        _file(project, name).keep(Verdict(*told))


def known(project: Project, seed: str) -> dict[str, str]:
    """What `seed` is known to give as it stands: artifacts by package."""
    found = {}
    for name in project.plan.product:
        stamp = _stamp(project, name)
        verdict = _file(project, name).read(stamp["step"], stamp["artifact"])
        if verdict and verdict.covers({f"seed={seed}"}):
            found[name] = stamp["artifact"]
    return found


def _stamp(project: Project, name: str) -> Mapping[str, str]:
    return Stamp(project, project.plan.product[name]).require()


def _file(project: Project, name: str) -> Verified:
    return Verified(project.workdir, f"{project.plan.set.phase}-{name}", CHALLENGED)
