"""The scripts of the machine: each says first what it does, and shellcheck finds nothing."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from tests.checkout import ROOT
from tests.machine.conftest import INIT, PROGRAM
from tests.rootfs.tools import tool

FOSSIL = ROOT / "plan/recipes/fossil-service"
SCRIPTS = [
    path
    for path in (*sorted(INIT.rglob("*")), *sorted(PROGRAM.iterdir()), *sorted(FOSSIL.iterdir()))
    if path.is_file() and path.read_text().startswith("#!/bin/sh")
]


def test_there_are_scripts() -> None:
    assert {"init", "lease", "ssh", "start", "fossil"} <= {path.name for path in SCRIPTS}


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_it_says_first_what_it_does(script: Path) -> None:
    lines = script.read_text().splitlines()
    assert len(lines) < 3 or lines[1].startswith("# ")
    assert len(lines) < 200


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="needs shellcheck")
def test_shellcheck() -> None:
    names = [os.fspath(path) for path in (*SCRIPTS, INIT / "lib/functions")]
    # SC1091: it does not read the files that they include.
    tool("shellcheck", "-s", "sh", "-e", "SC1091", *names)
