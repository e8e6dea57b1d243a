"""Order: what has to stand before what. Deterministic, and a cycle is shown as one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from plan.errors import BuildError


def order(wanted: Iterable[str], depends: Mapping[str, Sequence[str]]) -> list[str]:
    """`wanted` and all they depend on, each after its dependencies.

    The order follows the order of `wanted` and of the lists in `depends`, nothing else.
    Raises BuildError that prints the cycle if there is one.
    """
    done: dict[str, None] = {}
    path: list[str] = []

    def visit(name: str) -> None:
        if name in done:
            return
        if name in path:
            cycle = [*path[path.index(name) :], name]
            raise BuildError(
                "the recipes depend on each other in a cycle: " + " → ".join(cycle),
                where=f"plan/recipes/{name}.yaml",
                hint="one of them has to be split, or to do without the other",
            )
        path.append(name)
        for dependency in depends[name]:
            visit(dependency)
        path.pop()
        done[name] = None

    for name in wanted:
        visit(name)
    return list(done)


def closure(name: str, depends: Mapping[str, Sequence[str]]) -> list[str]:
    """All that `name` depends on, directly or not, in build order and without itself."""
    return order(depends[name], depends)
