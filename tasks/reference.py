"""reference: writes docs/reference.md from the code, so that it is always correct.

plan.documents.reference ────────────────────┐
tasks/*.py, tasks.engine.records.events ─docs┴─▶ docs/reference.md
"""

from __future__ import annotations

from collections.abc import Iterator

from plan.outputs import write_file
from tasks.actions import DoitTask, speaking
from tasks.commands import creators, summary
from tasks.console.console import say
from tasks.engine.project import Project
from tasks.engine.records import events
from tasks.packages import PHASE_DOCS

FILE = "docs/reference.md"
INTRODUCTION = """\
# Reference

`./bq2 reference` writes this file from the code and the recipes. Edit those, then run it again."""


def task_reference(project: Project) -> DoitTask:
    """write docs/reference.md: recipes, styles, parameters, tasks, events

    reference
    """
    return {"actions": [(speaking(_reference), [project])]}


def _reference(project: Project) -> None:
    write_file(project.root / FILE, reference(project))
    say(f"{project.root / FILE} is written")


def reference(project: Project) -> str:
    """The text of docs/reference.md."""
    from plan.documents import reference as parts

    recipes = project.data.own / "recipes"
    sections = {
        "Recipes": parts.recipe_keys(recipes),
        "Overrides": parts.overrides(),
        "Styles": parts.styles_of(recipes),
        "The environment of a step": parts.environment(recipes),
        "Paths in a step": parts.paths(),
        "Sets": parts.sets(project.data.own),
        "Layers": parts.layers(),
        "Seeds": parts.seeds(),
        "Parameters": parts.parameters(),
        "Tasks": parts.table(("task", "what it does"), _tasks()),
        "Events": (events.__doc__ or "").strip().splitlines(),
    }
    text = [INTRODUCTION]
    for title, lines in sections.items():
        text += ["", f"## {title}", "", *lines]
    return "\n".join(text) + "\n"


def _tasks() -> Iterator[tuple[str, str]]:
    """Each task with its docstring's line, as `doit list` shows it."""
    found = PHASE_DOCS | {name: summary(create) for name, create in creators()}
    for name in sorted(found):
        yield f"`{name}`", found[name]
