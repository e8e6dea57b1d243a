""".ci/run: root runs again what is another case for root."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
# What a test imports or calls that is one thing as root and another as an ordinary user.
ROOT_MATTERS = re.compile(r"geteuid\(\)|import .*\b(IS_ROOT|USERS|AS_ORDINARY|open_directory)\b")


def as_root() -> list[str]:
    """The paths that .ci/run gives to the tests as root."""
    (array,) = re.findall(r"^as_root=\(.*?^\)", (ROOT / ".ci" / "run").read_text(), re.M | re.S)
    script = f'{array}; printf "%s\\n" "${{as_root[@]}}"'
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)
    return done.stdout.split()


def test_root_runs_all_that_root_matters_for() -> None:
    chosen = as_root()
    assert [path for path in chosen if not (ROOT / path).exists()] == []
    paths = [path for path in (ROOT / "tests").rglob("test_*.py") if path != Path(__file__)]
    mattering = [path.relative_to(ROOT) for path in paths if ROOT_MATTERS.search(path.read_text())]
    assert len(mattering) > 5
    assert [
        str(path) for path in mattering if not {str(path), *map(str, path.parents)} & {*chosen}
    ] == []
