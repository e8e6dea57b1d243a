"""The long tests: told with their minutes, and an interrupted run goes on."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from tests import nightly
from tests.checkout import ROOT
from tests.rootfs.tools import tool

TOY = """
import pathlib, time, pytest
here = pathlib.Path(__file__).with_suffix(".runs")

@pytest.mark.slow
def test_it():
    with here.open("a") as file:
        file.write("x")
    {body}

def test_another():
    raise AssertionError("this one is not long")
"""
# It builds no image: these tests boot none.
BQ2 = "#!/bin/sh\n"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A repository with the code of this one and two long tests."""
    (tmp_path / "tests").mkdir()
    for name in ("__init__", "conftest", "nightly", "ports", "scratch"):
        shutil.copy(ROOT / "tests" / f"{name}.py", tmp_path / "tests")
    shutil.copy(ROOT / "tests" / "nightly.yaml", tmp_path / "tests")
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for name in ("plan", "rootfs"):
        (tmp_path / name).symlink_to(ROOT / name)
    (tmp_path / ".gitignore").write_text("work\n*.runs\n__pycache__\n")
    (tmp_path / "bq2").write_text(BQ2)
    (tmp_path / "bq2").chmod(0o755)
    tool("git", "init", "-q", tmp_path)
    _write(tmp_path, "first", "pass")
    return tmp_path


def _write(checkout: Path, name: str, body: str) -> None:
    """Commit the long test `name`."""
    (checkout / "tests" / f"test_{name}.py").write_text(TOY.format(body=body))
    who = ("-c", "user.name=x", "-c", "user.email=x@example.org")
    tool("git", "-C", checkout, "add", ".")
    tool("git", "-C", checkout, *who, "commit", "-qm", name)


def _nightly(checkout: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tests.nightly"],
        cwd=checkout,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
        # A shell lets what it starts in the background ignore Ctrl-C.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def _ended(run: subprocess.Popen[str]) -> tuple[int, str]:
    said, _ = run.communicate(timeout=300)
    return run.returncode, said


def _runs(checkout: Path, name: str) -> int:
    file = checkout / "tests" / f"test_{name}.runs"
    return len(file.read_text()) if file.exists() else 0


def test_what_passed_is_not_repeated_at_the_same_commit(checkout: Path) -> None:
    _write(checkout, "second", "assert False")
    status, said = _ended(_nightly(checkout))
    assert status == 1
    assert "tests/test_second.py: FAILED" in said and "this one is not long" not in said
    assert "1 passed at this commit before" in _ended(_nightly(checkout))[1]
    assert (_runs(checkout, "first"), _runs(checkout, "second")) == (1, 2)
    _write(checkout, "second", "pass")
    assert _ended(_nightly(checkout))[0] == 0
    assert (_runs(checkout, "first"), _runs(checkout, "second")) == (2, 3)


def _await(run: subprocess.Popen[str], file: Path) -> None:
    """Wait until `run` has written something into `file`, or has ended."""
    until = time.monotonic() + 180
    while not (file.exists() and file.read_text()):
        if run.poll() is not None or time.monotonic() > until:
            return
        time.sleep(0.1)


@pytest.mark.fault(
    "Ctrl-C or SIGTERM during the long tests",
    "the running test cleans up; the same command goes on with what is left",
)
@pytest.mark.parametrize(
    ("send", "number"), [(os.killpg, signal.SIGINT), (os.kill, signal.SIGTERM)]
)
def test_an_interrupted_run_goes_on(
    checkout: Path, send: Callable[[int, int], None], number: int
) -> None:
    clean = "here.with_suffix('.clean.runs').touch()"
    wait = "here.stat().st_size > 1 or time.sleep(60)"
    _write(checkout, "second", f"try: {wait}\n    finally: {clean}")
    run = _nightly(checkout)
    _await(run, checkout / "tests" / "test_second.runs")
    send(run.pid, number)
    status, said = _ended(run)
    assert (status, said.splitlines()[-1][:11]) == (130, "interrupted")
    assert (checkout / "tests" / "test_second.clean.runs").exists()
    assert _ended(_nightly(checkout))[0] == 0
    assert (_runs(checkout, "first"), _runs(checkout, "second")) == (1, 2)


@pytest.mark.fault(
    "Ctrl-C while `test nightly` collects, or while a test of it must clean up",
    "it ends as interrupted; the test cleans up first",
)
def test_an_interruption_at_any_moment(checkout: Path) -> None:
    clean = "(time.sleep(1), here.with_suffix('.clean.runs').touch())"
    _write(checkout, "first", f"try: time.sleep(60)\n    finally: {clean}")
    mark = checkout / "tests" / "test_late.runs"
    late = f"import pathlib, time\npathlib.Path({str(mark)!r}).write_text('x')\ntime.sleep(60)\n"
    for file, text in ((checkout / "tests" / "test_first.runs", ""), (mark, late)):
        (checkout / "tests" / "test_late.py").write_text(text)
        run = _nightly(checkout)
        _await(run, file)
        os.killpg(run.pid, signal.SIGINT)
        status, said = _ended(run)
        assert (status, said.splitlines()[-1][:11]) == (130, "interrupted"), said
    assert (checkout / "tests" / "test_first.clean.runs").exists()


@pytest.mark.fault(
    "`test nightly` where tests/nightly.yaml is missing, empty or damaged",
    "all times count as unknown, and the file gets those that were measured",
)
@pytest.mark.parametrize("text", [None, "", "{}\n", "a: [", "- 1\n", "tests/gone.py: 7\n"])
def test_what_was_measured_is_kept(checkout: Path, text: str | None) -> None:
    file = checkout / "tests" / "nightly.yaml"
    file.unlink() if text is None else file.write_text(text)
    status, said = _ended(_nightly(checkout))
    assert status == 0 and "   ? min     tests/test_first.py" in said, said
    found = yaml.safe_load(file.read_text())
    assert [*found] == ["tests/test_first.py"] and found["tests/test_first.py"] >= 0
    assert file.read_text().startswith(nightly.HEAD)
    # What it wrote there is no change of the project.
    assert "1 passed at this commit before" in _ended(_nightly(checkout))[1]
    assert _runs(checkout, "first") == 1


def test_a_file_with_an_error(checkout: Path) -> None:
    _write(checkout, "second", "(")
    status, said = _ended(_nightly(checkout))
    assert status == 1 and "SyntaxError" in said, said
    assert _runs(checkout, "first") == 0


def test_the_minutes_are_told_first() -> None:
    said = nightly.forecast(["a.py", "b.py"], {"a.py": 90}, before=3)
    assert "1.5 min  a.py" in said and "?" in said
    assert "2 min in all; 3 passed at this commit before" in said


@pytest.mark.fault(
    "`test nightly` where git is missing, its state is cut off, or no image can be built",
    "all is run again; without the image, one line says so",
)
def test_what_it_needs(checkout: Path) -> None:
    (checkout / "work").mkdir()
    (checkout / "work" / "nightly.json").write_text('{"commit": ')
    shutil.rmtree(checkout / ".git")
    assert _ended(_nightly(checkout))[0] == 0
    assert _runs(checkout, "first") == 1
    (checkout / "bq2").write_text("#!/bin/sh\nexit 1\n")
    run = subprocess.run(
        [sys.executable, "-m", "tests.nightly"],
        cwd=checkout,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 1 and "Traceback" not in run.stderr, run.stderr
    assert "the base image could not be built" in run.stderr
