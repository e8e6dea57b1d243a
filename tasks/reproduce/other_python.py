"""Another Python of this machine, which runs and packs the second build.

    PATH ──python3, python3.N──▶ another than this one? has the libraries? ──▶ the newest

It uses the libraries of this Python, as far as they are Python code.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from tasks.launch import LIBRARIES

OLDEST = (3, 11)
_NAME = re.compile(r"python3(\.\d+)?")
_TELL = f"import json, sys, {', '.join(LIBRARIES)}; print(json.dumps([*sys.version_info[:3]]))"
_SECONDS = 300  # for one that hangs: on a busy machine an import takes long


@dataclass(frozen=True)
class Python:
    """The path of its program, and its version: three numbers."""

    program: str
    version: tuple[int, ...]

    @property
    def name(self) -> str:
        """The version as text: "3.13.0"."""
        return ".".join(map(str, self.version))


@cache
def another() -> Python | None:
    """Another Python on the PATH that can run this project; None without one.

    One with another minor version comes first, then the newest.
    """
    own = sys.version_info[:3]
    found = (Python(program, version) for program in _programs() if (version := _version(program)))
    others = [each for each in found if each.version != own]
    return max(others, key=lambda each: (each.version[:2] != own[:2], each.version), default=None)


def libraries() -> str:
    """The directories of this Python's libraries, as PYTHONPATH names them."""
    specs = [find_spec(name) for name in LIBRARIES]
    files = [spec.origin for spec in specs if spec and spec.origin]
    return os.pathsep.join(dict.fromkeys(os.fspath(Path(file).parents[1]) for file in files))


def _programs() -> Iterator[str]:
    for directory in map(Path, os.get_exec_path()):
        if directory.is_absolute() and os.access(directory, os.R_OK):
            programs = sorted(directory.glob("python3*"))
            yield from (os.fspath(each) for each in programs if _NAME.fullmatch(each.name))


def _version(program: str) -> tuple[int, ...]:
    """The version of `program`; () if it is too old, or cannot use the libraries."""
    environment = {"PATH": os.environ.get("PATH", ""), "PYTHONPATH": libraries()}
    command = [program, "-B", "-c", _TELL]
    try:
        done = subprocess.run(
            command, env=environment, capture_output=True, timeout=_SECONDS, check=True
        )
        version = tuple(json.loads(done.stdout))
    except (OSError, subprocess.SubprocessError, ValueError):
        return ()
    return version if version >= OLDEST else ()
