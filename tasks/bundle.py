"""bundle: one file from which a machine without a network builds the same.

    fetch ─┬─▶ sources, seed packages ─┐
           └─▶ wheels for ./bq2 ───────┼─▶ output/bootstrap-qcow2-<set>-<arch>.bundle.tar
    this project, plan.json ───────────┘        │
                                                └─ doit image bundle=…   (cache/bundle.py)

The project inside has the set and the seed of this run in its local.yaml, and the record of what
the seed's packages were replaced by, if any were.
"""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from plan.model import Source
from plan.parameters import SEEDS
from plan.wheels import load_wheels
from tasks.console import say, speaking, standing
from tasks.products import Product, own_files
from tasks.project import project
from tasks.sources import all_sources, fetch_now

README_TEXT = """\
All that building {product} needs, the network excepted: a Linux machine with
user namespaces, Python 3.11 or newer (with venv) and tar has the rest. Beside this bundle:
    tar -xf {file} bootstrap-qcow2
    cd bootstrap-qcow2
    ./bq2 image bundle=../{file}
"""


def task_bundle() -> dict[str, Any]:
    """one file with project, sources, seed and wheels: bundle=FILE builds from it, offline"""
    return {
        "setup": ["fetch"],
        "uptodate": [standing(bundle.stands)],
        "actions": [(speaking(_make),)],
    }


def _make() -> None:
    project.require("fetch")
    # Whoever gets the bundle cannot fetch again what is damaged here.
    fetch_now([*all_sources(), *_wheels()], verify=True)
    if project.settings.seed not in SEEDS:
        say(
            "the seed is a path of this machine, so it is not in the bundle: give it with seed=PATH"
        )
    if project.settings.seed_tarball:
        say(
            "the root of the seed is a file of this machine, so it is not in the bundle: give it "
            "with seed_tarball=FILE seed_sha256=…"
        )
    bundle.make()


def _inputs() -> Mapping[str, Any]:
    files = [
        [name, hashlib.sha256(content).hexdigest(), runs] for name, content, runs in _contents()
    ]
    return {"files": files, "sources": _hashes(all_sources()), "wheels": _hashes(_wheels())}


def _hashes(sources: Sequence[Source]) -> list[str]:
    return [source.sha256 for source in sources]


def _wheels() -> tuple[Source, ...]:
    return load_wheels(project.data / "wheels.yaml", platform.machine())


def _contents() -> Iterator[tuple[str, bytes, bool]]:
    """Path, content and executability of what is not fetched. What says what it is comes first."""
    from cache.bundle import PLAN, PROJECT, README

    settings, seed = project.settings, project.seed
    product = f"bootstrap-qcow2-{settings.set}-{settings.arch}"
    readme = README_TEXT.format(product=product, file=f"{product}.bundle.tar")
    yield README, readme.encode(), False
    yield PLAN, project.plan.as_json(seed.describe()).encode(), False
    for name, content, runs in own_files():
        yield f"{PROJECT}/{name}", content, runs
    yield f"{PROJECT}/local.yaml", _local(), False
    if seed.packages and seed.packages.record:
        name, content = seed.packages.record
        yield f"{PROJECT}/plan/seeds/{name}", content, False


def _local() -> bytes:
    """The settings of the project inside: those that say what is built, and of what."""
    values = project.settings.values
    lines = ["# What this bundle is for."]
    lines += [f"{name}: {values[name]}" for name in ("set", "with", "arch") if values[name]]
    if project.settings.seed in SEEDS:
        lines.append(f"seed: {project.settings.seed}")
    return "\n".join([*lines, ""]).encode()


def _write(out: Path) -> dict[str, str]:
    from cache.bundle import SOURCES, WHEELS
    from rootfs import pack
    from rootfs.files import replacing

    sources = {source.sha256: project.fetched(source) for source in all_sources()}
    with replacing(out) as file:
        for name, content, runs in _contents():
            pack.add_bytes(file, name, content, mode=0o755 if runs else 0o644)
        for wheel in sorted(_wheels(), key=lambda wheel: wheel.file):
            pack.add_file(file, f"{WHEELS}/{wheel.file}", project.fetched(wheel), mode=0o644)
        for sha256, path in sorted(sources.items()):
            pack.add_file(file, f"{SOURCES}/{sha256}", path, mode=0o444)
        pack.finish(file)
    return {}


bundle = Product("bundle.tar", _inputs, _write)
