"""doit ssh, where it cannot enter. tests/machine enters a machine that runs."""

from __future__ import annotations

import pytest

from tests.tasks.toy import Checkout


@pytest.mark.fault("`./bq2 ssh` where no machine runs", "it says so, and what starts one")
def test_no_machine_runs(toy: Checkout) -> None:
    done = toy.doit("ssh", "run=true")
    assert done.status != 0
    assert "no machine runs that can be entered" in done.said and "doit boot" in done.said
