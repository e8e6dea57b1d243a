"""The top of the page: what a person asks first; then failures and warnings; the hashes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from plan.typed import typed
from tasks.engine.records.outcome import RUNNING
from tasks.report import figures
from tasks.report.facts import Facts
from tasks.report.html import Html, join, tag

SHOWN = 15  # lines of a failed step's log
NAMED = 6  # changed packages


def head(facts: Facts) -> Html:
    """Title, the answers to the first questions, and the figures."""
    return tag(
        "header",
        tag("h1", "bootstrap-qcow2 ", tag("span", f"set {facts.set}, {facts.arch}")),
        tag("p", f"As of {figures.clock(facts.written)}.", class_="note"),
        tag("dl", [join(tag("dt", name), tag("dd", told)) for name, told in _answers(facts)]),
        tag("ul", [tag("li", tag("b", figure), what) for figure, what in _figures(facts)]),
    )


def _answers(facts: Facts) -> Iterator[tuple[str, Html]]:
    """Did it work, how long did it take, what changed, what is next."""
    level, text = _result(facts)
    yield "Result", tag("strong", text, class_=level)
    run = facts.last_run
    told = f"doit {run.command}: it {run.outcome.words}" if run else "none in this work directory"
    yield "Last run", join(told, f" (began {figures.clock(run.time)})" if run else "")
    changes = facts.comparison.changes if facts.comparison else ()
    if changes:
        names = list(dict.fromkeys(change.name.rpartition(":")[2] for change in changes))
        more = f", and {len(names) - NAMED} more" if len(names) > NAMED else ""
        count = figures.count(len(changes), "change")
        told = f"{count} since the build before: {', '.join(names[:NAMED])}{more}"
        yield "Changed", tag("a", told, href="#changes")
    yield "Next", join("; ".join([*_commands(facts), facts.next]))


def _commands(facts: Facts) -> Iterator[str]:
    """What a person can do with this state."""
    for report in facts.failures[:1]:
        name = str(report["step"]).partition(":")[2]
        log, shell = typed(f"log pkg:{name}"), typed(f"shell pkg:{name}")
        yield f"{log} shows the whole log, {shell} enters the build"
    if not facts.failures and any(product.kind == "image" for product in facts.products):
        yield f"{typed('boot')} starts the image"


def _result(facts: Facts) -> tuple[str, str]:
    """The level (a class of page.css) and the text of the result."""
    states = [step.state for step in facts.steps]
    if facts.last_run and facts.last_run.outcome.how == RUNNING:
        return "", f"A run is building: {_built(states)}."
    failed = states.count("failed")
    if failed:
        return "bad", f"Failed: {figures.count(failed, 'step')}; {_built(states)}."
    if states.count("contradicted"):
        return "bad", "Contradicted: builds of a step gave different bytes, and you must choose."
    if not states or states.count("build"):
        return "", f"Not complete: {_built(states)}."
    kinds = [product.kind for product in facts.products if product.kind in MADE]
    made = f", and the {' and the '.join(kinds)} made of them" if kinds else "; no image yet"
    return "good", f"Complete: {_built(states)}{made}."


def _built(states: Sequence[str]) -> str:
    built = states.count("up_to_date") + states.count("stored")
    stored = f" ({states.count('stored')} only in the store)" if states.count("stored") else ""
    return f"{built} of {figures.count(len(states), 'step')} built{stored}"


def _figures(facts: Facts) -> Iterator[tuple[str, Html]]:
    """The main figures, each with its label."""
    steps = facts.steps
    yield str(len(facts.product)), _of("packages", f"of {facts.product_phase}")
    cpu = [step.cpu for step in steps if step.cpu is not None]
    partly = "partly since interruptions" if any(step.resumed for step in steps) else ""
    if cpu:
        measured = "" if len(cpu) == len(steps) else f"of {figures.count(len(cpu), 'step')}"
        yield figures.seconds(sum(cpu)), _of("processor time", measured, partly)
    wall = [step.seconds for step in steps if step.seconds is not None]
    if wall:
        yield figures.seconds(sum(wall)), _of("time", "sum of all steps")
    peak = max((step for step in steps if step.memory), key=lambda s: s.memory or 0, default=None)
    if peak:
        yield figures.memory(peak.memory), _of("peak memory", f"largest process, in {peak.name}")


def _of(what: str, *more: str) -> Html:
    told = ", ".join(each for each in more if each)
    return join(tag("span", what), tag("small", told) if told else "")


def identities(facts: Facts) -> Html:
    """The hashes that name this build, and the files made of it, each explained."""
    rows = [
        ("seed", "the first root, which compiles the first packages", facts.seed),
        ("plan", "all steps with their commands", facts.plan_digest),
        ("product", "only the steps of the product; the same for every seed", facts.product_digest),
    ]
    told = [(name, join(tag("code", text), _small(what))) for name, what, text in rows]
    for product in facts.products:
        name, what = KINDS[product.kind]
        sha256 = f"{figures.size(product.size)}, sha256 {product.sha256}"
        told.append((name, join(tag("code", product.file), _small(sha256), _small(what))))
    if not facts.products:
        told.append(("files", join("No image or tarball was made here yet.")))
    return tag(
        "dl", [join(tag("dt", name), tag("dd", text)) for name, text in told], class_="named"
    )


def _small(text: str) -> Html:
    return tag("small", text) if text else join()


# The kinds that are made of the packages.
MADE = ("image", "sysroot", "oci")
# Kind of a product → its name, and what is to be known of it.
KINDS = {
    "image": ("image", ""),
    "sysroot": ("tarball", "the system as files"),
    "oci": ("OCI image", "the same, for containers"),
    "bundle": ("bundle", "all that a build without a network needs"),
    "": ("old file", "made here, but not from the current recipes and settings"),
}


def wrong(facts: Facts) -> Html:
    """The content of the section of failures and warnings."""
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
