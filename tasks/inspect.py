"""inspect, sign: check that an image matches its own records; sign its provenance.

doit inspect                              checks the image of this checkout
doit inspect image=FILE key=FILE.pub      checks any image, and the signature beside it
doit sign key=FILE                        signs the provenance beside the image of this checkout

<image> ──rootfs/inspection──▶ one line per check; status 1 if a check finds a difference
<image>.provenance.json ──ssh-keygen──▶ <image>.provenance.json.sig
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING

from plan.errors import BuildError
from plan.typed import typed
from tasks.actions import DoitTask, speaking
from tasks.beforehand import require_choice
from tasks.console.console import say
from tasks.engine.products.products import image, image_command
from tasks.engine.products.proof import PROVENANCE, beside
from tasks.engine.project import Project

if TYPE_CHECKING:
    from rootfs.inspection.inspection import Check


def task_inspect(project: Project) -> DoitTask:
    """check every file of an image against its own records; image=, key=

    inspect                   the image that was built last here
    inspect image=FILE key=FILE.pub
    """
    return {"actions": [(speaking(_inspect), [project])]}


def task_sign(project: Project) -> DoitTask:
    """sign the provenance of the image with an SSH key: key=FILE

    sign key=FILE             FILE is a private key for ssh-keygen
    """
    return {"task_dep": ["image"], "actions": [(speaking(_sign), [project])]}


def before_inspect(project: Project, _words: Sequence[str]) -> None:
    """Raise BuildError if a signature is to be checked without ssh-keygen or a public key."""
    from rootfs.inspection.signature import ssh_keygen
    from rootfs.inspection.signing_key import require_public

    if project.settings.key:
        ssh_keygen()
        require_public(project.settings.key)


def before_sign(project: Project, _words: Sequence[str]) -> None:
    """Raise BuildError without ssh-keygen, a key that can sign here, or an image to choose."""
    from rootfs.inspection.signing_key import require_signing

    require_signing(require_key(project))
    require_choice(project)


def _inspect(project: Project) -> None:
    from rootfs.inspection.inspection import Inspection

    path = project.settings.image or image(project).file
    told = beside(path, PROVENANCE)
    text = told.read_bytes() if told.exists() else None
    differing = []

    def tell(check: Check) -> None:
        say(f"{check.what:<24} {'' if check.good else 'DIFFERS: '}{check.found}")
        if not check.good:
            differing.append(check.what)

    with _opened(project, path) as file:
        for check in Inspection(file, path.name, text).checks():
            tell(check)
    if text is None:
        say(f"{'provenance beside it':<24} there is none, so only the image's own word was checked")
    if project.settings.key:
        tell(_signature(told, project.settings.key))
    verdict = f"differs: {', '.join(differing)}" if differing else "matches its own records"
    say(f"{path}: {verdict}")
    project.exit_status = 1 if differing else 0


def _opened(project: Project, path: Path) -> IO[bytes]:
    try:
        return path.open("rb")
    except OSError as error:
        hint = f"{image_command(project)} makes it; image=FILE names another one"
        raise BuildError(f"cannot be read: {error.strerror}", where=str(path), hint=hint) from error


def _signature(told: Path, key: Path) -> Check:
    from rootfs.inspection.inspection import Check
    from rootfs.inspection.signature import verify

    try:
        return Check("signature", verify(told, key), good=True)
    except BuildError as error:
        return Check("signature", str(error), good=False)


def require_key(project: Project) -> Path:
    """The key to sign with. Raises BuildError if none is given."""
    if project.settings.key is None:
        hint = f"{typed('sign key=FILE')}: a private key for ssh-keygen"
        raise BuildError("no key is given", hint=hint)
    return project.settings.key


def _sign(project: Project) -> None:
    from rootfs.inspection.signature import sign

    say(os.fspath(sign(beside(image(project).file, PROVENANCE), require_key(project))))
