"""The compiler is always used as a cross compiler: this says how, for every step alike.

    build root's clang ──target.cfg──▶ code for <arch>-bq2-linux-musl against /sysroot

A step sees the same environment and the same /toolchain whichever root it runs in; only where
that root keeps its compiler differs, and that is what `Compiler` holds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from plan.architecture import Machines
from plan.model import Addition

# 1 January 2025, 00:00 UTC: the time that every file and every program of an output is given.
# Never 0: FAT cannot hold it and some tools take it for "not set".
SOURCE_DATE_EPOCH = 1735689600


# Where a step finds what, and what there is no more: the places by which recipes go.
PATHS = {
    "/": ("the build root: the seed, or the composed tools", "read-only"),
    "/source": (
        "the unpacked first source; an overlay over a tree that steps of the same source share",
        "writable",
    ),
    "/build": ("empty, for a build outside of the source", "writable"),
    "/dest": ("empty; it is DESTDIR, and becomes the artifact", "writable"),
    "/sysroot": ("the artifacts of all it depends on, composed by overlay", "read-only"),
    "/recipe": ("the files in the recipe's own folder", "read-only"),
    "/input": ("further sources as they are, and for the kernel `initramfs.cpio`", "read-only"),
    "/toolchain": ("how to cross-compile: clang's configuration, CMake's file", "read-only"),
    "/jobserver": ("the pipe by which make shares its processes with other packages", "writable"),
    "/tmp": ("at most a quarter of the memory", "writable"),
    "/dev": ("the five usual devices, /dev/shm of 64 MiB in memory", "writable"),
    "/proc": ("the processes of the step", "writable"),
}

# C needs no unwinder, and is linked before there is one.
CXX_CONFIGURATION = "@target.cfg\n-stdlib=libc++\n-unwindlib=libunwind\n"


@dataclass(frozen=True)
class Compiler:
    """Where a build root keeps its clang: folder of the programs, folder of clang's own headers.

    `foreign`: the root has another C library than ours, so what is compiled needs our loader there.
    """

    programs: str
    headers: str
    loader: bool = False
    """Whether the root has another C library than ours, so that our loader has to be laid in it."""
    libraries: tuple[str, ...] = ()
    """Where the loader looks for libraries, if not where it does by itself."""
    host: tuple[str, str] = ("clang", "clang++")
    """What compiles programs, in C and in C++, that run in the root during a build."""


_HEADERS = "lib/clang/19/include"
DEBIAN = Compiler(
    programs="/usr/lib/llvm-19/bin",
    headers=f"/usr/lib/llvm-19/{_HEADERS}",
    loader=True,
    libraries=("/sysroot/usr/lib",),
)
# Zig's clang, and its own C library for programs of the build. Alpine's loader is musl's, as ours.
ALPINE = Compiler(
    programs="/usr/lib/wheels/bin",
    headers="/usr/lib/wheels/ziglang/lib/include",
    libraries=("/sysroot/usr/lib", "/lib", "/usr/lib"),
    host=("cc", "c++"),
)
OWN = Compiler("/usr/bin", f"/usr/{_HEADERS}")


@dataclass(frozen=True)
class Tools:
    """What a seed has for building, and what it has not."""

    compiler: Compiler
    lacks: Mapping[str, str] = field(default_factory=dict)
    """The tools that are not in it, and which recipe makes each."""
    besides: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """By package, what its build runs that others do without, and that is made by its own recipe.

    Where that is llvm, it compiles the package too.
    """
    missing: Mapping[str, str] = field(default_factory=dict)
    """Those that cannot be had for it at all, and why."""


DEBIAN_TOOLS = Tools(DEBIAN)


def search_path(compiler: Compiler) -> str:
    """PATH in a build root that keeps its compiler there."""
    return ":".join(dict.fromkeys((compiler.programs, "/usr/bin", "/bin", "/usr/sbin", "/sbin")))


def environment(machines: Machines, compiler: Compiler) -> dict[str, str]:
    """The environment of every step. Nothing of the host's is in it."""
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
        # In both phases alike: what is to be found, a recipe names.
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
        # For what has to be told that it is crossed.
        **({"BUILD": machines.build.triple} if machines.crossed else {}),
    }


def additions(machines: Machines, compiler: Compiler) -> tuple[Addition, ...]:
    """The files and links laid over the build root of every step."""
    arch = machines.target
    # What configure scripts and builds compile for the target runs here at once, unless crossed.
    loader = Addition(f"/usr/lib/{arch.loader}", "/sysroot/usr/lib/libc.so", link=True)
    searched = "".join(f"{folder}\n" for folder in compiler.libraries)
    path = Addition(f"/etc/{machines.build.loader.removesuffix('.so.1')}.path", searched)
    native = not machines.crossed
    return (
        Addition("/toolchain/target.cfg", _clang_configuration(arch.triple)),
        Addition("/toolchain/target++.cfg", CXX_CONFIGURATION),
        Addition("/toolchain/target.cmake", _cmake_toolchain(machines)),
        Addition("/toolchain/resource/include", compiler.headers, link=True),
        Addition("/toolchain/resource/lib", "/sysroot/usr/lib/clang/19/lib", link=True),
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
        # Uncrossed, what is compiled runs at once: no project needs tools of its own for the build.
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
