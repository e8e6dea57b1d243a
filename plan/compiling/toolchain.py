"""The compiler is always used as a cross compiler, in the same way for every step.

    build root's clang ──target.cfg──▶ code for <arch>-bq2-linux-musl against /sysroot

A step sees the same environment and the same /toolchain in every build root. Only the place of the
compiler differs from root to root; `Compiler` has it.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from plan.compiling.architecture import Machines
from plan.model import Addition, Recipe

# 1 January 2025, 00:00 UTC: the time stamp of every file and program in an output.
# Never 0: FAT cannot store it, and some tools read it as "not set".
SOURCE_DATE_EPOCH = 1735689600
SOURCE_DATE = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(SOURCE_DATE_EPOCH))  # RFC 3339


# The fixed sandbox paths that recipes may rely on: path → (content, access).
PATHS = {
    "/": ("the build root: the seed, or the composed tools", "read-only"),
    "/source": (
        "the unpacked first source; an overlay over a tree that other steps share",
        "writable",
    ),
    "/build": ("empty, for builds outside of the source", "writable"),
    "/dest": ("empty; it is DESTDIR, and becomes the artifact", "writable"),
    "/sysroot": ("the artifacts of all dependencies, composed with overlayfs", "read-only"),
    "/recipe": ("the files in the recipe's own directory", "read-only"),
    "/input": ("the other sources, not unpacked; for the kernel `initramfs.cpio`", "read-only"),
    "/toolchain": (
        "for cross-compiling: clang's configuration, CMake's toolchain file",
        "read-only",
    ),
    "/jobserver": ("make's jobserver pipe, shared with the builds of other packages", "writable"),
    "/tmp": ("in memory, at most a quarter of it", "writable"),
    "/dev": ("the five usual devices, and 64 MiB of /dev/shm in memory", "writable"),
    "/proc": ("the processes of the step", "read-only"),
}

# C needs no unwinder, and C programs are linked before an unwinder exists.
CXX_CONFIGURATION = "@target.cfg\n-stdlib=libc++\n-unwindlib=libunwind\n"


@dataclass(frozen=True)
class Compiler:
    """The place of clang in a build root. That of a seed is in its file.

    The keys there are `plan.reading.keys.COMPILER`.
    """

    programs: str
    resources: str
    loader: bool = False
    libraries: tuple[str, ...] = ()
    host: tuple[str, str] = ("clang", "clang++")
    package: str = ""
    """The recipe that builds it; "" if it is a seed's."""


def own_compiler(recipes: Mapping[str, Recipe]) -> Compiler:
    """The compiler that the recipe with the key `resources` builds."""
    own = next((recipe for recipe in recipes.values() if recipe.resources), None)
    place, package = (own.resources, own.name) if own else ("", "")
    return Compiler("/usr/bin", place, package=package)


