"""The nouns of the plan as frozen dataclasses; no behaviour beyond what a field implies.

    recipe (authored YAML) ──styles──▶ step (literal commands) ──run──▶ artifact (packed tree)

Everything here can be turned into JSON by `dataclasses.asdict`.
"""

from __future__ import annotations

from dataclasses import dataclass

SYSROOT_FROM_SEED = "sysroot-from-seed"
ROOTFS_FROM_SYSROOT = "rootfs-from-sysroot"
PHASES = (SYSROOT_FROM_SEED, ROOTFS_FROM_SYSROOT)


@dataclass(frozen=True)
class Source:
    """An upstream file. Its identity is `sha256`; `places` are only hints where to find it.

    `size` is in bytes, 0 where it is not known. A place is "https://…", "debian:pool/…" (a path in
    Debian's archive) or "wheel:NAME==VERSION". `leave` are globs of members not to be unpacked.
    """

    sha256: str
    size: int
    file: str
    places: tuple[str, ...]
    leave: tuple[str, ...] = ()


@dataclass(frozen=True)
class Recipe:
    """One package as authored in `plan/recipes/<name>.yaml`."""

    name: str
    version: str
    licence: str
    why: str
    sources: tuple[Source, ...]
    depends: tuple[str, ...]
    """What is linked against or otherwise read from /sysroot."""
    tools: tuple[str, ...]
    """What runs during the build, beyond what its style and every build uses."""
    style: str
    directory: str
    target: str
    """What of a CMake project is built and installed: a distribution, or "" for all."""
    options: tuple[str, ...]
    environment: tuple[tuple[str, str], ...]
    before: str
    build: str
    after: str
    remove: tuple[str, ...]
    files: tuple[tuple[str, str], ...]
    """The files under `plan/recipes/<name>/`: relative path and sha256, sorted."""
    patches: tuple[str, ...]
    """Those of `files` that are applied to the source, in that order."""


@dataclass(frozen=True)
class Command:
    """One program to run inside the sandbox: its argument vector and working directory."""

    argv: tuple[str, ...]
    cwd: str


@dataclass(frozen=True)
class Initramfs:
    """Which trees a step gets packed as `/input/initramfs.cpio`, and what of them is left out."""

    packages: tuple[str, ...]
    leave: tuple[str, ...]


@dataclass(frozen=True)
class Addition:
    """A file (with its text) or a symbolic link (with its target) laid over the build root."""

    path: str
    text: str
    link: bool = False


@dataclass(frozen=True)
class Step:
    """One package in one phase: all that its output can depend on, but for its dependencies' bytes.

    Those come in by `plan.identity.step_id`, when the artifacts of `depends` are known. `depends`
    is the transitive closure, in build order: bottom layer first. `tools` are the packages of the
    first phase that the build root is composed of, in the same order. In that phase itself they
    lie over the seed, and are what it lacks; none where it has all.
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
        """Its name among doit's tasks: "rootfs-from-sysroot:zlib"."""
        return f"{self.phase}:{self.name}"
