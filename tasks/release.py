"""Lets other runs build in the work directory while a machine runs, which may take days.

doit's database says what the files of each task were when it was done. So it is written before
others may build, and never after that: it would contradict what they did meanwhile.
"""

from __future__ import annotations

from doit.globals import Globals

from tasks.engine.project import Project


def let_others_build(project: Project) -> None:
    """Record what this run did, and release the lock of the work directory."""
    if project.lock.file:
        Globals.dep_manager.backend.dump()
        project.has_let_go = True
        project.events.emit("released")
        project.lock.release()
