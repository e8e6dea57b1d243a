"""The machine that comes out, in QEMU: it comes up by itself, and those with a key get in.

One boot checks what most people do; what takes more boots is slow. BQ2_TEST_IMAGE names the image
(the end-to-end test sets it).
"""

from __future__ import annotations

import re
import socket
import subprocess
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from plan.errors import BuildError
from rootfs.push.reach import Way
from rootfs.vm.boot import PROMPT
from rootfs.vm.devices import HERE
from rootfs.vm.entrance import CREDENTIAL, Entrance, opened
from tests.machine.guest import Guest, Key, drive, fat_disk

pytestmark = pytest.mark.qemu

USER_DATA = """\
#cloud-config
hostname: web-7
ssh_authorized_keys:
- {key}
runcmd:
- echo "as $USER in $PWD" > /srv/ran
write_files:
- path: /srv/note
  content: |
    from outside
packages: [vim]
"""
LOG = "/var/log/machine/current"
# In /proc/net/tcp* the state 0A is LISTEN.
LISTENING = "cat /proc/net/tcp /proc/net/tcp6 2>/dev/null | awk '$4 == \"0A\"' | wc -l"


@pytest.fixture
def keys(tmp_path: Path) -> tuple[Key, Key]:
    """A key that the machine is given, and one that it is not."""
    return Key.made(tmp_path / "given"), Key.made(tmp_path / "other")


@pytest.fixture
def way(tmp_path: Path) -> Entrance:
    """What `doit boot` makes; its key is handed in."""
    with opened(tmp_path / "ssh") as made:
        assert made
        return made


@pytest.mark.timeout(600)
def test_it_comes_up_and_is_entered(
    real_image: Path, tmp_path: Path, keys: tuple[Key, Key], way: Entrance
) -> None:
    mine, other = keys
    files = {"user-data": USER_DATA.format(key=mine.line), "meta-data": "instance-id: i-1\n"}
    seed = fat_disk(tmp_path / "seed", "CIDATA", {**files})
    handed = [(CREDENTIAL, way.public_key)]
    with Guest(real_image, tmp_path, port=way.port, files=handed, options=drive(seed)) as guest:
        prompt = guest.expect(PROMPT)
        guest.expect("network: 10.0.2.15 (eth0)")
        address = guest.expect("ssh: root, with your key; this machine's key is SHA256:")
        guest.type("\n")
        guest.expect("# ")
        guest.type("echo $((6 * 7)) on $(hostname) as $(id -un)\n")
        guest.expect("42 on web-7 as root")
        _entered(guest, mine, Key(way.key))
        _refused(guest, other)
        _many_at_once(guest, mine)
        _asked_by_push(guest, mine, other, tmp_path / "known")
        _supervised(guest, mine)
        print(f"prompt {prompt:.1f} s, address and ssh {address - prompt:.1f} s later")
        guest.ssh(mine, "poweroff")
        guest.expect("The machine stops.")
        assert guest.ended() == 0


def _entered(guest: Guest, *given: Key) -> None:
    for key in given:
        assert guest.ssh(key, "exit 7").returncode == 7
    said = guest.ssh(given[0], f"cat /srv/note /srv/ran /etc/resolv.conf {LOG}; {LISTENING}; free")
    assert "from outside\nas root in /root\nnameserver 10.0.2.3\n" in said.stdout, said
    assert "cloud: not done: line 11 of user-data: packages\n" in said.stdout
    assert "lease: eth0 has the address 10.0.2.15/24\n" in said.stdout
    (used,) = re.findall(r"^Mem: +\d+ +(\d+)", said.stdout, re.MULTILINE)
    assert int(used) < 40_000


def _refused(guest: Guest, other: Key) -> None:
    done = guest.ssh(other, "true")
    assert done.returncode == 255 and "Permission denied (publickey)" in done.stderr, done
    # Only "publickey" in that answer: the server offers no password.
    done = guest.ssh(other, "true", "-o", "PreferredAuthentications=password,keyboard-interactive")
    assert done.returncode == 255 and "Permission denied (publickey)" in done.stderr, done


