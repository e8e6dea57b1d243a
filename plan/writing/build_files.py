"""What the build files of a source say of how it is built: guesses, for `doit recipe new`.

names ──▶ style, tools
names, configure.ac, CMakeLists.txt, … ──▶ depends, libraries, options
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from pathlib import PurePosixPath

READ = ("configure", "configure.ac", "configure.in", "CMakeLists.txt", "meson.build", "Makefile")
"""The files at the top of a source whose texts are looked at."""

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


def depends(style: str, names: Collection[str], texts: Mapping[str, str]) -> list[str]:
    """The packages that it surely links to."""
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


def tools(names: Collection[str]) -> list[str]:
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


def options(style: str, texts: Mapping[str, str]) -> list[str]:
    """The options that a build of this project always gives, if the source has them."""
    if style == "cmake":
        return ["-DBUILD_TESTING=OFF"] if "CTest" in texts.get("CMakeLists.txt", "") else []
    if style == "autoreconf":
        text = "".join(texts.values())
        made = {"AM_INIT_AUTOMAKE": 0, "AM_GNU_GETTEXT": 1, "LT_INIT": 2, "AC_PROG_LIBTOOL": 2}
        known = [*_OPTIONS]
        return [known[place] for place in sorted({made[name] for name in made if name in text})]
    if style != "configure":
        return []
    text = texts.get("configure", "")
    return [option for option, shown in _OPTIONS.items() if shown in text]
