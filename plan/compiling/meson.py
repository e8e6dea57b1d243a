"""What Meson must be told of the machines: its machine files.

native   one file: the compiler of the target, whose programs run here
crossed  --cross-file: that compiler, and the target; --native-file: the compiler for this machine
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from plan.compiling.architecture import Machines

HOST, BUILD = "/tmp/host.ini", "/tmp/build.ini"
"""Meson calls the machine that the product runs on `host`."""


def machine_files(machines: Machines, variables: Mapping[str, str]) -> str:
    """The script that writes the machine files."""
    lines = [*_binaries(variables, "CC", "CXX")]
    if machines.crossed:
        lines += ["[properties]", "needs_exe_wrapper = true", *_host(machines.target.name)]
    script = _written(HOST, lines)
    if machines.crossed:
        script += _written(BUILD, [*_binaries(variables, "HOSTCC", "HOSTCXX")])
    return script


def machine_options(machines: Machines) -> tuple[str, ...]:
    """The arguments of `meson setup` that name the machine files."""
    if machines.crossed:
        return (f"--cross-file={HOST}", f"--native-file={BUILD}")
    return (f"--native-file={HOST}",)


def _binaries(variables: Mapping[str, str], cc: str, cxx: str) -> Iterator[str]:
    yield "[binaries]"
    yield f"c = {variables[cc].split()}"
    yield f"cpp = {variables[cxx].split()}"
    for name in ("ar", "nm", "ranlib", "objcopy", "strip"):
        yield f"{name} = '{variables[name.upper()]}'"


def _host(name: str) -> Iterator[str]:
    yield "[host_machine]"
    yield "system = 'linux'"
    yield f"cpu_family = '{name}'"
    yield f"cpu = '{name}'"
    yield "endian = 'little'"


def _written(path: str, lines: list[str]) -> str:
    text = "\n".join(lines)
    return f"cat > {path} <<'END'\n{text}\nEND\n"
