"""The dependency graph: one inline SVG per phase, with the tools as a band between them.

A node under the pointer, or with the focus, highlights its edges and neighbours, and in the second
phase also its tools in the first. CSS alone does this (`:has`). Without `:has` nothing is
highlighted, but everything is visible.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from tasks.engine.survey import STATES as SURVEYED
from tasks.report import figures
from tasks.report.facts import Facts, StepFacts
from tasks.report.html import Html, tag
from tasks.report.layers import Drawing, Point, draw, reduced

ROW, NODE = 26, 20  # px: distance between nodes, and height of a node
GAPS = (40, 110)  # px between columns, for the turns of edges: minimum and maximum
WIDTH = 1136  # px: the gaps are chosen to fill it
PAD = 16  # px: the space beside a name, left and right together
STATES = SURVEYED | {"failed": "failed"}


def graph(facts: Facts) -> Html:
    """The content of the section."""
    number = {step.task: n for n, step in enumerate(facts.steps)}
    parts: list[Html] = []
    for n, phase in enumerate(facts.phases):
        steps = _directly([step for step in facts.steps if step.phase == phase])
        if parts:
            parts.append(_band(steps))
        caption = f"{phase}: {figures.count(len(steps), 'package')}"
        parts.append(tag("h3", caption, class_=f"phase p{n}"))
        drawing = _svg(steps, number, n)
        parts.append(tag("div", drawing, class_="box", tabindex="0", role="group"))
        parts.append(tag("style", Html("\n".join(_lights(steps, number, facts.phases[0])))))
    return tag("div", parts, class_="graph")


def _directly(steps: Sequence[StepFacts]) -> list[StepFacts]:
    """`steps` with only the dependencies that no other dependency implies."""
    edges = reduced({step.name: step.depends for step in steps})
    return [replace(step, depends=tuple(edges[step.name])) for step in steps]


def _band(steps: Sequence[StepFacts]) -> Html:
    tools = {name for step in steps for name in step.tools}
    told = f"{figures.count(len(tools), 'package')} above are the tools for those below"
    return tag("p", f"▼ {told}: their build roots contain nothing else.", class_="band")


def _svg(steps: Sequence[StepFacts], number: Mapping[str, int], phase: int) -> Html:
    by_name = {step.name: step for step in steps}
    drawing = draw({step.name: step.depends for step in steps})
    columns = _columns(drawing, by_name)
    width = columns[-1][0] + columns[-1][1] + 2 if columns else 0
    height = max(drawing.height.values(), default=0) * ROW + NODE + 4
    lines = [_edge(points, drawing, columns, by_name, number) for points in drawing.edges]
    nodes = [
        _node(by_name[point], number, columns[n][0], _middle(drawing, point))
        for n, layer in enumerate(drawing.layers)
        for point in layer
        if isinstance(point, str)
    ]
    return tag(
        "svg",
        tag("g", lines, class_="edges"),
        tag("g", nodes),
        class_=f"p{phase}",
        width=width,
        height=height,
        viewBox=f"0 0 {width:.0f} {height:.0f}",
        role="img",
        aria_label="dependencies between packages; the table below has the same data",
    )


def _columns(drawing: Drawing, by_name: Mapping[str, StepFacts]) -> list[tuple[float, float]]:
    """The start and the width of each column (px)."""
    steps = [[by_name[p] for p in layer if isinstance(p, str)] for layer in drawing.layers]
    widths = [max((_width(step) for step in layer), default=0.0) for layer in steps]
    gap = (WIDTH - sum(widths)) / max(len(widths) - 1, 1)
    gap = min(max(gap, GAPS[0]), GAPS[1])
    return [(1 + sum(widths[:n]) + gap * n, width) for n, width in enumerate(widths)]


def _middle(drawing: Drawing, point: Point) -> float:
    return drawing.height[point] * ROW + NODE / 2 + 2


def _edge(
    points: Sequence[Point],
    drawing: Drawing,
    columns: Sequence[tuple[float, float]],
    by_name: Mapping[str, StepFacts],
    number: Mapping[str, int],
) -> Html:
    """One edge: horizontal through the columns, a curve between them."""
    names = [point for point in points if isinstance(point, str)]
    first = next(n for n, layer in enumerate(drawing.layers) if points[0] in layer)
    x = columns[first][0] + _width(by_name[names[0]])
    path = [f"M{x:.0f} {_middle(drawing, points[0]):.1f}"]
    for n, point in enumerate(points[1:], first + 1):
        left, width = columns[n]
        y = _middle(drawing, point)
        turn = columns[n - 1][0] + columns[n - 1][1]
        middle = (turn + left) / 2
        path.append(f"H{turn:.0f}C{middle:.0f} {_y(path)} {middle:.0f} {y:.1f} {left:.0f} {y:.1f}")
        if not isinstance(point, str):
            path.append(f"H{left + width:.0f}")
    ends = " ".join(f"e{number[by_name[name].task]}" for name in names)
    return tag("path", d="".join(path), class_=ends)


def _y(path: Sequence[str]) -> str:
    """The height of the end of `path`."""
    last = next(each for each in reversed(path) if each[0] == "M" or "C" in each)
    return last.rsplit(" ", 1)[1]


def _label(step: StepFacts) -> str:
    return f"✕ {step.name}" if step.state == "failed" else step.name


def _width(step: StepFacts) -> float:
    return len(_label(step)) * figures.CHARACTER + PAD


def _node(step: StepFacts, number: Mapping[str, int], x: float, y: float) -> Html:
    n, width = number[step.task], _width(step)
    known = f", {figures.size(step.size)}" if step.size is not None else ""
    needs = f"; needs {', '.join(step.depends)}" if step.depends else ""
    title = f"{step.name} {step.version}: {STATES[step.state]}{known}{needs}"
    return tag(
        "a",
        tag("title", title),
        tag("rect", x=x, y=y - NODE / 2, width=width, height=NODE, rx=3),
        tag("text", _label(step), x=x + width / 2, y=y + 4),
        class_=f"n n{n} {step.state}",
        href=f"#s{n}",
    )


def _lights(steps: Sequence[StepFacts], number: Mapping[str, int], first: str) -> Iterator[Html]:
    """The CSS rules by which a node highlights its neighbours, and its tools in `first`."""
    joined: dict[int, set[int]] = {number[step.task]: set() for step in steps}
    for step in steps:
        for name in step.depends:
            one, other = number[step.task], number[f"{step.phase}:{name}"]
            joined[one].add(other)
            joined[other].add(one)
    for step in steps:
        n = number[step.task]
        lit = joined[n] | {number[f"{first}:{tool}"] for tool in step.tools}
        on = f".graph:has(.n{n}:is(:hover,:focus))"
        nodes = ",".join(f".n{other}" for other in sorted({n, *lit}))
        yield Html(
            f"{on} .e{n}{{stroke:var(--lit);stroke-width:2}}{on} :is({nodes}) rect"
            "{stroke:var(--lit);stroke-width:2}"
        )


def legend() -> Html:
    """How to read the graph."""
    told = "An edge leads from a dependency to its dependents; edges that others imply are omitted."
    return tag("p", told + " Point at a package to highlight its edges.", class_="note")
