"""A toy checkout: the real machinery with recipes that need no compiler.

dodo.py, tasks/, plan/**/*.py, cache/, rootfs/ copied ┐
recipes of three lines, and a set `base` with them ───┼─▶ checkout ──python -m doit──▶ Done
a seed with only busybox (seed=PATH) ─────────────────┘      its own cache beside it
bottom ◀── left  ◀─┐
bottom ◀── right ◀─┴── top      kernel (its initramfs: bottom, left, right, top)
"""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tasks.engine.builder import Builder
from tasks.engine.project import Project, open_project

ROOT = Path(__file__).resolve().parents[2]
BUSYBOX = Path("/bin/busybox")  # Debian's busybox-static
PROGRAMS = (
    *("sh", "[", "cat", "chmod", "cp", "date", "dd", "echo", "env", "false", "find", "grep"),
    *("head", "hostname", "id", "ls", "mkdir", "mkfifo", "patch", "printf", "pwd", "rm", "sleep"),
    *("sort", "stat", "touch", "tr", "true", "uname", "wc", "zcat"),
)
PARTS = ("LICENSE", "cache", "dodo.py", "pyproject.toml", "rootfs", "tasks")
SECONDS = 180  # for what has to come, on a busy machine

SETS = """\
base:
  phase: sysroot-from-seed
  packages: [top, kernel]
  exclude: [usr/src]
  initramfs:
    kernel: kernel
    packages: [bottom, left, right, top]
    exclude: [usr/include]
"""
COMPILER = "compiler: {programs: /usr/bin, resources: /usr}"
# The toy seed lacks no tool: nothing is looked for, except a compiler.
KNOWN = """\
{oldest: 17, clang: [usr/bin], zig: [], loaders: {}, tools: {}, programs: [], seldom: {},
 needs_zig: []}
"""
# It "compiles" by writing a program that does nothing, to the file that is named last.
CLANG = """\
#!/bin/sh
for file; do :; done
case $file in /*|[a-z]*.o|[mn]) printf '#!/bin/sh\\n' > "$file"; chmod 755 "$file";; esac
"""
LLVM = ("ar", "nm", "objcopy", "objdump", "ranlib", "readelf", "strip")
DEPENDS = {"bottom": (), "left": ("bottom",), "right": ("bottom",), "top": ("left", "right")}
SCRIPTS = {
    "bottom": "echo bottom > $share/bottom",
    "left": "cat /sysroot/usr/share/bottom > $share/left; echo left >> $share/left",
    "right": "cat /sysroot/usr/share/bottom > $share/right",
    "top": "cat /sysroot/usr/share/left /sysroot/usr/share/right > $share/top",
    "kernel": "mkdir /dest/boot; cat /input/initramfs.cpio > /dest/boot/kernel.efi",
}


@dataclass(frozen=True)
class Done:
    """How a run of doit ended, and all that it printed."""

    status: int
    said: str

    @property
    def built(self) -> list[str]:
        """The packages whose commands were run, in that order."""
        return re.findall(r"^pkg:(\S+) +building", self.said, re.MULTILINE)

    @property
    def from_store(self) -> list[str]:
        return re.findall(r"^pkg:(\S+) +from the store", self.said, re.MULTILINE)

    @property
    def held(self) -> list[str]:
        """The packages that were taken from the running system."""
        return re.findall(r"^pkg:(\S+) +as this system holds it", self.said, re.MULTILINE)

    def __str__(self) -> str:
        return f"status {self.status}\n{self.said}"


