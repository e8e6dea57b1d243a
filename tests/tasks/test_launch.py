"""./bq2 and tasks/launch.py: the real venv and pip, with small wheels instead of the libraries.

The `doit` in these wheels prints its arguments and environment, so no test needs a network.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tarfile
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tasks import launch
from tests.tasks.test_limits import RESIZE
from tests.tasks.toy import ROOT, SECONDS, until

# In the place of tasks/__main__.py: says what it was started with.
STARTED = """
import json, os, yaml
def start(words, dodo):
    told = dict(words=list(words), here=os.getcwd(), file=str(dodo), yaml=yaml.__file__)
    told["environment"] = sorted(os.environ)
    print(json.dumps(told))
    return 7
"""
RAN = 7
MAKES = "bq2: making .venv with the libraries in requirements.txt\n"
WHEELS = {
    "doit": {"doit/__init__.py": ""},
    "requests": {"requests/__init__.py": ""},
    "tqdm": {"tqdm/__init__.py": ""},
    "pyyaml": {"yaml/__init__.py": ""},
}
# This is what the tests' own Python was made by.
BASE = os.path.realpath(sys.executable)


@dataclass(frozen=True)
class Launched:
    status: int
    out: str
    err: str

    @property
    def told(self) -> dict[str, Any]:
        """What the libraries' doit printed; it has to have been run."""
        assert self.status == RAN, self
        return dict(json.loads(self.out))


@dataclass
class Clone:
    """A checkout with ./bq2 and what it starts; `variables` are found in the environment."""

    root: Path
    variables: dict[str, str] = field(default_factory=dict)

    @property
    def venv(self) -> Path:
        return self.root / ".venv"

    def run(self, *words: str, cwd: Path | None = None, **variables: str) -> Launched:
        return self.ends(self.start(self.root / "bq2", *words, cwd=cwd, **variables))

    def start(
        self, *command: str | Path, cwd: Path | None = None, **variables: str
    ) -> subprocess.Popen[str]:
        kept = {k: v for k, v in os.environ.items() if k[:4] not in ("PIP_", "BQ2_")}
        return subprocess.Popen(
            command,
            cwd=cwd or self.root,
            env=kept | {"PYTHON": BASE} | self.variables | variables,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="surrogateescape",
        )

    def ends(self, process: subprocess.Popen[str]) -> Launched:
        out, err = process.communicate(timeout=SECONDS)
        return Launched(process.returncode, out, err)

    def mounted(self, mount: str, **variables: str) -> Launched:
        """./bq2 where the command `mount` was run before, in a mount namespace of its own."""
        script = f"{mount}; exec ./bq2"
        return self.ends(self.start("unshare", "-rm", "sh", "-euc", script, **variables))


def write_wheel(shelf: Path, name: str, files: dict[str, str]) -> str:
    """Write the wheel 1.0 of `name`; gives its line of the requirements."""
    about = f"{name}-1.0.dist-info"
    held = {
        **files,
        f"{about}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n",
        f"{about}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{about}/entry_points.txt": f"[console_scripts]\n{name} = {name}:main\n",
    }
    record = ""
    for path, text in held.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=")
        record += f"{path},sha256={digest.decode()},{len(text)}\n"
    wheel = shelf / f"{name}-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for path, text in {**held, f"{about}/RECORD": f"{record}{about}/RECORD,,\n"}.items():
            archive.writestr(path, text)
    return f"{name}==1.0 --hash=sha256:{hashlib.sha256(wheel.read_bytes()).hexdigest()}\n"


