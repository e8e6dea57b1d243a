"""report: one HTML file that shows how the build stands, what it did, and what it gave.

    survey, store, plan ─┐
    events.jsonl ────────┼─▶ facts ──▶ tasks/page/ ──▶ output/….report.html
    work/failures/ ──────┤     └─────▶ work/reports/: what the next report compares with
    work/stamps/ ────────┘

It builds nothing and takes no lock, so it can be asked for while a build is running.
"""

from __future__ import annotations

from typing import Any

from tasks.console import say, speaking
from tasks.project import project


def task_report() -> dict[str, Any]:
    """an HTML page of how the build stands, its graph, times, sizes, licences and changes"""
    return {"actions": [(speaking(_report),)]}


def _report() -> None:
    from plan.sbom import product_name
    from rootfs.files import replacing
    from tasks.page.page import page
    from tasks.report_facts import gather

    facts = gather(project)
    path = project.settings.output(f"{product_name(project.plan)}.report.html")
    with replacing(path) as file:
        file.write(page(facts).encode("utf-8", "replace"))
    say(str(path))
