"""Inherited process attributes that an unprivileged process cannot reset."""

from __future__ import annotations

import os

import pytest

from tests.rootfs.inside import inside

pytestmark = pytest.mark.namespace
HARD = {
    "open files": "setrlimit(RLIMIT_NOFILE, (512, 512))",
    "stack size": "setrlimit(RLIMIT_STACK, (1 << 20, 1 << 20))",
    "address space": "setrlimit(RLIMIT_AS, (1 << 40, 1 << 40))",
    "cpu time": "setrlimit(RLIMIT_CPU, (9999, 9999))",
}


@pytest.mark.fault(
    "an ordinary user with a hard limit below what a build gets (limits.conf, ulimit -v)",
    "one error names both and the remedy; nothing is built",
)
@pytest.mark.parametrize("name", HARD)
def test_a_hard_limit_that_is_too_low(name: str) -> None:
    with pytest.raises(AssertionError) as caught:
        inside("nobody", {}, {}, before=HARD[name])
    said = str(caught.value)
    assert f"the hard limit on {name} is " in said and ", a build needs " in said
    assert "ulimit -H" in said and "ValueError" not in said


@pytest.mark.fault(
    "an ordinary user who may have no core files (`* hard core 0`)", "the build runs; there is none"
)
def test_no_core_files() -> None:
    limit = "setrlimit(RLIMIT_CORE, (0, 0))"
    answers = inside("nobody", {"x": "resource.getrlimit(4)"}, {}, before=limit)
    assert answers["x"] == [0, 0]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be in groups of its choice")
@pytest.mark.fault("a user who is in many groups", "a build is in one, and sees no other")
def test_further_groups() -> None:
    groups = "os.setgroups([7, 8, 9])"
    answers = inside("this user", {"x": "[os.getgroups(), os.getgid()]"}, {}, before=groups)
    assert answers["x"] == [[], 0]
