"""Commands in messages, spelled as the person called this project.

./bq2 image set=base   ──typed("forget pkg:zlib")──▶   ./bq2 forget pkg:zlib set=base
doit image             ──typed("forget pkg:zlib")──▶   doit forget pkg:zlib
"""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Iterable
from pathlib import PurePath

# Whether the person typed a link to ./bq2. Found out now: doit changes the current directory.
_IS_LINK = PurePath(os.path.realpath(sys.argv[0])).name == "bq2"

# Without these parameters of the command line, the next command would mean another plan or another
# work directory. jobs=, progress= and the like do not matter to it.
KEPT = (
    "set",
    "layer",
    "app",
    "with",
    "loader",
    "arch",
    "build",
    "seed",
    "seed_release",
    "seed_tarball",
    "seed_sha256",
    "workdir",
)

_taken: list[str] = []

# The remedy where a command in a machine has a limit.
MORE_TIME = "timeout=MINUTES on the command line gives it more time"


def program() -> str:
    """The word that the person typed for this project: "doit", or the path of ./bq2."""
    is_bq2 = _IS_LINK or PurePath(sys.argv[0]).name == "bq2"
    return shlex.quote(sys.argv[0]) if is_bq2 else "doit"


def take_as_typed(words: Iterable[str]) -> None:
    """Let `typed` add the parameters `words` too: this run took them from the last build."""
    _taken[:] = words


def typed(words: str) -> str:
    """The command line `words`, with the person's program and parameters that select the plan."""
    given = {word.partition("=")[0] for word in words.split()}
    words_by_name = {
        word.partition("=")[0]: word for word in (*_taken, *sys.argv[1:]) if "=" in word
    }
    kept = [name for name in words_by_name if name in KEPT and name not in given]
    return " ".join([program(), words, *(shlex.quote(words_by_name[name]) for name in kept)])
