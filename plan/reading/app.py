"""A person's Crystal project as a package: its program, and a service that keeps it running.

    DIR/shard.yml ──────────▶ name, version, license, the program ─┐
    DIR/layer.yaml, `app:` ─▶ ports, environment, arguments, … ────┼─▶ a recipe of the style crystal
    local.yaml, `app:` ─────▶ the same, for this checkout ─────────┤
    DIR/**/*.cr ────────────▶ the libraries that it links to ──────┘

The recipe is an ordinary one, with the folder as its source: all commands know it as any other.
If the directory has a layer.yaml, it is a layer too.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from plan import checks
from plan.errors import BuildError, nearest
from plan.reading import app_section, licenses
from plan.reading.folder import SHARDS, listed
from plan.reading.layer import ABOUT
from plan.yamlfile import Table, load

SHARD = "shard.yml"
LIBRARIES = "libraries.yaml"
"""Below plan/: what parts of Crystal's library link to."""
# Crystal's own libraries, which every program needs.
ALWAYS = ("libunwind", "pcre2", "bdwgc", "libevent")
# Library → the option without which Crystal's library links to it.
LEFT_OUT = {"openssl": "-Dwithout_openssl", "zlib": "-Dwithout_zlib"}
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]*\Z")
_REQUIRE = re.compile(r'^\s*require "([a-z0-9_/]+)"', re.MULTILINE)
_LICENSE = "LicenseRef-app"


@dataclass(frozen=True)
class App:
    """A checked project. `table`: what its recipe says."""

    path: Path
    name: str
    table: Table
    ports: tuple[tuple[int, int], ...] = ()
    """What `boot` connects, unless it is told: (a port of this machine, a port of that one), …"""
    depends: tuple[str, ...] = field(default=ALWAYS)
    checkout: Table | None = None
    """The section `app` of local.yaml, for what has a local.yaml of its own, as a bundle."""


def is_layer(path: Path) -> bool:
    """Whether the app in the directory `path` is a layer too."""
    return os.path.lexists(path / ABOUT)


def load_app(path: Path, libraries: Mapping[str, str], checkout: Table | None = None) -> App:
    """The app in the directory `path`. Raises BuildError if something in it is wrong.

    libraries: how a `require` begins → the package that it links to. checkout: the checked section
    `app` of local.yaml, which wins over that of the app.
    """
    file = path / SHARD
    if not file.is_file():
        raise BuildError(
            f"no Crystal project is here: there is no {SHARD}",
            where=os.fspath(path),
            hint="`crystal init app NAME` makes one",
        )
    shard = load(file)
    name = _text(shard, "name").replace("_", "-")
    if not _NAME.match(name):
        raise BuildError(
            f"{name!r} cannot be the name of a package",
            where=shard.where("name"),
            hint="it has lower case letters, digits, - and _",
        )
    asked = _asked(path, checkout)
    target, main = _target(path, shard, asked)
    ports = asked.get("ports", "")
    needed = (*ALWAYS, *_linked(path, libraries), *asked.texts("depends"))
    options = [option for library, option in LEFT_OUT.items() if library not in needed]
    table = Table(os.fspath(file), 1)
    table.lines = dict(shard.lines)
    source = Table(table.file, 1)
    source["folder"] = os.fspath(path)
    table.update(
        name=name,
        version=_text(shard, "version", "0"),
        license=_license(shard),
        description=_text(shard, "description", f"the program {target}").strip(),
        sources=[source],
        depends=[*dict.fromkeys(needed)],
        style="crystal",
        programs=_programs(table, target, main),
        options=[*options, *asked.texts("options")],
        after=_service(name, target, asked),
    )
    for key in ("depends", "options"):
        if key in asked:
            table.elsewhere[key] = asked.where(key)
    return App(path, name, table, checks.pairs(ports), tuple(table["depends"]), checkout)


