"""The program of the style `python`, run as a step runs it, with other directories."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from plan.compiling.pure_python import install

PROJECT = """\
[project]
name = "Thing.One"
version = "1"
[project.scripts]
thing = "thing_one.cli:Main.run"
"""


def run(place: Path, source: Path, *packages: str) -> subprocess.CompletedProcess[str]:
    """Install the package of `source` for a target with Python 3.13 into place/dest."""
    (place / "sysroot" / "usr" / "lib" / "python3.13").mkdir(parents=True)
    program = install("thing", "1.2")
    for name in ("dest", "sysroot"):
        program = program.replace(f'"/{name}', f'"{place}/{name}')
    argv = [sys.executable, "-c", program, *packages]
    return subprocess.run(argv, cwd=source, capture_output=True, text=True, check=False)


def tree(place: Path, files: dict[str, str]) -> Path:
    """A directory with these files."""
    for name, text in files.items():
        (place / "source" / name).parent.mkdir(parents=True, exist_ok=True)
        (place / "source" / name).write_text(text)
    return place / "source"


def test_a_project_is_installed_with_its_programs(tmp_path: Path) -> None:
    cli = "class Main:\n    run = lambda: print('ran') or 3\n"
    files = {"pyproject.toml": PROJECT, "src/thing_one/__init__.py": "", "tests/x.py": ""}
    done = run(tmp_path, tree(tmp_path, {**files, "src/thing_one/cli.py": cli}))
    assert done.returncode == 0, done
    site = tmp_path / "dest" / "usr" / "lib" / "python3.13" / "site-packages"
    assert sorted(path.name for path in site.iterdir()) == ["thing_one", "thing_one-1.2.dist-info"]
    program = tmp_path / "dest" / "usr" / "bin" / "thing"
    assert program.read_text().startswith("#!/usr/bin/python3\n")
    code = f"import importlib.metadata as m; print(m.version('thing-one')); {program.read_text()}"
    argv = [sys.executable, "-c", code.replace("\n", ";").replace("#!/usr/bin/python3;", "")]
    ran = subprocess.run(
        argv, env={"PYTHONPATH": str(site)}, capture_output=True, text=True, check=False
    )
    assert (ran.stdout, ran.returncode) == ("1.2\nran\n", 3), ran


def test_a_wheel_is_installed_as_it_is(tmp_path: Path) -> None:
    points = "[console_scripts]\nThing = thing:main [extra]\npercent% = thing:main\n"
    files = {"thing.py": "main = print", "thing-1.dist-info/entry_points.txt": points}
    assert run(tmp_path, tree(tmp_path, files)).returncode == 0
    usr = tmp_path / "dest" / "usr"
    assert (usr / "lib" / "python3.13" / "site-packages" / "thing.py").exists()
    assert "from thing import main\nsys.exit(main())" in (usr / "bin" / "Thing").read_text()
    assert (usr / "bin" / "percent%").exists()


@pytest.mark.fault(
    "a Python package that is compiled, or has another name than its recipe",
    "its build fails, and says why",
)
def test_what_is_not_pure_python(tmp_path: Path) -> None:
    source = tree(tmp_path / "one", {"pyproject.toml": PROJECT, "other/a.py": ""})
    assert "no package thing_one here: name its directories" in run(tmp_path / "one", source).stderr
    source = tree(tmp_path / "two", {"pyproject.toml": "", "other/fast.so": ""})
    assert "this is not pure Python: " in run(tmp_path / "two", source, "other").stderr
    wheel = {"thing-1.dist-info/METADATA": "", "thing-1.data/scripts/thing": "#!python"}
    source = tree(tmp_path / "three", wheel)
    assert "thing-1.data/scripts is not installed" in run(tmp_path / "three", source).stderr
