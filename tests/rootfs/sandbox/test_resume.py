"""rootfs.sandbox.resume: which interrupted builds can be resumed."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest

from plan.compiling.styles import BY_NINJA
from plan.errors import BuildError
from plan.model import Command, Step
from rootfs.sandbox import resume

COMMANDS = (
    Command(("cmake", "-S", "/source"), "/build"),
    Command((*BY_NINJA, "--target", "all"), "/build"),
    Command(("cmake", "--install", "/build"), "/build"),
    Command(("sh", "-euc", "for each in a 'b c'; do\n  strip $each\ndone"), "/dest"),
)
STEP = Step(
    name="toy",
    phase="sysroot-from-seed",
    version="1",
    sources=(),
    files=(),
    depends=(),
    tools=(),
    environment=(),
    commands=COMMANDS,
    remove=(),
    additions=(),
)


def left(directory: Path, *started: int) -> Path:
    """A directory as an interrupted build leaves it: these commands had been started."""
    log = "".join(f"+ {shlex.join(COMMANDS[n].argv)}\n[{n}/9] said\n" for n in started)
    directory.mkdir()
    (directory / "log").write_text(log)
    (directory / "new-dest").mkdir()
    (directory / "new-dest" / "half").write_text("installed")
    (directory.parent / "seed").mkdir(exist_ok=True)
    spec = {
        "base": f"{directory}/mount",
        "root": {"at": "/", "bind": f"{directory.parent}/seed", "writable": False},
        "mounts": [],
        "environment": {"JOBS": "2", "CC": "clang"},
    }
    (directory / "sandbox.json").write_text(json.dumps(spec))
    resume.mark(directory, "id")
    return directory


@pytest.mark.parametrize(
    ("started", "first"),
    [((), 0), ((0,), 0), ((0, 1), 1), ((0, 1, 2), 1), ((0, 1, 2, 3), 1), ((0, 1, 1, 2), 1)],
)
def test_it_goes_on_with_ninja(tmp_path: Path, started: tuple[int, ...], first: int) -> None:
    directory = left(tmp_path / "build", *started)
    assert resume.interrupted_at(STEP, directory, "id") == first


@pytest.mark.fault(
    "a full disk cut what is kept of an interrupted build", "it starts from the beginning"
)
@pytest.mark.parametrize("text", ["", "[]", '{"base"'])
def test_a_damaged_sandbox(tmp_path: Path, text: str) -> None:
    directory = left(tmp_path / "build", 0, 1)
    (directory / "sandbox.json").write_text(text)
    assert resume.interrupted_at(STEP, directory, "id") == 0
    with pytest.raises(BuildError, match="is damaged"):
        resume.kept_sandbox(directory)


def test_another_step_another_boot_and_a_visitor_begin_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = left(tmp_path / "build", 0, 1)
    assert resume.interrupted_at(STEP, directory, "other") == 0
    assert resume.interrupted_at(STEP, tmp_path / "nowhere", "id") == 0
    boot = tmp_path / "boot_id"
    boot.write_text("after a power cut\n")
    with monkeypatch.context() as context:
        context.setattr(resume, "BOOT", boot)
        assert resume.interrupted_at(STEP, directory, "id") == 0
    assert resume.interrupted_at(STEP, directory, "id") == 1
    resume.unmark(directory)
    assert resume.interrupted_at(STEP, directory, "id") == 0


@pytest.mark.fault(
    "the work directory or the cache was moved since a build was interrupted",
    "the build begins anew: its sandbox names the old places",
)
def test_what_was_moved_begins_anew(tmp_path: Path) -> None:
    directory = left(tmp_path / "build", 0, 1)
    moved = directory.rename(tmp_path / "moved")
    assert resume.interrupted_at(STEP, moved, "id") == 0
    with pytest.raises(BuildError, match="was moved since"):
        resume.kept_sandbox(moved)
    moved.rename(directory)
    assert resume.interrupted_at(STEP, directory, "id") == 1
    (tmp_path / "seed").rename(tmp_path / "seed-elsewhere")
    assert resume.interrupted_at(STEP, directory, "id") == 0


def test_what_was_installed_by_half_is_gone(tmp_path: Path) -> None:
    directory = left(tmp_path / "build", 0, 1, 2)
    place = resume.resumed(directory, {"JOBS": "7"})
    assert place.environment == {"JOBS": "7", "CC": "clang"}
    assert list((directory / "new-dest").iterdir()) == []
