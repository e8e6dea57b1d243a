from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from plan import checks
from plan.errors import BuildError
from plan.reading.data import Data
from plan.reading.overrides import load_overrides
from plan.settings.parameters import PARAMETERS
from plan.settings.resolve import resolve
from tests.nobody import AS_ORDINARY, open_directory, ordinary_python
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
        ({"SET": "base"}, "did you mean set?"),
        ({"format": "QCOW2"}, "did you mean qcow2?"),
        ({"to": "web:2222"}, "to=web port=2222"),
        ({"cache": "http://[::1"}, "http(s)://HOST/PATH"),
        ({"publish": "https://host:99999/x"}, "http(s)://HOST/PATH"),
        ({"cache": "https://host/x?token=1"}, "without ? and #"),
        ({"publish": "https://host#x"}, "without ? and #"),
        ({"cache": "http://me:secret@host/x"}, "~/.netrc"),
        ({"publish": "https://a.test/x,https://b.test/x"}, "it must be one URL"),
        ({"mirror": "http://[::1"}, "http(s) URL"),
        ({"mirror": "http://"}, "http(s) URL"),
        ({"run": "a\0b"}, "without a zero byte"),
    ],
)
def test_unknown_names_and_values_are_refused_with_the_remedy(
    tmp_path: Path, given: dict[str, str], words: str
) -> None:
    with pytest.raises(BuildError) as caught:
        resolve(tmp_path, given, {})
    assert words in str(caught.value)
    assert caught.value.where == "command line"


@pytest.mark.fault(
    "a layer gives a set or an architecture a name with a space or a slash",
    "the error shows that name with file and line, not the names that exist",
)
@pytest.mark.parametrize("file", ["sets.yaml", "architectures.yaml"])
@pytest.mark.parametrize("key", ["My Set", "'my set'", "a/b", "- mine"])
def test_a_name_that_cannot_be_one(tmp_path: Path, file: str, key: str) -> None:
    (tmp_path / file).write_text(f"# comment\n---\nfirst:\n  packages: []\n{key}:\n  x: y\n")
    with pytest.raises(BuildError) as caught:
        resolve(tmp_path, {"layer": os.fspath(tmp_path)}, {})
    assert f"{file}:5" in str(caught.value), caught.value


@pytest.mark.fault(
    "sets.yaml of a layer in flow style, indented, or a FIFO",
    "refused, with the remedy or the path",
)
def test_sets_that_cannot_be_found(tmp_path: Path) -> None:
    file, given = tmp_path / "sets.yaml", {"layer": os.fspath(tmp_path), "set": "base"}
    for text in ("{mine: {extends: base, packages: []}}\n", "  mine:\n    extends: base\n"):
        file.write_text(text)
        with pytest.raises(BuildError, match="the name 'mine' is not found") as caught:
            resolve(tmp_path, given, {})
        assert caught.value.where == f"{file}:1"
    file.unlink()
    os.mkfifo(file)
    with pytest.raises(BuildError, match="this is no plain file"):
        resolve(tmp_path, given, {})


@pytest.mark.fault("seed_sha256= where nothing is checked with it", "refused: it has no effect")
def test_a_hash_without_a_file(tmp_path: Path) -> None:
    for seed in ("debian", "alpine"):
        with pytest.raises(BuildError, match="seed_sha256= has no effect"):
            resolve(tmp_path, {"seed": seed, "seed_sha256": "0" * 64}, {})


@pytest.mark.parametrize("key", ["mine", "'mine'", '"mine"', "mine ", "\ufeffmine"])
def test_a_name_may_be_quoted(tmp_path: Path, key: str) -> None:
    (tmp_path / "sets.yaml").write_text(f"{key}:\n  packages: []\n...\n")
    settings = resolve(tmp_path, {"layer": os.fspath(tmp_path), "set": "mine"}, {})
    assert settings.set == "mine"


