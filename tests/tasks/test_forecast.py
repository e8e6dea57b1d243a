"""A long build says how long it takes before it begins."""

from __future__ import annotations

from tasks import forecast
from tests.tasks.toy import Checkout, two_sets


def test_a_long_build_says_so_first(toy: Checkout) -> None:
    project = toy.project()
    assert forecast.warning(project, {"seconds": 60.0}, {"image"}) == ""
    told = forecast.warning(project, {"seconds": 7200.0}, {"pkg:top"})
    assert told == "this build takes about 2 h 00 min; Ctrl-C keeps all that is done"
    two_sets(toy)
    told = forecast.warning(toy.project(set="full"), {"seconds": 7200.0}, {"image"})
    assert "doit image set=base takes about " in told
