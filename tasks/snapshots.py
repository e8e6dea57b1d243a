"""What a build was, in a small file for each that differs from the one before, to compare them.

    facts ──▶ work/reports/<set>-<arch>-<number>.json ──the last two──▶ what changed

A snapshot holds of each step its version, artifact, size and CPU time, and the sha256 of each
product. One that cannot be read counts as missing.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rootfs.files import replacing
from tasks.page.facts import Change, Comparison, ProductFacts, StepFacts

Snapshot = Mapping[str, Any]
PRODUCTS = ("image", "sysroot")


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


def keep(folder: Path, name: str, now: Snapshot, time: float) -> None:
    """Keep the snapshot `now` unless it is as the last one. `name`: of set and architecture."""
    before = list(kept(folder, name))
    if before and {key: before[-1][key] for key in now} == now:
        return
    numbers = [int(path.stem.rpartition("-")[2]) for path in _files(folder, name)]
    with replacing(folder / f"{name}-{max(numbers, default=0) + 1:04}.json") as file:
        file.write(json.dumps({"time": time, **now}, indent=1).encode() + b"\n")


def kept(folder: Path, name: str) -> Iterator[Snapshot]:
    """The snapshots in `folder`, the oldest first."""
    for path in _files(folder, name):
        try:
            found = json.loads(path.read_text())
            if {"time", "steps", "products"} <= found.keys():
                yield found
        except (OSError, ValueError, AttributeError):
            continue


def comparison(folder: Path, name: str) -> Comparison | None:
    """What changed between the last two snapshots, or None where there are no two."""
    last = list(kept(folder, name))[-2:]
    if len(last) < 2:
        return None
    old, new = last
    return Comparison(old["time"], new["time"], tuple(changes(old, new)))


def changes(old: Snapshot, new: Snapshot) -> Iterator[Change]:
    """What became of each product and step that is not as it was."""
    for part in ("products", "steps"):
        for name in dict.fromkeys([*new[part], *old[part]]):
            before, after = old[part].get(name), new[part].get(name)
            if before != after:
                yield Change(name, kind(before, after), before or {}, after or {})


def kind(before: Snapshot | None, after: Snapshot | None) -> str:
    """In words, what became of a step or product."""
    if before is None or after is None:
        return "new" if before is None else "gone"
    if before.get("version") != after.get("version"):
        return "other version"
    if before.get("artifact") == after.get("artifact"):
        return "built again, the same bytes"
    if before.get("artifact") is None or after.get("artifact") is None:
        return "made" if before.get("artifact") is None else "to be made"
    return "other bytes"


def _files(folder: Path, name: str) -> list[Path]:
    return sorted(folder.glob(f"{name}-[0-9][0-9][0-9][0-9].json"))
