"""The top of the page: title, figures, failures and warnings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tasks.report import figures
from tasks.report.facts import Facts
from tasks.report.html import Html, join, tag

SHOWN = 15  # lines of a failed step's log


def head(facts: Facts) -> Html:
    """Title, figures and identities."""
    phases = " → ".join(facts.phases)
    return tag(
        "header",
        tag("h1", "bootstrap-qcow2 ", tag("span", f"set {facts.set}, {facts.arch}")),
        tag("p", f"{phases}. Written {figures.clock(facts.written)}.", class_="note"),
        tag("ul", [tag("li", tag("b", figure), what) for figure, what in _figures(facts)]),
        tag("dl", [join(tag("dt", name), tag("dd", told)) for name, told in _identities(facts)]),
    )


def _figures(facts: Facts) -> Iterator[tuple[str, Html]]:
    """The main figures, each with its label."""
    steps = facts.steps
    counts = {state: sum(1 for step in steps if step.state == state) for state in _STATES}
    yield str(len(facts.product)), _of("packages", f"{figures.count(len(steps), 'step')} in all")
    lacking = counts["build"] + counts["failed"]
    stored = f"{counts['stored']} in the store, not yet here" if counts["stored"] else ""
    yield f"{len(steps) - lacking} of {len(steps)}", _of("steps are built", stored)
    cpu = [step.cpu for step in steps if step.cpu is not None]
    partly = "partly since interruptions" if any(step.resumed for step in steps) else ""
    if cpu:
        measured = "" if len(cpu) == len(steps) else f"of {figures.count(len(cpu), 'step')}"
        yield figures.seconds(sum(cpu)), _of("CPU time", measured, partly)
    wall = [step.seconds for step in steps if step.seconds is not None]
    if wall:
        yield figures.seconds(sum(wall)), _of("wall time", "sum of all steps")
    sizes = [step.size for step in facts.product if step.size is not None]
    if sizes:
        yield figures.size(sum(sizes)), _of("artifacts", f"of {facts.product_phase}")
    peak = max((step for step in steps if step.memory), key=lambda s: s.memory or 0, default=None)
    if peak:
        yield figures.memory(peak.memory), _of("peak memory", f"largest process, in {peak.name}")


_STATES = ("up_to_date", "stored", "build", "failed")


def _of(what: str, *more: str) -> Html:
    told = ", ".join(each for each in more if each)
    return join(tag("span", what), tag("small", told) if told else "")


def _identities(facts: Facts) -> Iterator[tuple[str, Html]]:
    yield "seed", tag("code", facts.seed)
    yield "plan", tag("code", facts.plan_digest)
    yield "product's plan", tag("code", facts.product_digest)
    for product in facts.products:
        kind = product.kind or "older file"
        told = f" {figures.size(product.size)}, sha256 "
        yield kind, join(tag("code", product.file), told, tag("code", product.sha256))
    if not facts.products:
        yield "product", join("No image or tarball was made here yet.")
    run = facts.last_run
    if run:
        told = f"{figures.clock(run.time)}, doit {run.command}, {run.outcome.words}"
        yield "last run", join(told)
    else:
        yield "last run", join("No run in this work directory yet.")


def wrong(facts: Facts) -> Html:
    """The content of the section of failures and warnings."""
    if not facts.failures and not facts.warnings:
        return tag("p", "No failures, no warnings.", class_="none")
    warnings = [tag("li", warning) for warning in facts.warnings]
    return join(
        [_failure(report) for report in facts.failures],
        tag("ul", warnings, class_="warnings") if warnings else "",
    )


def _failure(report: Mapping[str, Any]) -> Html:
    from tasks.engine.failures import headline

    told = [(name, str(report[name])) for name in ("cause", "remedy", "log") if report.get(name)]
    tail = [str(line) for line in report.get("tail", [])[-SHOWN:]]
    log = tag("details", tag("summary", "the end of its log"), tag("pre", "\n".join(tail)))
    return tag(
        "article",
        tag("h3", "✕ ", headline(report)),
        tag("dl", [join(tag("dt", name), tag("dd", text)) for name, text in told]),
        log if tail else "",
        class_="failure",
    )
