"""plan/steps/needs.py: its figures are about existing packages; the sums match measured builds."""

from __future__ import annotations

from pathlib import Path

import pytest

from plan.errors import BuildError
from plan.room import GB
from plan.steps.needs import load_needs
from plan.steps.plan import Plan
from plan.steps.planner import make_plan

DATA = Path(__file__).resolve().parents[3] / "plan"


needs = load_needs(DATA / "costs.yaml", root=True)


def the_plan(name: str) -> Plan:
    return make_plan(DATA, set_name=name, arch_name="x86_64")


def test_the_figures_name_packages() -> None:
    assert needs.packages.keys() <= the_plan("full").recipes.keys()


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


@pytest.mark.fault("a wrong figure in the table of costs", "refused, with the line and the key")
@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("{cpu: 0.29}", "{cpu: much}", "'cpu' must be a number, not 'much'"),
        ("{cpu: 0.29}", "{memry: 1}", "did you mean memory?"),
        ("job: 1000", "jobs: 1000", "did you mean job?"),
        ("disk: 100", "disk: 1.5", "'disk' must be a whole number, not '1.5'"),
    ],
)
def test_a_wrong_figure_is_told(old: str, new: str, message: str, tmp_path: Path) -> None:
    text = (DATA / "costs.yaml").read_text()
    assert text.count(old) == 1
    path = tmp_path / "costs.yaml"
    path.write_text(text.replace(old, new))
    with pytest.raises(BuildError) as caught:
        load_needs(path, root=False)
    line = text[: text.index(old)].count("\n") + 1
    assert message in str(caught.value) and caught.value.where == f"plan/costs.yaml:{line}"
