"""The sizes of the artifacts as a treemap, drawn twice: for wide and for narrow windows."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from tasks.report import figures
from tasks.report.facts import Facts, StepFacts
from tasks.report.html import Html, join, tag
from tasks.report.squares import Box, squarified

WIDE, NARROW = Box(0, 0, 1140, 440), Box(0, 0, 328, 480)  # px
LEAST = 1100  # px²: artifacts with smaller tiles share one tile
LINE = 15  # px
COLOURS = 8  # of tiles, in page.css
SMALL = 0.8  # of the usual font size


def sizes(facts: Facts) -> Html:
    """The content of the section."""
    known = [step for step in facts.product if step.size]
    if not known:
        return tag("p", "No artifact has a known size yet.", class_="none")
    known.sort(key=lambda step: (-(step.size or 0), step.name))
    total = sum(step.size or 0 for step in known)
    count = f"{figures.count(len(known), 'artifact')} of {facts.product_phase}"
    told = f"{count}, {figures.size(total)}: unpacked tar, before compression."
    tiles = [Tile(step, f"t{n % COLOURS}") for n, step in enumerate(known)]
    return join(
        tag("p", told, class_="note"),
        _map(tiles, total, WIDE, "wide"),
        _map(tiles, total, NARROW, "narrow"),
        _inside(known),
    )


def _inside(steps: Sequence[StepFacts]) -> Html:
    """What each package costs in the image, the dearest first; nothing if that is not known."""
    rows = [(step, step.inside) for step in steps if step.inside]
    if not rows:
        return join()
    rows.sort(key=lambda row: (-row[1], row[0].name))
    packed = [step.packed for step, _ in rows if step.packed]
    told = f"In the image, without what the set leaves out: {figures.size(sum(n for _, n in rows))}"
    told += f", compressed about {figures.size(sum(packed))}." if packed else "."
    heads = ("package", "in the image", *(["compressed"] if packed else []))
    return join(
        tag("p", told, class_="note"),
        tag(
            "table",
            tag("tr", [tag("th", head) for head in heads]),
            [
                tag(
                    "tr",
                    tag("td", step.name),
                    tag("td", figures.size(size)),
                    tag("td", figures.size(step.packed)) if step.packed else join(),
                )
                for step, size in rows
            ],
        ),
    )


@dataclass(frozen=True)
class Tile:
    """A package and the class of its colour."""

    step: StepFacts
    colour: str

    @property
    def size(self) -> int:
        """In bytes."""
        return self.step.size or 0


def _map(tiles: Sequence[Tile], total: int, area: Box, class_: str) -> Html:
    """The map, and the names of the packages whose tiles have no room for them."""
    least = LEAST * total / (area.width * area.height)
    large = [tile for tile in tiles if tile.size >= least]
    rest = tiles[len(large) :]
    sizes = [(tile.size, n) for n, tile in enumerate(large)]
    if rest:
        sizes = sorted([*sizes, (sum(tile.size for tile in rest), -1)], reverse=True)
    boxes = squarified([size for size, _ in sizes], area)
    drawn, small = [], [*rest]
    for (size, n), box in zip(sizes, boxes, strict=True):
        name = large[n].step.name if n >= 0 else f"{len(rest)} small"
        label = [*_label(name, size, box)]
        title = _title(large[n].step) if n >= 0 else f"{name} packages: {figures.size(size)}"
        drawn.append(_tile(label, title, large[n].colour if n >= 0 else "rest", box))
        if n >= 0 and not label:
            small.append(large[n])
    svg = tag(
        "svg",
        drawn,
        width=area.width,
        height=area.height,
        viewBox=f"0 0 {area.width:.0f} {area.height:.0f}",
        role="img",
        aria_label="the artifacts by size; the table below has the figures",
    )
    return tag("div", svg, _legend(small, {*rest}), class_=f"map {class_}")


def _legend(small: Sequence[Tile], rest: Collection[Tile]) -> Html:
    """The small packages with their sizes, largest first."""
    if not small:
        return join()
    rows = [
        tag(
            "li",
            tag("i", class_="rest" if tile in rest else tile.colour),
            f"{tile.step.name} ",
            tag("small", figures.size(tile.size)),
        )
        for tile in sorted(small, key=lambda tile: (-tile.size, tile.step.name))
    ]
    return join(tag("p", "Too small for a name in the map:", class_="note"), tag("ul", rows))


def _title(step: StepFacts) -> str:
    return f"{step.name} {step.version}: {figures.size(step.size)}"


def _tile(label: Sequence[Html], title: str, colour: str, box: Box) -> Html:
    rect = tag("rect", x=box.x, y=box.y, width=box.width, height=box.height)
    return tag("g", tag("title", title), rect, label, class_=colour)


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
