"""A step whose builds gave different bytes: at least one is wrong, and a person must choose.

the earlier record ─┬─▶ both artifacts, the first difference ──▶ an error, and no build uses them
the later record ───┘                    until: doit choose HASH
"""

from __future__ import annotations

from collections.abc import Sequence

from cache.store import Record, Store
from plan.errors import BuildError
from plan.typed import typed

SHORT = 12  # digits of a hash


def require_one(store: Store, step: str) -> None:
    """Raise BuildError with all known facts, if builds of the step id `step` contradict."""
    records = store.contradicting(step)
    if not records:
        return
    first = records[0]
    raise BuildError(
        "\n  ".join(
            [
                f"CONTRADICTED: {len(records)} builds of one step gave different bytes, "
                "and one of them is wrong",
                *told(store, records),
            ]
        ),
        where=f"pkg:{first.name} ({first.phase})",
        hint="no step uses it until you choose one: "
        + " or ".join(typed(f"choose {each.artifact[:SHORT]}") for each in records)
        + f"; {typed(f'forget pkg:{first.name}')} builds it again",
    )


def told(store: Store, records: Sequence[Record]) -> list[str]:
    """The artifacts of `records`, the used one first, and their differences, as lines."""
    lines = []
    for number, record in enumerate(records):
        artifact = store.artifact(record.artifact)
        size = f"{record.size} bytes" if artifact.exists() else "gone"
        lines.append(f"{'later' if number else 'first':<6} {record.artifact[:SHORT]}  {size}")
        if number:
            lines += _difference(store, records[0], record)
    return lines


def _difference(store: Store, first: Record, later: Record) -> list[str]:
    from rootfs.compare.compare import files

    try:
        old, new = (store.artifact(each.artifact) for each in (first, later))
        found = files(old, new, first.name)
    except (OSError, BuildError):
        return ["they differ, but one of them cannot be read any more"]
    return found.lines if found else []
