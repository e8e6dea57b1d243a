"""tasks.completion: the words that a shell suggests."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from plan.settings.parameters import PARAMETERS
from tasks.commands import COMMANDS, OF_DOIT
from tasks.completion import LISTS, PATHS, ROOT, TARGETS, VALUES, words

RECIPES = ("curl", "musl", "zlib", "zstd")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A checkout as far as the words of its command lines go."""
    (tmp_path / "plan" / "recipes").mkdir(parents=True)
    for name in RECIPES:
        (tmp_path / "plan" / "recipes" / f"{name}.yaml").write_text("not: [even, YAML")
    (tmp_path / "plan" / "recipes" / "zlib").mkdir()
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_a.py").touch()
    (tmp_path / "dodo.py").touch()
    return tmp_path


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("im", "image"),
        ("inspect im", "image image="),
        ("i", "image in= info inspect instance="),
        ("forget i", "image inspect instance="),
        ("set=base i", "image in= info inspect instance="),
        ("pk", "pkg pkg:"),
        ("pkg:z", "pkg:zlib pkg:zstd"),
        ("forget pkg:mus", "pkg:musl"),
        ("fetch:c", "fetch:curl"),
        ("rootfs-from-sysroot:z", "rootfs-from-sysroot:zlib rootfs-from-sysroot:zstd"),
        ("pkgs:z", ""),
        ("image se", "seed seed= seed_release= seed_sha256= seed_tarball= set= settings"),
        ("image seed=self se", "seed seed_release= seed_sha256= seed_tarball= set= settings"),
        ("set=", "set=base set=base-tools set=full"),
        ("arch=x", "arch=x86_64"),
        ("in=", "in=namespace in=vm"),
        ("strict=", "strict=no strict=yes"),
        ("with=", "with=curl with=musl with=zlib with=zstd"),
        ("with=zlib,z", "with=zlib,zstd"),
        ("regenerate packages=curl,m", "packages=curl,musl"),
        ("verify variations=jobs,um", "variations=jobs,umask"),
        ("seed=d", "seed=debian seed=dodo.py"),
        ("seed=te", "seed=tests/"),
        ("workdir=plan/re", "workdir=plan/recipes/"),
        ("test tests/", "tests/test_a.py"),
        ("shell ro", "rootfs rootfs-from-sysroot:"),
        ("set=base shell o", "objects= offline= overlay="),
        ("why p", "pkg: platform= progress="),
        ("patch pk", "pkg:"),
        ("overrides appl", "apply"),
        ("phase=s", "phase=sysroot-from-seed"),
        ("shell pkg:mu", "pkg:musl"),
        ("mirror=h", ""),
        ("wrong=", ""),
    ],
)
def test_the_words(root: Path, line: str, expected: str) -> None:
    *before, current = line.split(" ")
    assert words(before, current, root=root, here=root) == expected.split()


def test_the_packages_of_the_layer_in_a_local_yaml_that_is_not_utf_8(root: Path) -> None:
    (root / "own" / "recipes").mkdir(parents=True)
    (root / "own" / "recipes" / "zsh.yaml").touch()
    (root / "local.yaml").write_bytes(b"# caf\xe9\nlayer: own\n")
    assert words([], "pkg:z", root=root, here=root) == ["pkg:zlib", "pkg:zsh", "pkg:zstd"]


def test_what_is_named_here_is_there() -> None:
    """Of this checkout: its parameters with their values, and its tasks."""
    parameters = {parameter.name: parameter for parameter in PARAMETERS}
    for name, values in VALUES.items():
        assert all(parameters[name].check(value) == value for value in values)
    assert parameters.keys() >= {*LISTS, *PATHS}
    choices = {name for name in parameters if "one_of" in parameters[name].check.__qualname__}
    assert choices <= VALUES.keys()
    offered = set(words([], ""))
    assert offered >= TARGETS.keys()
    assert offered >= {
        *OF_DOIT,
        *(
            f"{name}="
            for name in parameters
            if name not in COMMANDS and not parameters[name].secret
        ),
    }
    for name, parameter in parameters.items():
        assert all(f"{name}=" in words([task], "") for task in parameter.of)
    assert offered >= COMMANDS.keys()


def test_neither_doit_nor_the_plan_is_loaded() -> None:
    """Or each press of the key would take as long as `doit list`."""
    code = "import sys, tasks.completion; "
    code += "sys.exit(len({'doit', 'yaml', 'plan.steps.plan'} & {*sys.modules}))"
    subprocess.run([sys.executable, "-S", "-c", code], cwd=ROOT, check=True)
