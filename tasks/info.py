"""The output of `doit info`: what doit itself knows of one part of a build.

doit would print the Python objects that it asks, and lists in any order. Here each reason is a
sentence, and each list is sorted.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from doit.task import Task

from plan.typed import typed
from tasks.console.table import folded, table

FEW = 3  # names that a reason shows
# Reasons of doit's DependencyStatus, for the files that they name.
SENTENCES = {
    "missing_target": "not made yet",
    "missing_file_dep": "needed, but not made yet",
    "changed_file_dep": "changed",
    "removed_file_dep": "no longer needed",
    "added_file_dep": "newly needed",
}


def page(task: Task, state: str, reasons: Mapping[str, Sequence[object]]) -> Iterator[str]:
    """What `task` does, its state, and the tasks and files that it needs and writes, as lines.

    `state` and `reasons` are those of doit's DependencyStatus; without a state none is told.
    """
    yield folded(f"{task.name}: {' '.join((task.doc or '').split())}")
    is_ready = state == "up-to-date"
    rows = [("state", "up to date" if is_ready else "would run")] if state else []
    rows += [("", line) for line in _reasons(task.name, reasons)]
    lists = {
        "first": task.task_dep,
        "also first": task.setup_tasks,
        "reads": task.file_dep,
        "writes": task.targets,
    }
    rows += [(head, ", ".join(sorted(names))) for head, names in lists.items() if names]
    yield from table(rows, indent="  ")


def _reasons(name: str, reasons: Mapping[str, Sequence[object]]) -> Iterator[str]:
    if reasons.get("has_no_dependencies"):
        yield "it runs each time"
    for reason, sentence in SENTENCES.items():
        files = sorted(map(str, reasons.get(reason, ())))
        if files:
            more = f" and {len(files) - FEW} more" if len(files) > FEW else ""
            yield f"{sentence}: {', '.join(files[:FEW])}{more}"
    package = name.partition(":")[2]
    if reasons.get("uptodate_false") and package:
        yield f"{typed(f'why pkg:{package}')} says which input changed"
