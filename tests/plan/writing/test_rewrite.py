"""plan.writing.rewrite: the value changes, and all other bytes stay."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from plan.errors import BuildError
from plan.reading.recipes import KEYS
from plan.writing.rewrite import remove, set_value
from plan.yamlfile import load
from tests.plan.conftest import PLAN

ORDER = tuple(KEYS)
RECIPE = """\
# About it.
name: top
version: "1.2" # for now
sources:
  - sha256: aa
    size: 5
    # No tests.
    exclude:
      - test
depends: [musl, zlib] # both
# What is said.
options:
  # The first.
  - --one
  - --two # the second
  # The end.
environment: {A: 1}
build: | # as ever
  make

  make install
# After all.
"""


@pytest.mark.parametrize(
    ("path", "value", "old", "new"),
    [
        (("version",), "1.10", '"1.2" #', '"1.10" #'),
        (("depends",), ["musl", "xz", "zlib"], "[musl, zlib] #", "[musl, xz, zlib] #"),
        (("depends",), ["xz", "zlib"], "[musl, zlib] #", "[xz, zlib] #"),
        (("depends",), ["musl"], "[musl, zlib] #", "[musl] #"),
        (("options",), ["--one", "--two", "-c"], "second\n", "second\n  - -c\n"),
        (("options",), ["-c", "--one", "--two"], "  - --one", "  - -c\n  - --one"),
        (("options",), ["--two"], "  - --one\n", ""),
        (("options",), ["--one", "a: b"], "--two #", '"a: b" #'),
        (("options", 1), "--2", "--two #", "--2 #"),
        (("environment",), {"A": "1", "B": "x,y"}, "{A: 1}", '{A: 1, B: "x,y"}'),
        (("environment", "A"), "2", "{A: 1}", "{A: 2}"),
        (("build",), "make\n\nmake all\n", "make install", "make all"),
        (("build",), " x\n", "| # as ever\n  make\n\n  make install\n", "|2 # as ever\n   x\n"),
        (("sources", 0, "size"), 6, "size: 5", "size: 6"),
        (("sources",), [{"sha256": "bb", "size": "5", "exclude": ["test"]}], "aa", "bb"),
        (("sources", 0, "exclude"), ["test", "docs/*"], "- test\n", "- test\n      - docs/*\n"),
        (("tools",), ["perl"], "# both\n", "# both\ntools: [perl]\n"),
        (("before",), "sed x\n", "{A: 1}\n", "{A: 1}\nbefore: |\n  sed x\n"),
        (("remove",), ["usr/x"], "install\n", "install\nremove:\n  - usr/x\n"),
        (("after",), "cd usr\nls", "install\n", "install\nafter: |-\n  cd usr\n  ls\n"),
    ],
)  # fmt: skip
def test_only_the_value_changes(path: tuple[str, ...], value: object, old: str, new: str) -> None:
    assert RECIPE.count(old) == 1
    assert set_value(RECIPE, path, value, ORDER) == RECIPE.replace(old, new)


TEXT = """\
# Ü: characters of several bytes before what is changed.
version: "1.2"   # why it is this one
plain:  1.2.3 # spaces before
single: 'it''s'
list:
  - one: 1
    two: [a, b]   # a comment with 1.2.3
  - {one: 2, two: [c]}
text: |
  version: 1.2.3
