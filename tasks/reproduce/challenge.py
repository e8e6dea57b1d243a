"""challenge: builds the product from other seeds too, and compares: all seeds must give equal bits.

    this run's seed ──▶ product ─────────────────────────────────────┐
    each other seed ──▶ doit, in work/challenge/<seed> ──▶ product ──┼─▶ table, work/challenged/
    self            ──▶ doit regenerate, in the product ───▶ product ─┘

A compiler can hide code in its output that no source shows, and add it again in each new version
(K. Thompson, Reflections on Trusting Trust, 1984). Two unrelated compilers do not hide the same
code: if both lead to the same bits, neither added any (D. A. Wheeler, Fully Countering Trusting
Trust through Diverse Double-Compiling, 2009). This says nothing about files that are in both seeds,
so those are listed.

The store keeps all builds, so an interrupted challenge continues.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from plan.checks import PINNED_SEEDS, SELF
from plan.errors import BuildError
from plan.typed import typed
from rootfs.archives.files import file_sha256
from rootfs.compare.compare import Difference, trees
from rootfs.sandbox.started import started
from tasks.actions import DoitTask, speaking
from tasks.beforehand import require_own_machine
from tasks.console.console import say
from tasks.engine.builder import tree_of
from tasks.engine.products.products import image
from tasks.engine.project import Project
from tasks.engine.survey import UP_TO_DATE, survey
from tasks.reproduce import agreements, regenerate
from tasks.reproduce.elsewhere import Elsewhere

IMAGE = "image"
SHOWN = 12  # digits of a hash


@dataclass(frozen=True)
class Challenger:
    """The result of another seed: artifacts by package, and the image's hash if there is one."""

    seed: str
    artifacts: Mapping[str, str]
    run: Elsewhere | None = None
    shared: tuple[str, ...] = ()
    """The files that are in both seeds."""


def task_challenge(project: Project) -> DoitTask:
    """build the product from other seeds and compare; seeds=debian,alpine

    challenge                 every seed: hours
    challenge set=base-tools  packages that no compiler touches: minutes
    challenge packages=zlib   only these, with what they depend on
    """
    goals = [project.plan.set.phase] if SELF in project.settings.seeds else []
    goals = [*dict.fromkeys([*goals, *_goals(project)])]
    return {"actions": [(speaking(_challenge), [project])], "task_dep": goals}


def before_challenge(project: Project, _words: Sequence[str]) -> None:
    """Raise BuildError if there is no other seed, or no such package."""
    _seeds(project)
    regenerate.chosen(project)


def _goals(project: Project) -> list[str]:
    """What each seed must make. The image names the seed if the seed compiled its packages."""
    plan = project.plan
    if names := project.settings.packages:
        # Other commands know other packages; `before_challenge` refuses those that are wrong here.
        return [plan.product[name].task for name in names if name in plan.product]
    return [plan.set.phase, *([IMAGE] if _has_image(project) else [])]


def _has_image(project: Project) -> bool:
    """Whether the image is compared too."""
    return project.plan.set.root and not project.settings.packages


def _challenge(project: Project) -> None:
    ours = _ours(project)
    challengers = [_challenger(project, seed) for seed in _seeds(project)]
    _table(project, ours, challengers)
    results = [_judged(project, ours, each) for each in challengers]
    project.exit_status = 0 if all(results) else 1


def _seeds(project: Project) -> list[str]:
    """The seeds to compare with. Raises BuildError if there is none."""
    plan, own = project.plan, project.settings.seed
    if project.system:
        raise BuildError(
            "this system is its own seed, and no other seed is available",
            hint=f"challenge works where seeds can be fetched; here, use: {typed('regenerate')}",
        )
    # This system as a seed needs all of its packages: not if only some are chosen.
    whole = plan.set.root and not project.settings.packages
    can_be_seed = whole and not plan.machines.crossed and project.settings.sources
    wanted = project.settings.seeds or [*reversed(PINNED_SEEDS), *([SELF] if can_be_seed else [])]
    if SELF in wanted and not plan.set.root:
        raise BuildError(
            f"the set {plan.set.name} has no compiler, so it cannot be a seed",
            where="seeds=self",
            hint=typed("challenge set=full"),
        )
    if SELF in wanted:
        require_own_machine(project, "system", f"without self, {typed('challenge')} compares it")
        regenerate.require_sources(project)
    others = [name for name in wanted if name != own]
    if not others:
        raise BuildError(f"seeds= names no other seed than {own}", hint="seeds=debian,alpine,self")
    return others


