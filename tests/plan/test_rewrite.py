"""Single values of a YAML file replaced, and not a byte beside them."""

from __future__ import annotations

import pytest

from plan.errors import BuildError
from plan.rewrite import set_value

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
    "path", [["nothing"], ["list", 2], ["list", "one"], ["plain", 0], ["list"], ["text"]]
)
def test_what_is_no_value_on_a_line_is_refused(path: list[str | int]) -> None:
    with pytest.raises(BuildError) as caught:
        set_value(TEXT, path, "x")
    assert caught.value.where == ".".join(str(step) for step in path)
