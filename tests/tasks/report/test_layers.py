"""The layered drawing: correct layers, all edges drawn, no overlaps."""

from __future__ import annotations

import random
from itertools import pairwise
from pathlib import Path

import pytest

from plan.graph import order
from plan.steps.planner import make_plan
from tasks.report.layers import BEND, crossings, draw, layers_of, reduced, spread

DATA = Path(__file__).parents[3] / "plan"
Depends = dict[str, list[str]]


def real(name: str) -> Depends:
    plan = make_plan(DATA, set_name=name, arch_name="x86_64")
    return {name: [*plan.recipes[name].depends] for name in plan.product}


def drawn_at_random(seed: int) -> Depends:
    choose = random.Random(seed)
    names = [f"n{n}" for n in range(choose.randrange(1, 40))]
    return {
        name: choose.sample(names[:n], choose.randrange(min(n, 4) + 1))
        for n, name in enumerate(names)
    }


GRAPHS = {
    "none": {},
    "one": {"a": []},
    "diamond": {"a": [], "b": ["a"], "c": ["a"], "d": ["b", "c"]},
    "long edge": {"a": [], "b": ["a"], "c": ["b"], "x": [], "d": ["c", "x"]},
    "base": real("base"),
    "full": real("full"),
    **{f"random {seed}": drawn_at_random(seed) for seed in range(12)},
}


@pytest.mark.parametrize("depends", GRAPHS.values(), ids=GRAPHS)
def test_a_drawing_is_sound(depends: Depends) -> None:
    drawing = draw(depends)
    column = {point: n for n, layer in enumerate(drawing.layers) for point in layer}
    assert len(column) == sum(len(layer) for layer in drawing.layers)
    assert {point for point in column if isinstance(point, str)} == {*depends}
    assert min(drawing.height.values(), default=0) == 0
    # Every edge that no other implies is there once, and goes from layer to layer.
    wanted = sorted((before, name) for name, all_ in reduced(depends).items() for before in all_)
    assert sorted((way[0], way[-1]) for way in drawing.edges) == wanted
    for way in drawing.edges:
        assert [column[point] for point in way] == [*range(column[way[0]], column[way[-1]] + 1)]
    # The layer is the length of the longest way to the node.
    for name, direct in depends.items():
        assert column[name] == max((column[before] + 1 for before in direct), default=0)
    # In its column each point has its own room.
    for layer in drawing.layers:
        for above, below in pairwise(layer):
            room = [BEND if isinstance(point, tuple) else 1 for point in (above, below)]
            assert drawing.height[below] - drawing.height[above] >= sum(room) / 2 - 1e-9


@pytest.mark.parametrize("depends", GRAPHS.values(), ids=GRAPHS)
def test_the_reduced_graph_says_the_same_with_the_fewest_edges(depends: Depends) -> None:
    fewer = reduced(depends)
    for name in depends:
        assert {*order([name], fewer)} == {*order([name], depends)}
        for left_out in fewer[name]:
            rest = fewer | {name: [each for each in fewer[name] if each != left_out]}
            assert left_out not in order([name], rest)


def test_the_same_graph_is_drawn_the_same() -> None:
    assert draw(GRAPHS["full"]) == draw(GRAPHS["full"])


def test_crossings_are_avoided_where_they_can_be() -> None:
    drawing = draw({"a": [], "b": [], "c": ["b"], "d": ["a"]})
    after = {"a": ["d"], "b": ["c"]}
    assert crossings([["a", "b"], ["c", "d"]], after) == 1
    assert crossings(drawing.layers, after) == 0


def test_an_edge_that_spans_layers_bends_once_in_each() -> None:
    drawing = draw(GRAPHS["long edge"])
    assert ["x", ("x", 1), ("x", 2), "d"] in [[*way] for way in drawing.edges]
    assert layers_of(GRAPHS["long edge"]) == {"a": 0, "b": 1, "c": 2, "x": 0, "d": 3}


@pytest.mark.parametrize(
    ("wanted", "spread_out"),
    [
        ([], []),
        ([5.0], [5.0]),
        ([0.0, 9.0], [0.0, 9.0]),
        ([4.0, 4.0], [3.5, 4.5]),
        ([4.0, 2.0, 9.0], [2.5, 3.5, 9.0]),
        ([3.0, 3.0, 3.0], [2.0, 3.0, 4.0]),
    ],
)
def test_what_would_overlap_moves_as_one(wanted: list[float], spread_out: list[float]) -> None:
    assert spread(wanted, [float(n) for n in range(len(wanted))]) == pytest.approx(spread_out)
