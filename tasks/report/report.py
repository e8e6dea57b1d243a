"""report: writes one HTML file with the state, the runs and the results of the build.

    survey, store, plan ─┐
    events.jsonl ────────┼─▶ facts ──▶ page.py ──▶ output/….report.html
    work/failures/ ──────┤     └─────▶ work/reports/: for the comparison in the next report
    work/stamps/ ────────┘

It builds nothing and takes no lock, so it also works while a build is running.
"""

from __future__ import annotations

from tasks.actions import DoitTask, speaking
from tasks.console.console import say
from tasks.engine.project import Project


def task_report(project: Project) -> DoitTask:
    """write an HTML page: state, graph, times, sizes, licenses, changes

    report                    any browser shows the file
    """
    return {"actions": [(speaking(_report), [project])]}


def _report(project: Project) -> None:
    from plan.documents.sbom import product_name
    from plan.outputs import write_file
    from tasks.report.gather import gather
    from tasks.report.page import page

    facts = gather(project)
    path = project.settings.output(f"{product_name(project.plan)}.report.html")
    write_file(path, page(facts).encode("utf-8", "replace"))
    say(str(path))