"""


@pytest.mark.parametrize(
    ("path", "value", "old", "new"),
    [
        (["version"], "1.10", '"1.2"', '"1.10"'),
        (["plain"], "1.2.4", "1.2.3 #", "1.2.4 #"),
        (["plain"], "a: b # c", "1.2.3 #", '"a: b # c" #'),
        (["single"], "isn't", "'it''s'", "'isn''t'"),
        (["list", 0, "one"], 12345, "one: 1", "one: 12345"),
        (["list", 0, "two", 1], "x", "[a, b]", "[a, x]"),
        (["list", 0, "two", 1], "x, y", "[a, b]", '[a, "x, y"]'),
        (["list", 1, "two", 0], "z", "[c]", "[z]"),
    ],
)
def test_one_value_is_replaced(path: list[str | int], value: object, old: str, new: str) -> None:
    assert TEXT.count(old) == 1
    assert set_value(TEXT, path, value) == TEXT.replace(old, new)


@pytest.mark.parametrize(
    ("text", "path", "value", "expected"),
    [
        ("", ("a", "patches"), ["x.patch"], "a:\n  patches: [x.patch]\n"),
        ("# only\n", ("a",), {"b": "c"}, "# only\na:\n  b: c\n"),
        ("a: {b: c}", ("a", "d"), ["--e f"], "a: {b: c, d: [--e f]}"),
        ("a: {}\n", ("a", "d"), "e", "a: {d: e}\n"),
        ("a: []\n", ("a",), ["x y"], "a: [x y]\n"),
        ("a:\n- b\n", ("a",), ["b", "c"], "a:\n- b\n- c\n"),
        ("a: b # c\n", ("a",), "d\ne\n", "a: | # c\n  d\n  e\n"),
        ("a: b", ("c",), "no: x", 'a: b\nc: "no: x"\n'),
        ("a: 'b'\n", ("a",), "it's", "a: 'it''s'\n"),
        ("a:\n  - b\nc: d\n", ("a",), [], "a: []\nc: d\n"),
        ("a: >\n    b\n    c\nd: e\n", ("a",), "b\nx\n", "a: |\n    b\n    x\nd: e\n"),
        ("s:\n  - x: 1\n", ("s",), [{"x": "1"}, {"x": "2", "y": ["a b"]}],
         "s:\n  - x: 1\n  - x: 2\n    y:\n      - a b\n"),
    ],
)  # fmt: skip
def test_other_ways_of_writing(
    text: str, path: tuple[str, ...], value: object, expected: str
) -> None:
    assert set_value(text, path, value) == expected


@pytest.mark.parametrize(
    ("text", "path", "expected"),
    [
        (RECIPE, ("build",), RECIPE.replace("build: | # as ever\n  make\n\n  make install\n", "")),
        (RECIPE, ("options", 0), RECIPE.replace("  - --one\n", "")),
        ("# a\nb:\n  c: d\n", ("b",), "# a\n"),
        ("a: {b: c, d: e}\n", ("a", "d"), "a: {b: c}\n"),
        ("a: {b: c, d: e}\n", ("a", "b"), "a: {d: e}\n"),
    ],
)
def test_remove(text: str, path: tuple[str, ...], expected: str) -> None:
    assert remove(text, path) == expected


@pytest.mark.parametrize(
    "word", ["yes", "~", "1.10", "a #b", "- x", "*a", "[", "a, b", "é", "", "'"]
)
def test_whatever_the_text_it_is_read_back(word: str) -> None:
    for text in (RECIPE, "version: {a: b}\n", "version: x\n"):
        assert set_value(text, ("version",), word)
        assert set_value(text, ("description",), [word, word], ORDER)


@pytest.mark.parametrize(
    ("text", "path", "message"),
    [
        ("a: &x {b: c}\nd: *x\n", ["a", "b"], "cannot be changed as it is written"),
        (RECIPE, ["sources", 1], "there is no item 1"),
        (RECIPE, ["options", "--one"], "there is no item '--one'"),
        (RECIPE, ["version", "x"], "is not a mapping"),
    ],
)
def test_what_would_come_out_wrong_is_refused(
    text: str, path: list[str | int], message: str
) -> None:
    with pytest.raises(BuildError, match=message) as caught:
        set_value(text, path, "e")
    assert caught.value.where == ".".join(map(str, path))


@pytest.mark.parametrize("path", sorted((PLAN / "recipes").glob("*.yaml")), ids=lambda p: p.stem)
def test_the_real_recipes_keep_their_comments(path: Path) -> None:
    text, table = path.read_text(), load(path)
    changed = text
    lists = ("options", "remove", "depends", "tools")
    for key in lists:
        changed = set_value(changed, (key,), [*table.texts(key), "--more"], ORDER)
    for key in ("before", "after"):
        changed = set_value(changed, (key,), table.get(key, "") + "more\n", ORDER)
    changed = set_value(
        changed, ("environment",), {**table.get("environment", {}), "X": "1"}, ORDER
    )
    lines = changed.splitlines()
    assert [line for line in lines if "#" in line] == re.findall(".*#.*", text)
    keys = re.findall(r"^([a-z]+):", changed, re.MULTILINE)
    assert keys == sorted(keys, key=ORDER.index)
    for line in text.splitlines():
        assert line in changed or line.startswith(tuple(f"{key}: [" for key in lists))
