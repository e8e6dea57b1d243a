"""Upstream versions: read from Debian's file names, and sorted."""

from __future__ import annotations

import shutil
import subprocess
from itertools import pairwise

import pytest

from plan.versions import order, upstream

ASCENDING = [
    *("1.0~rc1", "1.0", "1.0a", "1.0+git1", "1.0.1", "1.1~~", "1.1~", "1.1", "1.2.3", "1.2.10"),
    *("1.02.11", "2", "2.1.12-stable", "2.1.13", "19.1.7", "2025.89", "20240101"),
]


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("1.2.5", "1.2.5"),
        ("1.3.dfsg+really1.3.1", "1.3.1"),
        ("2.12.7+dfsg+really2.9.14", "2.9.14"),
        ("6.3.0+dfsg", "6.3.0"),
        ("0.6+dfsg.1", "0.6"),
        ("3.0~dfsg2", "3.0"),
        ("4.0+ds1", "4.0"),
        ("2.1.12-stable", "2.1.12"),
        ("6.5+20250216", "6.5+20250216"),
        ("3.1-20240808", "3.1-20240808"),
    ],
)
def test_the_upstream_version(text: str, version: str) -> None:
    assert upstream(text) == version


def test_the_order() -> None:
    for lesser, greater in pairwise(ASCENDING):
        assert order(lesser) < order(greater), (lesser, greater)
    assert order("1.1") == order("1.01")


@pytest.mark.skipif(not shutil.which("dpkg"), reason="no dpkg to compare with")
def test_the_order_is_dpkgs() -> None:
    for one, other in pairwise([*ASCENDING, *reversed(ASCENDING[::3])]):
        for word, says in (("lt", order(one) < order(other)), ("eq", order(one) == order(other))):
            done = subprocess.run(["dpkg", "--compare-versions", one, word, other], check=False)
            assert (done.returncode == 0) == says, (one, word, other)
