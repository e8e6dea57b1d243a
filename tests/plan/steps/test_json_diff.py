from __future__ import annotations

import pytest

from plan.steps.json_diff import differences


def command(*argv: str) -> dict[str, object]:
    return {"argv": list(argv), "cwd": "/source"}


MAKE, CHECK, INSTALL = command("make"), command("make", "check"), command("make", "install")


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ([MAKE, INSTALL], [MAKE, CHECK, INSTALL], ["commands.2: nothing → make check /source"]),
        ([MAKE, CHECK, INSTALL], [MAKE, INSTALL], ["commands.2: make check /source → nothing"]),
        ([MAKE, CHECK], [MAKE, INSTALL], ["commands.2.argv: make check → make install"]),
        (
            [MAKE],
            [CHECK, INSTALL],
            ["commands.1.argv: make → make check", "commands.2: nothing → make install /source"],
        ),
        ([MAKE], [], ["commands: make /source → nothing"]),
        ([MAKE], [MAKE], []),
    ],
    ids=["one more", "one less", "another", "another and one more", "none", "the same"],
)
def test_commands_are_laid_side_by_side(
    old: list[object], new: list[object], told: list[str]
) -> None:
    found = differences({"commands": old}, {"commands": new})
    assert [line for each in found for line in each.lines(each.key)] == told


def test_pairs_are_compared_by_their_first_element() -> None:
    old, new = {"environment": [["CC", "cc"], ["TZ", "UTC"]]}, {"environment": [["CC", "clang"]]}
    found = [(each.key, each.old, each.new) for each in differences(old, new)]
    assert found == [("environment.CC", "cc", "clang"), ("environment.TZ", "UTC", "nothing")]


def test_a_name_without_a_value_is_told() -> None:
    """A source: its hash, and what of it is not unpacked."""
    found = differences({"sources": [["a1", []]]}, {"sources": [["b2", []], ["c3", ["doc"]]]})
    assert [line for each in found for line in each.lines(each.key)] == [
        "sources: a1 → nothing",
        "sources: nothing → b2",
        "sources.c3: nothing → doc",
    ]
