"""bundle: writes one file from which a machine without a network builds the same product.

    fetch ─┬─▶ sources, seed packages ─┐
           └─▶ wheels for ./bq2 ───────┼─▶ output/bootstrap-qcow2-<set>-<arch>.bundle.tar
    this project, plan.json ───────────┘        │
                                                └─ doit image bundle=…   (cache/bundle.py)

The project in the bundle has a local.yaml with the set and the seed of this run. It also has the
record of replaced seed packages, if there are any.
"""

from __future__ import annotations

import platform
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from plan.model import Source
from plan.reading.wheels import load_wheels
from plan.settings.parameters import SEEDS
from tasks.actions import DoitTask, speaking, up_to_date
from tasks.console.console import say
from tasks.engine.products.products import Product, all_own_files, hashed, lines_outside
from tasks.engine.project import Project
from tasks.engine.sources import all_sources, fetch_now
from tasks.products import of_the_set

README_TEXT = """\
This bundle has everything to build {title} without a network{but}. The machine needs Linux
with user namespaces, Python 3.11 or newer (with venv) and tar. In the directory of the bundle FILE:
    tar -xf FILE bootstrap-qcow2
    cd bootstrap-qcow2
    ./bq2 {product} bundle=../FILE{given}
"""


def task_bundle(project: Project) -> DoitTask:
    """write one file with project, sources, seed and wheels, to build offline

    bundle set=base           one file; elsewhere: image bundle=FILE
    """
    return {
        "setup": ["fetch"],
        "uptodate": [up_to_date(bundle(project).is_up_to_date)],
        "actions": [(speaking(_make), [project])],
    }


def bundle(project: Project) -> Product:
    """The bundle as a product: one file with everything that a build needs."""
    return Product(project, "bundle.tar", _inputs, _write)


def _make(project: Project) -> None:
    project.require("fetch")
    # Check the files now: the receiver cannot fetch a damaged file again.
    fetch_now(project, [*all_sources(project), *_wheels(project)], verify=True)
    if given := _given(project):
        say(f"the seed is of this machine, so it is not in the bundle: give it with{given}")
    bundle(project).make()


def _given(project: Project) -> str:
    """What a build from the bundle must be given, because the bundle does not have it."""
    if project.settings.seed not in SEEDS:
        return " seed=PATH"
    return " seed_tarball=FILE seed_sha256=…" if project.settings.seed_tarball else ""


def _inputs(project: Project) -> Mapping[str, Any]:
    return {
        "files": hashed(_contents(project)),
        "sources": _hashes(all_sources(project)),
        "wheels": _hashes(_wheels(project)),
    }


def _hashes(sources: Sequence[Source]) -> list[str]:
    return [source.sha256 for source in sources]


def _wheels(project: Project) -> tuple[Source, ...]:
    return load_wheels(project.data / "wheels.yaml", platform.machine())


def _contents(project: Project) -> Iterator[tuple[str, bytes, bool]]:
    """Path, content and executability of the files that are not fetched; the README is first."""
    from cache.bundle import PLAN, PROJECT, README

    plan, seed = project.plan, project.seed
    given = _given(project)
    readme = README_TEXT.format(
        title=f"{plan.title}-{project.settings.arch}",
        product="image" if "image" in of_the_set(project) else "sysroot",
        but=", except for the seed" if given else "",
        given=given,
    )
    yield README, readme.encode(), False
    yield PLAN, project.plan.as_json(seed.describe()).encode(), False
    for name, content, runs in all_own_files(project):
        yield f"{PROJECT}/{name}", content, runs
    yield f"{PROJECT}/local.yaml", _local(project), False
    for name, content in filter(None, (part.record for part in seed.packages)):
        yield f"{PROJECT}/plan/seeds/{name}", content, False


def _local(project: Project) -> bytes:
    """The local.yaml in the bundle: the settings that say what to build, and from which seed."""
    values = project.settings.values
    lines = ["# What this bundle is for."]
    names = ("set", "with", "arch", "seed_release")
    lines += [f"{name}: {values[name]}" for name in names if values[name]]
    lines += lines_outside(project)
    if project.settings.seed in SEEDS:
        lines.append(f"seed: {project.settings.seed}")
    return "\n".join([*lines, ""]).encode()


def _write(project: Project, out: Path) -> dict[str, str]:
    from cache.bundle import SOURCES, WHEELS
    from plan.outputs import replacing
    from rootfs.archives import pack

    sources = {source.sha256: project.fetched(source) for source in all_sources(project)}
    with replacing(out) as file:
        for name, content, runs in _contents(project):
            pack.add_bytes(file, name, content, mode=0o755 if runs else 0o644)
        for wheel in sorted(_wheels(project), key=lambda wheel: wheel.file):
            pack.add_file(file, f"{WHEELS}/{wheel.file}", project.fetched(wheel), mode=0o644)
        for sha256, path in sorted(sources.items()):
            pack.add_file(file, f"{SOURCES}/{sha256}", path, mode=0o444)
        pack.finish(file)
    return {}
