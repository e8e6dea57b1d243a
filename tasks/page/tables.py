"""The tables: packages, licences, and what changed since the build before."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from plan.model import Source
from tasks.page import words
from tasks.page.facts import Change, Comparison, Facts, StepFacts
from tasks.page.graph import STATES
from tasks.page.html import Html, join, tag

COLUMNS = (
    *("Package", "Version", "State", "Size", "CPU time", "Wall time", "Peak memory"),
    *("Licence", "Why; hashes, sources"),
)
FIGURES = range(3, 7)
FILTER = "Filter: part of a name, a licence, a state"


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
    return told + ("; * only since it was interrupted." if resumed else ".")


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
        _figure(words.size(step.size), step.size),
        _figure(words.seconds(step.cpu) + star, step.cpu),
        _figure(words.seconds(step.seconds) + star, step.seconds),
        _figure(words.memory(step.memory), step.memory),
        tag("td", step.licence, class_="licence"),
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
    return tag("details", tag("summary", step.why), tag("dl", hashes, named, sources))


def _source(source: Source) -> Html:
    size = words.size(source.size) if source.size else "size not known"
    return join(
        tag("dt", f"{source.file}, {size}"),
        tag("dd", tag("code", source.sha256), [_place(place) for place in source.places]),
    )


def _place(place: str) -> Html:
    """A place as a link where it is one of the web, as text otherwise."""
    if not place.startswith(("https://", "http://")):
        return tag("span", place, class_="place")
    return tag("a", place, href=place, rel="noreferrer", class_="place")


def licences(facts: Facts) -> Html:
    """The product's packages by licence."""
    by_licence: dict[str, list[str]] = {}
    for step in facts.product:
        by_licence.setdefault(step.licence, []).append(step.name)
    ordered = sorted(by_licence.items(), key=lambda row: (-len(row[1]), row[0].lower()))
    rows = [
        tag(
            "tr",
            tag("th", licence, scope="row"),
            tag("td", str(len(names)), class_="figure"),
            tag("td", ", ".join(sorted(names))),
        )
        for licence, names in ordered
    ]
    return tag("div", tag("table", tag("tbody", rows), class_="licences"), class_="box")


def changes(comparison: Comparison | None) -> Html:
    """What is not as it was in the snapshot before the last one."""
    if comparison is None:
        told = "There is no earlier build that differs from this one to compare it with."
        return tag("p", told, class_="none")
    when = f"{words.clock(comparison.before)} → {words.clock(comparison.after)}"
    heads = ("", "Phase", "What", "Version", "Bytes", "Size", "CPU time")
    rows = [tag("tr", _cells(change)) for change in comparison.changes]
    head = tag("tr", [tag("th", each, scope="col") for each in heads])
    table = tag("table", tag("thead", head), tag("tbody", rows), class_="changes")
    return join(
        tag("p", f"{when}: {words.count(len(comparison.changes), 'change')}.", class_="note"),
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
    yield tag("td", _amounts(old.get("size"), new.get("size"), words.size), class_="amount")
    yield tag("td", _amounts(old.get("cpu"), new.get("cpu"), words.seconds), class_="amount")


def _short(sha256: str | None) -> str | None:
    return sha256[: words.SHORT] if sha256 else None


def _from_to(before: str | None, after: str | None) -> str:
    if before == after:
        return after or ""
    return f"{before or words.UNKNOWN} → {after or words.UNKNOWN}"


def _amounts(
    before: float | None, after: float | None, shown: Callable[[float | None], str]
) -> str:
    if before == after:
        return "" if after is None else shown(after)
    told = f"{shown(before)} → {shown(after)}"
    share = "" if before is None or after is None else words.difference(before, after)
    return f"{told} ({share})" if share else told
