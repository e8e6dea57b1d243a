"""Draws a dependency graph in layers: the columns, the order in each, and the paths of edges.

    depends ─▶ remove implied edges ─▶ layers by the longest path
            ─▶ order by barycentres, fewest crossings ─▶ heights, as straight as possible

An edge across several layers has a place, a *bend*, in each layer that it crosses. All edges from
one node share the bends, so they are one line until they part. The same graph always gives the same
drawing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

SWEEPS = 12
BEND = 0.45  # the height of a bend in its column; a node has 1

# A node is its name; a bend is the name of its start node and its layer.
Point = str | tuple[str, int]
Depends = Mapping[str, Sequence[str]]


@dataclass(frozen=True)
class Drawing:
    """The positions. Columns are counted from 0, heights are in units of one node."""

    layers: Sequence[Sequence[Point]]
    height: Mapping[Point, float]
    edges: Sequence[Sequence[Point]]
    """Each leads from a dependency, through its bends, to a dependent."""


def draw(depends: Depends) -> Drawing:
    """The drawing of the graph `depends`, where each node comes after its dependencies."""
    edges = reduced(depends)
    layer = layers_of(edges)
    ways = [way(layer, before, name) for name in edges for before in edges[name]]
    order = _ordered(_columns(layer, ways), ways)
    return Drawing(order, _heights(order, ways), ways)


def reduced(depends: Depends) -> dict[str, list[str]]:
    """`depends` without the edges that a longer path implies."""
    behind: dict[str, set[str]] = {}
    found = {}
    for name, direct in depends.items():
        further = {each for before in direct for each in behind[before]}
        found[name] = [before for before in dict.fromkeys(direct) if before not in further]
        behind[name] = further | {*direct}
    return found


def layers_of(depends: Depends) -> dict[str, int]:
    """The layer of each node: one more than the highest layer of its dependencies."""
    found: dict[str, int] = {}
    for name, direct in depends.items():
        found[name] = 1 + max((found[before] for before in direct), default=-1)
    return found


def way(layer: Mapping[str, int], before: str, name: str) -> list[Point]:
    """The points of the edge from `before` to `name`, one in each layer."""
    return [before, *((before, n) for n in range(layer[before] + 1, layer[name])), name]


def _columns(layer: Mapping[str, int], ways: Sequence[Sequence[Point]]) -> list[list[Point]]:
    columns: list[list[Point]] = [[] for _ in range(1 + max(layer.values(), default=-1))]
    for name, number in layer.items():
        columns[number].append(name)
    for bend in dict.fromkeys(p for each in ways for p in each if isinstance(p, tuple)):
        columns[bend[1]].append(bend)
    return columns


def _neighbours(
    ways: Sequence[Sequence[Point]],
) -> tuple[dict[Point, list[Point]], dict[Point, list[Point]]]:
    """The points before and after each point, each once."""
    pairs = dict.fromkeys(pair for each in ways for pair in pairwise(each))
    before: dict[Point, list[Point]] = {}
    after: dict[Point, list[Point]] = {}
    for left, right in pairs:
        before.setdefault(right, []).append(left)
        after.setdefault(left, []).append(right)
    return before, after


def _ordered(columns: list[list[Point]], ways: Sequence[Sequence[Point]]) -> list[list[Point]]:
    """The columns in the order with the fewest crossings among all sweeps."""
    before, after = _neighbours(ways)
    best, fewest = columns, crossings(columns, after)
    for sweep in range(SWEEPS):
        forth = sweep % 2 == 0
        columns = _swept(columns, before if forth else after, backwards=not forth)
        count = crossings(columns, after)
        if count < fewest:
            best, fewest = columns, count
    return best


def _swept(
    columns: list[list[Point]], neighbours: Mapping[Point, list[Point]], *, backwards: bool
) -> list[list[Point]]:
    """Each column sorted by the average position of the neighbours of its points."""
    rank: dict[Point, float] = {}
    done = []
    for column in reversed(columns) if backwards else columns:
        own = {point: place / len(column) for place, point in enumerate(column)}
        middle = {p: _mean([rank[n] for n in neighbours.get(p, [])], own[p]) for p in column}
        column = sorted(column, key=lambda point: middle[point])
        rank |= {point: place / len(column) for place, point in enumerate(column)}
        done.append(column)
    return done[::-1] if backwards else done


def crossings(columns: Sequence[Sequence[Point]], after: Mapping[Point, list[Point]]) -> int:
    """The number of crossings between neighbouring columns."""
    count = 0
    for left, right in pairwise(columns):
        place = {point: n for n, point in enumerate(right)}
        seen: list[int] = []
        for point in left:
            ends = sorted(place[end] for end in after.get(point, []))
            count += sum(1 for end in ends for other in seen if other > end)
            seen += ends
    return count


def _heights(columns: list[list[Point]], ways: Sequence[Sequence[Point]]) -> dict[Point, float]:
    """The height of each point: near its neighbours, in the order of its column."""
    before, after = _neighbours(ways)
    height = {p: y for column in columns for p, y in zip(column, _stack(column), strict=True)}
    for sweep in range(SWEEPS):
        forth = sweep % 2 == 0
        for column in columns if forth else reversed(columns):
            sides = (before, after) if forth else (after, before)
            wanted = [_mean(_near(point, *sides, height), height[point]) for point in column]
            height |= zip(column, spread(wanted, _stack(column)), strict=True)
    top = min(height.values(), default=0.0)
    return {point: y - top for point, y in height.items()}


def _near(
    point: Point,
    first: Mapping[Point, list[Point]],
    second: Mapping[Point, list[Point]],
    height: Mapping[Point, float],
) -> list[float]:
    """The heights of the neighbours of `point` in `first`; if it has none, those in `second`."""
    return [height[each] for each in first.get(point) or second.get(point, [])]


def _stack(column: Sequence[Point]) -> list[float]:
    """The heights of the points of `column` without gaps."""
    room = [BEND if isinstance(point, tuple) else 1.0 for point in column]
    found, y = [], 0.0
    for n, own in enumerate(room):
        y += (room[n - 1] + own) / 2 if n else 0.0
        found.append(y)
    return found


def spread(wanted: Sequence[float], stack: Sequence[float]) -> list[float]:
    """The values nearest to `wanted` (least squares) with at least the distances of `stack`.

    It pools adjacent violators: overlapping points move together as one block.
    """
    blocks: list[tuple[float, int]] = []  # sum, number
    for want, least in zip(wanted, stack, strict=True):
        total, number = want - least, 1
        while blocks and blocks[-1][0] / blocks[-1][1] > total / number:
            other = blocks.pop()
            total, number = total + other[0], number + other[1]
        blocks.append((total, number))
    means = [total / number for total, number in blocks for _ in range(number)]
    return [mean + least for mean, least in zip(means, stack, strict=True)]


def _mean(values: Sequence[float], otherwise: float) -> float:
    return sum(values) / len(values) if values else otherwise
