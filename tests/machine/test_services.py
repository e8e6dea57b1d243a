"""plan/recipes/init: the supervisor, the log and the SSH service, in namespaces."""

from __future__ import annotations

import subprocess

import pytest

from tests.machine.conftest import Run
from tests.machine.test_keys import GOOD

pytestmark = pytest.mark.namespace

LOG = "/var/log/machine/current"
# In /proc/net/tcp* the state 0A is LISTEN; 0016 is the port 22.
HELPERS = """
listens() { cat /proc/net/tcp /proc/net/tcp6 2>/dev/null | grep -q ':0016 .* 0A '; }
logged() { grep -q "$1" /var/log/machine/current; }
until_it() {
  tries=600
  until "$@"; do
    [ $((tries -= 1)) -gt 0 ] || { echo "never: $*"; cat /var/log/machine/current; exit 1; }
    sleep 0.1
  done
}
# The supervisor with these services, of /etc/service, and no other.
start() {
  for each in /etc/service/*; do
    case " $* " in *" ${each##*/} "*) chmod +x "$each" ;; *) rm "$each" ;; esac
  done
  touch /run/provision/looked
  ip link set lo up
  /usr/lib/init/services 2>/dev/null &
}
"""


def done(run: Run, script: str) -> subprocess.CompletedProcess[str]:
    result = run(HELPERS + script)
    assert "never" not in result.stdout, result
    return result


def test_a_service_that_ends_is_started_again(run: Run) -> None:
    script = r"""
    printf '#!/bin/sh\necho life $$; exec sleep 1000\n' > /etc/service/mine
    start log mine
    until_it logged life
    kill -9 $(pidof sleep)
    twice() { [ $(grep -c life /var/log/machine/current) = 2 ]; }
    until_it twice
    sv status /run/service/mine
    """
    assert done(run, script).stdout.startswith("run: /run/service/mine:")


@pytest.mark.fault("the program that writes the log is killed", "the services go on; the log too")
def test_the_log_goes_on(run: Run) -> None:
    script = r"""
    echo 'while :; do echo life $((n += 1)); sleep 0.1; done' > /etc/service/mine
    sed -i '1i #!/bin/sh' /etc/service/mine
    start log mine
    until_it logged life
    kill -9 $(pidof svlogd)
    until_it logged 'life 30$'
    sed -n 's/.* life //p' /var/log/machine/* | sort -n
    """
    numbers = [int(line) for line in done(run, script).stdout.split()]
    assert numbers == [*range(1, len(numbers) + 1)]


@pytest.mark.fault("the disk takes no log", "the log is in memory")
def test_a_log_in_memory(run: Run) -> None:
    script = """
    rm -rf /var/log; echo > /var/log
    start log power
    there() { grep power: /run/log.d/current; }
    until_it there
    """
    assert "power: no power button" in done(run, script).stdout


@pytest.mark.fault("no key was given", "the SSH server does not run, and nothing listens")
@pytest.mark.parametrize("text", ["", "rubbish", "# only a comment"])
def test_without_a_key(run: Run, text: str) -> None:
    script = f"""
    echo '{text}' >/run/ssh/keys/esp
    start log ssh
    until_it logged 'ssh: the machine was given no key: nothing listens'
    ended() {{ sv status /run/service/ssh | grep -q ^down; }}
    until_it ended
    listens || echo closed
    cat /run/ssh/status
    sv status /run/service/ssh
    """
    wanted = "closed\nclosed, because the machine was given no key\ndown: "
    assert done(run, script).stdout.startswith(wanted)


@pytest.mark.fault("the set of the machine has no SSH server", "the console says so")
def test_without_a_server(run: Run) -> None:
    script = """
    rm /usr/bin/dropbear
    start log ssh
    until_it logged 'ssh: this system has no SSH server: nothing listens'
    cat /run/ssh/status
    """
    assert done(run, script).stdout == "closed, because this system has no SSH server\n"


def test_with_a_key(run: Run) -> None:
    """It listens; its own key stays; a key that comes later counts after a restart."""
    script = f"""
    echo '{GOOD[0]}' >/run/ssh/keys/esp
    start log ssh
    until_it listens
    before=$(cat /run/ssh/status)
    mkdir -m 700 -p /root/.ssh; echo '{GOOD[1]}' >/root/.ssh/authorized_keys
    sv restart /run/service/ssh >/dev/null
    sleep 1; until_it listens
    [ "$before" = "$(cat /run/ssh/status)" ] && echo "$before"
    cat /run/ssh/authorized_keys; stat -c "%a %n" /etc/dropbear/*
    """
    status, *rest = done(run, script).stdout.splitlines()
    assert status.startswith("root, with your key; this machine's key is SHA256:")
    assert rest == [*sorted(GOOD[:2]), "600 /etc/dropbear/dropbear_ed25519_host_key"]


@pytest.mark.fault("the disk takes no key of the machine", "it is in memory, for this start")
def test_a_host_key_in_memory(run: Run) -> None:
    script = f"""
    echo > /etc/dropbear; echo '{GOOD[0]}' >/run/ssh/keys/esp
    start log ssh
    until_it listens
    ls /run/ssh
    """
    assert "dropbear_ed25519_host_key\n" in done(run, script).stdout


@pytest.mark.fault("the keys come when the SSH server has begun without them", "it reads them then")
def test_late_keys(run: Run) -> None:
    """A mount that writes what the disk would have stands for the disk."""
    script = f"""
    start log provision ssh
    sv down /run/service/provision
    until_it logged 'nothing listens'
    rm /usr/bin/blkid /usr/bin/mount /usr/bin/umount
    printf '#!/bin/sh\necho "/dev/x: LABEL=\\"CIDATA\\""\n' >/usr/bin/blkid
    printf '#!/bin/sh\ncp /seed "/run/provision/disk/user-data"\n' >/usr/bin/mount
    printf '#!/bin/sh\n' >/usr/bin/umount
    chmod +x /usr/bin/blkid /usr/bin/mount /usr/bin/umount
    printf '#cloud-config\nssh_authorized_keys:\n- {GOOD[0]}\n' >/seed
    sv up /run/service/provision
    until_it listens
    """
    done(run, script)
