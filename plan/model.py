"""The classes of the plan: frozen dataclasses that hold data and decide nothing.

    recipe (authored YAML) ──styles──▶ step (literal commands) ──run──▶ artifact (packed tree)

`dataclasses.asdict` can turn everything here into JSON.
"""

from __future__ import annotations

from dataclasses import dataclass

SYSROOT_FROM_SEED = "sysroot-from-seed"
ROOTFS_FROM_SYSROOT = "rootfs-from-sysroot"
PHASES = (SYSROOT_FROM_SEED, ROOTFS_FROM_SYSROOT)


@dataclass(frozen=True)
class Source:
    """An upstream file. Its `sha256` identifies it; `urls` are only hints where to find it.

    `size` is in bytes, 0 if it is not known. `plan/urls.py` has the kinds of URLs. `exclude`: globs
    of members that are not unpacked. `snapshot`: the time ("20250801T000000Z") at which
    snapshot.debian.org has the file, or "". `into`: the directory of the first source that this one
    is unpacked into, or "". `patch`: whether it is a patch for the first source.
    """

    sha256: str
    size: int
    file: str
    urls: tuple[str, ...]
    exclude: tuple[str, ...] = ()
    snapshot: str = ""
    into: str = ""
    patch: bool = False


@dataclass(frozen=True)
class Recipe:
    """One package as authored in `plan/recipes/<name>.yaml`."""

    name: str
    version: str
    license: str
    description: str
    sources: tuple[Source, ...]
    depends: tuple[str, ...]
    """The packages that it links to or reads from /sysroot."""
    tools: tuple[str, ...]
    """The packages that run during the build, in addition to the style's and the common tools."""
    style: str
    directory: str
    target: str
    """The CMake distribution to build and install, or "" for everything."""
    options: tuple[str, ...]
    options_at: str
    """Where the options, or else the variables, are: the file and its line, for messages."""
    variables: tuple[str, ...]
    """The variables that the style `make` gives on make's command line."""
    programs: tuple[tuple[str, str], ...]
    """For the style `crystal`: each program, and its main file."""
    environment: tuple[tuple[str, str], ...]
    before: str
    build: str
    after: str
    remove: tuple[str, ...]
    files: tuple[tuple[str, str], ...]
    """The files under `plan/recipes/<name>/`: relative path and sha256, sorted."""
    patches: tuple[str, ...]
    """The `files` that are applied to the source as patches, in this order."""
    devel: tuple[str, ...] = ()
    """Globs of the files in its artifact that only compiling needs."""
    file: str = ""
    """The recipe's file, for messages."""
    resources: str = ""
    """If it is the compiler: its own directory, with its headers in `include`."""
    folder: str = ""
    """The path of the source that is a folder of this machine, or ""."""


@dataclass(frozen=True)
class Command:
    """One program that runs in the sandbox: its argument vector and working directory."""

    argv: tuple[str, ...]
    cwd: str


@dataclass(frozen=True)
class Initramfs:
    """The packages that a step gets as `/input/initramfs.cpio`, and globs of excluded files."""

    packages: tuple[str, ...]
    exclude: tuple[str, ...]


@dataclass(frozen=True)
class Addition:
    """A file (with its text) or a symbolic link (with its target) added to the build root."""

    path: str
    text: str
    link: bool = False


@dataclass(frozen=True)
class Step:
    """One package in one phase: everything its output depends on, except its dependencies' bytes.

    `plan.steps.identity.step_id` adds those when the artifacts of `depends` are known. `depends` is
    the transitive closure in build order: bottom layer first. `tools` are the packages of the first
    phase that make up the build root, in the same order. For steps of the first phase, `tools`
    are the packages that the seed lacks; they are laid over the seed.
    """

    name: str
    phase: str
    version: str
    sources: tuple[Source, ...]
    files: tuple[tuple[str, str], ...]
    depends: tuple[str, ...]
    tools: tuple[str, ...]
    environment: tuple[tuple[str, str], ...]
    commands: tuple[Command, ...]
    remove: tuple[str, ...]
    additions: tuple[Addition, ...]
    initramfs: Initramfs | None = None

    @property
    def task(self) -> str:
        """The name of its doit task: "rootfs-from-sysroot:zlib"."""
        return f"{self.phase}:{self.name}"

    @property
    def is_on_seed(self) -> bool:
        """Whether its build root has the seed below its tools; the others have tools alone."""
        return self.phase == SYSROOT_FROM_SEED or not self.tools

    @property
    def file_stem(self) -> str:
        """The name of what is kept of it in a work directory: "rootfs-from-sysroot-zlib"."""
        return f"{self.phase}-{self.name}"
