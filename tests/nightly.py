"""The tests that take too long for every change, one file after another, on the base image.

    pytest --collect-only -m "slow or full" ──▶ files ◀── tests/nightly.yaml: how long they took
                                                  └─▶ one pytest for each ──▶ work/nightly.json
                                                                         └──▶ tests/nightly.yaml

After an interruption the same command goes on: at the same commit, a file that passed is not run
again.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import FrameType

import pytest
import yaml

from plan.outputs import write_file
from tests.conftest import LONG

ROOT = Path(__file__).resolve().parents[1]
SECONDS = ROOT / "tests" / "nightly.yaml"
STATE = ROOT / "work" / "nightly.json"
CHOSEN = ("-m", " or ".join(LONG))
HEAD = "# File of long tests → seconds when it passed last. `./bq2 test nightly` writes this.\n"
PATIENCE = 60.0  # seconds that an interrupted test may need to clean up


class _Files:
    """Takes the files of the tests that pytest collects."""

    def __init__(self) -> None:
        self.found: list[str] = []
        self.interrupted = False
        self.errors: list[str] = []

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self.errors.append(report.longreprtext)

    def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        # pytest also raises a class of its own, after an error in a file.
        self.interrupted = excinfo.type is KeyboardInterrupt

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        self.found = [*dict.fromkeys(item.nodeid.partition("::")[0] for item in session.items)]


def main(words: Sequence[str]) -> int:
    """Run the long tests, or only those in the files `words`. 0 if all pass; 130 after Ctrl-C."""
    try:
        return _main(words)
    except KeyboardInterrupt:
        sys.stdout.write("interrupted; the same command goes on with what is left\n")
        return 130


def _main(words: Sequence[str]) -> int:
    known, commit = _known(), _commit()
    passed = _passed(commit)
    files = [path for path in _collected(words) if path not in passed]
    sys.stdout.write(forecast(files, known, len(passed)))
    sys.stdout.flush()
    failed = []
    if not files:
        return 0
    image = {"BQ2_TEST_IMAGE": os.fspath(_image())}
    environment = os.environ | dict.fromkeys(LONG.values(), "1") | image
    for path in sorted(files, key=lambda path: known.get(path, 0)):
        begin = time.monotonic()
        if _ended([sys.executable, "-m", "pytest", "-q", *CHOSEN, path], environment):
            failed.append(path)
        else:
            passed[path] = round(time.monotonic() - begin)
            write_file(STATE, json.dumps({"commit": commit, "passed": passed}, indent=1))
            _keep(path, passed[path])
    sys.stdout.write("".join(f"{path}: {passed[path]}\n" for path in files if path in passed))
    sys.stdout.write("".join(f"{path}: FAILED\n" for path in failed))
    return 1 if failed else 0


def _ended(command: Sequence[str | Path], environment: Mapping[str, str] = os.environ) -> int:
    """The exit status of `command`. After Ctrl-C, which it gets too, it may clean up first.

    After SIGTERM also: `command` gets SIGINT, at which pytest cleans up.
    """
    with subprocess.Popen(command, cwd=ROOT, env=environment) as process:

        def stop(number: int, frame: FrameType | None) -> None:
            del number, frame
            process.send_signal(signal.SIGINT)
            raise KeyboardInterrupt

        before = signal.signal(signal.SIGTERM, stop)
        try:
            return process.wait()
        except KeyboardInterrupt:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(PATIENCE)
            raise
        finally:
            signal.signal(signal.SIGTERM, before)
            process.kill()


def _known() -> dict[str, int]:
    """What SECONDS says: file → seconds. If it is missing, empty or damaged, nothing is known."""
    try:
        found = yaml.safe_load(SECONDS.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError):
        return {}
    pairs = found.items() if isinstance(found, dict) else ()
    return {str(path): took for path, took in pairs if isinstance(took, int)}


def _keep(path: str, seconds: int) -> None:
    """Write into SECONDS how long the file `path` took; files that are gone are left out."""
    known = {each: took for each, took in _known().items() if (ROOT / each).exists()}
    try:
        write_file(SECONDS, HEAD + yaml.safe_dump(known | {path: seconds}))
    except OSError as error:
        sys.stdout.write(f"{SECONDS} cannot be written: {error.strerror}\n")


def forecast(files: Iterable[str], known: Mapping[str, int], before: int) -> str:
    """What will be run, and how long. `known`: file → seconds. `before`: how many passed."""
    files = [*files]
    lines = [f"{known[path] / 60:6.1f} min  {path}" for path in files if path in known]
    lines += [f"   ? min     {path}" for path in files if path not in known]
    minutes = sum(known.get(path, 0) for path in files) / 60
    lines.append(f"{minutes:6.0f} min in all; {before} passed at this commit before")
    return "\n".join(lines) + "\n"


def _collected(words: Sequence[str]) -> list[str]:
    files = _Files()
    chosen = [*words] or [os.fspath(ROOT / "tests")]
    quiet = ("--collect-only", "-qq", "--no-summary", "--rootdir", os.fspath(ROOT))
    status = pytest.main([*quiet, *CHOSEN, *chosen], [files])
    if files.interrupted:
        raise KeyboardInterrupt
    if files.errors:
        sys.stdout.write("\n".join([*files.errors, ""]))
        sys.exit("nightly: a file of tests has an error, see above")
    if status != pytest.ExitCode.OK:
        hint = "./bq2 test nightly tests/FILE.py runs the long tests of a file"
        sys.exit(f"nightly: no long test is in {' '.join(words) or 'tests'}\n  {hint}")
    return files.found


def _image() -> Path:
    """The base image of this commit, which many of these tests boot."""
    if _ended([ROOT / "bq2", "image", "set=base"]):
        sys.exit("nightly: the base image could not be built, and these tests boot it")
    return ROOT / "output" / f"bootstrap-qcow2-base-{platform.machine()}.qcow2"


def _commit() -> str:
    """The commit of this checkout; a name used once without git, or with what is not committed.

    What a run itself writes into SECONDS does not count.
    """
    try:
        own = SECONDS.relative_to(ROOT)
        changed = _git("status", "--porcelain", "--", ".", f":(exclude){own}")
        head = _git("rev-parse", "HEAD").strip()
    except (OSError, subprocess.CalledProcessError):
        return f"no commit at {time.time()}"
    return f"{head} changed at {time.time()}" if changed else head


def _git(*words: str) -> str:
    quiet = subprocess.DEVNULL
    return subprocess.check_output(["git", *words], cwd=ROOT, text=True, stderr=quiet)


def _passed(commit: str) -> dict[str, int]:
    """What passed at `commit`: file → seconds."""
    try:
        state = json.loads(STATE.read_text(encoding="utf-8"))
        return dict(state["passed"]) if state["commit"] == commit else {}
    except (OSError, ValueError, KeyError, TypeError):
        return {}  # none yet, or a full disk cut it: all is run again


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