@pytest.mark.fault(
    "`app: {directory: ~/NAME, …}` in `local.yaml`, and a `sets.yaml` of a layer that is not UTF-8",
    "the section is that of this app; the file and what is wrong",
)
def test_an_app_in_the_home_and_a_layer_in_latin_1(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "prog").mkdir()
    (tmp_path / "local.yaml").write_text("app: {directory: ~/prog, ports: '8080:80'}\n")
    section = resolve(tmp_path, {}, {}).app_section
    assert section and section["ports"] == "8080:80"
    (tmp_path / "prog" / "sets.yaml").write_bytes(b"mine: {extends: base, packages: []} # \xe9\n")
    assert resolve(tmp_path, {"layer": f"{tmp_path}/prog", "set": "mine"}, {}).set == "mine"


@pytest.mark.fault(
    "`bundle=` names a file that is no bundle, while nothing has to be read from it",
    "refused all the same",
)
def test_what_is_no_bundle(tmp_path: Path) -> None:
    file = tmp_path / "x.tar"
    file.write_bytes(bytes(9999))
    with pytest.raises(BuildError, match="bundle cannot be") as caught:
        resolve(tmp_path, {"bundle": str(file)}, {})
    assert "bundle wrote; this is none, or is damaged" in (caught.value.hint or "")
    file.write_bytes(b"README.txt".ljust(512, b"\0"))
    assert resolve(tmp_path, {"bundle": str(file)}, {}).bundle == file


@pytest.mark.fault(
    "a value of thousands of characters: a number, a path, a name",
    "the value is refused as a short one is; the error repeats its beginning only",
)
@pytest.mark.parametrize("value", ["9" * 5000, "x" * 5000, "/" + "x" * 300])
def test_very_long_values(tmp_path: Path, value: str) -> None:
    free = set()
    for parameter in PARAMETERS:
        try:
            resolve(tmp_path, {}, {f"BQ2_{parameter.name.upper()}": value})
        except BuildError as error:
            assert "environment: " in str(error) and len(str(error)) < 700, str(error)
            assert "Errno" not in str(error) and "Exceeds" not in str(error)
        else:
            free.add(parameter.name)
    assert not free & {"jobs", "wait", "days", "port", "cpus", "memory", "key", "layer", "share"}


@pytest.mark.fault(
    "a file or directory that is named and that this user may not read",
    "one error with the parameter and the remedy, before anything is begun",
)
def test_what_may_not_be_read() -> None:
    """Neither the file itself, nor one in a directory that is another's."""
    names = [each.name for each in PARAMETERS if each.placed is not checks.as_it_is]
    with open_directory() as directory:
        (closed := directory / "closed").mkdir()
        (inside := closed / "inside").touch()
        (locked := directory / "locked").touch()
        for path in (closed, locked):
            path.chmod(0)
        paths = [os.fspath(each) for each in (closed, locked, inside)]
        code = f"""
import sys
sys.path.insert(0, {os.fspath(PLAN.parent)!r})
from pathlib import Path
from plan.errors import BuildError
from plan.settings.resolve import resolve
for name in {names!r}:
    for path in {paths!r}:
        try:
            resolve(Path("/"), {{name: path}}, {{}})
        except BuildError as error:
            print(name, path, error)
"""
        done = subprocess.run(
            [*AS_ORDINARY, ordinary_python(), "-B", "-c", code],
            capture_output=True,
            text=True,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
            check=False,
        )
        closed.chmod(0o700)
    assert done.returncode == 0, done.stderr
    for name in ("key", "image", "bundle", "trust", "seed_tarball", "client_certificate"):
        assert f"{name} {locked} command line: {name} cannot be" in done.stdout, done.stdout
        assert f"{name} {inside} command line: {name} cannot be" in done.stdout
    for name in ("layer", "app", "share", "seed"):
        assert f"{name} {closed} command line: {name} cannot be" in done.stdout
    assert done.stdout.count("that you may read") >= 10


