"""A root that the user gives: what is found in it, and what is added to it."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from plan.errors import BuildError
from plan.seeding.alpine import load_alpine
from plan.seeding.look_at import look_at
from plan.seeding.path import (
    fitted,
    from_json,
    load_known,
    own_tools,
    require_fit,
    to_json,
    wheel_name,
    whole,
)
from rootfs.archives.root import Root
from tests.plan.conftest import PLAN

KNOWN = load_known(PLAN / "seeds" / "path.yaml", "x86_64")
ALPINE = load_alpine(PLAN / "seeds" / "alpine.yaml", "x86_64")
CLANG = ("clang", "clang++", "ld.lld", "llvm-ar", "llvm-ranlib")
OBJECTS = ("llvm-nm", "llvm-objcopy", "llvm-objdump", "llvm-readelf", "llvm-strip")
MUSL, GLIBC = "lib/ld-musl-x86_64.so.1", "lib64/ld-linux-x86-64.so.2"


def elf(machine: int) -> bytes:
    """The start of an ELF header of 64 bits, for the processor `machine`."""
    return b"\x7fELF\x02\x01\x01".ljust(16, b"\0") + struct.pack("<HH", 3, machine)


def root_with(tmp_path: Path, *files: str, shell: bytes | None = elf(62)) -> Root:
    contents = dict.fromkeys(files, b"") | ({"bin/sh": shell} if shell is not None else {})
    for name, content in contents.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return Root(tmp_path)


def clang(version: int, place: str, *programs: str) -> list[str]:
    headers = f"{place}/../lib/clang/{version}/include/stddef.h"
    return [*(f"{place}/{name}" for name in programs), headers.replace("bin/../", "")]


def test_a_root_that_lacks_nothing_is_used_unchanged(tmp_path: Path) -> None:
    programs = [f"usr/bin/{name}" for tool in KNOWN.tools.values() for name in tool]
    programs = [name.removeprefix("usr/bin//") for name in programs]
    own = clang(19, "usr/lib/llvm-19/bin", *CLANG, *OBJECTS)
    found = look_at(root_with(tmp_path, GLIBC, *programs, *own), KNOWN)
    assert whole(found, KNOWN) and (found.machine, found.version) == ("x86_64", 19)
    # The same as the seed debian has.
    compiler = own_tools(found).compiler
    assert compiler and compiler.programs == "/usr/lib/llvm-19/bin" and compiler.loader
    assert compiler.resources == "/usr/lib/llvm-19/lib/clang/19"
    assert from_json(to_json(found)) == found


def test_a_root_with_clang_gets_what_it_lacks(tmp_path: Path) -> None:
    own = [*clang(18, "usr/lib/llvm18/bin", *CLANG), *clang(17, "usr/bin", *CLANG)]
    found = look_at(root_with(tmp_path, GLIBC, "usr/bin/perl", "bin/make", *own), KNOWN)
    added = fitted(ALPINE, found, KNOWN)
    assert found.version == 18 and found.tools == ("make", "perl")
    assert [wheel_name(wheel) for wheel in added.wheels] == ["cmake", "ninja"]
    # Those for its C library, from the same release.
    assert all("manylinux" in wheel.file for wheel in added.wheels)
    assert [wheel.urls for wheel in added.wheels] == [wheel.urls for wheel in ALPINE.wheels[1:]]
    # Tools that Zig's C library is needed for are missing; those that the root has are not made.
    makes = dict(added.makes)
    assert "seed-binutils" in makes and not {"seed-make", *KNOWN.needs_zig} & makes.keys()
    assert dict(added.missing).keys() == {"libelf"}
    links = dict(added.links)
    assert links["usr/lib/wheels/bin/clang"] == "/usr/lib/llvm18/bin/clang"
    assert links["usr/lib/wheels/bin/c++"] == "/usr/lib/llvm18/bin/clang++"
    assert [name for name, _ in added.programs if "wheels" in name] == [
        "usr/lib/wheels/bin/llvm-strip"
    ]


@pytest.mark.fault("a root with /usr/lib/clang/18-old beside the others", "it is no version")
def test_a_directory_that_is_no_version_of_clang(tmp_path: Path) -> None:
    own = [*clang(18, "usr/bin", *CLANG), "usr/lib/clang/19-old/include/stddef.h"]
    found = look_at(root_with(tmp_path, GLIBC, *own), KNOWN)
    assert (found.version, found.resources) == (18, "usr/lib/clang/18")


def test_a_root_without_a_compiler_is_completed_as_alpines(tmp_path: Path) -> None:
    found = look_at(root_with(tmp_path, MUSL), KNOWN)
    added = fitted(ALPINE, found, KNOWN)
    for field in (
        "compiler",
        "wheels",
        "debian",
        "foreign",
        "programs",
        "links",
        "makes",
        "makes_crossed",
        "missing",
    ):
        assert getattr(added, field) == getattr(ALPINE, field), field


def test_a_root_with_zig_uses_it(tmp_path: Path) -> None:
    zig = ("usr/bin/zig", "usr/lib/zig/include/stddef.h")
    found = look_at(root_with(tmp_path, MUSL, *zig), KNOWN)
    added = fitted(ALPINE, found, KNOWN)
    assert "ziglang" not in [wheel_name(wheel) for wheel in added.wheels]
    assert dict(added.links)["usr/lib/wheels/ziglang/zig"] == "/usr/bin/zig"
    assert dict(added.links)["usr/lib/wheels/ziglang/lib"] == "/usr/lib/zig"
    assert added.programs == ALPINE.programs and added.makes == ALPINE.makes


def test_a_crystal_of_the_root_takes_the_place_of_debians(tmp_path: Path) -> None:
    alpine = load_alpine(PLAN / "seeds" / "alpine.yaml", "aarch64")
    added = fitted(alpine, look_at(root_with(tmp_path, MUSL, "usr/bin/crystal"), KNOWN), KNOWN)
    assert alpine.debian and alpine.foreign and not added.debian and not added.foreign
    mine = {name for name, _ in alpine.programs} - {name for name, _ in added.programs}
    emulated = {f"usr/lib/debian/{name}" for name, _ in alpine.foreign.emulated}
    assert emulated and mine == {"usr/bin/crystal", *emulated}


@pytest.mark.fault(
    "seed=PATH: a root whose clang is too old, or lacks lld", "Zig takes its place, and why is said"
)
@pytest.mark.parametrize(
    ("files", "why"),
    [
        (clang(16, "usr/bin", *CLANG), "clang 16 is older than 17"),
        (clang(19, "usr/bin", "clang", "clang++", "llvm-ar"), "has no ld.lld, llvm-ranlib"),
        (["usr/bin/clang"], "clang without headers is older"),
    ],
)
def test_a_compiler_that_is_not_used(tmp_path: Path, files: list[str], why: str) -> None:
    found = look_at(root_with(tmp_path, MUSL, *files), KNOWN)
    assert found.compiler == "" and why in found.refused
    assert "ziglang" in [wheel_name(wheel) for wheel in fitted(ALPINE, found, KNOWN).wheels]


@pytest.mark.fault(
    "seed=PATH: a root for another architecture, or without a shell",
    "one error, before anything is built",
)
@pytest.mark.parametrize(
    ("shell", "why"),
    [
        (elf(183), "is a root for aarch64, but the build architecture is x86_64"),
        (elf(8), "another machine (ELF machine 8)"),
        (None, "has no /bin/sh"),
    ],
)
def test_roots_that_are_refused(tmp_path: Path, shell: bytes | None, why: str) -> None:
    found = look_at(root_with(tmp_path, MUSL, shell=shell), KNOWN)
    with pytest.raises(BuildError) as caught:
        require_fit(found.machine, "PATH", "x86_64")
    assert why in caught.value.message and caught.value.where == "PATH"


def test_a_shell_that_is_no_elf_file_is_not_judged() -> None:
    require_fit("", "PATH", "x86_64")


def test_what_is_made_only_with_zig_is_in_the_seed_alpine() -> None:
    assert {*KNOWN.needs_zig} <= dict(ALPINE.makes).keys()
    assert KNOWN.wheels.keys() <= {wheel_name(wheel) for wheel in ALPINE.wheels}
