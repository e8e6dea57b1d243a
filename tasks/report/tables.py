"""The tables: packages, licenses, and the changes since the previous build."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from plan.model import Source
from tasks.report import figures
from tasks.report.facts import Change, Comparison, Facts, StepFacts
from tasks.report.graph import STATES
from tasks.report.html import Html, join, tag

COLUMNS = (
    *("Package", "Version", "State", "Size", "CPU time", "Wall time", "Peak memory"),
    *("License", "Why; hashes, sources"),
)
FIGURES = range(3, 7)
FILTER = "Filter: part of a name, a license, a state"


def packages(facts: Facts) -> Html:
    """A table of the steps of each phase, in build order."""
    box = tag("input", type="search", placeholder=FILTER, aria_label="filter the packages")
    return join(
        tag("p", _note(facts), class_="note"),
        tag("p", box, class_="filter", hidden=True),
        [_phase(facts, n, phase) for n, phase in enumerate(facts.phases)],
    )


def _note(facts: Facts) -> str:
    told = "In build order. Times and memory are those of the build that made the artifact"
    resumed = any(step.resumed for step in facts.steps)
    return told + ("; * only since an interruption." if resumed else ".")


def _phase(facts: Facts, number: int, phase: str) -> Html:
    heads = [
        tag("th", head, scope="col", class_="figure" if n in FIGURES else None)
        for n, head in enumerate(COLUMNS)
    ]
    rows = [_row(step, n) for n, step in enumerate(facts.steps) if step.phase == phase]
    table = tag("table", tag("thead", tag("tr", heads)), tag("tbody", rows), class_="packages")
    return join(
        tag("h3", phase, class_=f"phase p{number}"),
        tag("div", table, class_="box", tabindex="0", role="group", aria_label=phase),
    )


def _row(step: StepFacts, n: int) -> Html:
    star = "*" if step.resumed else ""
    cells = [
        tag("th", step.name, scope="row"),
        tag("td", step.version),
        tag("td", STATES[step.state], class_=f"state {step.state}"),
        _figure(figures.size(step.size), step.size),
        _figure(figures.seconds(step.cpu) + star, step.cpu),
        _figure(figures.seconds(step.seconds) + star, step.seconds),
        _figure(figures.memory(step.memory), step.memory),
        tag("td", step.license, class_="license"),
        tag("td", _details(step), class_="why"),
    ]
    return tag("tr", cells, id=f"s{n}")


def _figure(text: str, value: float | None) -> Html:
    return tag("td", text, class_="figure", data_value=-1 if value is None else f"{value:g}")


def _details(step: StepFacts) -> Html:
    rows = [("artifact", step.artifact or "none yet"), ("step id", step.step_id or "not known yet")]
    hashes = [join(tag("dt", name), tag("dd", tag("code", text))) for name, text in rows]
    needs = [("depends on", step.depends), ("tools", step.tools)]
    named = [join(tag("dt", what), tag("dd", ", ".join(names))) for what, names in needs if names]
    sources = [_source(source) for source in step.sources]
    return tag("details", tag("summary", step.description), tag("dl", hashes, named, sources))


def _source(source: Source) -> Html:
    size = figures.size(source.size) if source.size else "size not known"
    return join(
        tag("dt", f"{source.file}, {size}"),
        tag("dd", tag("code", source.sha256), [_place(place) for place in source.urls]),
    )


def _place(place: str) -> Html:
    """A URL as a link if it is on the web, else as text."""
    if not place.startswith(("https://", "http://")):
        return tag("span", place, class_="place")
    return tag("a", place, href=place, rel="noreferrer", class_="place")


def licenses(facts: Facts) -> Html:
    """The licenses, each with the product's packages under it."""
    by_license: dict[str, list[str]] = {}
    for step in facts.product:
        by_license.setdefault(step.license, []).append(step.name)
    ordered = sorted(by_license.items(), key=lambda row: (-len(row[1]), row[0].lower()))
    rows = [
        tag(
            "tr",
            tag("th", license, scope="row"),
            tag("td", str(len(names)), class_="figure"),
            tag("td", ", ".join(sorted(names))),
        )
        for license, names in ordered
    ]
    return tag("div", tag("table", tag("tbody", rows), class_="licenses"), class_="box")


def changes(comparison: Comparison | None) -> Html:
    """The changes between the last two snapshots."""
    if comparison is None:
        told = "There is no earlier, different build to compare with."
        return tag("p", told, class_="none")
    when = f"{figures.clock(comparison.before)} → {figures.clock(comparison.after)}"
    heads = ("", "Phase", "What", "Version", "Bytes", "Size", "CPU time")
    rows = [tag("tr", _cells(change)) for change in comparison.changes]
    head = tag("tr", [tag("th", each, scope="col") for each in heads])
    table = tag("table", tag("thead", head), tag("tbody", rows), class_="changes")
    return join(
        tag("p", f"{when}: {figures.count(len(comparison.changes), 'change')}.", class_="note"),
        tag("div", table, class_="box", tabindex="0", role="group"),
    )


def _cells(change: Change) -> Iterable[Html]:
    old, new = change.before, change.after
    phase, _, name = change.name.rpartition(":")
    yield tag("th", name, scope="row")
    yield tag("td", phase)
    yield tag("td", change.kind)
    yield tag("td", _from_to(old.get("version"), new.get("version")))
    yield tag("td", tag("code", _from_to(_short(old.get("artifact")), _short(new.get("artifact")))))
    yield tag("td", _amounts(old.get("size"), new.get("size"), figures.size), class_="amount")
    yield tag("td", _amounts(old.get("cpu"), new.get("cpu"), figures.seconds), class_="amount")


def _short(sha256: str | None) -> str | None:
    return sha256[: figures.SHORT] if sha256 else None


def _from_to(before: str | None, after: str | None) -> str:
    if before == after:
        return after or ""
    return f"{before or figures.UNKNOWN} → {after or figures.UNKNOWN}"


def _amounts(
    before: float | None, after: float | None, shown: Callable[[float | None], str]
) -> str:
    if before == after:
        return "" if after is None else shown(after)
    told = f"{shown(before)} → {shown(after)}"
    share = "" if before is None or after is None else figures.difference(before, after)
    return f"{told} ({share})" if share else told
