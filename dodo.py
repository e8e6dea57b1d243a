"""bootstrap-qcow2: a Linux system from upstream source, as a tarball and as a bootable image.

doit image     the QCOW2 image           doit sysroot   the tarball
doit boot      start the image           doit shell     a shell where the builds run
doit list      parts, commands           doit settings  the parameters of a run

seed ─▶ pkg:<name> in the order of the plan ─┬─▶ sysroot
                                             └─▶ image ─▶ boot
"""

import sys
from collections.abc import Iterator
from typing import Any

from tasks import commands, doit_extensions
from tasks.reporter import reporter_of

project = doit_extensions.project_of_this_run()
doit_extensions.install(project)


def task_commands() -> Iterator[Any]:
    """The tasks of this command line, as tasks/commands.py defines them."""
    yield from commands.doit_tasks(project, sys.argv[1:])


DOIT_CONFIG = {
    "default_tasks": ["image"],
    "verbosity": 2,
    "reporter": reporter_of(project),
    # Threads: other processes do the work. One failure does not stop the independent branches.
    "num_process": project.settings.at_once,
    "par_type": "thread",
    "continue": True,
    # A cache: read whole at the start, written whole by a run that holds the work directory.
    "backend": "json",
    "dep_file": str(project.workdir / "doit.db"),
}
