"""Looks for tools in a root that the user gives (seed=PATH). Nothing of the root is run.

the root's files ─┬─▶ its shell: which machine     ─┐
Known ────────────┤   its C library's loader        ├─▶ Found
                  ├─▶ the newest clang, or Zig      │
                  └─▶ tools, and what is lacking   ─┘
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, Protocol

from plan.seeding.path import LLVM, Found, Known

_MACHINES = {62: "x86_64", 183: "aarch64", 243: "riscv64"}  # e_machine, System V ABI, chapter 4
# The programs of a compiler; the others can be made first (seed-binutils).
_COMPILES = ("clang", "clang++", "ld.lld", "llvm-ar", "llvm-ranlib")
_OBJECTS = ("llvm-nm", "llvm-objcopy", "llvm-objdump", "llvm-readelf", "llvm-strip")
_VERSION = re.compile(r"/([0-9]+)(?:\.[^/]*)?\Z")  # of 18 and 18.1.8, not of 18-old
_PATH = ("usr/bin", "bin", "usr/sbin", "sbin")


class Root(Protocol):
    """A root file system, as `rootfs.archives.root.Root` shows it. Paths are relative to it."""

    def find(self, path: str) -> str | None:
        """`path` with its links followed; None if it does not exist."""

    def matches(self, pattern: str) -> Iterator[str]:
        """The existing paths that match a glob."""

    def head(self, path: str) -> bytes:
        """The first bytes of a file; empty if it is none."""


def look_at(root: Root, known: Known) -> Found:
    """What `root` has of what is `known`."""
    loaders = (
        name
        for name, patterns in known.loaders.items()
        if any(True for pattern in patterns for _ in root.matches(pattern))
    )
    found = Found(machine_of(root), next(loaders, ""))
    clang, refused = _clang(root, known)
    compiled = {**(clang or _zig(root, known)), "refused": refused}
    inside = compiled.get("programs", {})
    own = clang is not None
    tools = [
        name
        for name, files in known.tools.items()
        # A program that Zig links is static: it uses no library of the root.
        if all(_has(root, file) and (own or file[0] != "/") for file in files)
    ]
    if own and all(name in inside for name in _OBJECTS):
        tools.append(LLVM)
    names = (*known.programs, *known.seldom)
    lacking = tuple(name for name in names if not _has(root, name))
    return replace(found, **compiled, tools=tuple(tools), lacking=lacking)


def machine_of(root: Root) -> str | None:
    """The architecture of the root's shell; "" if that is no ELF file, None if there is none."""
    if root.find("bin/sh") is None:
        return None
    head = root.head("bin/sh")
    if head[:4] != b"\x7fELF" or len(head) < 20:
        return ""
    (number,) = struct.unpack_from("<H" if head[5] == 1 else ">H", head, 18)
    return _MACHINES.get(number, f"another machine (ELF machine {number})")


def _has(root: Root, name: str) -> bool:
    places = [name] if name.startswith("/") else [f"{above}/{name}" for above in _PATH]
    return any(root.find(place) is not None for place in places)


def _clang(root: Root, known: Known) -> tuple[dict[str, Any] | None, str]:
    """The newest clang of the root; or why it is not used."""
    best: dict[str, Any] | None = None
    refused = ""
    for pattern in known.clang:
        for place in root.matches(f"{pattern}/clang"):
            real = (root.find(place) or "").rpartition("/")[0]
            versions = [
                (int(named[1]), path)
                for path in root.matches(f"{real}/../lib/clang/[0-9]*")
                if (named := _VERSION.search(path))
            ]
            version, resources = max(versions, default=(0, ""))
            programs = _programs(root, (real, place.rpartition("/")[0], *_PATH))
            lacking = [name for name in _COMPILES if name not in programs]
            if version < known.oldest:
                refused = f"clang {version or 'without headers'} is older than {known.oldest}"
            elif lacking:
                refused = f"clang {version} has no {', '.join(lacking)}"
            elif not best or version >= best["version"]:
                found = root.find(resources) or ""
                best = {"compiler": "clang", "version": version, "resources": found}
                best["programs"] = programs
    return best, "" if best else refused


def _programs(root: Root, places: Sequence[str]) -> dict[str, str]:
    """Each program of the compiler, in the first of `places` that has it."""
    found = {}
    for name in (*_COMPILES, *_OBJECTS):
        there = (f"{place}/{name}" for place in places if root.find(f"{place}/{name}") is not None)
        if path := next(there, None):
            found[name] = path
    return found


def _zig(root: Root, known: Known) -> dict[str, Any]:
    for pattern in reversed(known.zig):
        for path in root.matches(pattern):
            real = (root.find(path) or "").rpartition("/")[0]
            for library in (f"{real}/lib", f"{real}/../lib/zig"):
                if root.find(f"{library}/include/stddef.h") is not None:
                    programs = {"zig": root.find(path), "lib": root.find(library)}
                    return {"compiler": "zig", "programs": programs}
    return {}
