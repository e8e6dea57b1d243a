"""plan.room: names the lack of bytes, inodes or quota, on real full file systems."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from plan.room import no_room

FILL = """\
import sys
from pathlib import Path
from plan.room import no_room
directory = Path(sys.argv[1])
try:
    for number in range(1000):
        (directory / str(number)).write_bytes(bytes(int(sys.argv[2])))
except OSError as error:
    print(error.strerror, no_room(error, directory / "not" / "there"))
"""


@pytest.mark.namespace
@pytest.mark.parametrize(
    ("options", "size", "remedy"),
    [
        ("nr_inodes=20,size=50m", 1, "no inodes are left on the file system of "),
        ("nr_inodes=5000,size=1m", 4096, "free some space on the disk of "),
    ],
)
def test_what_has_run_out(tmp_path: Path, options: str, size: int, remedy: str) -> None:
    script = f'mount -t tmpfs -o {options} tmpfs {tmp_path}; exec "$@"'
    done = subprocess.run(
        [
            *("unshare", "--map-root-user", "--mount", "sh", "-ec", script, "sh"),
            *(sys.executable, "-c", FILL, os.fspath(tmp_path), str(size)),
        ],
        cwd=Path(__file__).resolve().parents[2],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith(f"No space left on device {remedy}{tmp_path}/not/there"), done


def test_a_quota_and_other_errors(tmp_path: Path) -> None:
    assert "your quota" in str(no_room(OSError(errno.EDQUOT, ""), tmp_path))
    assert no_room(OSError(errno.EACCES, ""), tmp_path) is None
