"""plan/compiling/crystal.py: who links what, with programs that only write how they were called."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from plan.compiling.crystal import SCRIPT

# As Crystal 1.14: what runs at once is linked by $CC, and the last line begins with $CC.
CRYSTAL = """\
#!/bin/sh
ldd --version > {calls}.ldd
$CC -o /tmp/macro_run -L/sysroot/usr/lib -lgc -lpthread
while [ "$1" != -o ]; do shift; done
echo "$CC $2.o -o $2 -rdynamic -L/sysroot/usr/lib -lgc \\`echo -lpcre2-8\\`"
: > "$2"
"""
COMPILER = """\
#!/bin/sh
case "$*" in
*-dumpmachine) echo {machine} ;;
*) echo "{name} $*" >> {calls} ;;
esac
"""


@pytest.mark.fault(
    "Crystal on another architecture prints the linker of what it runs at once",
    "the program is linked by the target's compiler, the other one without the target's libraries",
)
@pytest.mark.parametrize(
    ("crossed", "host"), [(True, "x86_64-linux-musl"), (True, "x86_64-linux-gnu"), (False, "none")]
)
def test_the_program_is_linked_for_the_target(tmp_path: Path, crossed: bool, host: str) -> None:
    for place in ("build", "dest", "tmp/bin"):
        (tmp_path / place).mkdir(parents=True)
    script = re.sub(r"(?<![\w*])(?=/(build|dest|tmp)/)", str(tmp_path), SCRIPT)
    bin_, calls = tmp_path / "tmp" / "bin", tmp_path / "calls"
    (bin_ / "crystal").write_text(CRYSTAL.replace("{calls}", str(calls)))
    # A root of the C library of GNU has an ldd that says so.
    (bin_ / "ldd").write_text("#!/bin/sh\necho GNU\n")
    for name, machine in (("target", "aarch64-bq2-linux-musl"), ("host", host)):
        text = COMPILER.format(name=name, machine=machine, calls=calls)
        (bin_ / name).write_text(text)
    for each in bin_.iterdir():
        each.chmod(0o755)
    environment = {"PATH": "/usr/bin:/bin", "ARCH": "aarch64", "CC": "target --config=x"}
    environment |= {"HOSTCC": "host"} | ({"BUILD": "x86_64-linux-musl"} if crossed else {})
    command = ["sh", "-euc", script, "crystal", "it", "src/it.cr", "--release"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    expected = "GNU\n" if crossed and host.endswith("-gnu") else "musl\n"
    assert Path(f"{calls}.ldd").read_text() == expected
    at_once, program = calls.read_text().splitlines()
    assert at_once.split()[0] == ("host" if crossed else "target")
    assert ("-L/sysroot/usr/lib" in at_once) is not crossed
    own = "target --config=x -unwindlib=libunwind -Wl,--as-needed "
    made = f"{tmp_path}/build/it"
    assert program == f"{own}{made}.o -o {made} -rdynamic -L/sysroot/usr/lib -lgc -lpcre2-8"
    assert (tmp_path / "dest" / "usr" / "bin" / "it").exists()
