"""What to do about a source whose URLs have another file than is pinned.

sha256 ──sought in the files of plan/ and the overrides──▶ file:line ──▶ the remedy
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from plan.typed import typed
from tasks.engine.project import Project


def remedies(project: Project, others: Mapping[str, Mapping[str, str]]) -> list[str]:
    """One sentence for each sha256 of `others`: sha256 → URL → what that URL has instead."""
    return [_remedy(project, sha256, list(found.values())) for sha256, found in others.items()]


def _remedy(project: Project, sha256: str, found: list[str]) -> str:
    guilty = "the pinned file and that of the server differ"
    if len(found) > 1 and len({*found}) == 1:
        guilty = f"{len(found)} URLs have the same other file, so the pin is probably wrong"
    if not (place := _pinned(project, sha256)):
        return f"{guilty} (sha256 {sha256})"
    path, line = place
    where = f"{project.shown(path)}:{line}"
    if path.name.endswith(".lock.yaml"):
        return f"{where}: {guilty}; {typed('lock')} pins the seed's packages again"
    bump = f", or {typed(f'bump pkg:{path.stem}')}" if path.parent.name == "recipes" else ""
    return f"{where}: {guilty}; correct that entry{bump}"


def _pinned(project: Project, sha256: str) -> tuple[Path, int] | None:
    """The authored file that contains `sha256`, and the line; None if no file does."""
    layers = [layer.path / name for layer in project.data.layers for name, _ in layer.content]
    own = sorted(project.data.own.rglob("[!.]*.yaml"))
    for path in [*own, *layers, *project.plan.override_files]:
        if path.suffix == ".yaml" and sha256 in (text := path.read_text(errors="replace")):
            return path, text[: text.index(sha256)].count("\n") + 1
    return None
