"""python -m tasks: doit, with those of its own commands that make sense here; `./bq2` runs it.

What can also be had of a bare `doit`, which asks no one before it reads dodo.py, is in hooks.py.
"""

from __future__ import annotations

import sys
from typing import Any

from doit.cmd_clean import Clean
from doit.cmd_forget import Forget
from doit.cmd_help import Help
from doit.cmd_info import Info
from doit.cmd_list import List
from doit.cmd_run import Run
from doit.doit_cmd import DoitMain

from tasks.console import taking, undelivered


class OurHelp(Help):  # type: ignore[misc]
    """doit's help, printed as all is printed."""

    name = "help"

    def execute(self, params: Any, args: list[str]) -> int:
        """Print the help of what `args` name, or of the commands."""
        with taking():
            status = super().execute(params, args)
        return 1 if undelivered() else status


class Main(DoitMain):  # type: ignore[misc]
    """doit with these commands, as it is called by people."""

    BIN_NAME = "doit"
    DOIT_CMDS = (Clean, Forget, OurHelp, Info, List, Run)


if __name__ == "__main__":
    words = ["help" if word in ("-h", "--help") else word for word in sys.argv[1:2]]
    sys.exit(Main().run([*words, *sys.argv[2:]]))
