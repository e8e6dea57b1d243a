"""Modules that are imported late: doit gets a stand-in, and the real module when it calls it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.tasks.toy import Checkout, doit

ROOT = Path(__file__).resolve().parents[2]


def said(script: str) -> str:
    """What `script` prints in a new process."""
    command = [sys.executable, "-c", script]
    return subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True).stdout


def test_a_stand_in_imports_the_module_when_it_is_called() -> None:
    script = (
        "import sys\n"
        "from tasks.late import standing_in\n"
        "with standing_in('colorsys', 'sys'):\n"
        "    import colorsys, sys as real\n"
        "assert real is sys and 'colorsys' not in sys.modules\n"
        "assert not hasattr(colorsys, '__path__')\n"
        "print(colorsys.rgb_to_hsv(1, 1, 1), 'colorsys' in sys.modules)\n"
    )
    assert said(script) == "(0.0, 0.0, 1) True\n"


def test_a_run_does_not_import_what_it_rarely_needs() -> None:
    rarely = ("configparser", "importlib.metadata", "multiprocessing", "pdb", "ssl", "requests")
    script = f"import sys, tasks.__main__, tasks.reporter; print({{*sys.modules}} & {{*{rarely}}})"
    assert said(script) == "set()\n"


def test_a_run_with_nothing_to_do_imports_nothing_of_the_network(built: Checkout) -> None:
    done = built.run([sys.executable, "-X", "importtime", *doit("pkg")[1:]])
    assert done.status == 0 and done.said.rstrip().endswith("pkg is up to date"), done
    imported = {line.rpartition("|")[2].strip() for line in done.said.splitlines()}
    assert "tasks.engine.project" in imported
    assert not imported & {"requests", "ssl", "tasks.engine.taking", "urllib3"}
