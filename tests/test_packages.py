"""The recipes of tests/layers/packages: short, and each builds and runs.

`BQ2_TEST_SLOW=1` builds all of them into an image, and runs their programs in it: half an hour.
The five cheapest are built in tests/test_end_to_end.py.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.checkout import ROOT, copy_project
from tests.layered import CHEAPEST, COMMANDS, LAYER, RECIPES, expected, script

HOURS = 2 * 3600


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: str(path.stem))
def test_a_recipe_is_short(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 25


def test_all_of_them_are_tried() -> None:
    assert {path.stem for path in RECIPES} == COMMANDS.keys() and {*CHEAPEST} < COMMANDS.keys()


@pytest.mark.slow
@pytest.mark.namespace
@pytest.mark.qemu
@pytest.mark.timeout(HOURS)
def test_all_of_them_run_in_the_machine(tmp_path: Path) -> None:
    checkout = copy_project(tmp_path / "checkout")
    layer = checkout / LAYER.relative_to(ROOT)

    def doit(*words: str) -> str:
        command = [sys.executable, "-m", "doit", *words]
        command += [f"layer={layer}", "set=packages", "seed=debian"]
        done = subprocess.run(command, cwd=checkout, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    doit("image")
    names = list(COMMANDS)
    said = doit("boot", f"run={script(names, '/usr')}").splitlines()
    assert said[-len(names) :] == expected(names)