@dataclass
class Checkout:
    """One copy of the project at `root`; `variables` are what its runs find in the environment."""

    root: Path
    cache: Path
    seed: Path
    variables: dict[str, str] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if name[:4] != "BQ2_"}
        own = {"BQ2_CACHE": os.fspath(self.cache), "BQ2_SEED": os.fspath(self.seed)}
        own["BQ2_SET"] = "base"
        return kept | own | self.variables

    def doit(self, *words: str, **variables: str) -> Done:
        """Run doit with `words` and say how it ended, whatever that is."""
        return self.run(doit(*words), **variables)

    def run(self, command: Sequence[str], **variables: str) -> Done:
        """Run `command` in the checkout."""
        process = self.start(command, **variables)
        try:
            said, _ = process.communicate(timeout=SECONDS)
        except BaseException:
            process.kill()
            raise
        return Done(process.returncode, said)

    def start(self, command: Sequence[str], **variables: str) -> subprocess.Popen[str]:
        """`command` in the checkout, running."""
        return subprocess.Popen(
            command,
            cwd=self.root,
            env=self.environment | variables,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def builds(self, *packages: str, words: Sequence[str] = ("pkg",)) -> Done:
        """Run doit, which has to succeed and to run the commands of exactly these packages."""
        done = self.doit(*words)
        assert done.status == 0, done
        assert sorted(done.built) == sorted(packages), done
        return done

    def alpine(self, sha256: str, size: int, place: str) -> None:
        """Have a seed alpine: a file of this hash and size, found at `place`."""
        root = f"{{sha256: {sha256}, size: {size}, file: seed.tar, urls: ['{place}']}}"
        seeds = self.root / "plan" / "seeds"
        seeds.mkdir(exist_ok=True)
        text = (
            f"version: '1'\n{COMPILER}\narchitectures: {{x86_64: {{releases: {{'1': {root}}}}}}}\n"
        )
        (seeds / "alpine.yaml").write_text(text)

    def project(self, **given: str) -> Project:
        """The project of this checkout in this process; `given`: parameters of a command line."""
        return open_project(given, self.environment, self.root)

    def recipe(self, name: str, script: str, *depends: str, **more: str) -> Path:
        """Write the recipe `name`; `more` are further keys with their YAML."""
        lines = [f"name: {name}", "version: '1'", "license: MIT", f"description: {name} is a toy"]
        lines += [f"{key}: {value}" for key, value in more.items()]
        lines += [f"depends: [{', '.join(depends)}]", "style: script", "build: |"]
        lines += ["  share=/dest/usr/share; mkdir -p $share"]
        lines += [f"  {line}" for line in script.splitlines()]
        path = self.root / "plan" / "recipes" / f"{name}.yaml"
        path.write_text("\n".join(lines) + "\n")
        return path

    def edit(self, path: str, old: str, new: str) -> None:
        """Replace `old`, which has to be there, in a file of the checkout."""
        text = (self.root / path).read_text()
        assert old in text
        (self.root / path).write_text(text.replace(old, new))

    def stamp(self, name: str) -> dict[str, Any]:
        file = self.root / "work" / "stamps" / "sysroot-from-seed" / f"{name}.json"
        return dict(json.loads(file.read_text()))

    def artifact(self, name: str) -> Path:
        return self.cache / "artifacts" / f"{self.stamp(name)['artifact']}.tar"

    def tree(self, name: str, path: str) -> Path:
        """`path` in the unpacked artifact of the package `name`."""
        return self.cache / "trees" / str(self.stamp(name)["artifact"]) / path

    def record(self, name: str) -> Path:
        return self.cache / "steps" / f"{self.stamp(name)['step']}.json"

    def plan(self) -> dict[str, Any]:
        done = self.doit("plan")
        assert done.status == 0, done
        return dict(json.loads((self.root / "work" / "plan.json").read_text()))


def two_sets(toy: Checkout) -> None:
    """The set `full` beside `base`, with the same packages."""
    file = toy.root / "plan" / "sets.yaml"
    file.write_text(file.read_text() + file.read_text().replace("base:", "full:"))


def doit(*words: str) -> list[str]:
    """The command that runs doit with `words`."""
    return [sys.executable, "-m", "doit", *words]


def bring_about(project: Project) -> list[str]:
    """Bring all steps of the plan about in this process, as a run does: from the store, or by a
    build. Returns the names of those that were built.
    """
    project.workdir.mkdir(parents=True, exist_ok=True)
    if not project.seed.tree.exists():
        project.seed.make({})
    built = []
    for step in project.plan.steps:
        if not (builder := Builder(project, step)).take_over():
            builder.build()
            built.append(step.name)
    return built


Snapshot = dict[str, tuple[int, int, bytes]]


def snapshot(top: Path) -> Snapshot:
    """Mode, time and content of all that is in `top`; nothing where it is missing."""
    paths = [top, *top.rglob("*")] if top.exists() else []
    return {os.fspath(path.relative_to(top)): _state(path) for path in paths}


def _state(path: Path) -> tuple[int, int, bytes]:
    status = path.lstat()
    content = path.read_bytes() if stat.S_ISREG(status.st_mode) else b""
    return status.st_mode, status.st_mtime_ns, content


def make_seed(directory: Path) -> Path:
    """A root file system of one program under many names."""
    programs = directory / "usr" / "bin"
    programs.mkdir(parents=True)
    (directory / "bin").symlink_to("usr/bin")
    shutil.copy(BUSYBOX, programs / "busybox")
    (directory / "usr" / "lib" / "clang" / "17" / "include").mkdir(parents=True)
    does_nothing = dict.fromkeys(("ld.lld", *(f"llvm-{name}" for name in LLVM)), "#!/bin/sh\n:\n")
    for name, text in {**does_nothing, "clang": CLANG, "clang++": CLANG}.items():
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    for name in PROGRAMS:
        (programs / name).symlink_to("busybox")
    return directory


def make_template(directory: Path) -> Path:
    """What all toy checkouts are copied from, with its modules compiled."""
    (directory / "plan" / "recipes").mkdir(parents=True)
    for name in PARTS:
        _copy(ROOT / name, directory / name)
    data = [ROOT / "plan" / name for name in ("architectures.yaml", "costs.yaml", "wheels.yaml")]
    for path in (*(ROOT / "plan").rglob("*.py"), *data):
        copy = directory / path.relative_to(ROOT)
        copy.parent.mkdir(exist_ok=True)
        shutil.copy2(path, copy)
    (directory / "plan" / "seeds").mkdir()
    shutil.copy2(ROOT / "plan" / "seeds" / "debian.yaml", directory / "plan" / "seeds")
    (directory / "plan" / "seeds" / "path.yaml").write_text(KNOWN)
    (directory / "plan" / "sets.yaml").write_text(SETS)
    (directory / "plan" / "toolbox.yaml").write_text("every: []\n")
    compile_all = [sys.executable, "-m", "compileall", "-q", os.fspath(directory)]
    subprocess.run(compile_all, check=True)
    return directory


def make_checkout(template: Path, root: Path, *, cache: Path, seed: Path) -> Checkout:
    """A new checkout at `root` with the five toy recipes."""
    shutil.copytree(template, root)
    checkout = Checkout(root, cache, seed)
    for name, script in SCRIPTS.items():
        checkout.recipe(name, script, *DEPENDS.get(name, ()))
    return checkout


def processes(marker: str) -> dict[int, str]:
    """The running processes in whose command line `marker` appears: the line of each, by number."""
    found = {}
    for directory in Path("/proc").glob("[0-9]*"):
        try:
            line = (
                (directory / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            )
        except OSError:  # it has just ended
            continue
        if marker in line:
            found[int(directory.name)] = line
    return found


def until(true: Callable[[], bool], what: str, shown: Callable[[], str] = str) -> None:
    """Wait for something that has to come; `shown` says what is there if it does not."""
    end = time.monotonic() + SECONDS
    while not true():
        assert time.monotonic() < end, f"{what} did not come; there is:\n{shown()}"
        time.sleep(0.02)


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        shutil.copy2(source, target)
