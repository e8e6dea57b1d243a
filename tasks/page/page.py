"""The whole page: one file that needs nothing else, from anywhere, and no script to be read.

    head ─ what is wrong ─ changes ─ timeline ─ dependencies ─ sizes ─ packages ─ licences

The page forbids itself to load anything, and to run any script but the one that is in it, which is
named by its hash: whatever a name or a log holds, it is shown and not run.
"""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path

from tasks.page import graph, head, sizes, tables, timeline
from tasks.page.facts import Facts
from tasks.page.html import Html, join, tag

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
        ("licences", "Licences", tables.licences(facts)),
    ]
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
