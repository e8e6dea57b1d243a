"""doit push, where it cannot begin. tests/test_push.py updates a machine that runs."""

from __future__ import annotations

import pytest

from tests.tasks.toy import Checkout


@pytest.mark.fault(
    "`./bq2 push` without a machine, a loader, or a host's name",
    "it says so before anything is built, and what to do",
)
@pytest.mark.parametrize(
    ("words", "message", "remedy"),
    [
        (("loader=none",), "only a machine with the loader can try", "loader=crystal"),
        (("to=me@web",), "to cannot be 'me@web'", "the user is always root"),
        (("to=-oProxyCommand=x",), "to cannot be", "port= is its port"),
        (("port=70000",), "port cannot be '70000'", "from 1 to 65535"),
        (("port=80:80",), "port cannot be '80:80'", "ports=80:80 leads one port to another"),
        (("wait=0",), "wait cannot be '0'", "seconds"),
    ],
)
def test_it_is_refused(toy: Checkout, words: tuple[str, ...], message: str, remedy: str) -> None:
    done = toy.doit("push", *words)
    assert done.status != 0
    assert message in done.said and remedy in done.said and "building" not in done.said
