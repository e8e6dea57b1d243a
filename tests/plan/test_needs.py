"""plan.needs: the figures are about existing packages, and their sums match measured builds."""

from __future__ import annotations

from pathlib import Path

import pytest

from plan import needs
from plan.needs import GB
from plan.plan import Plan
from plan.planner import make_plan

DATA = Path(__file__).resolve().parents[2] / "plan"


def the_plan(name: str) -> Plan:
    return make_plan(DATA, set_name=name, arch_name="x86_64")


def test_the_figures_name_packages() -> None:
    assert {*needs.MEMORY, *needs.ARTIFACT, *needs.BUILD} <= the_plan("full").recipes.keys()


@pytest.mark.parametrize(
    ("name", "cache", "work", "memory"),
    [("base", (0.1, 1), (1, 2), (0.3, 1)), ("full", (1, 3), (3, 6), (3, 4))],
)
def test_the_sums(
    name: str, cache: tuple[float, float], work: tuple[float, float], memory: tuple[float, float]
) -> None:
    """The cache held 0.9 GB of packed artifacts and 1.4 of trees, the work directory 1.3 GB of
    sources, and a build of LLVM 1.3 GB."""
    steps = the_plan(name).steps
    for size, (least, most) in (
        (needs.in_cache(steps), cache),
        (needs.in_work(steps), work),
        (needs.memory(steps), memory),
    ):
        assert least * GB < size < most * GB


def test_nothing_needs_nothing() -> None:
    assert needs.in_cache([]) == needs.in_work([]) == needs.memory([]) == 0
