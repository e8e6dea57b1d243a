"""Builds one step on this machine, in the sandbox, with its trees unpacked.

interrupted earlier? ──▶ continue there ─┐
else ──▶ a new sandbox ──────────────────┴▶ commands ──▶ DESTDIR ──▶ packed
an input vanished meanwhile? ──▶ once more
"""

from __future__ import annotations

import threading

from cache.store import Vanished
from plan.errors import BuildError
from plan.settings.settings import STEPS_HERE
from rootfs.sandbox.enter import Result, Sandbox
from rootfs.sandbox.launcher import alone
from rootfs.sandbox.resume import interrupted_at, mark, resumed, unmark
from rootfs.sandbox.step import pack_result, run_commands
from tasks.engine.builder import TRIES, Builder, tree_of
from tasks.engine.somewhere import Built
from tasks.engine.trees import Ground

# Of the steps that were meant for workers, no more may come here at once.
_few = threading.BoundedSemaphore(STEPS_HERE)


def build(builder: Builder, wanted: str) -> Built:
    """Run the step. Run it again if one of its inputs vanished meanwhile, because `doit fsck`
    removes damaged files: then the first result is discarded. Raises BuildError.
    """
    project = builder.project
    before = project.plan.before(builder.step)
    for left in reversed(range(TRIES)):
        ground = Ground([tree_of(project, each) for each in before])
        try:
            with _few:
                return _run(builder, wanted, ground)
        except (BuildError, OSError):
            if not ground.is_lost():
                raise
            unmark(builder.directory)
            if not left:
                raise
            builder.emit("note", text="an input vanished during the build: it is built again")
    raise AssertionError


def _run(builder: Builder, wanted: str, ground: Ground) -> Built:
    project, step, directory = builder.project, builder.step, builder.directory
    first = interrupted_at(step, directory, wanted)
    builder.say_start(wanted, resumed=first > 0)
    if first:
        place = resumed(directory, project.jobs.environment())
    else:
        builder.set_edits_aside()
        place = builder.prepare()
        mark(directory, wanted)
    with project.jobs.slot():
        results = _run_commands(builder, place, first)
    packed = pack_result(step, place, project.store.scratch())
    if ground.is_lost():
        packed.file.unlink()
        raise Vanished(step.name, directory, how="used an input that vanished")
    return Built(packed, results, resumed=first > 0)


def _run_commands(builder: Builder, place: Sandbox, first: int) -> list[Result]:
    """Run the step's commands from index `first` on; its compilers perhaps on workers."""
    project, step = builder.project, builder.step
    if step.name in project.settings.objects and (objects := project.objects):
        return objects.run(builder, place, first)
    return run_commands(step, alone(place), first, seconds=project.settings.timeout)
