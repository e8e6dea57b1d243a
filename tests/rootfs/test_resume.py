"""rootfs.resume: what can be gone on with, told from what cannot."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest

from plan.errors import BuildError
from plan.model import Command, Step
from plan.styles import BY_NINJA
from rootfs import resume

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


def left(folder: Path, *started: int) -> Path:
    """A folder as an interrupted build leaves it: these commands had been started."""
    log = "".join(f"+ {shlex.join(COMMANDS[n].argv)}\n[{n}/9] said\n" for n in started)
    folder.mkdir()
    (folder / "log").write_text(log)
    (folder / "new-dest").mkdir()
    (folder / "new-dest" / "half").write_text("installed")
    (folder.parent / "seed").mkdir(exist_ok=True)
    spec = {
        "base": f"{folder}/mount",
        "root": {"at": "/", "bind": f"{folder.parent}/seed", "writable": False},
        "mounts": [],
        "environment": {"JOBS": "2", "CC": "clang"},
    }
    (folder / "sandbox.json").write_text(json.dumps(spec))
    resume.mark(folder, "id")
    return folder


@pytest.mark.parametrize(
    ("started", "first"),
    [((), 0), ((0,), 0), ((0, 1), 1), ((0, 1, 2), 1), ((0, 1, 2, 3), 1), ((0, 1, 1, 2), 1)],
)
def test_it_goes_on_with_ninja(tmp_path: Path, started: tuple[int, ...], first: int) -> None:
    folder = left(tmp_path / "build", *started)
    assert resume.interrupted_at(STEP, folder, "id") == first


def test_another_step_another_boot_and_a_visitor_begin_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = left(tmp_path / "build", 0, 1)
    assert resume.interrupted_at(STEP, folder, "other") == 0
    assert resume.interrupted_at(STEP, tmp_path / "nowhere", "id") == 0
    boot = tmp_path / "boot_id"
    boot.write_text("after a power cut\n")
    with monkeypatch.context() as context:
        context.setattr(resume, "BOOT", boot)
        assert resume.interrupted_at(STEP, folder, "id") == 0
    assert resume.interrupted_at(STEP, folder, "id") == 1
    resume.unmark(folder)
    assert resume.interrupted_at(STEP, folder, "id") == 0


@pytest.mark.fault(
    "the work directory or the cache was moved since a build was interrupted",
    "the build begins anew: its sandbox names the old places",
)
def test_what_was_moved_begins_anew(tmp_path: Path) -> None:
    folder = left(tmp_path / "build", 0, 1)
    moved = folder.rename(tmp_path / "moved")
    assert resume.interrupted_at(STEP, moved, "id") == 0
    with pytest.raises(BuildError, match="was moved since"):
        resume.kept_sandbox(moved)
    moved.rename(folder)
    assert resume.interrupted_at(STEP, folder, "id") == 1
    (tmp_path / "seed").rename(tmp_path / "seed-elsewhere")
    assert resume.interrupted_at(STEP, folder, "id") == 0


def test_what_was_installed_by_half_is_gone(tmp_path: Path) -> None:
    folder = left(tmp_path / "build", 0, 1, 2)
    place = resume.resumed(folder, {"JOBS": "7"})
    assert place.environment == {"JOBS": "7", "CC": "clang"}
    assert list((folder / "new-dest").iterdir()) == []
