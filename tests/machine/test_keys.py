"""plan/recipes/init/lib/keys.awk: the lines of a file of keys that count."""

from __future__ import annotations

import pytest

from tests.machine.conftest import Run

pytestmark = pytest.mark.namespace

BODY = "AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl"
GOOD = (
    f"ssh-ed25519 {BODY} me@here",
    f"ssh-ed25519 {BODY}",
    "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAB+/ x y z",
    "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAA== ü",
    f'command="about",no-pty ssh-ed25519 {BODY} me',
)
BAD = {
    "no key at all": "hello",
    "another kind": "ssh-dss AAAAB3NzaC1kc3MAAACBAP",
    "no body": "ssh-ed25519 me@here",
    "a body that is no base64": "ssh-ed25519 AAAA$(reboot)",
    "a private key": "-----BEGIN OPENSSH PRIVATE KEY-----",
    "a control character": f"ssh-ed25519 {BODY} \x1b[2J",
    "a line that dropbear cuts": f"ssh-ed25519 {BODY} " + "x" * 4200,
}


def passed(run: Run, text: str) -> tuple[list[str], list[str]]:
    command = "awk -v from=esp -f /usr/lib/init/keys.awk /run/given"
    done = run(f'printf %s "$given" >/run/given; {command}', given=text)
    assert done.returncode == 0
    return done.stdout.splitlines(), done.stderr.splitlines()


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("start", ["", "\ufeff"])
def test_good(run: Run, start: str, end: str) -> None:
    text = start + end.join(("# comment", "", "  ", *GOOD)) + end
    assert passed(run, text) == ([*GOOD], [])


@pytest.mark.fault(
    "a file of SSH keys has rubbish, a private key or lines too long",
    "such a line is ignored and named in the log; the keys beside it count",
)
@pytest.mark.parametrize("line", BAD.values(), ids=BAD.keys())
def test_bad(run: Run, line: str) -> None:
    keys, log = passed(run, f"{GOOD[0]}\n{line}\n{GOOD[1]}\n")
    assert keys == [*GOOD[:2]]
    (told,) = log
    assert told.startswith("keys: ignored: line 2 of esp: ") and "\x1b" not in told


def test_a_file_of_rubbish(run: Run) -> None:
    keys, log = passed(run, "rubbish\n" * 1000)
    assert keys == [] and len(log) == 11
    assert log[-1] == "keys: ignored: 990 more lines of esp"
