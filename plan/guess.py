"""Guesses a recipe from a source: for `doit recipe new`. A person checks the result.

file name ──▶ version          license texts ──▶ license
names in it, and the texts of its build files ──▶ style, options, depends, tools
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from pathlib import PurePosixPath
from typing import Any

from plan.model import Source
from plan.yamltext import key_lines

GUESSED = ("license", "description", "depends", "tools", "options", "build")
READ = ("configure", "configure.ac", "configure.in", "CMakeLists.txt", "meson.build", "Makefile")
"""The files at the top of a source whose texts are looked at."""

_VERSION = re.compile(
    r"(?:.*[-_]|\A)v?(\d[\w.+]*?)(?:[.+](?:dfsg|orig|ds)[\d.+]*)*\.(?:tar(?:\.\w+)?|tgz)\Z"
)
_WHEEL = re.compile(r"[^-]+-([^-]+)-.*\.whl\Z")
# The first that a text matches is its license.
_LICENSES = {
    "Apache-2.0": r"Apache License\s+Version 2\.0",
    "MPL-2.0": r"Mozilla Public License,? Version 2\.0",
    "LGPL-3.0-or-later": r"GNU LESSER GENERAL PUBLIC LICENSE\s+Version 3",
    "LicenseRef-LGPL-2.1": r"GNU LESSER GENERAL PUBLIC LICENSE\s+Version 2\.1",
    "GPL-3.0-or-later": r"GNU GENERAL PUBLIC LICENSE\s+Version 3",
    "GPL-2.0-or-later": r"GNU GENERAL PUBLIC LICENSE\s+Version 2",
    "BSD-3-Clause": r"Redistribution and use in source.*(?:Neither the name|endorse or promote)",
    "BSD-2-Clause": r"Redistribution and use in source",
    "MIT": r"Permission is hereby granted, free of charge",
    "ISC": r"Permission to use, copy, modify, and(?:/or)? distribute",
    "Zlib": r"This software is provided 'as-is'",
}
# File at the top of a source → the style; the first one counts.
_STYLES = {
    "configure": "configure",
    "CMakeLists.txt": "cmake",
    "meson.build": "meson",
    "configure.ac": "autoreconf",
    "configure.in": "autoreconf",
    "Makefile": "make",
    "makefile": "make",
    "GNUmakefile": "make",
    "pyproject.toml": "python",
}
# Directories whose files are not part of the program.
_ASIDE = re.compile(r"(.*/)?(tests?|testsuite|fuzz\w*|examples?|docs?|contrib|bench\w*|win\w*)/")
# Option of a configure script → what shows that it has it.
_OPTIONS = {
    "--disable-dependency-tracking": "--disable-dependency-tracking",
    "--disable-nls": "--disable-nls",
    "--disable-static": "--enable-static",
}
# Library as build files name it → the recipe, if it has another name. The C library has the rest.
_LIBRARIES = {
    "bz2": "bzip2",
    "crypto": "openssl",
    "elf": "libelf",
    "event": "libevent",
    "event_core": "libevent",
    "ffi": "libffi",
    "libcurl": "curl",
    "libpcre2-8": "pcre2",
    "lzma": "xz",
    "liblzma": "xz",
    "pcre2-8": "pcre2",
    "sqlite3": "sqlite",
    "ssl": "openssl",
    "xml2": "libxml2",
    "yaml": "libyaml",
    "z": "zlib",
}
_OF_LIBC = frozenset(
    ("c", "crypt", "dl", "intl", "m", "nsl", "pthread", "resolv", "rt", "socket", "threads", "util")
)
_NAMED = re.compile(
    r"AC_CHECK_LIB\(\[?([\w+.-]+)|PKG_CHECK_MODULES\([^,]*,\s*\[?([\w+.-]+)"
    r"|find_package\(\s*(\w+)|\bdependency\(\s*'([\w+.-]+)'"
)
_PROJECT = re.compile(r"^\s*project\s*\(([^)]*)\)", re.MULTILINE | re.IGNORECASE)
_UNKNOWN = """\
echo "how {name} is built is not known: write it here"
exit 1
"""


def version(file: str) -> str:
    """The version in the name of a tarball or wheel, or "0"."""
    found = _VERSION.search(file) or _WHEEL.match(file)
    return found[1] if found else "0"


def license_of(texts: Iterable[str], name: str) -> str:
    """The SPDX identifiers of the license texts, or a name of its own for the package `name`."""
    found = dict.fromkeys(
        identifier for text in texts for identifier in [_identifier(text)] if identifier
    )
    return " AND ".join(found) or f"LicenseRef-{re.sub('[^A-Za-z0-9.-]', '-', name)}"


def _identifier(text: str) -> str:
    found = (name for name, at in _LICENSES.items() if re.search(at, text, re.DOTALL))
    return next(found, "")


def style_of(file: str, names: Collection[str]) -> str:
    """The style for a source with the file name `file` and these `names` in it."""
    if file.endswith(".whl"):
        return "python"
    return next((style for name, style in _STYLES.items() if name in names), "script")


def libraries(texts: Mapping[str, str]) -> list[str]:
    """The recipes of the libraries that the build files look for; a recipe may not exist yet."""
    found = {
        name.lower()
        for file, text in texts.items()
        if file != "configure"
        for groups in _NAMED.findall(text)
        for name in groups
        if name
    }
    return sorted({_LIBRARIES.get(name, name) for name in found if name not in _OF_LIBC})


def _depends(style: str, names: Collection[str], texts: Mapping[str, str]) -> list[str]:
    if style == "python":
        return ["python"]
    cxx = any(name.endswith((".cc", ".cpp", ".cxx")) and not _ASIDE.match(name) for name in names)
    found = _PROJECT.search(texts.get("CMakeLists.txt", ""))
    if style == "cmake" and found:
        # Without a word about languages, CMake tries both compilers.
        languages = {"C", "CXX"} & {*found[1].split()}
        cxx = languages != {"C"}
    script = texts.get("configure.ac", texts.get("configure.in"))
    if style in ("configure", "autoreconf") and script is not None:
        cxx = "AC_PROG_CXX" in script
    return ["musl", *(["libcxx"] if cxx else [])]


def _tools(names: Collection[str]) -> list[str]:
    """The generators of the parsers that the source does not have."""

    def lacking(ending: str) -> bool:
        parsers = (PurePosixPath(name) for name in names if name.endswith(ending))
        return any(
            not _ASIDE.match(str(path))
            and not any(
                str(path.with_name(f"{path.stem}{made}")) in names for made in (".c", ".tab.c")
            )
            for path in parsers
        )

    flex = lacking(".l")
    return [*(["bison"] if lacking(".y") else []), *(["flex", "m4"] if flex else [])]


def _options(style: str, texts: Mapping[str, str]) -> list[str]:
    if style == "cmake":
        return ["-DBUILD_TESTING=OFF"] if "CTest" in texts.get("CMakeLists.txt", "") else []
    if style == "autoreconf":
        text = "".join(texts.values())
        made = {"AM_INIT_AUTOMAKE": 0, "AM_GNU_GETTEXT": 1, "LT_INIT": 2, "AC_PROG_LIBTOOL": 2}
        options = [*_OPTIONS]
        return [options[place] for place in sorted({made[name] for name in made if name in text})]
    if style != "configure":
        return []
    text = texts.get("configure", "")
    return [option for option, shown in _OPTIONS.items() if shown in text]


def recipe(
    name: str,
    source: Source,
    names: Collection[str],
    texts: Mapping[str, str],
    licenses: Iterable[str],
    release: str = "",
) -> str:
    """The text of a recipe for the package `name`.

    names: the files in the source, below its top directory. texts: those of READ that it has.
    licenses: its license texts. release: its version, if the name of the file does not say it.
    """
    style = style_of(source.file, names)
    entry = {
        "sha256": source.sha256,
        "size": str(source.size),
        "file": source.file,
        "urls": [*source.urls],
        **({"snapshot": source.snapshot} if source.snapshot else {}),
    }
    tools, options = _tools(names), _options(style, texts)
    values: Mapping[str, Any] = {
        "name": name,
        "version": release or version(source.file),
        "license": license_of(licenses, name),
        "description": f"what {name} is for",
        "sources": [entry],
        "depends": _depends(style, names, texts),
        **({"tools": tools} if tools else {}),
        "style": style,
        **({"options": options} if options else {}),
        **({"build": _UNKNOWN.format(name=name)} if style == "script" else {}),
    }
    text = '# The lines with "check" are guesses of `recipe new`.\n'
    if looked := libraries(texts):
        text += (
            f"# Its build looks for: {', '.join(looked)}. What it shall use goes to `depends`.\n"
        )
    for key, value in values.items():
        first, *more = key_lines(key, value, 0)
        text += f"{first.rstrip()} # check\n" if key in GUESSED else first
        text += "".join(more)
    return text