@pytest.fixture(scope="session")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory of the wheels, with their requirements."""
    directory = tmp_path_factory.mktemp("shelf")
    lines = [write_wheel(directory, name, files) for name, files in WHEELS.items()]
    (directory / "requirements.txt").write_text("".join(lines))
    return directory


def make_clone(root: Path, shelf: Path) -> Clone:
    (root / "tasks").mkdir(parents=True)
    for name in ("bq2", "tasks/__init__.py", "tasks/launch.py"):
        shutil.copy2(ROOT / name, root / name)
    (root / "tasks" / "__main__.py").write_text(STARTED)
    shutil.copy(shelf / "requirements.txt", root)
    settings = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": os.fspath(shelf)}
    return Clone(root, settings | {"PIP_CONFIG_FILE": os.devnull})


@pytest.fixture
def clone(tmp_path: Path, shelf: Path) -> Clone:
    """A fresh clone."""
    return make_clone(tmp_path / "clone", shelf)


@pytest.fixture(scope="session")
def _made(tmp_path_factory: pytest.TempPathFactory, shelf: Path) -> Clone:
    made = make_clone(tmp_path_factory.mktemp("made") / "clone", shelf)
    assert made.run().err == MAKES
    return made


@pytest.fixture
def made(tmp_path: Path, _made: Clone) -> Clone:
    """A clone with its .venv."""
    shutil.copytree(_made.root, tmp_path / "clone", symlinks=True)
    return Clone(tmp_path / "clone", _made.variables)


SETTINGS = """\
[global]
no-index = true
find-links = {shelf}
quiet = 2
require-virtualenv = true
[install]
root = {elsewhere}
no-compile = true
constraint = {elsewhere}/none
"""


@pytest.mark.fault(
    "pip is set to install elsewhere, or not at all, by variables and by its files",
    "./bq2 takes the index, proxy and certificates from the settings, and nothing else",
)
def test_settings_of_pip(clone: Clone, shelf: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    file = tmp_path / "pip.conf"
    file.write_text(SETTINGS.format(shelf=shelf, elsewhere=elsewhere))
    clone.variables = {"PIP_CONFIG_FILE": os.fspath(file)}
    names = ("PIP_DRY_RUN", "PIP_USER", "PIP_REQUIRE_VIRTUALENV", "PIP_QUIET", "PIP_VERBOSE")
    paths = dict.fromkeys(("PIP_TARGET", "PIP_PREFIX", "PIP_ROOT"), os.fspath(elsewhere))
    done = clone.run(**dict.fromkeys(names, "1"), **paths, PIP_NO_BINARY=":all:")
    assert done.told["yaml"].startswith(f"{clone.venv}/") and done.err == MAKES
    assert not elsewhere.exists()
    # What is installed says where it is, though it was made elsewhere.
    assert (clone.venv / "bin/doit").read_text().startswith(f"#!{clone.venv}/bin/python")


@pytest.mark.parametrize("how", ["command line", "environment", "local.yaml"])
def test_remote_gets_its_libraries_and_nothing_else_does(
    made: Clone, shelf: Path, tmp_path: Path, how: str
) -> None:
    far = tmp_path / "far"
    far.mkdir()
    requirements = write_wheel(far, "farlib", {"farlib/__init__.py": ""})
    (made.root / "requirements-remote.txt").write_text(requirements)
    made.variables["PIP_FIND_LINKS"] = f"{shelf} {far}"
    assert made.run("image").err == "", "it is made without them"
    assert made.run("image", "remote=127.0.0.1").err == "", "this is refused"
    words, variables = ["image"], {}
    if how == "command line":
        words.append("remote=grpc://127.0.0.1:9")
    elif how == "environment":
        variables["BQ2_REMOTE"] = "grpc://127.0.0.1:9"
    else:
        (made.root / "local.yaml").write_text("remote: grpc://127.0.0.1:9\n")
    done = made.run(*words, **variables)
    assert "requirements.txt and requirements-remote.txt" in done.err and done.status == RAN, done
    assert [*made.venv.glob("lib/*/site-packages/farlib/__init__.py")]
    assert made.run(*words, **variables).err == ""
    (made.root / "local.yaml").unlink(missing_ok=True)
    assert made.run("image").err == "", "a build without workers takes what is there"


def lose_python(clone: Clone) -> None:
    link = clone.venv / "bin" / "python3"
    for name in ("python", "python3"):
        (clone.venv / "bin" / name).unlink()
    link.symlink_to("/gone")
    (clone.venv / "bin" / "python").symlink_to("python3")


def change_version(clone: Clone) -> None:
    """As if the Python of .venv had been upgraded: it looks into a directory of its own."""
    (packages,) = (clone.venv / "lib").iterdir()
    packages.rename(packages.with_name("python3.10"))


def change_requirements(clone: Clone) -> None:
    with (clone.root / "requirements.txt").open("a") as file:
        file.write("# another\n")


def lose_library(clone: Clone) -> None:
    (library,) = (clone.venv / "lib").glob("python*/site-packages/yaml")
    shutil.rmtree(library)


def leave_half(clone: Clone) -> None:
    """As a run that was killed leaves it: no pip yet in .venv, and something in .venv.new."""
    (clone.venv / "requirements.txt").unlink()
    shutil.rmtree(clone.venv / "lib")
    (clone.root / ".venv.new" / "bin").mkdir(parents=True)
    (clone.root / ".venv.new" / "bin" / "python").write_text("half")


@pytest.mark.fault(
    ".venv is half made, its Python is gone or another, a library is lost, or the requirements "
    "are others",
    "./bq2 makes it anew",
)
@pytest.mark.parametrize(
    "damage", [lose_python, change_version, change_requirements, lose_library, leave_half]
)
def test_what_does_not_fit_is_made_anew(made: Clone, damage: Any) -> None:
    damage(made)
    done = made.run()
    assert done.told["words"] == [] and done.err == MAKES
    assert made.run().err == ""
    assert not [path for path in made.root.iterdir() if path.name in (".venv.new", ".venv.old")]


@pytest.mark.fault(
    ".venv is a file, or another user's and unreadable",
    "./bq2 makes it anew, or says why it cannot",
)
def test_what_is_no_directory_does_not_fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".venv").touch()
    monkeypatch.setattr(launch, "VENV", tmp_path / ".venv")
    assert not launch._fits(["requirements.txt"])


@pytest.mark.fault(
    "`bundle=~/FILE` where the shell leaves ~ as it is; `./bq2 run test`",
    "the file in the home; what the tests need is installed",
)
def test_words_that_a_shell_leaves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", os.fspath(tmp_path))
    (tmp_path / "x.whl").write_text("a wheel")
    with tarfile.open(tmp_path / "x.tar", "w") as tar:
        tar.add(tmp_path / "x.whl", "bootstrap-qcow2/wheels/x.whl")
    (tmp_path / "checkout").mkdir()
    told = launch._wheels(["bundle=~/x.tar"], tmp_path / "checkout")
    assert told == ["--no-index", f"--find-links={tmp_path}/wheels"]
    assert (tmp_path / "wheels" / "x.whl").read_text() == "a wheel"
    for words in (["test"], ["run", "test"]):
        assert launch._wanted(words)[0] == "requirements-dev.txt"


@pytest.mark.fault(
    "the libraries cannot be had",
    "./bq2 shows pip's words; the .venv of before stays",
)
def test_pip_fails(made: Clone) -> None:
    change_requirements(made)
    before = (made.venv / "requirements.txt").read_text()
    done = made.run(PIP_FIND_LINKS="/nowhere")
    assert (done.status, done.out) == (1, "") and "Traceback" not in done.err
    assert "No matching distribution found for doit==1.0" in done.err
    assert done.err.splitlines()[-2] == "bq2: .venv cannot be made, see the output above"
    assert (made.venv / "requirements.txt").read_text() == before
    assert not (made.root / ".venv.new").exists()
    assert made.run().told


@pytest.mark.fault(
    "PYTHONPATH, PYTHONHOME or the working directory has another library",
    "./bq2 runs the pinned one",
)
def test_libraries_of_others(made: Clone, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    for name in ("yaml.py", "doit.py", "tasks.py", "json.py"):
        (other / name).write_text("raise SystemExit('another')")
    variables = {"PYTHONPATH": os.fspath(other), "PYTHONHOME": "/nowhere", "PYTHONOPTIMIZE": "2"}
    # The name of a Python is left out: .venv's is the one that is started.
    told = made.run(cwd=other, PYTHON="", **variables).told
    assert told["yaml"].startswith(f"{made.venv}/")
    assert not variables.keys() & {*told["environment"]}  # nor those that it starts


@pytest.mark.fault(
    "CDPATH is set, and ./bq2 is called by a link from elsewhere",
    "it runs its own checkout, where the person stands",
)
@pytest.mark.parametrize("link", ["absolute", "relative", "chain"])
def test_where_it_is_called(made: Clone, tmp_path: Path, link: str) -> None:
    programs, elsewhere = tmp_path / "my bin", tmp_path / "clone of another"
    (elsewhere / "clone").mkdir(parents=True)
    programs.mkdir()
    target = made.root / "bq2" if link == "absolute" else Path("../clone/bq2")
    (programs / "first").symlink_to(target)
    (programs / "bq2").symlink_to("first" if link == "chain" else target)
    path = f"{programs}:{os.environ['PATH']}"
    process = made.start("bq2", "a b", "", cwd=elsewhere, PATH=path, CDPATH=os.fspath(elsewhere))
    done = made.ends(process)
    told = done.told
    assert (told["words"], told["here"]) == (["a b", ""], os.fspath(elsewhere))
    assert told["file"] == os.fspath(made.root / "dodo.py") and done.err == ""
    assert not (programs / ".venv").exists()


@pytest.mark.fault(
    "two terminals begin in a fresh clone",
    "the second waits for the .venv that the first makes, and takes it",
)
def test_two_at_once(clone: Clone) -> None:
    processes = [clone.start(clone.root / "bq2", str(number)) for number in range(2)]
    done = [clone.ends(process) for process in processes]
    assert [each.told["words"] for each in done] == [["0"], ["1"]]
    said = {each.err for each in done}
    assert said == {MAKES, "bq2: waiting for another run that makes .venv\n"}


@pytest.mark.fault("the first ./bq2 is interrupted or killed", "the next makes .venv")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_an_ended_first_run(clone: Clone, number: signal.Signals) -> None:
    process = clone.start("setsid", clone.root / "bq2")
    until((clone.root / ".venv.new" / "bin").is_dir, "the beginning of .venv")
    if number == signal.SIGINT:
        os.killpg(process.pid, number)
    else:
        process.kill()  # what it started goes on, and has the lock until it is done
    assert clone.ends(process).err == MAKES
    assert process.returncode == (130 if number == signal.SIGINT else -number)
    assert number == signal.SIGKILL or not (clone.root / ".venv.new").exists()
    assert clone.run().told and clone.run().err == ""


def old_python(directory: Path) -> Path:
    """A Python that says it is older, run as ./bq2 runs one: -I -c CODE."""
    code = "import sys; sys.version_info = (3, 10, 0); exec(sys.argv.pop(1))"
    python = directory / "python3.10"
    python.write_text(f'#!/bin/sh\nshift 2\nexec {BASE} -I -c "{code}" "$@"\n')
    python.chmod(0o755)
    return python


@pytest.mark.fault("there is no Python, or one too old", "./bq2 says how to name another")
def test_no_python(clone: Clone, tmp_path: Path) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in ("sh", "readlink"):
        (tools / name).symlink_to(str(shutil.which(name)))
    for variables, wrong in (
        ({"PYTHON": "", "PATH": os.fspath(tools)}, "there is no python3;"),
        ({"PYTHON": "/none/python"}, "there is no /none/python;"),
        ({"PYTHON": os.fspath(old_python(tmp_path))}, "is older than 3.11;"),
    ):
        done = clone.run(**variables)
        assert done.status == 1 and done.err.count("\n") == 1, done
        assert wrong in done.err and "PYTHON=python3.12 ./bq2" in done.err


@pytest.mark.namespace
@pytest.mark.fault(
    "Python has no venv, or the checkout is read-only", "./bq2 says so in one message"
)
def test_no_venv(clone: Clone) -> None:
    command = [BASE, "-c", "import ensurepip; print(ensurepip.__path__[0])"]
    place = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    done = clone.mounted(f"mount -t tmpfs none {place}")
    assert done == Launched(
        1, "", "bq2: this Python cannot make .venv; on Debian: apt-get install python3-venv\n"
    )
    root = shlex.quote(os.fspath(clone.root))
    done = clone.mounted(f"mount --bind {root} {root}; mount -o remount,ro,bind {root}; cd {root}")
    wrong = f"{clone.root}/.venv.lock: Read-only file system"
    assert done == Launched(1, "", f"bq2: .venv cannot be made: {wrong}\n")


@pytest.mark.namespace
@pytest.mark.fault("the disk is full when .venv is made", "it is said; with space it is made")
def test_full_disk(clone: Clone) -> None:
    root = shlex.quote(os.fspath(clone.root))
    copied = f"cp -r {root} {root}.kept; mount -t tmpfs -o size=8m none {root}"
    script = f"{copied}; cp -r {root}.kept/. {root}; cd {root}; ./bq2 || ls -A"
    script += f"; {RESIZE}80m {root}; exec ./bq2 again"
    done = clone.ends(clone.start("unshare", "-rm", "sh", "-euc", script))
    assert done.status == RAN and '"words": ["again"]' in done.out, done
    assert "No space left on device" in done.err and done.err.count(MAKES) == 2
    assert ".venv.new" not in done.out and ".venv\n" not in done.out


@pytest.mark.fault("the path of the checkout is not UTF-8", "./bq2 makes .venv in it, and runs it")
def test_a_path_that_is_not_utf8(tmp_path: Path, shelf: Path) -> None:
    clone = make_clone(Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9 x")), shelf)
    done = clone.run("\udce9")
    assert done.told["words"] == ["\udce9"] and done.err == MAKES
    assert clone.run(cwd=tmp_path).told["file"] == os.fspath(clone.root / "dodo.py")


def test_a_directory_that_is_gone(made: Clone, tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    script = f"mkdir {gone}; cd {gone}; rmdir {gone}; exec {made.root}/bq2"
    done = made.ends(made.start("sh", "-euc", script))
    assert (done.status, done.out) == (1, "")
    assert done.err.splitlines()[-1].startswith(
        "bq2: the current directory does not exist any more"
    )


def test_another_python_is_named(made: Clone) -> None:
    """PYTHON says of which .venv is; who names none takes what is there."""
    assert made.run(PYTHON="").err == "" and made.run(PYTHON=BASE).err == ""


@pytest.mark.fault(
    "Ctrl-C before a command has begun, while this project's code is still loaded",
    "no traceback; the status is 130",
)
@pytest.mark.parametrize("where", ["import", "start"])
def test_an_early_interrupt(made: Clone, where: str) -> None:
    raised = "raise KeyboardInterrupt\n"
    text = raised if where == "import" else f"def start(words, dodo):\n    {raised}"
    (made.root / "tasks" / "__main__.py").write_text(text)
    done = made.run("status")
    assert (done.status, done.out, done.err) == (130, "", ""), done
