from __future__ import annotations

import pytest

from plan.errors import BuildError
from plan.graph import order

DEPENDS = {"a": [], "b": ["a"], "c": ["a"], "d": ["c", "b"]}


def test_order_follows_what_was_asked_for_and_then_the_lists() -> None:
    assert order(["d"], DEPENDS) == ["a", "c", "b", "d"]
    assert order(["b", "d"], DEPENDS) == ["a", "b", "c", "d"]


@pytest.mark.parametrize(
    ("depends", "cycle"),
    [
        ({"a": ["a"]}, "a → a"),
        ({"a": ["b"], "b": ["c"], "c": ["b"]}, "b → c → b"),
    ],
)
def test_a_cycle_is_printed_as_one(depends: dict[str, list[str]], cycle: str) -> None:
    with pytest.raises(BuildError) as caught:
        order(["a"], depends)
    assert caught.value.message.endswith(": " + cycle)


def test_a_long_chain_is_no_problem_for_the_order() -> None:
    chain = {str(n): [str(n - 1)] if n else [] for n in range(400)}
    assert order(["399"], chain)[:2] == ["0", "1"]
