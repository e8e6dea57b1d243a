"""Two real seeds, compared by packages that need no compiler; it takes minutes.

    BQ2_TEST_ALPINE=alpine-minirootfs-….tar.gz ./bq2 test tests/test_two_seeds.py

The file is one of Alpine's releases for this machine. All other files go to the user's cache.
"""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.checkout import ROOT

SECONDS = 1800
pytestmark = [pytest.mark.namespace, pytest.mark.timeout(SECONDS)]


def test_two_seeds_give_the_same_where_no_compiler_is_in_between(tmp_path: Path) -> None:
    given = os.environ.get("BQ2_TEST_ALPINE")
    if not given:
        pytest.skip("BQ2_TEST_ALPINE names no Alpine minirootfs")
    with Path(given).open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    settings = ["set=base-tools", "seed=debian", "seeds=alpine", f"workdir={tmp_path / 'work'}"]
    settings += [f"seed_tarball={given}", f"seed_sha256={sha256}"]
    command = [sys.executable, "-m", "doit", "challenge", *settings]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=SECONDS)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"^alpine: 4 of 4 identical$", done.stdout, re.MULTILINE)
    # Debian's Crystal is in both, and that is said.
    assert re.search(r"in both seeds.*\bcrystal\b", done.stdout)