@pytest.mark.fault(
    "a parameter that nothing reads without another one: `objects=` without `remote=`, `agree=` "
    "without `cache=`, `seed_release=` with `seed=debian`",
    "one error that names the other one; in `local.yaml` it may wait for it",
)
@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"objects": "llvm"}, "objects= has no effect without remote="),
        ({"platform": "OSFamily=linux"}, "platform= has no effect without remote="),
        ({"agree": "2"}, "agree= has no effect without cache="),
        ({"seed_release": "3.20.3", "seed": "debian"}, "no effect with seed=debian"),
    ],
)
def test_what_nothing_reads(tmp_path: Path, given: dict[str, str], words: str) -> None:
    with pytest.raises(BuildError) as caught:
        resolve(tmp_path, given, {})
    assert words in str(caught.value)
    environment = {f"BQ2_{name.upper()}": text for name, text in given.items()}
    assert resolve(tmp_path, {}, environment).given(next(iter(given)))
    partners = {"remote": "grpc://host:1", "cache": "http://host"}
    assert resolve(tmp_path, {**given, **partners, "seed": "alpine"}, {}).values
    assert resolve(tmp_path, {**given, **partners, "seeds": "alpine"}, {}).values


def test_an_output_that_cannot_be_written(tmp_path: Path) -> None:
    """It is told before the build, which takes long."""
    (tmp_path / "file").touch()
    with pytest.raises(BuildError, match=f"{tmp_path}/file is not a directory"):
        resolve(tmp_path, {"output": "file/image.qcow2"}, {})
    with pytest.raises(BuildError, match="/proc/version is not a directory"):
        resolve(tmp_path, {"output": "/proc/version/image.qcow2"}, {})


@pytest.mark.fault(
    "`local.yaml` or `overrides.yaml` is a link to a file that is gone",
    "an error: its settings are not dropped in silence",
)
def test_a_link_to_nothing(tmp_path: Path) -> None:
    for name in ("local.yaml", "overrides.yaml"):
        (tmp_path / name).symlink_to("gone.yaml")
    with pytest.raises(BuildError, match=r"local\.yaml: cannot be read: No such file"):
        resolve(tmp_path, {}, {})
    with pytest.raises(BuildError, match=r"overrides\.yaml: cannot be read: No such file"):
        load_overrides(Data(PLAN), tmp_path / "overrides.yaml")


def test_a_list_may_have_spaces(tmp_path: Path) -> None:
    (tmp_path / "local.yaml").write_text("with: zlib, git,,zlib\n")
    assert resolve(tmp_path, {}, {}).values["with"] == "zlib,git"
    assert resolve(tmp_path, {"archs": "x86_64, x86_64"}, {}).values["archs"] == "x86_64"


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
    code = (
        "import sys; from plan.settings.parameters import PARAMETERS as p; p[0].check(sys.argv[1])"
    )
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
    for path in (tmp_path / "x", here / "y"):
        path.touch()
    (tmp_path / "local.yaml").write_text("key: x\n")
    settings = resolve(tmp_path, {"workdir": "w"}, {"BQ2_KEY": "y"}, here)
    assert (settings.workdir, settings.key) == (here / "w", here / "y")
    settings = resolve(tmp_path, {}, {}, here)
    assert (settings.workdir, settings.key) == (tmp_path / "work", tmp_path / "x")


@pytest.mark.fault(
    "output= in local.yaml or in the environment: `sbom` would replace an image",
    "refused: it is for one command",
)
def test_one_output_for_all_commands(tmp_path: Path) -> None:
    with pytest.raises(BuildError, match="output is for one command") as caught:
        resolve(tmp_path, {}, {"BQ2_OUTPUT": "y"})
    assert caught.value.where == "environment"
    (tmp_path / "local.yaml").write_text("set: base\noutput: x\n")
    with pytest.raises(BuildError, match="output is for one command") as caught:
        resolve(tmp_path, {"output": "z"}, {})
    assert caught.value.where == "local.yaml:2"


@pytest.mark.fault(
    "`~` in a path, in `local.yaml` or where the shell leaves it as it is",
    "it is the home of the user; no directory of that name is made",
)
def test_the_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", os.fspath(tmp_path))
    (tmp_path / "key").touch()
    (tmp_path / "local.yaml").write_text("key: ~/key\n")
    values = resolve(tmp_path, {"output": "~/image", "share": "~", "layer": "~,."}, {}).values
    assert values["key"] == f"{tmp_path}/key" and values["share"] == f"{tmp_path}"
    assert values["output"] == f"{tmp_path}/image"
    assert values["layer"].split(",")[0] == f"{tmp_path}"
    # Any other name is one of this directory.
    assert resolve(tmp_path, {"workdir": "~x"}, {}).values["workdir"] == f"{tmp_path}/~x"


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
