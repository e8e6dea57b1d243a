"""layer: writes a small, commented layer that builds, as a beginning for one's own."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

from plan.errors import BuildError
from plan.outputs import write_file
from plan.own_files import IGNORED, below
from plan.reading.layer import NAME
from plan.settings.parameters import ARCHITECTURES, SETS
from plan.typed import typed
from plan.version import VERSION
from tasks.actions import DoitTask, caller_directory, speaking
from tasks.console.console import say
from tasks.engine.project import Project

# Path in the layer → its text; NAME and VERSION are replaced.
FILES = {
    "layer.yaml": """\
name: NAME
description: what this layer is for
# The oldest version of bootstrap-qcow2 that it works with.
needs: "VERSION"
# What it has in the place of the project's: recipes, sets, architectures.
replaces: []
# Files are root's, with the mode 755 if they are executable, else 644. Others are stated here.
modes:
  etc/motd: "0640"
# Symbolic links in the product: path → target.
links:
  usr/bin/greet: hello
""",
    "sets.yaml": """\
# `image set=NAME` builds the set base with these packages.
NAME:
  extends: base
  packages: [hello]
""",
    "recipes/hello.yaml": """\
name: hello
version: "1"
license: MIT
description: says hello
depends: [musl]
style: script
build: |
  mkdir -p /dest/usr/bin
  $CC $CFLAGS -o /dest/usr/bin/hello /recipe/hello.c
""",
    "recipes/hello/hello.c": """\
#include <stdio.h>

int main(void) {
  puts("hello from the layer NAME");
}
""",
    "files/etc/motd": "This machine has the layer NAME.\n",
}


def task_layer(project: Project) -> DoitTask:
    """write a small layer of your own, outside of this checkout: new PATH

    layer new ../mine         then: image layer=../mine set=mine
    """
    return {"actions": [(speaking(_layer), [project])], "pos_arg": "words"}


def _layer(project: Project, words: list[str]) -> None:
    if len(words) != 2 or words[0] != "new":
        raise BuildError("layer takes a path", hint=typed("layer new PATH"))
    here = caller_directory()
    path = Path(here, words[1]).absolute()
    name = path.name.lower()
    if not NAME.match(name) or name in (*SETS, *ARCHITECTURES, *project.plan.recipes):
        raise BuildError(
            f"{path.name!r} cannot be the name of a layer",
            where=words[1],
            hint="it has lower case letters, digits and -, and no set and no package has it",
        )
    if "," in str(path):
        raise BuildError("layer= cannot take a path with a comma", where=words[1])
    inside = below(project.root, path)
    if inside is not None and inside.parts[:-1][:1] not in [(each,) for each in IGNORED]:
        beside = shlex.quote(os.path.relpath(project.root.parent / path.name, here))
        raise BuildError(
            "a layer cannot be in this checkout, except below work/ and output/",
            where=words[1],
            hint=f"{typed(f'layer new {beside}')} writes it beside the checkout",
        )
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise BuildError("this path exists already", where=words[1], hint="give a new path")
    for file, text in FILES.items():
        write_file(path / file, text.replace("NAME", name).replace("VERSION", VERSION))
    say(f"{words[1]}: {', '.join(FILES)}")
    say(f"  build it: {typed(f'image layer={shlex.quote(words[1])} set={name}')}")