def _ours(project: Project) -> dict[str, str]:
    found = _wanted(project, project)
    return found | ({IMAGE: file_sha256(image(project).file)} if _has_image(project) else {})


def _wanted(project: Project, builder: Project) -> dict[str, str]:
    """The known artifacts of `builder`, of the packages that are compared, by name.

    What an earlier challenge made of older recipes does not count.
    """
    found, product = survey(builder), builder.plan.product
    states = {name: found[product[name].task] for name in regenerate.chosen(project)}
    return {
        name: state.artifact
        for name, state in states.items()
        if state.state == UP_TO_DATE and state.artifact
    }


def _challenger(project: Project, seed: str) -> Challenger:
    if seed == SELF:
        return Challenger(seed, _regenerated(project))
    directory = project.workdir / "challenge" / seed
    output = directory / "image.qcow2"
    run = Elsewhere(project, directory, seed=seed)
    run.take_overrides()
    say(f"seed {seed}, in {directory}:")
    goals = _goals(project)
    command = [sys.executable, "-m", "doit", *goals]
    command += [f"output={output}"] if IMAGE in goals else []
    with started(command, cwd=project.settings.root, env=run.environment()) as process:
        status = process.wait()
    other = run.project
    made = _wanted(project, other)
    if status == 0 and _has_image(project):
        made[IMAGE] = file_sha256(output)
    own = {source.sha256: source.file for source in project.seed.sources}
    both = sorted(own[each.sha256] for each in other.seed.sources if each.sha256 in own)
    return Challenger(seed, made, run, tuple(both))


def _regenerated(project: Project) -> dict[str, str]:
    """The artifacts when this system builds itself, by package; earlier results are reused."""
    names, done = regenerate.chosen(project), agreements.known(project, SELF)
    known = {name: done[name] for name in names if name in done}
    asked = [name for name in names if name not in known]
    return known | (regenerate.in_namespace(project, asked) if asked else {})


def _table(project: Project, ours: Mapping[str, str], challengers: list[Challenger]) -> None:
    """Print a line for each package: our artifact, and whether the other seeds' are the same."""
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


def _judged(project: Project, ours: Mapping[str, str], challenger: Challenger) -> bool:
    """Print and store the result of `challenger`; return whether everything is the same."""
    wanted = [name for name in ours if (name, challenger.seed) != (IMAGE, SELF)]
    same = [name for name in wanted if challenger.artifacts.get(name) == ours[name]]
    say(f"{challenger.seed}: {len(same)} of {len(wanted)} identical")
    made = {name: sha256 for name, sha256 in challenger.artifacts.items() if name != IMAGE}
    different = [name for name, artifact in made.items() if artifact != ours[name]]
    found = {name: _differences(project, challenger, name) for name in different}
    for name, differences in found.items():
        for difference in differences[:1]:
            lines = "".join(f"\n    {line}" for line in difference.lines[1:])
            say(f"  differs: {name}: {difference.path}{lines}")
    if challenger.shared:
        say(f"  in both seeds, so not tested: {_named(challenger.shared)}")
    shared = challenger.shared
    agreements.keep(project, challenger.seed, made, differences=found, shared=shared)
    return len(same) == len(wanted)


def _named(files: Sequence[str]) -> str:
    """The package names of package files: the part before the version."""
    return ", ".join(dict.fromkeys(file.partition("_")[0] for file in files))


def _differences(project: Project, challenger: Challenger, name: str) -> list[Difference]:
    """The differences of the two artifacts; empty if one is gone (`doit regenerate` shows them)."""
    if challenger.run is None:
        return []
    other = challenger.run.project
    here = tree_of(project, project.plan.product[name])
    return list(trees(here, tree_of(other, other.plan.product[name])))
