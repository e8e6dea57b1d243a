"""challenge: the product from other seeds too; whatever seed it comes from, the bits are the same.

    this run's seed ──▶ product ─────────────────────────────────────┐
    each other seed ──▶ doit, in work/challenge/<seed> ──▶ product ──┼─▶ table, work/challenged/
    self            ──▶ doit regenerate, in what stands ──▶ product ─┘

A compiler can hide in what it compiles what no source shows, and put it there again from version
to version (K. Thompson, Reflections on Trusting Trust, 1984). Two that have nothing in common do
not hide the same: where both lead to the same bits, neither put anything there (D. A. Wheeler,
Fully Countering Trusting Trust through Diverse Double-Compiling, 2009). What both seeds are made
of alike is not covered by that, and is named.

All that is built is kept in the store, so an interrupted challenge goes on where it was.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from plan.errors import BuildError
from rootfs.difference import Difference, trees
from rootfs.enter import started
from rootfs.files import file_sha256
from tasks import challenged, regenerate
from tasks.builder import tree_of
from tasks.console import say, speaking
from tasks.elsewhere import Elsewhere
from tasks.products import image
from tasks.project import project
from tasks.stamps import product_artifacts

SELF = "self"
IMAGE = "image"
SHOWN = 12  # digits of a hash


@dataclass(frozen=True)
class Challenger:
    """What another seed gave: artifacts by package, and the image's hash where there is one."""

    seed: str
    artifacts: Mapping[str, str]
    run: Elsewhere | None = None
    shared: tuple[str, ...] = ()
    """The files that this seed and ours are both made of."""


def task_challenge() -> dict[str, Any]:
    """build the product from other seeds too, and compare; seeds=debian,alpine,self"""
    return {"actions": [(speaking(_challenge),)], "task_dep": _goals()}


def _goals() -> list[str]:
    """What each seed has to give. The image tells of its seed where that made the packages."""
    plan = project.plan
    return [plan.set.phase, *([IMAGE] if plan.set.root else [])]


def _challenge() -> None:
    ours = _ours()
    challengers = [_challenger(seed) for seed in _seeds()]
    _table(ours, challengers)
    results = [_judged(ours, each) for each in challengers]
    project.exit_status = 0 if all(results) else 1


def _seeds() -> list[str]:
    """The seeds to compare with. Raises BuildError if there is none."""
    plan, own = project.plan, project.settings.seed
    if project.system:
        raise BuildError(
            "this system is its own seed, and has no other",
            hint="run doit challenge where the seeds can be fetched; here, doit regenerate",
        )
    wanted = project.settings.seeds or ["debian", "alpine", *([SELF] if plan.set.root else [])]
    if SELF in wanted and not plan.set.root:
        raise BuildError(
            f"the set {plan.set.name} holds no compiler, so it is no seed",
            where="seeds=self",
            hint="doit challenge set=full",
        )
    others = [name for name in wanted if name != own]
    if not others:
        raise BuildError(f"{own} is compared with nothing", hint="seeds=debian,alpine,self")
    return others


def _ours() -> dict[str, str]:
    found = product_artifacts(project)
    return found | ({IMAGE: file_sha256(image.file)} if project.plan.set.root else {})


def _challenger(seed: str) -> Challenger:
    if seed == SELF:
        return Challenger(seed, _regenerated())
    folder = project.workdir / "challenge" / seed
    output = folder / "image.qcow2"
    run = Elsewhere(project, folder, seed=seed, output=str(output))
    run.take_overrides()
    say(f"seed {seed}, in {folder}:")
    command = [sys.executable, "-m", "doit", *_goals()]
    with started(command, cwd=project.settings.root, env=run.environment()) as process:
        status = process.wait()
    other = run.project
    made = product_artifacts(other)
    if status == 0 and project.plan.set.root:
        made[IMAGE] = file_sha256(output)
    own = {source.sha256: source.file for source in project.seed.sources}
    both = sorted(own[each.sha256] for each in other.seed.sources if each.sha256 in own)
    return Challenger(seed, made, run, tuple(both))


def _regenerated() -> dict[str, str]:
    """What this system gives when it builds itself, by package; known before, or found now."""
    known = challenged.known(project, SELF)
    asked = [name for name in project.plan.product if name not in known]
    return known | (regenerate.in_namespace(asked) if asked else {})


def _table(ours: Mapping[str, str], challengers: list[Challenger]) -> None:
    """A line for each package: what our seed gave, and whether the others gave the same."""
    heads = [project.settings.seed, *(each.seed for each in challengers)]
    width = max(len(name) for name in ours)
    say("  ".join(f"{head:<{SHOWN}}" for head in ("".ljust(width), *heads)).rstrip())
    for name, artifact in ours.items():
        cells = [artifact[:SHOWN], *(_cell(each, name, artifact) for each in challengers)]
        say("  ".join([name.ljust(width), *(f"{cell:<{SHOWN}}" for cell in cells)]).rstrip())


def _cell(challenger: Challenger, name: str, artifact: str) -> str:
    made = challenger.artifacts.get(name)
    if made is None:
        return "-" if (name, challenger.seed) == (IMAGE, SELF) else "not built"
    return "the same" if made == artifact else made[:SHOWN]


def _judged(ours: Mapping[str, str], challenger: Challenger) -> bool:
    """Say and keep what `challenger` gave; whether all of it is the same."""
    wanted = [name for name in ours if (name, challenger.seed) != (IMAGE, SELF)]
    same = [name for name in wanted if challenger.artifacts.get(name) == ours[name]]
    say(f"{challenger.seed}: {len(same)} of {len(wanted)} identical")
    made = {name: sha256 for name, sha256 in challenger.artifacts.items() if name != IMAGE}
    different = [name for name, artifact in made.items() if artifact != ours[name]]
    found = {name: _differences(challenger, name) for name in different}
    for name, differences in found.items():
        for difference in differences[:1]:
            lines = "".join(f"\n    {line}" for line in difference.lines[1:])
            say(f"  differs: {name}: {difference.path}{lines}")
    if challenger.shared:
        say(f"  of both seeds, and so not put to the test: {_named(challenger.shared)}")
    shared = challenger.shared
    challenged.keep(project, challenger.seed, made, differences=found, shared=shared)
    return len(same) == len(wanted)


def _named(files: Sequence[str]) -> str:
    """Files of packages by the packages' names, which stand before their versions."""
    return ", ".join(dict.fromkeys(file.partition("_")[0] for file in files))


def _differences(challenger: Challenger, name: str) -> list[Difference]:
    """Where the two artifacts differ; nothing of what is gone already (`doit regenerate` tells)."""
    if challenger.run is None:
        return []
    other = challenger.run.project
    here = tree_of(project, project.plan.product[name])
    return list(trees(here, tree_of(other, other.plan.product[name])))
