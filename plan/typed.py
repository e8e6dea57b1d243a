"""Commands in messages, spelled as the person called this project.

./bq2 image set=base   ──typed("forget pkg:zlib")──▶   ./bq2 forget pkg:zlib set=base
doit image             ──typed("forget pkg:zlib")──▶   doit forget pkg:zlib
"""

from __future__ import annotations

import shlex
import sys
from pathlib import PurePath

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

# The remedy where a command in a machine has a limit.
MORE_TIME = "timeout=MINUTES on the command line gives it more time"


def program() -> str:
    """The word that the person typed for this project: "doit", or the path of ./bq2."""
    return shlex.quote(sys.argv[0]) if PurePath(sys.argv[0]).name == "bq2" else "doit"


def typed(words: str) -> str:
    """The command line `words`, with the person's program and parameters that select the plan."""
    given = {word.partition("=")[0] for word in words.split()}
    kept = [word for word in sys.argv[1:] if "=" in word and word.partition("=")[0] in KEPT]
    again = [shlex.quote(word) for word in kept if word.partition("=")[0] not in given]
    return " ".join([program(), words, *again])
