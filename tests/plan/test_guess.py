from __future__ import annotations

from pathlib import Path

import pytest

from plan.guess import license_of, recipe, version
from plan.model import Source
from plan.recipes import check_shape, read_source
from plan.yamlfile import load

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
        ({"Makefile"}, "make", "musl"),
        ({"meson.build"}, "script", "musl"),
    ],
)
def test_what_is_guessed_is_a_recipe(
    tmp_path: Path, names: set[str], style: str, depends: str
) -> None:
    path = tmp_path / "thing.yaml"
    path.write_text(
        recipe("thing", SOURCE, names, ["Permission is hereby granted, free of charge"])
    )
    table = load(path)
    check_shape(table, "thing", {})
    assert (table["style"], table["version"], table["license"]) == (style, "1.2", "MIT")
    assert read_source(table["sources"][0]) == SOURCE
    assert f"depends: [{depends}] # check" in path.read_text()
    assert ("Meson" in table.get("build", "")) == ("meson.build" in names)
