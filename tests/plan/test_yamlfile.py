from __future__ import annotations

import os
from pathlib import Path

import pytest

from plan.errors import BuildError
from plan.yamlfile import load

ROOT = Path(__file__).resolve().parents[2]


def written(directory: Path, text: str) -> Path:
    path = directory / "file.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_scalars_stay_the_text_that_was_written(tmp_path: Path) -> None:
    table = load(written(tmp_path, "version: 1.10\ndate: 2024-01-02\nempty:\nlist: [1, yes]\n"))
    assert table == {"version": "1.10", "date": "2024-01-02", "empty": "", "list": ["1", "yes"]}


def test_every_key_knows_its_line(tmp_path: Path) -> None:
    table = load(written(tmp_path, "a: 1\nb:\n  c: 2\n  d: 3\n"), shown_as="x.yaml")
    assert table.where("b") == "x.yaml:2"
    assert table["b"].where("d") == "x.yaml:4"


@pytest.mark.fault(
    "YAML: duplicate keys, tags, aliases, merge keys, tabs, no mapping",
    "one error with file and line",
)
@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("a: 1\nb: 2\na: 3\n", 3, "duplicate key 'a' (first in line 1)"),
        ("a: [1, 2\nb: 3\n", 2, "broken YAML"),
        ("a: !!python/object:os.system x\n", 1, "tag"),
        ("a: &x 1\nb: *x\n", 2, "aliases"),
        ("a: {<<: {b: 1}}\n", 1, "plain text"),
        ("a: =\n", 1, "tag"),
        ("? [a]\n: 1\n", 1, "plain text"),
        ("- a\n- b\n", 1, "must contain a mapping"),
        ("a: 1\n\tb: 2\n", 2, "broken YAML"),
    ],
)
def test_what_is_not_plain_is_refused_with_its_line(
    tmp_path: Path, text: str, line: int, words: str
) -> None:
    with pytest.raises(BuildError) as caught:
        load(written(tmp_path, text), shown_as="x.yaml")
    assert caught.value.where == f"x.yaml:{line}"
    assert words in caught.value.message


@pytest.mark.fault("YAML: a bomb of anchors", "refused before it grows")
def test_a_bomb_of_anchors_is_refused_before_it_grows(tmp_path: Path) -> None:
    lines = ["a0: &a0 [x, x]"]
    lines += [f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]" for n in range(1, 60)]
    with pytest.raises(BuildError, match="aliases"):
        load(written(tmp_path, "\n".join(lines)))


@pytest.mark.fault("YAML: lists or mappings nested by the thousand", "one error with file and line")
@pytest.mark.parametrize(
    "text",
    ["a: " + "[" * 100_000, "\n".join(" " * depth + "a:" for depth in range(900)), "- " * 50_000],
    ids=["list", "mapping", "block"],
)
def test_great_depth_is_refused_before_it_ends_the_process(tmp_path: Path, text: str) -> None:
    with pytest.raises(BuildError, match="more than 20 deep"):
        load(written(tmp_path, text))


@pytest.mark.fault("YAML: a file of 100 MB", "one error; it is not read")
def test_a_huge_file_is_not_read(tmp_path: Path) -> None:
    path = written(tmp_path, "a: 1\n")
    os.truncate(path, 100 << 20)
    with pytest.raises(BuildError, match="larger than 1 MiB"):
        load(path)


@pytest.mark.fault("YAML: control characters, NUL, several documents", "one error")
@pytest.mark.parametrize(
    "text", ["a: \x07\n", "a: \0\n", "a: 1\n---\nb: 2\n", 'a: "\\ud800"\n', 'a: "x\\0y"\n']
)
def test_what_no_editor_writes(tmp_path: Path, text: str) -> None:
    with pytest.raises(BuildError, match="broken YAML"):
        load(written(tmp_path, text))


@pytest.mark.fault("YAML: not UTF-8; a missing file", "one error")
def test_bytes_that_are_not_utf8_and_missing_files(tmp_path: Path) -> None:
    path = tmp_path / "latin.yaml"
    path.write_bytes(b"a: \xe9\n")
    with pytest.raises(BuildError, match="UTF-8"):
        load(path)
    with pytest.raises(BuildError, match="cannot be read"):
        load(tmp_path / "missing.yaml")


@pytest.mark.fault(
    "YAML: unknown keys, values of the wrong kind, missing keys",
    "one error with file, line and the nearest key",
)
@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("nmae: x\n", "did you mean name?"),
        ("Name: x\n", "did you mean name?"),
        ("name: [x]\n", "must be a text, not list"),
        ("size: many\nname: x\n", "must be a whole number, not 'many'"),
        ("flag: maybe\nname: x\n", "must be a yes or no, not 'maybe'"),
        ("size: 1\n", "the key 'name' is missing"),
    ],
)
def test_keys_and_kinds_are_checked(tmp_path: Path, text: str, words: str) -> None:
    table = load(written(tmp_path, text))
    with pytest.raises(BuildError) as caught:
        table.expect({"name": str, "size": int, "flag": bool}, ["name"])
    assert words in str(caught.value)


def test_numbers_and_truth_become_values_where_they_are_expected(tmp_path: Path) -> None:
    table = load(written(tmp_path, "name: 7\nsize: 7\nflag: yes\n"))
    table.expect({"name": str, "size": int, "flag": bool})
    assert table == {"name": "7", "size": 7, "flag": True}
