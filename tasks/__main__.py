"""python -m tasks: runs doit with the commands that make sense here; `./bq2` runs it.

Changes that also apply to a plain `doit` are in tasks/doit_extensions.py.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from plan.errors import nearest
from plan.typed import program
from plan.version import VERSION
from tasks.commands import COMMANDS, DOIT_DOCS
from tasks.console.console import say, taking, undelivered
from tasks.late import standing_in

with standing_in("configparser", "importlib.metadata", "multiprocessing", "pdb", "string"):
    from doit import plugin
    from doit.cmd_base import DodoTaskLoader, DoitCmdBase
    from doit.cmd_clean import Clean
    from doit.cmd_forget import Forget
    from doit.cmd_help import Help
    from doit.cmd_info import Info
    from doit.cmd_list import List
    from doit.cmd_run import Run
    from doit.cmdparse import CmdParseError
    from doit.doit_cmd import DoitMain
    from doit.loader import generate_tasks


WRONG = 3  # doit's exit status for a wrong command line


class OurHelp(Help):  # type: ignore[misc]
    """The pages of this project, also for doit's own commands."""

    name = "help"
    doc_usage = "[NAME]"

    def execute(self, params: Any, args: list[str]) -> int:
        """Print the page of each name in `args`, or that of the project."""
        from tasks import help as pages

        with taking():
            for line in [] if args else pages.project_page():
                say(line)
            for name in args:
                self._explain(params, name)
        return 1 if undelivered() else 0

    def _explain(self, params: Any, name: str) -> None:
        from tasks import help as pages

        if name == self.name:
            for line in pages.project_page():
                say(line)
        elif name in COMMANDS or name in DOIT_DOCS or name in pages.OF_DOIT:
            for line in pages.command_page(name):
                say(line)
        else:
            # One of the plan's tasks; see doit_extensions.py.
            DoitCmdBase.execute(self, params, [name])


class Loader(DodoTaskLoader):  # type: ignore[misc]
    """Takes the tasks of the only creator; doit's own would parse dodo.py to sort the creators."""

    def load_tasks(self, cmd: Any, pos_args: list[str]) -> list[Any]:
        """The tasks of dodo.py."""
        del cmd, pos_args
        return list(generate_tasks("commands", self.namespace["task_commands"]()))


class Main(DoitMain):  # type: ignore[misc]
    """doit with the commands of this project."""

    BIN_NAME = program()
    DOIT_CMDS = (Clean, Forget, OurHelp, Info, List, Run)


def _plain(error: CmdParseError) -> str:
    """A wrong option in one line, with the nearest valid one."""
    message = str(error.args[0])
    reason = re.search(r": (option (\S+) .*?) \(parsing options: (.*)\)", message, re.DOTALL)
    if not reason:
        return message
    short = re.findall(r"'short':'(\w)'", reason[3])
    long = re.findall(r"'long':'([\w-]+)'", reason[3])
    known = [*(f"-{each}" for each in short), *(f"--{each}" for each in long), "--help"]
    return f"{reason[1]}\n  {nearest(reason[2], known)}"


def start(words: Sequence[str], dodo: Path) -> int:
    """Run doit with `words` and the file `dodo`. Return the exit status of the process."""
    if words[:1] == ["--version"]:
        with taking():
            say(f"bootstrap-qcow2 {VERSION}")
        return 1 if undelivered() else 0
    if "" in words:
        # doit looks at the first character of each word.
        hint = "is there a variable of the shell that has no value?"
        print(f"ERROR: a word of the command line is empty\n  {hint}", file=sys.stderr)
        return WRONG
    if not words or {"-h", "--help"} & {*words}:
        named = [word for word in words if word[:1] != "-" and "=" not in word and word != "help"]
        words = ["help", *named[:1]]
    # Ignore a doit configuration in the person's directory.
    config = {"GLOBAL": {"dodoFile": os.fspath(dodo)}}
    CmdParseError.__str__ = _plain
    # There are no plug-ins: without this, doit reads the metadata of all installed packages.
    plugin.entry_points_impl = lambda: lambda group: ()
    main = Main(Loader(), config_filenames=(), extra_config=config)
    return int(main.run(list(words)) or 0)


if __name__ == "__main__":
    sys.exit(start(sys.argv[1:], Path(__file__).resolve().parents[1] / "dodo.py"))
