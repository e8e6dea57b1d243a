"""Fetches a wheel by name and version with pip, from the index that pip is configured with.

    wheel's file name ──tags──▶ pip download --require-hashes ──▶ file ──▶ partial file

pip uses this machine's settings (index, proxy, certificates). It accepts only the file with the
given hash, for the platform in the file name, not for this machine. The hash is checked again when
the file is copied into the partial file.
"""

from __future__ import annotations

import re
import shutil
import sys
import tempfile
import threading
from pathlib import Path

from cache import program
from cache.partial import Partial
from cache.places import AnotherFile, UrlFailed
from plan.errors import BuildError
from plan.room import no_room

_CHUNK = 1 << 20
_GOT = re.compile(r"^\s*Got\s+([0-9a-f]{64})\b", re.MULTILINE)
_CPYTHON = re.compile(r"cp(\d)(\d+)")


def download(requirement: str, file: str, partial: Partial, *, stop: threading.Event) -> None:
    """Complete `partial` with the wheel `file` of `requirement` (NAME==VERSION).

    Raises UrlFailed with pip's reason, Stopped if `stop` is set, and BuildError if the file
    cannot be written.
    """
    # The lock of the partial file protects this directory too; remove one of a killed run.
    directory = partial.path.with_name(f"{partial.path.name}.pip")
    shutil.rmtree(directory, ignore_errors=True)
    try:
        directory.mkdir()
        # Not in that directory: pip needs a UTF-8 path, and the path of the cache may not be UTF-8.
        with tempfile.NamedTemporaryFile("w", suffix=".txt") as wanted:
            wanted.write(f"{requirement} --hash=sha256:{partial.sha256}\n")
            wanted.flush()
            _pip(["-r", wanted.name, *tags(file)], directory, stop)
        _take(directory, partial)
    except OSError as error:
        where, hint = str(directory), no_room(error, directory)
        raise BuildError(f"pip cannot be run: {error.strerror}", where=where, hint=hint) from error
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def tags(file: str) -> list[str]:
    """pip's arguments that select the wheel with the name `file` (PEP 427).

    Raises UrlFailed if it is not the name of a wheel.
    """
    fields = file.removesuffix(".whl").split("-")
    if not file.endswith(".whl") or len(fields) not in (5, 6):
        raise UrlFailed(f"{file} is not the name of a wheel")
    python, abi, platform = fields[-3:]
    chosen = [f"--platform={name}" for name in platform.split(".")]
    if match := _CPYTHON.fullmatch(python):
        chosen += ["--implementation=cp", f"--python-version={match[1]}.{match[2]}"]
    if abi != "none":
        chosen.append(f"--abi={abi}")
    return chosen


def _pip(arguments: list[str], directory: Path, stop: threading.Event) -> None:
    # -P: pip must not import modules from the working directory.
    argv = [sys.executable, "-P", "-m", "pip", "download", "--quiet", "--no-input"]
    argv += ["--no-cache-dir", "--disable-pip-version-check", "--retries=1", "--no-deps"]
    argv += ["--only-binary=:all:", "--require-hashes", "--ignore-requires-python"]
    argv += [f"--dest={directory}", *arguments]
    status, said = program.run(argv, stop=stop)
    if status != 0:
        if other := _GOT.search(said):
            raise AnotherFile(f"pip: another file: its sha256 is {other[1]}")
        raise UrlFailed(_reason(said))


def _reason(said: str) -> str:
    """The reason in pip's output: its last error."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    errors = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR: ")]
    if not errors or errors[-1] == "Exception:":
        errors = lines[-1:]  # the last line of a traceback is the error
    return f"pip: {errors[-1] if errors else 'it fails without a message'}"


def _take(directory: Path, partial: Partial) -> None:
    wheels = list(directory.glob("*.whl"))
    if len(wheels) != 1:
        raise UrlFailed(f"pip downloaded {len(wheels)} wheels")
    partial.empty()
    with wheels[0].open("rb") as file:
        while chunk := file.read(_CHUNK):
            partial.append(chunk)
    partial.size = partial.size or partial.length
    if not partial.complete():
        found = partial.found()
        partial.empty()
        raise AnotherFile(f"pip: another file: its sha256 is {found}")
