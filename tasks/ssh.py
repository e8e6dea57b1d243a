"""ssh: enters the machine that boot started in this work directory, or runs one command in it."""

from __future__ import annotations

import os
import shutil
import subprocess
import time

from plan.errors import BuildError
from plan.typed import MORE_TIME, typed
from tasks.actions import DoitTask, speaking
from tasks.boot import ENTRANCE
from tasks.console.interrupt import run_here, terminal_taken
from tasks.engine.project import Project

# Emulated, on a busy host, a machine needs most of this to start.
SECONDS = 180.0


def task_ssh(project: Project) -> DoitTask:
    """enter the machine that boot started; run='COMMAND' gives its output and exit status

    ssh                       a shell of root, by SSH
    ssh run='about --json'    the output of one command; its input is that of ssh
    ssh run=about timeout=30  ends it after 30 minutes
    """
    return {"actions": [(speaking(_ssh), [project])]}


def _ssh(project: Project) -> None:
    from rootfs.vm.entrance import entrance

    way = entrance(project.workdir / ENTRANCE)
    where = os.fspath(project.workdir)
    if way is None:
        remedy = f"{typed('boot')} starts one, in another terminal"
        raise BuildError("no machine is running that ssh can enter", where=where, hint=remedy)
    if shutil.which("ssh") is None:
        raise BuildError("ssh is missing", hint="install OpenSSH's client (Debian: openssh-client)")
    command, limit = project.settings.run, project.settings.command_limit
    begin, seconds = time.monotonic(), limit or SECONDS

    def runs() -> bool:
        return entrance(project.workdir / ENTRANCE) == way

    if not way.answers(seconds, runs):
        if not runs():
            hint = f"{typed('boot')} says why, in its own terminal"
            raise BuildError("the machine ended before it answered", where=where, hint=hint)
        hint = f"its console, where boot runs, says why; {MORE_TIME}"
        late = f"the machine does not answer within {seconds:g} s"
        raise BuildError(late, where=where, hint=hint)
    terminal_taken.set()
    try:
        left = max(begin + limit - time.monotonic(), 0) if limit and command else None
        project.exit_status = run_here(way.ssh_command(command), way.key.parent, left)
    except subprocess.TimeoutExpired:
        late = f"the command did not end within {limit:g} s"
        hint = f"it may still run there; {MORE_TIME}"
        raise BuildError(late, where=where, hint=hint) from None
    finally:
        terminal_taken.clear()
