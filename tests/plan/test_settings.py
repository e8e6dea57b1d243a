from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from plan.errors import BuildError
from plan.parameters import PARAMETERS
from plan.resolve import resolve
from tests.plan.conftest import PLAN


def test_command_line_wins_over_environment_over_file_over_default(tmp_path: Path) -> None:
    (tmp_path / "local.yaml").write_text("jobs: 3\narch: aarch64\nmirror: http://file.test\n")
    settings = resolve(
        tmp_path, {"jobs": "5"}, {"BQ2_JOBS": "4", "BQ2_ARCH": "x86_64", "JOBS": "9"}
    )
    assert (settings.jobs, settings.arch, settings.mirror) == (5, "x86_64", "http://file.test")
    assert settings.set == "full"
    origins = [settings.origin[name] for name in ("jobs", "arch", "mirror", "set")]
    assert origins == ["command line", "environment", "local.yaml", "default"]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"sed": "debian"}, "did you mean seed?"),
        ({"set": "bsae"}, "did you mean base?"),
        ({"arch": "x86-64"}, "did you mean x86_64?"),
        ({"arch": "mips"}, "plan/architectures.yaml can add one"),
        ({"seed": "debain"}, "did you mean debian?"),
        ({"seed": "./nowhere"}, "no such directory or tarball"),
        ({"jobs": "0"}, "from 1 to 1024"),
        ({"cpus": "65"}, "from 1 to 64"),
        ({"cpus": "many"}, "from 1 to 64"),
        ({"memory": "2"}, "a size like 2G or 512M"),
        ({"memory": "-1G"}, "a size like 2G or 512M"),
        ({"memory": "64M"}, "from 128M to 1024G"),
        ({"ports": "80"}, "like 8080:80,2222:22"),
        ({"ports": "0:80"}, "ports (1 to 65535)"),
        ({"ports": "8080:65536"}, "ports (1 to 65535)"),
        ({"ports": "8080:\u00b2"}, "ports (1 to 65535)"),
        ({"ports": "8080:80,8080:81"}, "port 8080 of this machine is in it twice"),
        ({"share": "nowhere"}, "an existing directory"),
        ({"screen": "big"}, "yes or no"),
        ({"jobs": "two"}, "from 1 to 1024"),
        ({"offline": "perhaps"}, "yes or no"),
        ({"mirror": "ftp://x"}, "http"),
        ({"workdir": ""}, "a path"),
    ],
)
def test_unknown_names_and_values_are_refused_with_the_remedy(
    tmp_path: Path, given: dict[str, str], words: str
) -> None:
    with pytest.raises(BuildError) as caught:
        resolve(tmp_path, given, {})
    assert words in str(caught.value)
    assert caught.value.where == "command line"


def test_the_environment_and_the_file_are_checked_alike(tmp_path: Path) -> None:
    with pytest.raises(BuildError) as caught:
        resolve(tmp_path, {}, {"BQ2_JBOS": "2"})
    assert caught.value.where == "environment"
    (tmp_path / "local.yaml").write_text("jobs: [1]\n")
    with pytest.raises(BuildError) as caught:
        resolve(tmp_path, {}, {})
    assert caught.value.where == "local.yaml:1"


@pytest.mark.fault(
    "a set of one's own in plan/sets.yaml", "it can be chosen; a misspelt one gets its name"
)
def test_any_set_of_the_file_can_be_chosen(tmp_path: Path) -> None:
    """In a copy: the names are those of the checkout that the code is in."""
    shutil.copytree(PLAN, tmp_path / "plan")
    with (tmp_path / "plan" / "sets.yaml").open("a") as sets:
        sets.write("my-router.2: {}\n")
    code = "import sys; from plan.parameters import PARAMETERS as p; p[0].check(sys.argv[1])"
    for name, status, words in (("my-router.2", 0, ""), ("my-ruter.2", 1, "mean my-router.2?")):
        done = subprocess.run(
            [sys.executable, "-c", code, name], cwd=tmp_path, capture_output=True, text=True
        )
        assert done.returncode == status and words in done.stderr


def test_variables_of_the_tests_and_the_cache_are_no_parameters(tmp_path: Path) -> None:
    resolve(tmp_path, {}, {"BQ2_CACHE": "/x", "BQ2_TEST_IMAGE": "/y", "BQ2_FIRMWARE": "/z"})


def test_a_seed_may_be_a_path_and_outputs_are_absolute(tmp_path: Path) -> None:
    settings = resolve(tmp_path, {"seed": str(tmp_path), "output": "x/y.tar"}, {})
    assert settings.seed == str(tmp_path)
    assert settings.output("z") == tmp_path / "x/y.tar"
    assert settings.workdir == tmp_path / "work"


@pytest.mark.parametrize(
    ("text", "expected"),
    [("seed.tar", "here/seed.tar"), ("./seed.tar", "here/seed.tar"), ("debian", "debian")],
)
def test_a_seed_that_is_a_path_is_one_of_here(tmp_path: Path, text: str, expected: str) -> None:
    here = tmp_path / "here"
    (here / "debian").mkdir(parents=True)
    (here / "seed.tar").touch()
    settings = resolve(tmp_path, {"seed": text}, {}, here)
    assert settings.seed == (expected if text == "debian" else f"{tmp_path}/{expected}")
    (tmp_path / "of-the-checkout").touch()
    with pytest.raises(BuildError, match="seed cannot be 'of-the-checkout'"):
        resolve(tmp_path, {"seed": "of-the-checkout"}, {}, here)


def test_where_relative_paths_belong(tmp_path: Path) -> None:
    here = tmp_path / "here"
    here.mkdir()
    (tmp_path / "local.yaml").write_text("output: x\n")
    settings = resolve(tmp_path, {"workdir": "w"}, {"BQ2_OUTPUT": "y"}, here)
    assert (settings.workdir, settings.output("z")) == (here / "w", here / "y")
    settings = resolve(tmp_path, {}, {}, here)
    assert (settings.workdir, settings.output("z")) == (tmp_path / "work", tmp_path / "x")


def test_every_default_is_a_valid_value() -> None:
    for parameter in PARAMETERS:
        assert parameter.check(parameter.default()) == parameter.default()


def test_the_machine_that_boot_starts(tmp_path: Path) -> None:
    (tmp_path / "dir").mkdir()
    given = {"ports": "08080:80,2222:22", "memory": "2GiB", "cpus": "2", "share": "dir"}
    settings = resolve(tmp_path, given, {}, tmp_path)
    assert settings.ports == ((8080, 80), (2222, 22))
    assert (settings.memory, settings.cpus) == (2048, 2)
    assert settings.share == tmp_path / "dir"
    usual = resolve(tmp_path, {}, {}, tmp_path)
    assert (usual.ports, usual.memory, usual.cpus, usual.share) == ((), None, None, None)
    assert not usual.persist
    assert not usual.screen
