"""What a worker needs of this project: rootfs/sandbox/worker.py, and all that it imports."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

WORKER = "rootfs/sandbox/worker.py"


def code(root: Path) -> list[str]:
    """Their paths below the checkout `root`, sorted. Imports inside of functions count too."""
    found, waiting = set[str](), [WORKER, "rootfs/sandbox/namespaces.py"]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += _imported(root, name)
    rooms = {str(above / "__init__.py") for name in found for above in Path(name).parents}
    return sorted(found | {name for name in rooms if (root / name).is_file()})


def _imported(root: Path, name: str) -> Iterator[str]:
    for node in ast.walk(ast.parse((root / name).read_bytes())):
        modules: list[str] = []
        if isinstance(node, ast.Import):
            modules = [each.name for each in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            modules = [node.module, *(f"{node.module}.{each.name}" for each in node.names)]
        for module in modules:
            path = f"{module.replace('.', '/')}.py"
            if (root / path).is_file():
                yield path
