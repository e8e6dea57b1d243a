"""reference: writes docs/reference.md, so that it says what is, and is written nowhere twice.

plan.reference ───────────────────┐
tasks/*.py, tasks.events ─docs────┴─▶ docs/reference.md
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rootfs.files import replacing
from tasks import events
from tasks.console import say, speaking
from tasks.packages import STAGES
from tasks.project import ROOT, project

FILE = "docs/reference.md"
INTRODUCTION = """\
# Reference

Written by `doit reference` out of the code and the recipes: change those, and run it again."""


def task_reference() -> dict[str, Any]:
    """write docs/reference.md: recipes, styles, environment, parameters, tasks, events"""
    return {"actions": [(speaking(_reference),)]}


def _reference() -> None:
    with replacing(ROOT / FILE) as file:
        file.write(reference().encode())
    say(f"{ROOT / FILE} is written")


def reference() -> str:
    """The text of docs/reference.md."""
    from plan import reference as parts

    recipes = project.data / "recipes"
    sections = {
        "Recipes": parts.recipe_keys(recipes),
        "Overrides": parts.overrides(),
        "Styles": parts.styles_of(recipes),
        "The environment of a step": parts.environment(),
        "Paths in a step": parts.paths(),
        "Sets": parts.sets(project.data),
        "Parameters": parts.parameters(),
        "Tasks": parts.table(("task", "what it does"), _tasks()),
        "Events": (events.__doc__ or "").strip().splitlines(),
    }
    text = [INTRODUCTION]
    for title, lines in sections.items():
        text += ["", f"## {title}", "", *lines]
    return "\n".join(text) + "\n"


def _tasks() -> Iterator[tuple[str, str]]:
    """Each task with the line of its docstring, which `doit list` shows too."""
    import ast

    found = dict(STAGES)
    for path in (ROOT / "tasks").glob("*.py"):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.FunctionDef) and node.name.startswith("task_"):
                found[node.name.removeprefix("task_")] = ast.get_docstring(node) or ""
    for name in sorted(found):
        yield f"`{name}`", found[name]
