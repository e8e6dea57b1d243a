"""Topological order of dependencies. It is deterministic; an error shows a cycle."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from plan.errors import BuildError


class Cycle(BuildError):
    """The packages `names` depend on each other; the first is also the last."""

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__(
            "the recipes depend on each other in a cycle: " + " → ".join(names),
            where=f"plan/recipes/{names[0]}.yaml",
            hint="split one of them, or remove one of the dependencies",
        )
        self.names = names


def order(wanted: Iterable[str], depends: Mapping[str, Sequence[str]]) -> list[str]:
    """`wanted` and all their dependencies, each after its own dependencies.

    The order depends only on the order of `wanted` and of the lists in `depends`.
    Raises Cycle if there is one.
    """
    done: dict[str, None] = {}
    path: list[str] = []

    def visit(name: str) -> None:
        if name in done:
            return
        if name in path:
            raise Cycle([*path[path.index(name) :], name])
        path.append(name)
        for dependency in depends[name]:
            visit(dependency)
        path.pop()
        done[name] = None

    for name in wanted:
        visit(name)
    return list(done)
