"""cache check: reads all of a shared cache, and says what is damaged, unsigned or contradicted.

    records ──▶ signature, step ──▶ artifacts that they name ──▶ both hashes
    sources ──▶ hash

If the server lists nothing, only what belongs to this plan is read. Nothing is changed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, TypeVar

from plan.typed import typed
from tasks.console.console import say
from tasks.console.table import table
from tasks.engine.project import Project
from tasks.engine.records.contradiction import SHORT
from tasks.engine.side_by_side import SideBySide

if TYPE_CHECKING:
    from cache.remote import Claim, Remote
    from tasks.engine.shared_records import Records, Seen

_Thing = TypeVar("_Thing")
_AT_ONCE = 4  # files
Row = tuple[str, str, str]


def check(project: Project, remote: Remote) -> bool:
    """Read `remote` and print what is wrong. Returns whether nothing is. Raises UrlFailed."""
    from tasks.engine.shared_records import Records, claims

    records = Records(project, remote)
    seen = records.all()
    say(f"{remote}: {_count(seen)}")
    if not records.lists:
        say("  the server lists no files: only what belongs to this plan is read")
    rows = [*_of_records(seen)]
    rows += _read(lambda claim: _artifact(remote, claim), claims(seen).values())
    sources = _sources(project, records)
    rows += _read(lambda sha256: _source(remote, sha256), sources)
    for line in table(rows, indent="  "):
        say(line, "bad")
    if any(fault == "damaged" for fault, _, _ in rows):
        say(f"  remove what is damaged on the server; then {typed('publish')} sends it again")
    what = f"  {len(claims(seen))} artifacts and {len(sources)} sources are read"
    say(f"{what}: {len(rows)} {'fault' if len(rows) == 1 else 'faults'}")
    return not rows


def _count(seen: list[Seen]) -> str:
    """The records: how many, and by which builders."""
    builders: dict[str, int] = {}
    for each in seen:
        name = each.builder or f"key {each.key[:SHORT]}, which trust= does not name"
        builders[name] = builders.get(name, 0) + 1
    told = "; ".join(f"{count} of {name}" for name, count in sorted(builders.items()))
    steps = len({each.step for each in seen})
    return f"{len(seen)} records of {steps} steps" + (f" ({told})" if told else "")


def _of_records(seen: list[Seen]) -> Iterator[Row]:
    from tasks.engine.shared_records import contradicting

    for each in seen:
        if each.fault:
            name = each.claim.name if each.claim else "a record"
            yield each.fault, name, f"steps/{each.step}/{each.key}.json: {each.why}"
    for found in contradicting(seen):
        told = [
            f"{each.builder or each.key[:SHORT]} has {each.claim.artifact[:SHORT]}"
            for each in found
            if each.claim
        ]
        name = found[0].claim.name if found[0].claim else ""
        yield "contradicted", name, f"steps/{found[0].step}: {', '.join(told)}"


def _read(read: Callable[[_Thing], Row | None], things: Iterable[_Thing]) -> Iterator[Row]:
    """The rows of those of `things` with a fault; some are read at once."""
    with SideBySide(_AT_ONCE) as pool:
        yield from filter(None, pool.map(read, things))


def _artifact(remote: Remote, claim: Claim) -> Row | None:
    from cache.packed import unpacked
    from cache.places import UrlFailed

    path = f"artifacts/{claim.packed}.tar.gz"
    try:
        for _ in unpacked(remote.read(path), claim):
            pass
    except (UrlFailed, ValueError) as error:
        return "damaged", claim.name, f"{path}: {error}"
    return None


def _sources(project: Project, records: Records) -> list[str]:
    """The hashes of the sources there: as listed, else those of this plan."""
    from tasks.engine.sources import all_sources

    remote = records.remote
    if records.lists:
        return sorted(remote.sources())
    planned = {each.sha256: each.size for each in all_sources(project)}
    return [sha256 for sha256, size in planned.items() if remote.has_source(sha256, size)]


def _source(remote: Remote, sha256: str) -> Row | None:
    from cache.places import UrlFailed

    hashed, path = hashlib.sha256(), f"sources/{sha256}"
    try:
        for chunk in remote.read(path):
            hashed.update(chunk)
    except UrlFailed as error:
        return "damaged", "a source", f"{path}: {error}"
    return None if hashed.hexdigest() == sha256 else ("damaged", "a source", f"{path}: other bytes")