def _text(shard: Table, key: str, default: str | None = None) -> str:
    value = shard.get(key, default)
    if not isinstance(value, str) or not value:
        what = "is missing" if value is None else "must be text"
        raise BuildError(f"the key {key!r} {what}", where=shard.where(key))
    return value


def _asked(path: Path, checkout: Table | None) -> Table:
    """What layer.yaml and `checkout` say under `app`, checked; an empty table if they do not."""
    about = load(path / ABOUT) if is_layer(path) else Table(os.fspath(path / ABOUT), 1)
    asked = app_section.of_program(about)
    return app_section.merged(asked, checkout) if checkout else asked


def _target(path: Path, shard: Table, asked: Table) -> tuple[str, str]:
    """The program to build, and its main file. Raises BuildError."""
    targets = shard.get("targets", {})
    if not isinstance(targets, Table) or not targets:
        raise BuildError(
            "it names no program",
            where=shard.where("targets"),
            hint="targets: {NAME: {main: src/NAME.cr}}",
        )
    wanted = asked.get("target", shard["name"] if len(targets) > 1 else next(iter(targets)))
    if wanted not in targets:
        if "target" in asked:
            where, hint = asked.where("target"), nearest(wanted, targets)
        else:
            where = shard.where("targets")
            hint = f"say which one, in {path / ABOUT}: app: {{target: NAME}}"
        raise BuildError(f"which program? It has {', '.join(targets)}", where=where, hint=hint)
    target = targets[wanted]
    main = target.get("main") if isinstance(target, Table) else None
    if not isinstance(main, str) or not (path / main).is_file():
        raise BuildError(
            f"the main file of {wanted} is not there",
            where=targets.where(wanted),
            hint=f"{wanted}: {{main: src/{wanted}.cr}}",
        )
    if os.path.normpath(main) not in listed(path):
        raise BuildError(
            f"the main file of {wanted} is not in the source: {main}",
            where=target.where("main"),
            hint="it must be a file of this directory that git does not ignore",
        )
    if not re.fullmatch(r"[A-Za-z0-9][\w.-]*", wanted):
        raise BuildError(f"{wanted!r} cannot be a program", where=targets.where(wanted))
    return wanted, main


def _programs(table: Table, target: str, main: str) -> Table:
    found = Table(table.file, 1)
    found[target] = main
    return found


def _license(shard: Table) -> str:
    """The license, if it is an SPDX expression that is known here."""
    text = shard.get("license", "")
    try:
        licenses.check(text, shard.where("license"))
    except (BuildError, TypeError):
        return _LICENSE
    return str(text)


def _linked(path: Path, libraries: Mapping[str, str]) -> Iterator[str]:
    """The packages that the program links to, by what its own text requires."""
    required = set[str]()
    for top in ("src", SHARDS):
        # An editor may have a link to nothing there, and a library may be a directory NAME.cr.
        for file in filter(Path.is_file, (path / top).rglob("*.cr")):
            required.update(_REQUIRE.findall(file.read_text(errors="replace")))
    for begin, library in libraries.items():
        if any(each == begin or each.startswith(f"{begin}/") for each in required):
            yield library


def _service(name: str, program: str, asked: Table) -> str:
    """The script, in /dest, that adds the service and what starts it."""
    ports = " ".join(str(there) for _, there in checks.pairs(asked.get("ports", "")))
    words = [ports, program, *asked.texts("arguments")]
    lines = [
        "#!/bin/sh",
        f"# The service {name}: the program {program}.",
        *(
            f"export {key}={shlex.quote(text)}"
            for key, text in asked.mapping("environment").items()
        ),
        f"exec /usr/lib/app/start {shlex.join(words)}",
    ]
    return (
        "mkdir -p etc/service usr/lib/app\n"
        "find /recipe -maxdepth 1 -type f -exec cp {} usr/lib/app \\;\n"
        f"printf '%s\\n' {shlex.join(lines)} > etc/service/{name}\n"
        f"chmod 755 usr/lib/app/* etc/service/{name}\n"
    )
