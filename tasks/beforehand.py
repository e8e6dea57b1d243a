"""What a command needs at its end is looked for before it begins: a build may take hours.

reporter ──before the first task──▶ CHECKS of the commands on the command line ──▶ BuildError
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Mapping, Sequence

from plan.errors import BuildError
from tasks import forecast
from tasks.engine.products import image
from tasks.engine.project import Project


def check(project: Project, command: str, words: Sequence[str]) -> None:
    """Raise BuildError if `command`, with the arguments `words`, could not do its work."""
    if command in CHECKS:
        CHECKS[command](project, words)


def _boot(project: Project, _words: Sequence[str]) -> None:
    _emulator(project)
    _image(project)


def _emulator(project: Project) -> None:
    from rootfs.vm.firmware import find_firmware, find_qemu

    arch = project.settings.arch
    find_firmware(arch, find_qemu(arch))


def _image(project: Project) -> None:
    """There is an image, or the person said which one to build."""
    if project.settings.origin["set"] == "default" and not image(project).file.exists():
        raise BuildError("no image was built here yet", hint=forecast.choices(project))


def _sign(project: Project, _words: Sequence[str]) -> None:
    from tasks.inspect import require_key

    require_key(project)
    _keygen(project)
    _image(project)


def _keygen(project: Project, _words: Sequence[str] = ()) -> None:
    from rootfs.inspection.signature import ssh_keygen

    if project.settings.key:
        ssh_keygen()


def _regenerate(project: Project, _words: Sequence[str]) -> None:
    from tasks.reproduce import regenerate

    if not project.system:
        regenerate.require_compiler(project)
    regenerate.chosen(project)
    if project.settings.place == "vm":
        _emulator(project)


def _challenge(project: Project, _words: Sequence[str]) -> None:
    from tasks.reproduce import challenge

    challenge.other_seeds(project)


def _verify(project: Project, _words: Sequence[str]) -> None:
    from tasks.reproduce import verify

    verify.chosen_steps(project)


def _shell(project: Project, words: Sequence[str]) -> None:
    from tasks.shell import named_build

    trees = ["seed", *(phase.split("-")[0] for phase in project.plan.phases)]
    if words and words[0] not in trees:
        named_build(project, words[0], trees)
    # A pipe or a file may hold commands; only /dev/null and the like hold none.
    if not project.settings.run and not os.isatty(0) and stat.S_ISCHR(os.fstat(0).st_mode):
        raise BuildError(
            "there is no terminal for a shell", hint="run='COMMAND' runs one command in it"
        )


CHECKS: Mapping[str, Callable[[Project, Sequence[str]], None]] = {
    "boot": _boot,
    "challenge": _challenge,
    "inspect": _keygen,
    "regenerate": _regenerate,
    "shell": _shell,
    "sign": _sign,
    "verify": _verify,
}
