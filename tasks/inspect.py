"""inspect, sign: whether an image is what it says it is, and who says so.

doit inspect                              the image of this checkout
doit inspect image=FILE key=FILE.pub      any image, and the signature of what lies beside it
doit sign key=FILE                        signs what lies beside the image of this checkout

<image> ──rootfs/inspection──▶ a line for each check; status 1 if one found a difference
<image>.provenance.json ──ssh-keygen──▶ <image>.provenance.json.sig
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from plan.errors import BuildError
from tasks.console import say, speaking
from tasks.products import image
from tasks.project import project
from tasks.proof import PROVENANCE, beside


def task_inspect() -> dict[str, Any]:
    """whether an image holds what it says, file by file, without starting it; image=, key="""
    return {"actions": [(speaking(_inspect),)]}


def task_sign() -> dict[str, Any]:
    """sign the provenance of the image with an SSH key: key=FILE"""
    return {"task_dep": ["image"], "actions": [(speaking(_sign),)]}


def _inspect() -> None:
    from rootfs.inspection import Check, Inspection

    path = project.settings.image or image.file
    told = beside(path, PROVENANCE)
    text = told.read_bytes() if told.exists() else None
    differing = []

    def tell(check: Check) -> None:
        say(f"{check.what:<24} {'' if check.good else 'DIFFERS: '}{check.found}")
        if not check.good:
            differing.append(check.what)

    with _opened(path) as file:
        for check in Inspection(file, path.name, text).checks():
            tell(check)
    if text is None:
        say(f"{'provenance beside it':<24} there is none, so only the image's own word was checked")
    if project.settings.key:
        tell(_signature(told, project.settings.key))
    verdict = f"differs: {', '.join(differing)}" if differing else "identical with what it says"
    say(f"{path}: {verdict}")
    project.exit_status = 1 if differing else 0


def _opened(path: Path) -> Any:
    try:
        return path.open("rb")
    except OSError as error:
        hint = "doit image makes it, image=FILE names another one"
        raise BuildError(f"cannot be read: {error.strerror}", where=str(path), hint=hint) from error


def _signature(told: Path, key: Path) -> Any:
    from rootfs.inspection import Check
    from rootfs.signature import verify

    try:
        return Check("signature", verify(told, key), good=True)
    except BuildError as error:
        return Check("signature", str(error), good=False)


def _sign() -> None:
    from rootfs.signature import sign

    if project.settings.key is None:
        raise BuildError("which key?", hint="doit sign key=FILE: a private key of ssh-keygen's")
    say(os.fspath(sign(beside(image.file, PROVENANCE), project.settings.key)))
