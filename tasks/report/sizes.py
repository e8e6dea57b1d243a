"""The sizes of the artifacts as a treemap, drawn twice: for wide and for narrow windows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tasks.report import figures
from tasks.report.facts import Facts, StepFacts
from tasks.report.html import Html, join, tag
from tasks.report.squares import Box, squarified

WIDE, NARROW = Box(0, 0, 1140, 440), Box(0, 0, 328, 480)  # px
LEAST = 1100  # px²: artifacts with smaller tiles share one tile
LINE = 15  # px
SMALL = 0.8  # of the usual font size


def sizes(facts: Facts) -> Html:
    """The content of the section."""
    known = [step for step in facts.product if step.size]
    if not known:
        return tag("p", "No artifact has a known size yet.", class_="none")
    known.sort(key=lambda step: (-(step.size or 0), step.name))
    total = sum(step.size or 0 for step in known)
    colour = f"p{facts.phases.index(facts.product_phase)}"
    told = (
        f"{figures.count(len(known), 'artifact')} of {facts.product_phase}, {figures.size(total)}"
    )
    return join(
        tag("p", f"{told}: unpacked tar, before compression.", class_="note"),
        _map(known, total, WIDE, f"map wide {colour}"),
        _map(known, total, NARROW, f"map narrow {colour}"),
    )


def _map(known: Sequence[StepFacts], total: int, area: Box, class_: str) -> Html:
    tiles = [(step.name, step.size or 0, _title(step)) for step in known]
    least = LEAST * total / (area.width * area.height)
    large = [tile for tile in tiles if tile[1] >= least]
    small = tiles[len(large) :]
    if len(small) > 1:
        names = ", ".join(f"{name} {figures.size(size)}" for name, size, _ in small)
        tile = (f"{len(small)} others", sum(size for _, size, _ in small), names)
        large = sorted([*large, tile], key=lambda each: -each[1])
    else:
        large = tiles
    boxes = squarified([size for _, size, _ in large], area)
    drawn = [_tile(*tile, box) for tile, box in zip(large, boxes, strict=True)]
    return tag(
        "svg",
        drawn,
        class_=class_,
        width=area.width,
        height=area.height,
        viewBox=f"0 0 {area.width:.0f} {area.height:.0f}",
        role="img",
        aria_label="the artifacts by size; the table below has the figures",
    )


def _title(step: StepFacts) -> str:
    return f"{step.name} {step.version}: {figures.size(step.size)}"


def _tile(name: str, size: int, title: str, box: Box) -> Html:
    rect = tag("rect", x=box.x, y=box.y, width=box.width, height=box.height)
    return tag("g", tag("title", title), rect, *_label(name, size, box))


def _label(name: str, size: int, box: Box) -> Iterator[Html]:
    """The label that fits into `box`: name and size, the name, the name in small type, or none."""
    room, lines = box.width - 8, int((box.height - 4) // LINE)
    small = len(name) * figures.CHARACTER > room
    texts = [(name, "name"), (figures.size(size), "size")][:lines]
    for n, (text, class_) in enumerate(texts):
        if len(text) * figures.CHARACTER * (SMALL if small else 1) > room:
            return
        class_ = f"{class_} small" if small else class_
        yield tag("text", text, x=box.x + 4, y=box.y + LINE * n + 14, class_=class_)
