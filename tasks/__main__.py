"""python -m tasks: runs doit with the commands that make sense here; `./bq2` runs it.

Changes that also apply to a plain `doit` are in tasks/doit_extensions.py.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from doit.cmd_clean import Clean
from doit.cmd_forget import Forget
from doit.cmd_help import Help
from doit.cmd_info import Info
from doit.cmd_list import List
from doit.cmd_run import Run
from doit.doit_cmd import DoitMain

from plan.version import VERSION
from tasks.console.console import taking, undelivered


class OurHelp(Help):  # type: ignore[misc]
    """doit's help, printed like all other output."""

    name = "help"

    def execute(self, params: Any, args: list[str]) -> int:
        """Print the help of the commands in `args`, or the list of commands."""
        with taking():
            status = super().execute(params, args)
        return 1 if undelivered() else status


class Main(DoitMain):  # type: ignore[misc]
    """doit with the commands of this project."""

    BIN_NAME = "doit"
    DOIT_CMDS = (Clean, Forget, OurHelp, Info, List, Run)


def start(words: Sequence[str], dodo: Path) -> int:
    """Run doit with `words` and the file `dodo`. Return the exit status of the process."""
    if words[:1] == ["--version"]:
        print(f"bootstrap-qcow2 {VERSION}")
        return 0
    first = ["help" if word in ("-h", "--help") else word for word in words[:1]]
    # Ignore a doit configuration in the person's directory.
    config = {"GLOBAL": {"dodoFile": os.fspath(dodo)}}
    main = Main(config_filenames=(), extra_config=config)
    return int(main.run([*first, *words[1:]]) or 0)


if __name__ == "__main__":
    sys.exit(start(sys.argv[1:], Path(__file__).resolve().parents[1] / "dodo.py"))