@dataclass(frozen=True)
class Tools:
    """The build tools of a seed, and those that it lacks."""

    compiler: Compiler | None
    """None: this project built the seed, so it has our own compiler."""
    makes: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Recipe → the tools of it that the seed lacks. It is built with the tools above it."""
    makes_crossed: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """The same, for a product of another architecture only."""
    missing: Mapping[str, str] = field(default_factory=dict)
    """Tool that does not exist for this seed → the reason."""


def search_path(compiler: Compiler) -> str:
    """PATH in a build root that has this compiler."""
    return ":".join(dict.fromkeys((compiler.programs, "/usr/bin", "/bin", "/usr/sbin", "/sbin")))


def environment(machines: Machines, compiler: Compiler) -> dict[str, str]:
    """The environment of every step. Nothing of it comes from the host."""
    arch = machines.target
    return {
        "PATH": search_path(compiler),
        "HOME": "/tmp",
        "TMPDIR": "/tmp",
        "TZ": "UTC",
        "LC_ALL": "C",
        "SOURCE_DATE_EPOCH": str(SOURCE_DATE_EPOCH),
        "ARCH": arch.name,
        "KERNEL_ARCH": arch.kernel,
        "TARGET": arch.triple,
        "SYSROOT": "/sysroot",
        "DESTDIR": "/dest",
        "CC": "clang --config=/toolchain/target.cfg",
        "CXX": "clang++ --config=/toolchain/target++.cfg",
        "HOSTCC": compiler.host[0],
        "HOSTCXX": compiler.host[1],
        "CC_FOR_BUILD": compiler.host[0],
        # The same in both phases: a recipe names what a build must find.
        "PKG_CONFIG": "false",
        "PYTHONHASHSEED": "0",
        "PYTHONDONTWRITEBYTECODE": "1",
        "LD": "ld.lld",
        "AR": "llvm-ar",
        "RANLIB": "llvm-ranlib",
        "NM": "llvm-nm",
        "STRIP": "llvm-strip",
        "OBJCOPY": "llvm-objcopy",
        "CFLAGS": "-O2",
        "CXXFLAGS": "-O2",
        # For builds that must be told that this is a cross build.
        **({"BUILD": machines.build.triple} if machines.crossed else {}),
    }


def additions(machines: Machines, compiler: Compiler, own: Compiler) -> tuple[Addition, ...]:
    """The files and links added to the build root, which has `compiler`. `own`: our compiler."""
    arch = machines.target
    # Configure scripts run what they compile for the target, except in a cross build.
    loader = Addition(f"/usr/lib/{arch.loader}", "/sysroot/usr/lib/libc.so", link=True)
    searched = "".join(f"{directory}\n" for directory in compiler.libraries)
    path = Addition(f"/etc/{machines.build.loader.removesuffix('.so.1')}.path", searched)
    native = not machines.crossed
    return (
        Addition("/toolchain/target.cfg", _clang_configuration(arch.triple)),
        Addition("/toolchain/target++.cfg", CXX_CONFIGURATION),
        Addition("/toolchain/target.cmake", _cmake_toolchain(machines)),
        Addition("/toolchain/resource/include", f"{compiler.resources}/include", link=True),
        Addition("/toolchain/resource/lib", f"/sysroot{own.resources}/lib", link=True),
        *([loader] if compiler.loader and native else []),
        *([path] if compiler.libraries and (native or not compiler.loader) else []),
    )


def _clang_configuration(triple: str) -> str:
    lines = (
        f"--target={triple}",
        "--sysroot=/sysroot",
        "-resource-dir=/toolchain/resource",
        "-rtlib=compiler-rt",
        "-unwindlib=none",
        "-fuse-ld=lld",
        "-ffile-prefix-map=/source=.",
        "-ffile-prefix-map=/build=.",
        "-Wl,--build-id=none",
    )
    return "\n".join(lines) + "\n"


def _cmake_toolchain(machines: Machines) -> str:
    arch = machines.target
    lines = [
        "set(CMAKE_SYSTEM_NAME Linux)",
        # Without a cross build, compiled programs can run: no project needs extra build tools.
        f"set(CMAKE_CROSSCOMPILING {'ON' if machines.crossed else 'OFF'})",
        f"set(CMAKE_SYSTEM_PROCESSOR {arch.name})",
        "set(CMAKE_SYSROOT /sysroot)",
        "set(CMAKE_AR llvm-ar)",
        "set(CMAKE_RANLIB llvm-ranlib)",
        "set(CMAKE_NM llvm-nm)",
        "set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)",
    ]
    for language, plus in (("C", ""), ("CXX", "++"), ("ASM", "")):
        lines.append(f"set(CMAKE_{language}_COMPILER clang{plus})")
        lines.append(f"set(CMAKE_{language}_COMPILER_TARGET {arch.triple})")
        lines.append(f"set(CMAKE_{language}_FLAGS_INIT --config=/toolchain/target{plus}.cfg)")
    for kind in ("LIBRARY", "INCLUDE", "PACKAGE"):
        lines.append(f"set(CMAKE_FIND_ROOT_PATH_MODE_{kind} ONLY)")
    return "\n".join(lines) + "\n"
