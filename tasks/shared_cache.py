"""cache: looks after shared caches (docs/scale.md).

doit cache check     tasks/shared_check.py      doit cache gc     tasks/shared_gc.py
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from plan.errors import BuildError, nearest
from plan.typed import typed
from tasks.actions import DoitTask, speaking
from tasks.engine.project import Project
from tasks.shared_check import check
from tasks.shared_gc import collect

if TYPE_CHECKING:
    from cache.remote import Remote

# Word → what it does with each cache; returns whether all is well there.
VERBS: Mapping[str, Callable[[Project, Remote], bool]] = {"check": check, "gc": collect}


def task_cache(project: Project) -> DoitTask:
    """look after a shared cache, cache=URL: cache check reads it, cache gc frees what is old

    cache check cache=URL trust=FILE   names what is damaged, unsigned, contradicted
    cache gc cache=URL dry=1           shows what it would remove: days=90, keep=10
    """
    return {"actions": [(speaking(_cache), [project])], "pos_arg": "words"}


def before_cache(project: Project, words: Sequence[str]) -> None:
    """Raise BuildError without a verb, or without a cache."""
    verb = words[0] if len(words) == 1 else ""
    if verb not in VERBS:
        hint = nearest(verb, VERBS) if verb else f"{typed('cache check')}, {typed('cache gc')}"
        raise BuildError("cache takes one word", hint=hint)
    if not project.settings.caches:
        raise BuildError("no shared cache is named", hint=typed(f"cache {verb} cache=URL"))


def _cache(project: Project, words: Sequence[str]) -> None:
    from cache.places import UrlFailed
    from cache.remote import Remote
    from cache.web import Web

    web = Web(headers=project.settings.headers)
    for url in project.settings.caches:
        remote = Remote(url, web)
        try:
            if not VERBS[words[0]](project, remote):
                project.exit_status = 1
        except UrlFailed as error:
            hint = error.remedy or None
            raise BuildError(error.reason, where=str(remote), hint=hint) from error
