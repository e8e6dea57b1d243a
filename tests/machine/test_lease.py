"""plan/recipes/init/lib/lease: what a DHCP server may say, and what none can make a machine do."""

from __future__ import annotations

import pytest

from tests.machine.conftest import Run

pytestmark = pytest.mark.namespace

LEASE = {"interface": "card0", "ip": "10.1.2.3", "mask": "24"}
SHOW = """
/usr/lib/init/lease bound
echo == address; ip -4 -o address show dev card0 | sed 's/.*inet //; s/ .*//'
echo == routes; ip route | grep -v 'scope link'
echo == names; cat /etc/resolv.conf
echo == host; hostname
echo == ntp; cat /run/network/card0.ntp
echo == top; ls / /root /tmp
"""


def parts(run: Run, **said: str) -> tuple[dict[str, list[str]], str]:
    """What the machine has after a server said that, by name; and the log."""
    done = run(SHOW, **(LEASE | said))
    found: dict[str, list[str]] = {}
    for part in done.stdout.split("== ")[1:]:
        name, *lines = part.splitlines()
        found[name] = [line.rstrip() for line in lines]
    return found, done.stderr


def test_a_lease(run: Run) -> None:
    found, log = parts(
        run,
        router="10.1.2.1 10.1.2.9",
        dns="10.1.2.1 9.9.9.9",
        domain="example.org",
        hostname="web-7",
        ntpsrv="10.1.2.5",
        mtu="1400",
    )
    assert found["address"] == ["10.1.2.3/24"]
    assert found["routes"] == ["default via 10.1.2.1 dev card0"]
    assert found["names"] == [
        "search example.org",
        "nameserver 10.1.2.1",
        "nameserver 9.9.9.9",
    ]
    assert (found["host"], found["ntp"]) == (["web-7"], ["10.1.2.5"])
    assert "card0 has the address 10.1.2.3/24" in log


def test_routes_replace_the_router(run: Run) -> None:
    """RFC 3442; and a gateway outside of the card's own network is reached directly."""
    routes = "10.77.0.0/16 10.1.2.8 0.0.0.0/0 10.99.0.1"
    found, _ = parts(run, router="10.1.2.1", staticroutes=routes)
    assert found["routes"] == [
        "default via 10.99.0.1 dev card0 onlink",
        "10.77.0.0/16 via 10.1.2.8 dev card0",
    ]


def test_another_lease_leaves_nothing_of_the_last(run: Run) -> None:
    first = "staticroutes='10.77.0.0/16 10.1.2.1' domain=old dns=10.1.2.1 /usr/lib/init/lease bound"
    found = run(f"{first}; ip=10.9.9.9 mask=8{SHOW}", **LEASE).stdout
    assert "10.9.9.9/8" in found and "10.1.2" not in found and "old" not in found
    gone = run(f"{first}; /usr/lib/init/lease deconfig; ip route; cat /etc/resolv.conf", **LEASE)
    assert gone.stdout == ""


# A program in the place of $1 that writes down how it was called.
STAND_IN = """
stand_in() {
  printf '#!/bin/sh\\necho "%s $*" >> /tmp/called\\n' "$1" > "/tmp/$1"
  chmod +x "/tmp/$1"
}
"""


def test_the_clock_asks_the_servers_of_the_lease_and_the_consoles_show_it(run: Run) -> None:
    script = f"""{STAND_IN}
    stand_in ntpd; stand_in sv
    mkdir -p /run/service/console-ttyS0
    PATH=/tmp:$PATH
    /usr/lib/init/lease bound
    /etc/service/clock
    cat /tmp/called
    """
    said = run(script, **LEASE, ntpsrv="10.1.2.5 10.1.2.6").stdout
    assert said.splitlines() == [
        "sv up /run/service/clock",
        "sv 1 /run/service/console-ttyS0",
        "ntpd -n -p 10.1.2.5 -p 10.1.2.6",
    ]


WORDS = "$(touch /own) `touch /own` ;touch${IFS}/own |sh * ../../etc/passwd -n %s%n \x1b[2J"


@pytest.mark.fault(
    "a DHCP server gives shell words, file names and control characters as names and addresses",
    "each is ignored and named in the log; nothing is run",
)
@pytest.mark.parametrize(
    "what", ["ip", "mask", "router", "dns", "domain", "search", "hostname", "ntpsrv", "mtu"]
)
def test_words_of_a_shell(run: Run, what: str) -> None:
    found, log = parts(run, **{what: WORDS})
    assert "ignored from the server" in log and "\x1b" not in log
    assert "own" not in found["top"]
    assert found["names"] == [] and found["host"] == ["bq2"] and found["ntp"] == []
    wanted = [] if what in ("ip", "mask") else ["10.1.2.3/24"]
    assert found["address"] == wanted


@pytest.mark.fault(
    "a DHCP server gives 1,000 routes, servers or domains", "the first few count; the log says so"
)
def test_a_thousand(run: Run) -> None:
    routes = " ".join(f"10.{n // 250}.{n % 250}.0/24 10.1.2.1" for n in range(1000))
    found, log = parts(
        run,
        staticroutes=routes,
        dns=" ".join(f"9.9.{n // 250}.{n % 250 + 1}" for n in range(1000)),
        ntpsrv=" ".join("1.2.3.4" for _ in range(1000)),
        search=" ".join(f"d{n}.example" for n in range(1000)),
    )
    assert len(found["routes"]) == 16
    assert len(found["names"]) == 4 and len(found["ntp"]) == 4
    assert all(f"ignored from the server: {what}" in log for what in ("routes", "dns", "ntpsrv"))
    assert len(log.splitlines()) < 10


@pytest.mark.fault("a DHCP server gives an address that no machine can have", "it is ignored")
@pytest.mark.parametrize(
    ("ip", "mask"),
    [
        *((ip, "24") for ip in ("", "0.0.0.0", "127.0.0.1", "224.0.0.1", "255.255.255.255")),
        *(
            (ip, "24")
            for ip in ("1.2.3", "1.2.3.4.5", "1..2.3", "256.1.1.1", "1.2.3.4/8", "a.b.c.d")
        ),
        *(("10.1.2.3", mask) for mask in ("", "0", "33", "-1", "24 24", "255.255.255.0")),
    ],
)
def test_no_address(run: Run, ip: str, mask: str) -> None:
    found, log = parts(run, ip=ip, mask=mask, router="10.1.2.1", dns="10.1.2.1")
    assert found["address"] == found["routes"] == found["names"] == []
    assert "ignored from the server: address" in log


@pytest.mark.fault("a DHCP server gives routes that are none", "only they are ignored")
def test_odd_routes(run: Run) -> None:
    odd = "300.1.1.0/24 10.1.2.1 10.9.0.0/99 10.1.2.1 10.8.0.0/16 127.0.0.1 10.7.0.0 10.1.2.1"
    right = "10.6.0.0/16 10.1.2.1"
    found, log = parts(run, staticroutes=f"{odd} {right} 10.5.0.0/16", router="10.1.2.1")
    assert found["routes"] == [
        "default via 10.1.2.1 dev card0",
        "10.6.0.0/16 via 10.1.2.1 dev card0",
    ]
    assert log.count("ignored from the server: route ") == 4


def test_the_own_name_wins(run: Run) -> None:
    done = run("echo mine > /run/hostname; hostname mine; hostname=theirs" + SHOW, **LEASE)
    assert "== host\nmine\n" in done.stdout
