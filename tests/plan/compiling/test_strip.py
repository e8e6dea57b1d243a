"""plan/compiling/styles.py: what is stripped at the end of a step."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from plan.compiling.styles import STRIP

# Only says what it is given, and the file's mode.
STRIPPER = '#!/bin/sh\necho "${2##*/} $(stat -c %a "$2")"\n'


@pytest.mark.fault(
    "a library is installed read-only, and GNU's strip writes into the file itself",
    "it is made writable before it is stripped",
)
def test_what_is_stripped_is_writable_and_the_rest_stays(tmp_path: Path) -> None:
    dest, stripper = tmp_path / "dest", tmp_path / "strip"
    dest.mkdir()
    stripper.write_text(STRIPPER)
    stripper.chmod(0o755)
    contents = {"a.so": b"\x7fELF", "a.o": b"\x7fELF", "script": b"#!/bin/sh\n"}
    for name, content in contents.items():
        (dest / name).write_bytes(content)
        (dest / name).chmod(0o555)
    script = STRIP.replace("/dest", str(dest))
    environment = {"PATH": os.environ["PATH"], "STRIP": str(stripper)}
    done = subprocess.run(
        ["sh", "-euc", script], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout == "a.so 755\n"
    modes = {name: (dest / name).stat().st_mode & 0o777 for name in contents}
    assert modes == {"a.so": 0o755, "a.o": 0o555, "script": 0o555}
