"""The keys of the files that people write: what kind of value each has, and what it means.

RECIPE, SOURCE, SET, INITRAMFS ─┬─▶ the checks of what is read (plan/recipes.py, plan/sets.py)
                                └─▶ docs/reference.md (plan/reference.py)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Key:
    """One key of a YAML mapping. `meaning` is one or two sentences for people."""

    kind: type
    meaning: str
    required: bool = False
    example: str = ""
    """The recipe in which it is used as most do."""


Keys = Mapping[str, Key]

# In the order in which recipes have them.
RECIPE: Keys = {
    "name": Key(str, "The package. The file is named so too.", True, "about"),
    "version": Key(str, "Upstream's version; what is ours is just counted.", True, "about"),
    "licence": Key(
        str,
        "An SPDX expression of the identifiers in `plan/licences.py`.",
        True,
        "llvm",
    ),
    "why": Key(
        str,
        "What the system has the package for. A change of it builds nothing again.",
        True,
        "musl",
    ),
    "sources": Key(
        list,
        "The upstream files. The first is unpacked at `/source`, the others lie in `/input` as "
        "they are. A package of this project alone has none.",
        example="crystal",
    ),
    "from": Key(
        str, "The recipe that has the sources of this one, in place of `sources`.", example="kernel"
    ),
    "depends": Key(
        list,
        "The packages that it is linked to or reads. They and what they depend on are at "
        "`/sysroot`, as the same phase built them.",
        example="busybox",
    ),
    "tools": Key(
        list,
        "The packages that run in its build, besides those in `plan/toolbox.yaml`. In the second "
        "phase they are in the build root; in the first the seed has them.",
        example="flex",
    ),
    "style": Key(str, "By which commands it is built: see [styles](#styles).", True, "pcre2"),
    "directory": Key(
        str,
        "The folder of the source that the style works in, if that is not the top one. "
        "Not for the style `script`.",
        example="expat",
    ),
    "target": Key(
        str,
        "What is built of a CMake project, and installed by `install-…`, if that is not all. "
        "Only for the style `cmake`.",
        example="llvm",
    ),
    "options": Key(
        list,
        "Words added to the commands of the style; `$TARGET` in them becomes the triple. "
        "Not for the style `script`.",
        example="pcre2",
    ),
    "environment": Key(
        dict,
        "Variables besides, or in place of, [those of every step](#the-environment-of-a-step). "
        "The values are literal.",
        example="openssl",
    ),
    "before": Key(
        str, "A script in `/source`, after the patches and before the style.", example="cmake"
    ),
    "build": Key(
        str,
        "A script in `/source`, which is the whole build. Only for the style `script`.",
        example="init",
    ),
    "after": Key(
        str, "A script in `/dest`, on what was installed, before it is stripped.", example="pkgconf"
    ),
    "remove": Key(
        list,
        "Globs below `/dest` of what the artifact does not get.",
        example="zlib",
    ),
    "crossed": Key(
        dict,
        "What is other where the package is built for another architecture than that of the "
        "machine, on which nothing of it can run then. It has the keys of an entry of "
        "[overrides](#overrides), but for `patches`; `$BUILD` is the triple of the machine.",
        example="openssl",
    ),
}

SOURCE: Keys = {
    "sha256": Key(str, "What the file is known by.", True),
    "size": Key(int, "In bytes, 0 where it is not known.", True),
    "file": Key(str, "Its plain name: that in `/input`, and in messages.", True),
    "places": Key(
        list,
        "Where it may be found, asked in this order: `https://…`, `debian:pool/…` (a path in "
        "Debian's archive), `wheel:NAME==VERSION` (a package of Python's).",
        True,
    ),
    "leave": Key(list, "Globs of what is not unpacked."),
}

SET: Keys = {
    "phase": Key(str, "Whose packages are the product.", True),
    "packages": Key(list, "What is wanted; what those depend on comes along.", True),
    "leave": Key(list, "Globs of what the products do not hold, though artifacts do.", True),
    "root": Key(
        bool, "Whether the image has a partition for the packages; else the initramfs is all."
    ),
    "initramfs": Key(dict, "What the kernel carries inside; its keys are the next two.", True),
}

INITRAMFS: Keys = {
    "packages": Key(list, "Whose trees it holds.", True),
    "leave": Key(list, "Globs of what it does not hold of them."),
}


def kinds(keys: Keys) -> dict[str, type]:
    """The kind of value that each key has."""
    return {name: key.kind for name, key in keys.items()}


def required(keys: Keys) -> tuple[str, ...]:
    """The keys that must be there."""
    return tuple(name for name, key in keys.items() if key.required)
