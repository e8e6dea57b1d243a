"""cache gc: removes from a shared cache what is old and what no plan here names.

    steps      older than days=, and of none of the last keep= plans of this user
    artifacts  named by no record that stays; not the young ones: their record may be on its way
    sources    older than days=, and of none of these plans

The age is the server's time of the last PUT. The records go first, so a reader misses a step, and
never an artifact. An artifact stays if a record that came meanwhile names it. The server must list
and remove (WebDAV).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from cache.garbage import Item
from cache.store import DAY
from plan.errors import BuildError
from tasks.console.console import say
from tasks.engine.project import Project
from tasks.engine.side_by_side import SideBySide
from tasks.gc import tell, used

if TYPE_CHECKING:
    from cache.dav import Entry
    from cache.remote import Remote

_Made = TypeVar("_Made")
_AT_ONCE = 8  # requests
_NO_LISTING = (
    "its server needs WebDAV to list and remove files: in nginx `dav_methods PUT DELETE MKCOL` "
    "and `dav_ext_methods PROPFIND OPTIONS`"
)
_REFUSED = (401, 403, 405, 409, 501)


def collect(project: Project, remote: Remote) -> bool:
    """Remove what is not needed in `remote`; with dry=1 only show it. Raises UrlFailed, and
    BuildError if the server does not list or remove.
    """
    say(f"{remote}:")
    items, remove = _items(project, remote)
    tell(items)
    if not project.settings.dry:
        for kind in dict.fromkeys(item.kind for item in items):
            unused = [item.path.name for item in items if item.kind == kind and not item.used]
            if kind == "artifacts":
                # A record may have come since they were listed.
                named = _named(remote, [each.name for each in remote.steps()])
                unused = [sha256 for sha256 in unused if sha256 not in named]
            _able(remote, partial(_all, remove[kind], unused))
    return True


def _items(
    project: Project, remote: Remote
) -> tuple[list[Item], dict[str, Callable[[str], object]]]:
    """Everything in `remote`, in the order of removal, and what removes one of each kind."""
    now = time.time()
    limit = now - project.settings.days * DAY
    use, _ = used(project)
    # The artifacts before the records: a record that comes meanwhile keeps a young artifact.
    artifacts = _able(remote, remote.artifacts)
    steps = [
        _item("steps", each.name, each, each.name in use.steps or each.changed >= limit)
        for each in remote.steps()
    ]
    named = _named(remote, [item.path.name for item in steps if item.used])
    items = [*steps]
    items += [
        _item("artifacts", sha256, each, sha256 in named or each.changed >= now - DAY)
        for sha256, each in artifacts.items()
    ]
    items += [
        _item("sources", sha256, each, sha256 in use.sources or each.changed >= limit)
        for sha256, each in remote.sources().items()
    ]
    return items, {
        "steps": remote.remove_step,
        "artifacts": remote.remove_artifact,
        "sources": remote.remove_source,
    }


def _item(kind: str, name: str, entry: Entry, is_used: bool) -> Item:
    return Item(kind, Path(kind, name), entry.size, is_used)


def _named(remote: Remote, steps: list[str]) -> set[str]:
    """The packed artifacts that the records of `steps` name. Raises UrlFailed: what cannot be read
    may name anything.
    """
    from cache.remote import parse

    def of(step: str) -> set[str]:
        found = set()
        for key in remote.keys(step):
            text, _ = remote.claim(step, key) or (b"", b"")
            try:
                found.add(parse(text).packed)
            except ValueError:
                continue  # nobody can use it
        return found

    return set().union(*_all(of, steps))


def _all(do: Callable[[str], _Made], names: list[str]) -> list[_Made]:
    with SideBySide(_AT_ONCE) as pool:
        return [*pool.map(do, names)]


def _able(remote: Remote, do: Callable[[], _Made]) -> _Made:
    """The result of `do`. Raises BuildError with the remedy if the server does not do that."""
    from cache.places import UrlFailed

    try:
        return do()
    except UrlFailed as error:
        if error.status not in _REFUSED:
            raise
        message = f"the server does not list or remove files: {error.reason}"
        raise BuildError(message, where=str(remote), hint=_NO_LISTING) from error
