"""./bq2 starts this: it makes .venv with the pinned libraries and runs doit in it.

    requirements.txt ──venv, pip──▶ .venv.new ──imports work?──▶ .venv ──▶ doit

remote= also needs what requirements-remote.txt names. One run at a time makes .venv.new, and
renames it to .venv when it is complete. A .venv with other requirements, another Python or a
missing library is replaced. pip's settings say where packages come from and how to reach them; all
other settings of pip are ignored. A bundle (`doit bundle`) has the libraries too, so it needs no
network.

Only the standard library is imported: nothing else may be installed yet.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
NEW = ROOT / ".venv.new"
OLD = ROOT / ".venv.old"
LIBRARIES = ("doit", "requests", "tqdm", "yaml")
# The pip settings that stay in force, by their names in pip's configuration file.
INDEX_SETTINGS = (
    *("index-url", "extra-index-url", "no-index", "find-links", "trusted-host", "proxy", "cert"),
    *("client-cert", "keyring-provider", "timeout", "default-timeout", "retries", "cache-dir"),
)
RUN = "import sys; sys.path.insert(0, sys.argv[1]); from tasks.launch import {0}; {0}(sys.argv[2:])"


def main(words: Sequence[str]) -> NoReturn:
    """Run doit in .venv. Make .venv first if it is missing or does not fit.

    words: the whole command line; the first word is ./bq2, as the person typed it.
    Ends the process: with doit's status, or with one message and status 1 if .venv cannot be made.
    """
    wanted = _wanted(words[1:])
    if not _fits(wanted):
        try:
            _make(wanted, words[1:])
        except OSError as error:
            sys.exit(f"bq2: .venv cannot be made: {error.filename or ROOT}: {error.strerror}")
        except KeyboardInterrupt:
            sys.exit(130)
        _execute("run", words)
    if Path(sys.prefix) != VENV:
        _execute("main", words)
    run(words)


def run(words: Sequence[str]) -> NoReturn:
    """Run doit with the command line `words` in this process, which must be .venv's Python."""
    sys.argv = [*words]
    try:
        Path.cwd()
    except FileNotFoundError:
        sys.exit("bq2: the current directory does not exist any more: cd to another one")
    try:
        from tasks.__main__ import start

        status = start(words[1:], ROOT / "dodo.py")
    except KeyboardInterrupt:
        # What begins something handles signals itself (tasks/console/interrupt.py).
        status = 130
    sys.exit(status)


def _execute(function: str, words: Sequence[str]) -> NoReturn:
    """Continue in .venv's Python, with `function` of this module and the command line `words`."""
    python = os.fspath(VENV / "bin" / "python")
    os.execv(python, [python, "-I", "-c", RUN.format(function), os.fspath(ROOT), *words])


def _wanted(words: Sequence[str]) -> tuple[str, ...]:
    """The names of the requirements files: remote= needs more than a build, and so do the tests."""
    named = [word for word in words if "=" not in word and word[:1] != "-" and word != "run"]
    task = named[0] if named else ""
    if task in ("test", "bench"):
        return "requirements-dev.txt", "requirements-remote.txt"
    return ("requirements.txt", "requirements-remote.txt") if _far(words) else ("requirements.txt",)


def _far(words: Sequence[str]) -> bool:
    """Whether remote= names a server. Anything else is refused, without those libraries."""
    given = _given("remote", words)
    if given is None:
        try:
            lines = (ROOT / "local.yaml").read_text(errors="replace").splitlines()
        except OSError:
            return False
        found = [line.removeprefix("remote:") for line in lines if line.startswith("remote:")]
        given = found[-1] if found else ""
    return given.strip(" \"'").startswith(("grpc://", "grpcs://"))


def _given(name: str, words: Sequence[str]) -> str | None:
    """The parameter `name` of the command line, else of the environment."""
    given = [word.partition("=")[2] for word in words if word.startswith(f"{name}=")]
    return given[-1] if given else os.environ.get(f"BQ2_{name.upper()}")


def _fits(wanted: Sequence[str]) -> bool:
    """Whether .venv is complete and readable, has the requirements `wanted`, and has a Python like
    this one.
    """
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    packages = VENV / "lib" / version / "site-packages"
    try:
        same = all((VENV / each).read_bytes() == (ROOT / each).read_bytes() for each in wanted)
    except OSError:
        return False
    libraries = all((packages / name / "__init__.py").exists() for name in LIBRARIES)
    return same and libraries and os.access(VENV / "bin" / "python", os.X_OK)


def _make(wanted: Sequence[str], words: Sequence[str]) -> None:
    """Make .venv from the requirements `wanted`. If that fails, the old .venv stays."""
    import importlib.util
    import tempfile

    if not getattr(importlib.util.find_spec("ensurepip"), "origin", None):
        sys.exit("bq2: this Python cannot make .venv; on Debian: apt-get install python3-venv")
    with _alone() as lock, tempfile.TemporaryDirectory() as directory:
        if _fits(wanted):
            return
        named = " and ".join(wanted)
        print(f"bq2: making .venv with the libraries in {named}", file=sys.stderr)
        # venv and pip need a UTF-8 path, and the checkout's path may not be one.
        root = Path(directory, "checkout")
        root.symlink_to(ROOT)
        try:
            _remove(NEW)
            _fill(root, wanted, _wheels(words, root), lock)
            _place(os.fsencode(root / NEW.name))
        finally:
            _remove(NEW)