def _many_at_once(guest: Guest, mine: Key) -> None:
    """All clients have one address behind QEMU: some that wait leave room for the next one."""
    with ExitStack() as waiting:
        for _ in range(10):
            client = waiting.enter_context(socket.create_connection((HERE, guest.port), 60))
            assert client.recv(4) == b"SSH-"
        assert guest.ssh(mine, "exit 7").returncode == 7


def _asked_by_push(guest: Guest, mine: Key, other: Key, known: Path) -> None:
    """What an update says of a key that is not let in, and of a machine with another key."""
    known.write_text(f"[127.0.0.1]:{guest.port} {other.line}\n")
    way = Way("127.0.0.1", guest.port, (mine.file,), alone=True, known=known)
    with pytest.raises(BuildError, match="it has another key than last time") as caught:
        way.step("look")
    assert "SHA256:" in (caught.value.hint or "")
    way.forget()
    with pytest.raises(BuildError, match="it does not let this key in"):
        replace(way, keys=(other.file,)).step("look")
    assert way.step("look").first("boot")


def _supervised(guest: Guest, key: Key) -> None:
    """A service that ends is started again."""
    kill = "before=$(pidof svlogd); kill -9 $before"
    look = "until new=$(pidof svlogd) && [ $new != $before ]; do sleep 0.5; done; echo new"
    assert guest.ssh(key, f"{kill}; {look}").stdout == "new\n"


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.fault(
    "a machine is given no key, user-data of 10 MB, and no network",
    "it comes up and says so; nothing listens",
)
def test_without_a_key_nothing_listens(real_image: Path, tmp_path: Path) -> None:
    big = b"#cloud-config\nruncmd:\n" + b"- touch /own\n" * 800_000
    seed = fat_disk(tmp_path / "seed", "cidata", {"user-data": big}, kib=20_000)
    with Guest(real_image, tmp_path, options=drive(seed), memory=128) as guest:
        guest.expect(PROMPT)
        guest.type("\n")
        guest.expect("# ")
        guest.type(f"until grep -q 'nothing listens' {LOG}; do sleep 1; done\n")
        guest.type(f"cat /run/ssh/status {LOG}; ls /; echo listening: $({LISTENING})\n")
        guest.expect("listening: 0")
        said = guest.console
        assert "closed, because the machine was given no key" in said
        assert "ssh: the machine was given no key: nothing listens" in said
        assert "user-data is larger than a MiB" in said
        assert "\nown" not in said
        guest.type("poweroff\n")
        assert guest.ended() == 0


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_no_key_with_a_network(real_image: Path, tmp_path: Path, way: Entrance) -> None:
    """From outside too: a connection is refused."""
    with Guest(real_image, tmp_path, port=way.port) as guest:
        guest.expect("network: 10.0.2.15 (eth0)")
        guest.expect("ssh: closed, because the machine was given no key")
        assert not way.answers(10)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_key_on_the_esp(
    real_image: Path, tmp_path: Path, keys: tuple[Key, Key], way: Entrance
) -> None:
    """As a person puts it there, with any computer; with the line ends of that one."""
    raw = tmp_path / "raw"
    subprocess.run(["qemu-img", "convert", "-O", "raw", real_image, raw], check=True)
    text = f"\ufeff# my keys\r\nrubbish\r\n{keys[0].line}\r\n".encode()
    at = f"{raw}@@1M"
    subprocess.run(["mcopy", "-i", at, "-", "::/authorized_keys"], input=text, check=True)
    with Guest(raw, tmp_path, port=way.port) as guest:
        guest.expect("ssh: root, with your key")
        done = guest.ssh(keys[0], f"cat {LOG}")
        assert "keys: ignored: line 2 of keys/esp: no key: rubbish" in done.stdout, done


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_power_button(real_image: Path, tmp_path: Path) -> None:
    with Guest(real_image, tmp_path) as guest:
        guest.expect(PROMPT)
        guest.ask("system_powerdown")
        guest.expect("The machine stops.")
        assert guest.ended() == 0
