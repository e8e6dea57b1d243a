"""Brings a wheel by name and version through pip, from whatever index pip is configured with.

    wheel's file name ──tags──▶ pip download --require-hashes ──▶ file ──▶ partial file

pip sees this machine's settings (index, proxy, certificates), but takes only the file with our
hash, for the platform in its name and not for the machine that runs. The bytes are checked again
as they go into the partial file.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

from cache.download import Stopped
from cache.partial import Partial
from cache.places import PlaceFailed
from plan.errors import BuildError

_CHUNK = 1 << 20
_GOT = re.compile(r"^\s*Got\s+([0-9a-f]{64})\b", re.MULTILINE)
_CPYTHON = re.compile(r"cp(\d)(\d+)")


def download(requirement: str, file: str, partial: Partial, *, stop: threading.Event) -> None:
    """Complete `partial` with the wheel whose name is `file` and that `requirement`
    (NAME==VERSION) names.

    Raises PlaceFailed with pip's reason, Stopped when `stop` is set, and BuildError when the
    file cannot be written.
    """
    # The lock of the partial file guards this folder too; one left by a killed run is cleared.
    folder = partial.path.with_name(f"{partial.path.name}.pip")
    shutil.rmtree(folder, ignore_errors=True)
    try:
        folder.mkdir()
        # Not in that folder: pip writes this path as UTF-8, which that of the cache may not be.
        with tempfile.NamedTemporaryFile("w", suffix=".txt") as wanted:
            wanted.write(f"{requirement} --hash=sha256:{partial.sha256}\n")
            wanted.flush()
            _pip(["-r", wanted.name, *tags(file)], folder, stop)
        _take(folder, partial)
    except OSError as error:
        raise BuildError(f"pip cannot be run: {error.strerror}", where=str(folder)) from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def tags(file: str) -> list[str]:
    """pip's arguments that choose the wheel with the name `file`, as PEP 427 lays names out.

    Raises PlaceFailed when it is not the name of a wheel.
    """
    fields = file.removesuffix(".whl").split("-")
    if not file.endswith(".whl") or len(fields) not in (5, 6):
        raise PlaceFailed(f"{file} is not the name of a wheel")
    python, abi, platform = fields[-3:]
    chosen = [f"--platform={name}" for name in platform.split(".")]
    if match := _CPYTHON.fullmatch(python):
        chosen += ["--implementation=cp", f"--python-version={match[1]}.{match[2]}"]
    if abi != "none":
        chosen.append(f"--abi={abi}")
    return chosen


def _pip(arguments: list[str], folder: Path, stop: threading.Event) -> None:
    # -P: the working directory's modules are none of pip's.
    argv = [sys.executable, "-P", "-m", "pip", "download", "--quiet", "--no-input"]
    argv += ["--no-cache-dir", "--disable-pip-version-check", "--retries=1", "--no-deps"]
    argv += ["--only-binary=:all:", "--require-hashes", "--ignore-requires-python"]
    argv += [f"--dest={folder}", *arguments]
    process = subprocess.Popen(
        argv,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
    )
    with process:
        try:
            said = _wait(process, stop)
        except BaseException:
            process.kill()
            raise
    if process.returncode != 0:
        raise PlaceFailed(_reason(said))


def _wait(process: subprocess.Popen[str], stop: threading.Event) -> str:
    while True:
        if stop.is_set():
            raise Stopped
        try:
            return process.communicate(timeout=0.1)[1]
        except subprocess.TimeoutExpired:
            continue


def _reason(said: str) -> str:
    """What went wrong: the hash of a wrong file, or the last error that pip names."""
    if other := _GOT.search(said):
        return f"pip: another file: its sha256 is {other[1]}"
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    errors = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR: ")]
    if not errors or errors[-1] == "Exception:":
        errors = lines[-1:]  # a traceback ends with what went wrong
    return f"pip: {errors[-1] if errors else 'it fails without a word'}"


def _take(folder: Path, partial: Partial) -> None:
    wheels = list(folder.glob("*.whl"))
    if len(wheels) != 1:
        raise PlaceFailed(f"pip brought {len(wheels)} wheels")
    partial.empty()
    with wheels[0].open("rb") as file:
        while partial.length <= partial.size and (chunk := file.read(_CHUNK)):
            partial.append(chunk)
    if not partial.complete():
        found = partial.found()
        partial.empty()
        raise PlaceFailed(f"pip: another file: its sha256 is {found}")
