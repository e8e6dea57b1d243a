"""plan/settings/written.py: what is read is not written."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from plan.errors import BuildError
from plan.settings.resolve import resolve
from tests.plan.conftest import PLAN


@pytest.mark.fault(
    "workdir= or output= inside of an app or of the files of a layer",
    "refused, unless git ignores it: each run would change what the next one builds",
)
def test_what_is_read_is_not_written(tmp_path: Path) -> None:
    (tmp_path / "plan").symlink_to(PLAN)
    app = tmp_path / "app"
    (app / "src").mkdir(parents=True)
    (app / "src" / "a.cr").write_text("")
    (app / "shard.yml").write_text("name: a\ntargets: {a: {main: src/a.cr}}\n")
    given = {"app": os.fspath(app)}
    assert resolve(tmp_path, given, {}).data.app
    for name in ("workdir", "output"):
        with pytest.raises(BuildError, match="is among the files of"):
            assert resolve(tmp_path, given | {name: f"{app}/there"}, {}).data
    subprocess.run(["git", "init", "-q", app], check=True)
    (app / ".gitignore").write_text("there/\n")
    assert resolve(tmp_path, given | {"workdir": f"{app}/there"}, {}).data.app
    (app / "sets.yaml").write_text("")
    layer = {"layer": os.fspath(app)}
    assert resolve(tmp_path, layer | {"workdir": f"{app}/there"}, {}).data.layers
    with pytest.raises(BuildError, match="is among the files of"):
        assert resolve(tmp_path, layer | {"workdir": f"{app}/files/w"}, {}).data
    assert resolve(tmp_path, layer | {"output": f"{app}/image"}, {}).data.layers
