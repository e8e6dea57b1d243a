"""The whole page: one HTML file that loads nothing and is readable without scripts.

    head ─ what is wrong ─ changes ─ timeline ─ dependencies ─ sizes ─ packages ─ licenses ─ hashes

The content security policy forbids the page to load anything, or to run any script except its own,
which has its hash there. So a script in a name or a log is shown, but not run.
"""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path

from tasks.report import graph, head, sizes, tables, timeline
from tasks.report.facts import Facts
from tasks.report.html import Html, join, tag

HERE = Path(__file__).parent


def page(facts: Facts) -> str:
    """The text of the page."""
    style = (HERE / "page.css").read_text(encoding="utf-8")
    script = (HERE / "page.js").read_text(encoding="utf-8")
    title = f"{facts.title}: report"
    top = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=_policy(script)),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("title", title),
        tag("style", Html(style)),
    )
    return "<!DOCTYPE html>\n" + tag("html", top, _body(facts, script), lang="en") + "\n"


def _body(facts: Facts, script: str) -> Html:
    sections = [
        ("wrong", "Failures and warnings", head.wrong(facts)),
        ("changes", "Changes since the build before", tables.changes(facts.comparison)),
        ("timeline", "Timeline", timeline.timelines(facts)),
        ("graph", "Dependencies", join(graph.legend(), graph.graph(facts))),
        ("sizes", "Sizes", sizes.sizes(facts)),
        ("packages", "Packages", tables.packages(facts)),
        ("licenses", "Licenses", tables.licenses(facts)),
        ("identities", "Files and hashes", head.identities(facts)),
    ]
    # Nothing wrong needs no section.
    sections = [each for each in sections if each[0] != "wrong" or facts.failures or facts.warnings]
    links = [tag("a", title, href=f"#{name}") for name, title, _ in sections]
    return tag(
        "body",
        head.head(facts),
        tag("nav", links),
        tag(
            "main",
            [tag("section", tag("h2", title), inside, id=name) for name, title, inside in sections],
        ),
        tag("script", Html(script)),
    )


def _policy(script: str) -> str:
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"
