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
$CC -o /tmp/macro_run -L/sysroot/usr/lib -lgc -lpthread
while [ "$1" != -o ]; do shift; done
echo "$CC $2.o -o $2 -rdynamic -L/sysroot/usr/lib -lgc \\`echo -lpcre2-8\\`"
: > "$2"
"""


@pytest.mark.fault(
    "Crystal on another architecture prints the linker of what it runs at once",
    "the program is linked by the target's compiler, the other one without the target's libraries",
)
@pytest.mark.parametrize("crossed", [True, False])
def test_the_program_is_linked_for_the_target(tmp_path: Path, crossed: bool) -> None:
    for place in ("build", "dest", "tmp/bin"):
        (tmp_path / place).mkdir(parents=True)
    script = re.sub(r"(?<![\w*])(?=/(build|dest|tmp)/)", str(tmp_path), SCRIPT)
    bin_, calls = tmp_path / "tmp" / "bin", tmp_path / "calls"
    (bin_ / "crystal").write_text(CRYSTAL)
    for name in ("target", "host"):
        (bin_ / name).write_text(f'#!/bin/sh\necho "{name} $*" >> {calls}\n')
    for each in bin_.iterdir():
        each.chmod(0o755)
    environment = {"PATH": "/usr/bin:/bin", "ARCH": "aarch64", "CC": "target --config=x"}
    environment |= {"HOSTCC": "host"} | ({"BUILD": "x86_64-linux-musl"} if crossed else {})
    command = ["sh", "-euc", script, "crystal", "it", "src/it.cr", "--release"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    at_once, program = calls.read_text().splitlines()
    assert at_once.split()[0] == ("host" if crossed else "target")
    assert ("-L/sysroot/usr/lib" in at_once) is not crossed
    own = "target --config=x -unwindlib=libunwind -Wl,--as-needed "
    made = f"{tmp_path}/build/it"
    assert program == f"{own}{made}.o -o {made} -rdynamic -L/sysroot/usr/lib -lgc -lpcre2-8"
    assert (tmp_path / "dest" / "usr" / "bin" / "it").exists()
