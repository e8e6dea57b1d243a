"""What a checkout holds of this project, so that no run writes its files there by mistake."""

from __future__ import annotations

from pathlib import Path

# The paths of this project in a checkout and in the image.
OWN_FILES = (
    *(
        ".ci",
        ".editorconfig",
        ".gitattributes",
        ".gitignore",
        "CHANGELOG.md",
        "CONTRIBUTING.md",
        "LICENSE",
    ),
    *("README.md", "bq2", "cache", "completions", "docs"),
    *("dodo.py", "plan", "pyproject.toml", "requirements.txt", "requirements-dev.txt"),
    *("requirements-remote.txt", "rootfs"),
    *("tasks", "tests"),
)
# Besides them: what a person, Git and ./bq2 have there.
_OTHERS = (".git", ".venv", "local.yaml")
# What Git ignores there: the default work directory, and that of the products.
IGNORED = ("work", "output")


def own_part(root: Path, path: Path) -> str:
    """The file or directory of the checkout `root` that is `path` or holds it; "" if none does.

    `root` itself is ".". Links are followed.
    """
    inside = below(root, path)
    if inside is None:
        return ""
    first = inside.parts[0] if inside.parts else "."
    return first if first in (".", *OWN_FILES, *_OTHERS) else ""


def below(root: Path, path: Path) -> Path | None:
    """`path` relative to `root`, with all links followed, or None if it is not below `root`."""
    try:
        end, top = path.resolve(), root.resolve()
    except (OSError, RuntimeError):  # a loop of links, or a path that is too long
        return None
    return end.relative_to(top) if end.is_relative_to(top) else None
