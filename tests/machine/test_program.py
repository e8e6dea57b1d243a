"""plan/program: a person's program as a service, in namespaces: its output, its end, its ports."""

from __future__ import annotations

import pytest

from tests.machine.conftest import Run
from tests.machine.test_services import done

pytestmark = pytest.mark.namespace
fault = pytest.mark.fault

# The file /run/console stands for the only console. $1: ports; $2: a shell script as the program.
START = r"""
mkdir -p /sys/class/tty/console /var/lib
echo ../run/console >/sys/class/tty/console/active; : >/run/console
program() {
  printf '%s\n' '#!/bin/sh' "$2" >/usr/bin/mine; chmod +x /usr/bin/mine
  printf '%s\n' '#!/bin/sh' 'export WHO="a b"' "exec /usr/lib/app/start '$1' mine 'x y'" \
    >/etc/service/mine
  start log mine
}
shown() { grep -q "$1" /run/console; }
"""


def console(run: Run, script: str) -> list[str]:
    """What the console shows after `script`."""
    result = done(run, f"{START}{script}\ncat /run/console")
    return [line.rstrip("\r") for line in result.stdout.splitlines()]


def test_it_has_what_it_was_promised(run: Run) -> None:
    told = console(
        run,
        r"""
        program "" 'echo "$WHO, $1, $PWD, $PATH, $HOME"; echo oops >&2; exec sleep 1000'
        until_it shown oops
        until_it logged oops
        """,
    )
    assert told == ["a b, x y, /var/lib/mine, /usr/bin, /root", "oops"]


@fault("the program of an app dies", "the console and the log say how; it is started again")
def test_it_is_started_again(run: Run) -> None:
    told = console(
        run,
        r"""
        program "" 'echo life; exec sleep 1000'
        until_it shown life
        echo 0 >/run/service/mine/began # it lived for long
        kill -9 $(pidof sleep)
        twice() { [ $(grep -c life /run/console) = 2 ]; }
        until_it twice
        until_it logged 'mine ended by the signal 9'
        """,
    )
    assert told == ["life", "bq2: mine ended by the signal 9, and is started again", "life"]


@fault("the program of an app dies at once", "the console says that it does not stay up, and why")
def test_what_dies_at_once(run: Run) -> None:
    told = console(
        run,
        """
        program 80 'sleep 1; echo no port; exit 3'
        until_it shown 'does not stay up'
        """,
    )
    assert told[:2] == ["no port", "bq2: mine ended with the status 3, and is started again"]
    assert told[4:6] == ["no port", "=== bq2 mine does not stay up: it ended with the status 3"]


def test_a_person_who_stops_it_is_told_nothing(run: Run) -> None:
    told = console(
        run,
        """
        program "" 'echo life; exec sleep 1000'
        until_it shown life
        sv stop /run/service/mine >/dev/null
        sv status /run/service/mine
        """,
    )
    assert [line.split()[0] for line in told] == ["down:", "life"]


@pytest.mark.parametrize(
    ("address", "port", "told"),
    [
        ("0.0.0.0", "80", "listens on port 80"),
        pytest.param(
            "127.0.0.1",
            "80",
            "listens on port 80 of 127.0.0.1, which only this machine reaches",
            marks=fault("an app listens on 127.0.0.1 only", "the console says so"),
        ),
        pytest.param(
            "0.0.0.0",
            "81",
            "listens on no port 80",
            marks=fault("an app listens on none of its ports", "the console says so"),
        ),
    ],
)
def test_where_it_listens(run: Run, address: str, port: str, told: str) -> None:
    script = (
        f"program 80 'exec nc -lk -p {port} -s {address} -e cat'; until_it shown 'mine listens'"
    )
    # Ten seconds pass before the machine says that it does not.
    waits = "" if told.endswith(" 80") and "no port" not in told else "sleep 10; "
    assert console(run, f"{waits and ''}{script.replace('until_it', waits + 'until_it')}")[-1] == (
        f"bq2: mine {told}"
    )
