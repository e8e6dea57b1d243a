from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from plan.model import Source
from plan.reading.recipes import check_shape, read_source
from plan.writing.build_files import libraries
from plan.writing.guess import license_of, recipe, version
from plan.yamlfile import Table, load

SOURCE = Source("0" * 64, 7, "thing-1.2.tar.gz", ("https://x.test/thing-1.2.tar.gz",))


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        ("thing-1.2.3.tar.gz", "1.2.3"),
        ("lua5.4_5.4.7.orig.tar.gz", "5.4.7"),
        ("x_1.14.0+dfsg.orig.tar.xz", "1.14.0"),
        ("v1.2.tgz", "1.2"),
        ("less-668.tar.gz", "668"),
        ("thing.zip", "0"),
    ],
)
def test_the_version_is_in_the_name(file: str, expected: str) -> None:
    assert version(file) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("  GNU GENERAL PUBLIC LICENSE\n   Version 3, 29 June 2007", "GPL-3.0-or-later"),
        ("Permission is hereby granted, free of charge, to any", "MIT"),
        ("Redistribution and use in source and\nbinary … Neither the name of", "BSD-3-Clause"),
        ("Redistribution and use in source and binary forms", "BSD-2-Clause"),
        ("all rights reserved", "LicenseRef-a-thing"),
    ],
)
def test_the_license_is_in_its_text(text: str, expected: str) -> None:
    assert license_of([text, text], "a_thing") == expected


@pytest.mark.parametrize(
    ("names", "style", "depends"),
    [
        ({"configure", "Makefile", "src/a.c"}, "configure", "musl"),
        ({"CMakeLists.txt", "src/a.cpp"}, "cmake", "musl, libcxx"),
        ({"CMakeLists.txt", "meson.build", "tests/a.cpp", "doc/x/b.cc"}, "cmake", "musl"),
        ({"Makefile"}, "make", "musl"),
        ({"GNUmakefile"}, "make", "musl"),
        ({"meson.build", "configure.ac"}, "meson", "musl"),
        ({"configure.ac", "Makefile.am"}, "autoreconf", "musl"),
        ({"pyproject.toml"}, "python", "python"),
        ({"README"}, "script", "musl"),
    ],
)
def test_what_is_guessed_is_a_recipe(
    tmp_path: Path, names: set[str], style: str, depends: str
) -> None:
    text = recipe("thing", SOURCE, names, {}, ["Permission is hereby granted, free of charge"])
    table = read(tmp_path, text)
    assert (table["style"], table["version"], table["license"]) == (style, "1.2", "MIT")
    assert read_source(table["sources"][0]) == SOURCE
    assert f"depends: [{depends}] # check" in text
    assert ("not known" in table.get("build", "")) == (style == "script")


def read(tmp_path: Path, text: str) -> Table:
    """The recipe `thing` with this text, which has to have the right keys."""
    path = tmp_path / "thing.yaml"
    path.write_text(text)
    table = load(path)
    check_shape(table, "thing", {})
    return table


def test_a_wheel_is_pure_python(tmp_path: Path) -> None:
    source = replace(SOURCE, file="thing-1.2-py3-none-any.whl", urls=("wheel:thing==1.2",))
    table = read(tmp_path, recipe("thing", source, {"thing/__init__.py"}, {}, []))
    assert (table["style"], table["version"]) == ("python", "1.2")


CONFIGURE_AC = """\
AC_INIT([thing], [1])
AC_PROG_CC
AC_CHECK_LIB([z], [deflate])
AC_CHECK_LIB(m, sin)
PKG_CHECK_MODULES([NCURSES], [ncursesw >= 5])
"""


def test_the_build_files_are_read(tmp_path: Path) -> None:
    names = {"configure", "configure.ac", "src/a.cpp", "src/y.y", "src/l.l", "src/p.y", "src/p.c"}
    script = "--enable-static[=PKGS] --disable-dependency-tracking  speeds up"
    texts = {"configure.ac": CONFIGURE_AC, "configure": script}
    text = recipe("thing", SOURCE, names, texts, [])
    assert "# Its build looks for: ncursesw, zlib. What it shall use" in text
    table = read(tmp_path, text)
    assert table.texts("depends") == ("musl",), "its C++ file is not compiled"
    assert table.texts("tools") == ("bison", "flex", "m4")
    assert table.texts("options") == ("--disable-dependency-tracking", "--disable-static")


@pytest.mark.parametrize(
    ("file", "text", "options"),
    [
        ("configure.ac", "AM_INIT_AUTOMAKE LT_INIT", ["dependency-tracking", "static"]),
        ("configure.ac", "AC_INIT", []),
        ("CMakeLists.txt", "include(CTest)", ["-DBUILD_TESTING=OFF"]),
        ("meson.build", "dependency('x')", []),
    ],
)
def test_the_options_are_those_that_it_has(
    tmp_path: Path, file: str, text: str, options: list[str]
) -> None:
    table = read(tmp_path, recipe("thing", SOURCE, {file}, {file: text}, []))
    assert [each.removeprefix("--disable-") for each in table.texts("options")] == options


def test_libraries_have_the_names_of_recipes() -> None:
    cmake = "find_package(ZLIB)\nfind_package( Threads )"
    texts = {"CMakeLists.txt": cmake, "meson.build": "x = dependency('libpcre2-8', required: no)"}
    assert libraries(texts) == ["pcre2", "zlib"]


@pytest.mark.parametrize(
    ("project", "cxx"),
    [("project(x)", True), ("project (x VERSION 1 LANGUAGES C)", False), ("PROJECT(x CXX)", True)],
)
def test_cmake_says_its_languages(tmp_path: Path, project: str, *, cxx: bool) -> None:
    texts = {"CMakeLists.txt": f"# a\n{project}\n"}
    table = read(tmp_path, recipe("thing", SOURCE, {"CMakeLists.txt", "src/a.c"}, texts, []))
    assert ("libcxx" in table.texts("depends")) == cxx
