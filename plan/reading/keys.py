"""The keys of the files that people write: the type and the meaning of each.

RECIPE, SOURCE, SET, LAYER, … ────┬─▶ the checks of what is read (plan/reading/recipes.py, …)
                                  └─▶ docs/reference.md (plan/documents/reference.py)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from plan.compiling.styles import MAKE_VARIABLES


@dataclass(frozen=True)
class Key:
    """One key of a YAML mapping. `meaning` is one or two sentences for people."""

    kind: type
    meaning: str
    required: bool = False
    example: str = ""
    """A recipe that uses the key in the usual way."""


Keys = Mapping[str, Key]

DEVEL = (
    *("usr/include", "usr/lib/*.a", "usr/lib/*.o", "usr/lib/clang", "usr/lib/cmake"),
    *("usr/lib/pkgconfig", "usr/share/aclocal", "usr/src"),
)
"""Globs of what only compiling needs, in all packages."""

# In the order that recipes use.
RECIPE: Keys = {
    "name": Key(str, "The package. The file has the same name.", True, "about"),
    "version": Key(
        str,
        "Upstream's version; this project's own packages have a number: 1, 2, 3.",
        True,
        "about",
    ),
    "license": Key(
        str,
        "An SPDX expression with the identifiers in `plan/reading/licenses.py`, or `LicenseRef-…`.",
        True,
        "llvm",
    ),
    "description": Key(
        str, "What the package is for. A change of it builds nothing again.", True, "musl"
    ),
    "sources": Key(
        list,
        "The upstream files. The first is unpacked at `/source`. The others are in `/input`, not "
        "unpacked; `into` and `patch` say what else is done with them. A package that is only this "
        "project's has none.",
        example="crystal",
    ),
    "from": Key(
        str, "The recipe whose sources this one uses, instead of `sources`.", example="kernel"
    ),
    "depends": Key(
        list,
        "The packages that it links to or reads. They and their dependencies are at "
        "`/sysroot`, built by the same phase.",
        example="busybox",
    ),
    "tools": Key(
        list,
        "The packages that run during the build, in addition to `plan/toolbox.yaml`. In the second "
        "phase they are in the build root; in the first phase the seed has them.",
        example="flex",
    ),
    "style": Key(str, "The kind of build: see [styles](#styles).", True, "pcre2"),
    "directory": Key(
        str,
        "The directory of the source that the style works in (default: the top directory). "
        "Not for the style `script`.",
        example="expat",
    ),
    "target": Key(
        str,
        "The CMake distribution to build and to install with `install-…` (default: everything). "
        "Only for the style `cmake`.",
        example="llvm",
    ),
    "options": Key(
        list,
        "Arguments added to the commands of the style. `$NAME` and `${NAME}` in them become the "
        "value of that [variable](#the-environment-of-a-step), `$RESOURCES` the `resources` of the "
        "compiler, `$$` becomes `$`; make's own `$(NAME)` stays. Not for the style `script`.",
        example="musl",
    ),
    "variables": Key(
        list,
        "The variables of the step that are given on make's command line, before the options, "
        "because a Makefile's own values win over the environment (default: "
        f"{', '.join(f'`{name}`' for name in MAKE_VARIABLES)}). Only for the style `make`.",
        example="git",
    ),
    "programs": Key(
        dict,
        "Each program that is compiled, and its main file, relative to the source. Only for the "
        "style `crystal`.",
        example="about",
    ),
    "environment": Key(
        dict,
        "Variables that add to or replace [those of every step](#the-environment-of-a-step). "
        "The values are literal.",
        example="openssl",
    ),
    "before": Key(
        str, "A script in `/source`; runs after the patches, before the style.", example="cmake"
    ),
    "build": Key(
        str,
        "A script that runs in `/source` and is the whole build. Only for the style `script`.",
        example="init",
    ),
    "after": Key(
        str, "A script in `/dest`; runs after the install, before stripping.", example="pkgconf"
    ),
    "remove": Key(
        list, "Globs below `/dest` of files that the artifact does not contain.", example="zlib"
    ),
    "devel": Key(
        list,
        "Globs of the files in its artifact that only compiling needs, besides headers, static "
        "libraries and the like. The image of a [set](#sets) with `devel: no` leaves them out.",
        example="curl",
    ),
    "resources": Key(
        str,
        "Only for the compiler of all later builds: its own directory below `/usr`, with its "
        "headers in `include` and its libraries in `lib`.",
        example="llvm",
    ),
    "as-tool": Key(
        dict,
        "The changes where the package is only a tool: the first phase builds it for the second "
        "one, and nothing is crossed. It leaves out what no build uses, to save time. It has the "
        "keys of an entry of [overrides](#overrides), except `patches`.",
        example="llvm",
    ),
    "crossed": Key(
        dict,
        "The changes for a cross build: the package is built for another architecture than the "
        "machine's, so its programs cannot run there. It has the keys of an entry of "
        "[overrides](#overrides), except `patches`; `$BUILD` is the triple of the machine.",
        example="openssl",
    ),
    "for-app": Key(
        dict,
        "The changes where the image has a person's program (`app=`): it is built again after each "
        "changed line. It has the keys of an entry of [overrides](#overrides), except `patches`.",
        example="kernel",
    ),
}

SOURCE: Keys = {
    "sha256": Key(str, "The hash of the file. It identifies the file.", True),
    "size": Key(int, "In bytes, 0 if it is not known.", True),
    "file": Key(str, "The plain file name, for `/input` and messages.", True),
    "urls": Key(
        list,
        "Where to download it, tried in this order: `https://…`, `debian:pool/…` (a path in "
        "Debian's archive), `wheel:NAME==VERSION` (a Python package), `git+https://…@COMMIT` "
        "(the tree of a commit, by git; also `git+ssh:`, `git+file:`, and the path of a bundle).",
        True,
    ),
    "snapshot": Key(
        str,
        "For `debian:` URLs: a time at which Debian's archive had the file. snapshot.debian.org "
        "keeps that state, and is tried last. `bump` writes it.",
        example="zlib",
    ),
    "exclude": Key(list, "Globs of files that are not unpacked."),
    "into": Key(
        str,
        "The directory below `/source` that it is unpacked into, without its top directory: for "
        "parts that come as files of their own, such as submodules. Not for the first source.",
    ),
    "patch": Key(
        bool,
        "Whether it is a patch, maybe compressed, that is applied to the source with `patch -p1`, "
        "before the recipe's own patches. Not for the first source.",
    ),
    "folder": Key(
        str,
        "A directory, relative to that of the recipe, in the place of all other keys but "
        "`exclude`: the source is what git tracks or would add in it, or all of its files where "
        "there is no git. A change of one of them builds the package again.",
    ),
}

SET: Keys = {
    "phase": Key(str, "The phase whose packages are the product.", True),
    "packages": Key(list, "The wanted packages; their dependencies are added.", True),
    "exclude": Key(list, "Globs of files that are in artifacts but not in the products.", True),
    "extends": Key(
        str,
        "Another set: this one adds its `packages` to it, as `with` does. It may also have "
        "`devel`, and no other key.",
    ),
    "devel": Key(
        bool,
        "Whether its image has what only compiling needs (default: yes). If not, it leaves out "
        f"{', '.join(f'`{glob}`' for glob in DEVEL)}, and what recipes name under `devel`.",
    ),
    "root": Key(
        bool, "Whether the image has a partition for the packages; if not, it is only an initramfs."
    ),
    "initramfs": Key(dict, "The initramfs inside the kernel. A set without it has no image."),
}

INITRAMFS: Keys = {
    "kernel": Key(
        str,
        "The package of the set that contains it. Its build gets `/input/initramfs.cpio` and "
        "installs `/boot/kernel.efi`, which the firmware starts.",
        True,
    ),
    "packages": Key(list, "The packages in it.", True),
    "exclude": Key(list, "Globs of their files that are not in it."),
}

LAYER: Keys = {
    "name": Key(
        str, "Lower case letters, digits and `-` (default: the name of its directory).", False
    ),
    "description": Key(str, "What it is for."),
    "needs": Key(str, "The oldest version of this project that it works with."),
    "replaces": Key(
        list,
        "The recipes, sets, architectures and files of `seeds/` that it has in the place of those "
        "of this project, or of a layer before it.",
    ),
    "modes": Key(
        dict,
        "Path below `files/` → its mode, in octal digits. Without it, an executable file and a "
        "directory have 755, other files 644. The owner is always root, who can write.",
    ),
    "links": Key(dict, "Path in the product → the target of a symbolic link there."),
    "app": Key(dict, "What the program of this directory needs, if `app=` names it: see below."),
}

APP: Keys = {
    "target": Key(str, "The program, if `shard.yml` has several `targets`."),
    "ports": Key(
        str,
        "What `boot` connects if it is not told: 8080:80,… The machine says whether the program "
        "listens on the second ones.",
    ),
    "environment": Key(dict, "The variables of the program; PATH and HOME are there."),
    "arguments": Key(list, "Its arguments."),
    "depends": Key(list, "The packages that its shards link to, as `sqlite`."),
    "options": Key(list, "Options of Crystal's compiler. With -O…, it is not `--release`."),
}

LOCAL_APP: Keys = {
    "directory": Key(
        str,
        "The same as `app=`. Then the other keys are for this program only; without it, for each "
        "that `app=` names.",
    ),
    **APP,
}

LICENSES: Keys = {
    "licenses": Key(list, "SPDX identifiers that recipes of the layer may use."),
    "exceptions": Key(list, "The same for what may follow `WITH`."),
}

COMPILER: Keys = {
    "programs": Key(str, "The directory of `clang`, `ld.lld`, `llvm-ar` and the others.", True),
    "resources": Key(str, "The directory of clang's own headers, without `/include`.", True),
    "loader": Key(bool, "Whether the seed has another C library, so that our loader is added."),
    "libraries": Key(list, "Where our loader finds libraries, if not in its default directories."),
    "host": Key(
        list,
        "The C and C++ compilers for programs that run during a build (default: clang, clang++).",
    ),
}


def kinds(keys: Keys) -> dict[str, type]:
    """The type of each key's value."""
    return {name: key.kind for name, key in keys.items()}


def required(keys: Keys) -> tuple[str, ...]:
    """The required keys."""
    return tuple(name for name, key in keys.items() if key.required)
