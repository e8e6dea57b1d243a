"""Snapshots of builds: a small file for each one that differs from the last, for comparison.

    facts ──▶ work/reports/<set>-<arch>-<number>.json ──the last two──▶ what changed

A snapshot has the version, artifact, size and CPU time of each step, and the sha256 of each
product. A snapshot that cannot be read counts as missing.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from plan.outputs import write_file
from tasks.report.facts import Change, Comparison, ProductFacts, StepFacts

Snapshot = Mapping[str, Any]
PRODUCTS = ("image", "sysroot", "oci")


def snapshot(steps: tuple[StepFacts, ...], products: tuple[ProductFacts, ...]) -> Snapshot:
    """The snapshot of these steps and products."""
    return {
        "steps": {
            step.task: {
                "version": step.version,
                "artifact": step.artifact,
                "size": step.size,
                "cpu": step.cpu,
            }
            for step in steps
        },
        "products": {kind: {"artifact": None, "size": None} for kind in PRODUCTS}
        | {
            product.kind: {"artifact": product.sha256, "size": product.size}
            for product in products
            if product.kind in PRODUCTS
        },
    }


def keep(directory: Path, name: str, now: Snapshot, time: float) -> None:
    """Store the snapshot `now` if it differs from the last. `name`: of set and architecture."""
    before = list(kept(directory, name))
    if before and {key: before[-1][key] for key in now} == now:
        return
    numbers = [int(path.stem.rpartition("-")[2]) for path in _files(directory, name)]
    write_file(
        directory / f"{name}-{max(numbers, default=0) + 1:04}.json",
        json.dumps({"time": time, **now}, indent=1) + "\n",
    )


def kept(directory: Path, name: str) -> Iterator[Snapshot]:
    """The snapshots in `directory`, oldest first."""
    for path in _files(directory, name):
        try:
            found = json.loads(path.read_text())
            if {"time", "steps", "products"} <= found.keys():
                yield found
        except (OSError, ValueError, AttributeError):
            continue


def comparison(directory: Path, name: str) -> Comparison | None:
    """The changes between the last two snapshots, or None if there are not two."""
    last = list(kept(directory, name))[-2:]
    if len(last) < 2:
        return None
    old, new = last
    return Comparison(old["time"], new["time"], tuple(changes(old, new)))


def changes(old: Snapshot, new: Snapshot) -> Iterator[Change]:
    """The changes of all products and steps."""
    for part in ("products", "steps"):
        for name in dict.fromkeys([*new[part], *old[part]]):
            before, after = old[part].get(name), new[part].get(name)
            if before != after:
                yield Change(name, kind(before, after), before or {}, after or {})


def kind(before: Snapshot | None, after: Snapshot | None) -> str:
    """The kind of change of a step or product, in words."""
    if before is None or after is None:
        return "new" if before is None else "gone"
    if before.get("version") != after.get("version"):
        return "other version"
    if before.get("artifact") == after.get("artifact"):
        return "built again, the same bytes"
    if before.get("artifact") is None or after.get("artifact") is None:
        return "made" if before.get("artifact") is None else "to be made"
    return "other bytes"


def _files(directory: Path, name: str) -> list[Path]:
    return sorted(directory.glob(f"{name}-[0-9][0-9][0-9][0-9].json"))