@contextmanager
def _alone() -> Iterator[int]:
    """Hold the lock for making .venv; child processes inherit it. Yields the descriptor."""
    import fcntl

    lock = os.open(ROOT / ".venv.lock", os.O_RDWR | os.O_CREAT, 0o644)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("bq2: waiting for another run that makes .venv", file=sys.stderr)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield lock
    finally:
        os.close(lock)


def _fill(root: Path, wanted: Sequence[str], source: Sequence[str], lock: int) -> None:
    """Make .venv.new in the checkout `root`, with the libraries of `wanted`.

    source: pip's arguments that say where to find them.
    """
    new = root / NEW.name
    python = os.fspath(new / "bin" / "python")
    pip = [python, "-I", "-m", "pip", "--no-input", "--disable-pip-version-check"]
    install = [*pip, "--quiet", "install", "--no-deps", *source, "--require-hashes"]
    imports = f"import {', '.join(LIBRARIES)}"
    venv = [sys.executable, "-I", "-m", "venv", "--without-pip", os.fspath(new)]
    _call(venv, _without_pip(), lock)
    # Run ensurepip separately: venv does not say why it fails.
    _call([python, "-I", "-m", "ensurepip", "--default-pip"], _without_pip(), lock)
    # Verbose, because the settings may say `quiet`.
    told = _call([*pip, "-vvv", "config", "list"], _without_pip("PIP_CONFIG_FILE"), lock)
    files = [f"--requirement={root / each}" for each in wanted]
    _call([*install, *files], _with_index(told), lock)
    _call([python, "-I", "-c", imports], _without_pip(), lock)
    for name in {"requirements.txt", *wanted}:
        (new / name).write_bytes((ROOT / name).read_bytes())


def _call(command: Sequence[str], environment: Mapping[str, str], lock: int) -> str:
    """The output of `command`. If it fails, print its output and end this process."""
    import subprocess

    done = subprocess.run(
        command,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        pass_fds=[lock],
        check=False,
    )
    if done.returncode:
        hint = "`pip config` sets the index, the proxy and the certificates; bundle=FILE needs none"
        sys.stderr.write(done.stdout)
        reason = "bq2: .venv cannot be made, see the output above"
        sys.exit(f"{reason}\n  {hint}" if "pip" in command else reason)
    return done.stdout


def _without_pip(*kept: str) -> dict[str, str]:
    """The environment without pip's variables, except the variables `kept`."""
    return {k: v for k, v in os.environ.items() if not k.startswith("PIP_") or k in kept}


def _with_index(told: str) -> dict[str, str]:
    """The environment with only those pip settings that stay in force.

    told: the output of `pip config list`, one setting per line: global.index-url='https://…'.
    """
    import ast
    import re

    settings = {}
    for name, value in re.findall(r"^(?:global|install)\.([\w-]+)=(['\"].*['\"])$", told, re.M):
        settings[f"PIP_{name.upper().replace('-', '_')}"] = str(ast.literal_eval(value))
    settings |= {name: value for name, value in os.environ.items() if value}
    names = [f"PIP_{name.upper().replace('-', '_')}" for name in INDEX_SETTINGS]
    index = {name: settings[name] for name in names if name in settings}
    return _without_pip() | index | {"PIP_CONFIG_FILE": os.devnull}


def _wheels(words: Sequence[str], root: Path) -> list[str]:
    """pip's arguments to use the wheels of a bundle, if one is given; root: the checkout.

    A bundle has what a build needs, but not what the tests need.
    """
    bundle = _given("bundle", words) or ""
    if bundle.startswith("~/"):  # a shell may leave it as it is
        bundle = os.fspath(Path.home() / bundle[2:])
    wheels = root / "wheels"
    if _wanted(words) != ("requirements.txt",) or not (bundle or wheels.is_dir()):
        return []
    if not wheels.is_dir():
        wheels = root.with_name("wheels")
        _unpack(bundle, wheels)
    return ["--no-index", f"--find-links={wheels}"]


def _unpack(bundle: str, wheels: Path) -> None:
    """Copy the wheels in the tar file `bundle` into the new directory `wheels`."""
    import tarfile

    wheels.mkdir()
    try:
        with tarfile.open(bundle, "r:") as tar:
            for member in tar:
                if member.name.startswith("bootstrap-qcow2/wheels/") and member.isfile():
                    content = tar.extractfile(member)
                    assert content, "it is a regular file"
                    (wheels / Path(member.name).name).write_bytes(content.read())
    except (OSError, OverflowError, ValueError, tarfile.TarError) as error:
        sys.exit(f"bq2: {bundle}: its wheels cannot be read: {error}")
    if not any(wheels.iterdir()):
        sys.exit(f"bq2: {bundle}: no wheels: it is not a bundle, or it is damaged")


def _place(path: bytes) -> None:
    """Rename .venv.new to .venv. path: the path that its programs have inside."""
    for program in (NEW / "bin").iterdir():
        if not program.is_symlink() and path in (content := program.read_bytes()):
            program.write_bytes(content.replace(path, os.fsencode(VENV)))
    _remove(OLD)
    if os.path.lexists(VENV):
        VENV.rename(OLD)
    NEW.rename(VENV)
    _remove(OLD)


def _remove(path: Path) -> None:
    """Remove the directory, file or link `path`, as far as possible."""
    import shutil

    if path.is_symlink() or path.is_file():
        path.unlink()
    else:
        shutil.rmtree(path, ignore_errors=True)
