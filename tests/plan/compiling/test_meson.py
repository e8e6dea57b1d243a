from __future__ import annotations

import configparser
import re

from plan.compiling.architecture import Machines, load_architecture
from plan.compiling.meson import BUILD, HOST, machine_files, machine_options
from plan.compiling.toolchain import Compiler, environment

HERE, THERE = (load_architecture(name) for name in ("x86_64", "riscv64"))
COMPILER = Compiler("/usr/bin", "/usr/lib/clang")


def written(machines: Machines) -> dict[str, configparser.ConfigParser]:
    """The machine files that the script writes, by path."""
    script = machine_files(machines, environment(machines, COMPILER))
    found = {}
    for path, text in re.findall(r"cat > (\S+) <<'END'\n(.*?)\nEND\n", script, re.DOTALL):
        found[path] = configparser.ConfigParser()
        found[path].read_string(text)
    return found


def test_without_a_cross_build_programs_of_the_target_run() -> None:
    machines = Machines(HERE, HERE)
    files = written(machines)
    assert machine_options(machines) == (f"--native-file={HOST}",)
    assert files.keys() == {HOST} and files[HOST].sections() == ["binaries"]
    assert files[HOST]["binaries"]["c"] == "['clang', '--config=/toolchain/target.cfg']"
    assert files[HOST]["binaries"]["ar"] == "'llvm-ar'"


def test_a_cross_build_has_two_compilers_and_runs_nothing() -> None:
    machines = Machines(HERE, THERE)
    files = written(machines)
    assert machine_options(machines) == (f"--cross-file={HOST}", f"--native-file={BUILD}")
    assert files[HOST]["host_machine"]["cpu_family"] == "'riscv64'"
    assert files[HOST]["properties"]["needs_exe_wrapper"] == "true"
    assert files[BUILD]["binaries"]["cpp"] == "['clang++']"
