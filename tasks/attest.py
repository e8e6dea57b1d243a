"""attest: gathers what proves an image into one directory, which a stranger can check.

    <image>.provenance.json (.sig) ──▶ provenance.json (.sig)   ─┐
    work/stamps/ ────────────────────▶ steps.jsonl              ─┼─ <image>.attest/
    work/{verified,challenged}/ ─────▶ verdicts.jsonl           ─┤
    rootfs/inspection/attestation.py ▶ check.py                 ─┘

Nothing is built. check.py is one file that needs only Python: it explains what it checks.
"""

from __future__ import annotations

import contextlib
import io
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from plan.errors import BuildError
from plan.outputs import write_file
from plan.steps.plan import canonical
from plan.typed import typed
from rootfs.inspection import attestation
from rootfs.inspection.root_proof import parsed, subject_of
from rootfs.inspection.signature import signature_file
from tasks.actions import DoitTask, caller_directory, speaking
from tasks.console.console import say
from tasks.engine.products.products import image, image_command
from tasks.engine.products.proof import ATTESTATION, PROVENANCE, beside
from tasks.engine.project import Project
from tasks.engine.records.verdicts import verdicts
from tasks.engine.stamps import Stamp

# Of each verdict.
_TOLD = ("step", "artifact", "verdict", "variations", "shared", "when", "machine")


def task_attest(project: Project) -> DoitTask:
    """gather the proof of the image in one directory; check PATH: check one

    attest                    the image that was built last here
    attest check PATH image=FILE
    """
    return {"actions": [(speaking(_attest), [project])], "pos_arg": "words"}


def _attest(project: Project, words: list[str]) -> None:
    if words == ["check"]:
        hint = typed("attest check PATH image=FILE")
        raise BuildError("attest check: no attestation is named", hint=hint)
    if not words and project.settings.image:
        raise BuildError(
            "attest does not take it: it proves the image that was built last here",
            where="image=",
            hint=f"{typed('attest check PATH image=FILE')} checks one",
        )
    if not words:
        say(f"{_written(project)}: python3 check.py IMAGE checks it")
    elif len(words) == 2 and words[0] == "check":
        project.exit_status = _checked(project, caller_directory() / words[1])
    else:
        raise BuildError(
            f"attest takes check PATH, not {' '.join(words)}", hint=typed("help attest")
        )


def _checked(project: Project, directory: Path) -> int:
    """The exit status of our check of the attestation in `directory`."""
    if not (directory / "steps.jsonl").is_file():
        hint = f"{typed('attest')} writes one beside the image"
        raise BuildError("there is no attestation", where=str(directory), hint=hint)
    # Not with the program in the directory: somebody else wrote that.
    own, said = project.settings.image, io.StringIO()
    with contextlib.redirect_stdout(said):
        status = attestation.main(directory, [str(own)] if own else [])
    say(said.getvalue().rstrip("\n"))
    return status


def _written(project: Project) -> Path:
    """The directory of the attestation of this run's image, written anew."""
    file = image(project).file
    told = beside(file, PROVENANCE)
    if not told.exists():
        raise BuildError("there is no image", where=str(file), hint=image_command(project))
    _require_whole(project, told)
    directory = beside(file, ATTESTATION)
    try:
        directory.mkdir(exist_ok=True)
    except FileExistsError:
        hint = "remove it: the proof of the image is a directory of this name"
        raise BuildError("is in the way", where=str(directory), hint=hint) from None
    lines = {"steps.jsonl": [*_steps(project)], "verdicts.jsonl": [*_verdicts(project)]}
    for name, rows in lines.items():
        write_file(directory / name, b"".join(canonical(row) + b"\n" for row in rows))
    for path in (told, signature_file(told)):
        copy = directory / path.name.removeprefix(f"{file.name}.")
        copy.unlink(missing_ok=True)
        if path.exists():
            shutil.copyfile(path, copy)
    shutil.copyfile(attestation.__file__, directory / "check.py")
    # It is checked as a stranger would.
    done = subprocess.run(
        [sys.executable, "-I", directory / "check.py", file], stdout=subprocess.PIPE, check=False
    )
    if done.returncode:
        hint = f"{image_command(project)} brings the image and its provenance up to date"
        raise BuildError(done.stdout.decode().rstrip("\n"), where=str(directory), hint=hint)
    return directory


def _require_whole(project: Project, provenance: Path) -> None:
    """Raise BuildError if the file `provenance` is damaged."""
    try:
        subject_of(parsed(provenance.read_bytes(), str(provenance)), str(provenance))
    except BuildError as error:
        hint = f"{image_command(project)} writes it again"
        raise BuildError(error.message, where=error.where, hint=hint) from None


def _steps(project: Project) -> Iterator[dict[str, Any]]:
    for step in project.plan.steps:
        stamp = Stamp(project, step)
        if not stamp.read():
            # The hash of the plan covers it, though the image has nothing of it.
            hint = f"{typed('pkg')} builds what is left"
            raise BuildError(
                "is not built, and the proof has all steps", where=step.task, hint=hint
            )
        made, inputs = stamp.require(), stamp.read_inputs() or {}
        inputs.pop("tools", None)  # by name, for people
        yield {"task": step.task, "id": made.step, "artifact": made.artifact, "inputs": inputs}


def _verdicts(project: Project) -> Iterator[dict[str, Any]]:
    for name, row in verdicts(project.workdir):
        known = {"shared": [], "when": "", "machine": "", **row}
        yield {"of": name, **{key: known[key] for key in _TOLD}}
