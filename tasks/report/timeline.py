"""The last runs as timelines: a bar for each step, in lanes above an axis."""

from __future__ import annotations

from collections.abc import Sequence

from tasks.report import figures
from tasks.report.facts import BUILT, CUT, FAILED, RUNNING, Bar, Facts, Run
from tasks.report.html import Html, join, tag
from tasks.report.lanes import label, packed, ticks

WIDTH, LANE, BAR = 1140, 22, 18  # px
SIDE = 10  # px left and right, for bars at the edges
LEAST = 2  # px: the minimum width of a bar
AXIS = 22  # px
TICKS = 10
MARKS = {FAILED: "✕ ", CUT: "… ", RUNNING: "▸ "}
CLASSES = {BUILT: "built", FAILED: "failed", CUT: "cut", RUNNING: "running"}


def timelines(facts: Facts) -> Html:
    """The content of the section."""
    if not facts.runs:
        return tag("p", "No run in this work directory had anything to build.", class_="none")
    return join(_timeline(run, facts.phases) for run in facts.runs)


def _timeline(run: Run, phases: Sequence[str]) -> Html:
    return tag(
        "figure",
        tag("figcaption", tag("strong", figures.clock(run.time)), " ", _caption(run)),
        tag("div", _svg(run, phases), class_="box", tabindex="0", role="group"),
    )


def _caption(run: Run) -> str:
    built = sum(1 for bar in run.bars if bar.how not in MARKS)
    named = {how: _named(run, how) for how in MARKS}
    parts = [
        run.command,
        f"{built} built" if built else "",
        f"{len(run.hits)} from the store" if run.hits else "",
        *(f"{how}: {names}" for how, names in named.items() if names),
        run.outcome.words,
    ]
    return " · ".join(part for part in parts if part)


def _named(run: Run, how: str) -> str:
    return ", ".join(bar.task.partition(":")[2] for bar in run.bars if bar.how == how)


def _svg(run: Run, phases: Sequence[str]) -> Html:
    lanes = packed(run.bars)
    hits = 1 if run.hits else 0
    count = max(lanes, default=-1) + 1 + hits
    height = count * LANE + AXIS
    scale = (WIDTH - 2 * SIDE) / max(run.seconds, 0.001)
    rooms = _rooms(run.bars, lanes, scale)
    bars = [
        _bar(bar, SIDE + bar.start * scale, (lane + hits) * LANE, scale, room, phases)
        for bar, lane, room in zip(run.bars, lanes, rooms, strict=True)
    ]
    return tag(
        "svg",
        _axis(run.seconds, scale, count * LANE),
        _hits(run, scale, phases) if hits else "",
        bars,
        class_="time",
        width=WIDTH,
        height=height,
        viewBox=f"0 0 {WIDTH} {height}",
        role="img",
        aria_label="when each step ran",
    )


def _rooms(bars: Sequence[Bar], lanes: Sequence[int], scale: float) -> list[float]:
    """The free width (px) from the start of each bar to the next bar in its lane."""
    following: dict[int, float] = {}
    found = [0.0] * len(bars)
    for n in sorted(range(len(bars)), key=lambda n: -bars[n].start):
        end = following.get(lanes[n], (WIDTH - 2 * SIDE) / scale)
        found[n] = (end - bars[n].start) * scale
        following[lanes[n]] = bars[n].start
    return found


def _bar(bar: Bar, x: float, y: float, scale: float, room: float, phases: Sequence[str]) -> Html:
    phase, _, name = bar.task.partition(":")
    width = max((bar.end - bar.start) * scale, LEAST)
    text = MARKS.get(bar.how, "") + name
    needed = len(text) * figures.CHARACTER + 8
    inside = needed <= width
    shown = inside or needed <= room - width
    at = x + 5 if inside else x + width + 3
    title = f"{name} ({phase}): {bar.how}, {figures.seconds(bar.end - bar.start)}"
    class_ = f"bar {_colour(phase, phases)} {CLASSES[bar.how]}"
    return tag(
        "g",
        tag("title", title),
        tag("rect", x=x, y=y + 2, width=width, height=BAR, rx=2 if width > 6 else None),
        tag("text", text, x=at, y=y + 15, class_="in" if inside else "out") if shown else "",
        class_=class_,
    )


def _hits(run: Run, scale: float, phases: Sequence[str]) -> Html:
    """The steps from the store, which take no time: a line for each, and their number."""
    lines = [
        tag(
            "g",
            tag("title", f"{task.partition(':')[2]}: from the store"),
            tag("rect", x=SIDE + time * scale - 1, y=4, width=2, height=BAR - 4),
            class_=f"hit {_colour(task.partition(':')[0], phases)}",
        )
        for task, time in run.hits
    ]
    last = max(time for _, time in run.hits) * scale + SIDE
    text = f"{len(run.hits)} from the store"
    # If the lines reach the right edge, only the caption has the number.
    fits = last + len(text) * figures.CHARACTER + 8 < WIDTH
    told = tag("text", text, x=last + 6, y=15, class_="out") if fits else ""
    return tag("g", lines, told)


def _axis(seconds: float, scale: float, y: float) -> Html:
    parts = []
    for moment in ticks(seconds, TICKS):
        x = SIDE + moment * scale
        parts.append(tag("line", x1=x, x2=x, y1=0, y2=y + 4))
        last = x > WIDTH - 40
        anchor = "end" if last else "middle" if moment else "start"
        at = min(x, WIDTH - 2) if last else x if moment else x - 3
        parts.append(tag("text", label(moment), x=at, y=y + 17, text_anchor=anchor))
    return tag("g", parts, class_="axis")


def _colour(phase: str, phases: Sequence[str]) -> str:
    return f"p{phases.index(phase)}" if phase in phases else "p0"
