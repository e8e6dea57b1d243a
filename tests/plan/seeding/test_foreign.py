"""plan/seeding/foreign.py: packages of another architecture in a seed."""

from __future__ import annotations

from pathlib import Path

import pytest

from plan.errors import BuildError
from plan.seeding.alpine import DEBIAN, load_alpine
from plan.seeding.debian import load_debian, load_lock
from plan.seeding.foreign import Foreign, load_foreign
from plan.yamlfile import load
from tests.plan.conftest import PLAN, written

SEEDS = PLAN / "seeds"
TEMPLATES = "usr/lib/crystal/emulated/ecr/macros.cr"
FOREIGN = """\
architecture: x86_64
packages: {crystal: the compiler}
emulated: {etc/a: text}
"""


def foreign(directory: Path, text: str, arch: str, name: str = "other.yaml") -> Foreign | None:
    (directory / "other.yaml").write_text(text)
    own = load(written(directory, f"foreign: {name}\n"))
    return load_foreign(own, directory, arch)


def test_only_another_architecture_gets_the_files(tmp_path: Path) -> None:
    own = Foreign("x86_64", ("crystal",), ())
    assert foreign(tmp_path, FOREIGN, "x86_64") == own
    assert foreign(tmp_path, FOREIGN, "aarch64") == Foreign(
        "x86_64", ("crystal",), (("etc/a", "text"),)
    )
    assert load_foreign(load(written(tmp_path, "a: b\n")), tmp_path, "aarch64") is None


@pytest.mark.parametrize(
    ("old", "new", "name", "reason"),
    [
        ("packages:", "package:", "other.yaml", "did you mean packages?"),
        ("the compiler", "", "other.yaml", "crystal has no reason"),
        ("etc/a", "/etc/a", "other.yaml", "not a path inside"),
        ("", "", "others.yaml", "there is no file others.yaml beside this one"),
        ("", "", "../other.yaml", "there is no file ../other.yaml beside this one"),
    ],
)
def test_what_is_refused(old: str, new: str, name: str, reason: str, tmp_path: Path) -> None:
    with pytest.raises(BuildError) as caught:
        foreign(tmp_path, FOREIGN.replace(old, new, 1) if old else FOREIGN, "aarch64", name)
    assert reason in str(caught.value)


def test_the_real_packages_are_pinned() -> None:
    pinned = {deb.name for deb in load_lock(SEEDS / "debian-x86_64.lock.yaml").debs}
    for arch in ("aarch64", "x86_64"):
        named = load_alpine(SEEDS / "alpine.yaml", arch).foreign
        assert named and set(named.packages) <= pinned


def test_an_emulated_compiler_never_runs_what_it_compiled() -> None:
    debian, alpine = (
        load(SEEDS / name, "aarch64")
        for load, name in ((load_debian, "debian.yaml"), (load_alpine, "alpine.yaml"))
    )
    text = dict(debian.files)[TEMPLATES]
    assert dict(alpine.programs)[f"{DEBIAN}/{TEMPLATES}"] == text and "run(" not in text
    for seed in (debian, alpine):
        script = next(text for path, text in seed.programs if path.endswith("bin/crystal"))
        assert "/emulated:" in script and "qemu-x86_64 " in script
    assert TEMPLATES not in dict(load_debian(SEEDS / "debian.yaml", "x86_64").files)
