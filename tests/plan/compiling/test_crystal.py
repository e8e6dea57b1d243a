"""plan/compiling/crystal.py: who links what, with programs that only write how they were called."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

from plan.compiling.crystal import SCRIPT

# As Crystal 1.14: two templates are read by the program that its cache has. What runs at once is
# linked by $CC, and the last line for another machine begins with $CC.
CRYSTAL = """\
#!/bin/sh
case "$*" in
"env CRYSTAL_PATH") echo lib:{library} ;;
*/process.cr)
  $CC -o /tmp/macro_run -L/sysroot/usr/lib -lgc -lpthread
  while [ "$1" != -o ]; do shift; done
  printf '#!/bin/sh\\necho "$@" >> {calls}.read\\n' > "$2"
  chmod +x "$2" ;;
*)
  ldd --version > {calls}.ldd
  kept="$CRYSTAL_CACHE_DIR/$(echo {library}/ecr/process.cr | cut -c 2- | tr / -)"
  cat "$kept/recorded_requires" "$kept/requires" > {calls}.kept
  for each in first second; do "$kept/macro_run" $each.ecr io; done
  while [ "$1" != -o ]; do shift; done
  echo "$CC $2.o -o $2 -rdynamic -L/sysroot/usr/lib -lgc \\`echo -lpcre2-8\\`"
  : > "$2" ;;
esac
"""
EPOCH = 1735689600
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
    reader = tmp_path / "library" / "ecr" / "process.cr"
    reader.parent.mkdir(parents=True)
    reader.touch()
    os.utime(reader, (0, EPOCH))
    text = CRYSTAL.replace("{calls}", str(calls))
    (bin_ / "crystal").write_text(text.replace("{library}", str(tmp_path / "library")))
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
    assert Path(f"{calls}.read").read_text() == "first.ecr io\nsecond.ecr io\n"
    kept = Path(f"{calls}.kept").read_text().splitlines()
    assert [json.loads(line) for line in kept] == [[], [{"filename": str(reader), "epoch": EPOCH}]]
    own = "target --config=x -unwindlib=libunwind -Wl,--as-needed "
    made = f"{tmp_path}/build/it"
    assert program == f"{own}{made}.o -o {made} -rdynamic -L/sysroot/usr/lib -lgc -lpcre2-8"
    assert (tmp_path / "dest" / "usr" / "bin" / "it").exists()
