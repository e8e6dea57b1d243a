"""ssh: enters the machine that boot started in this work directory, or runs one command in it."""

from __future__ import annotations

import os
import shutil
import subprocess

from plan.errors import BuildError
from plan.typed import typed
from tasks.actions import DoitTask, speaking
from tasks.boot import ENTRANCE
from tasks.console.interrupt import terminal_taken
from tasks.engine.project import Project

# Emulated, on a busy host, a machine needs most of this to start.
SECONDS = 180.0


def task_ssh(project: Project) -> DoitTask:
    """enter the machine that boot started; run='COMMAND' gives its output and exit status

    ssh                       a shell of root, by SSH
    ssh run='about --json'    the output of one command; its input is that of ssh
    """
    return {"actions": [(speaking(_ssh), [project])]}


def _ssh(project: Project) -> None:
    from rootfs.vm.entrance import entrance

    way = entrance(project.workdir / ENTRANCE)
    where = os.fspath(project.workdir)
    if way is None:
        remedy = f"{typed('boot')} starts one, in another terminal"
        raise BuildError("no machine runs that can be entered", where=where, hint=remedy)
    if shutil.which("ssh") is None:
        raise BuildError("ssh is missing", hint="install OpenSSH's client (Debian: openssh-client)")
    if not way.answers(SECONDS):
        hint = "its console, where boot runs, says why"
        late = f"the machine does not answer within {SECONDS:g} s"
        raise BuildError(late, where=where, hint=hint)
    terminal_taken.set()
    try:
        command = way.ssh_command(project.settings.run)
        done = subprocess.run(command, cwd=way.key.parent, check=False)
        project.exit_status = done.returncode
    finally:
        terminal_taken.clear()
