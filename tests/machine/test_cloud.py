"""plan/recipes/init/lib/cloud: what a disk CIDATA may ask for; what becomes of anything else."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.machine.conftest import Run

pytestmark = pytest.mark.namespace

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl me@here"
WHOLE = f"""\
#cloud-config
# what most people write
hostname: web-7   # a comment
ssh_authorized_keys:
  - {KEY}
  - 'ssh-rsa it''s'
ssh_pwauth: true
users:
  - name: somebody
    ssh_authorized_keys: [a]
runcmd:
- echo plain # not this
- [ printf, '%s|', 'it''s', "a\\tb", $HOME ]
- |
  for each in 1 2; do

    echo "$each"
  done
- >-
  echo folded
  text
write_files:
  - path: /srv/deep/a b
    content: |
      first
        deeper
    permissions: '0600'
  - content: "x\\ny\\n"
    path: /srv/b
    owner: root:root
packages: [vim]
"""
DO = """
cd /run/provision
/usr/lib/init/cloud /run/provision
echo == host; hostname
echo == keys; cat /run/ssh/keys/nocloud
echo == ran; sh commands
echo == top; ls /
"""


def given(files: dict[str, str]) -> str:
    """The part of a script that puts those files where the disk's files are put."""
    parts = [f"cat >/run/provision/{name} <<'EOF'\n{text}\nEOF\n" for name, text in files.items()]
    return "".join(parts)


def cloud(run: Run, text: str, more: str = "", **files: str) -> subprocess.CompletedProcess[str]:
    named = {"user-data": text} | {name.replace("_", "-"): value for name, value in files.items()}
    return run(given(named) + DO + more)


def test_of_many_files_with_one_path_the_last_one_stays(run: Run) -> None:
    entries = [f"  - path: /srv/x\n    content: '{number}'" for number in range(1, 12)]
    text = "\n".join(["#cloud-config", "write_files:", *entries])
    assert cloud(run, text, "echo; cat /srv/x").stdout.endswith("\n11")


def test_the_stated_subset(run: Run) -> None:
    show = "cat '/srv/deep/a b' /srv/b; stat -c '%a %n' '/srv/deep/a b' /srv/b"
    done = cloud(run, WHOLE, show, meta_data="instance-id: i-1\nlocal-hostname: other")
    assert done.stdout.startswith(f"== host\nweb-7\n== keys\n{KEY}\nssh-rsa it's\n== ran\n")
    ran = done.stdout.partition("== ran\n")[2].partition("== top")[0]
    assert ran == "plain\nit's|a\tb|$HOME|1\n2\nfolded text\n"
    assert "first\n  deeper\nx\ny\n600 /srv/deep/a b\n644 /srv/b\n" in done.stdout
    for key in ("ssh_pwauth", "users", "packages"):
        assert f"of user-data: {key}\n" in done.stderr
    assert done.stderr.count("not done") == 3


def test_the_name_of_meta_data(run: Run) -> None:
    files = {"meta_data": "instance-id: i\nlocal-hostname: web-8\n", "network_config": "version: 2"}
    done = cloud(run, "#cloud-config\n", **files)
    assert "== host\nweb-8\n" in done.stdout
    assert "cloud: not done: network-config" in done.stderr


def test_files_and_commands_once_for_an_instance(run: Run) -> None:
    text = "#cloud-config\nruncmd: [a]\n".replace("[a]", "\n- echo did")
    first = cloud(run, text, "/usr/lib/init/cloud .; ls", meta_data="instance-id: i-1")
    assert "== ran\ndid\n" in first.stdout
    assert "commands" not in first.stdout.rpartition("== top")[2]
    assert "were done at an earlier start" in first.stderr
    other = "echo instance-id: i-2 >meta-data; /usr/lib/init/cloud .; ls"
    assert cloud(run, text, other).stdout.rstrip().endswith("user-data")
    assert "commands" in cloud(run, text, other).stdout.rpartition("== top")[2]


BROKEN = {
    "a tab": "runcmd:\n\t- touch /own\n",
    "no list": "runcmd: touch /own\n",
    "a mapping": "runcmd:\n  a: touch /own\n",
    "a mapping in the list": "runcmd:\n- a: touch /own\n",
    "a list in the list": "runcmd:\n- - touch\n  - /own\n",
    "an anchor": "runcmd:\n- &a touch /own\n",
    "a tag": "runcmd:\n- !!binary dG91Y2ggL293bg==\n",
    "a quote that is open": "runcmd:\n- 'touch /own\n",
    "a list that is open": "runcmd:\n- [touch, /own\n",
    "text after a quote": "runcmd:\n- 'touch /own' x\n",
    "two lines": "runcmd:\n- touch\n  /own\n",
    "an escape": 'runcmd:\n- "touch /own \\x41"\n',
    "a wrong indentation": "runcmd:\n  - touch /own\n - touch /own\n",
    "a deeper item": "runcmd:\n- touch /own\n  - touch /own\n",
    "a block's header": "runcmd:\n- |2x\n  touch /own\n",
    "the last of several": "runcmd:\n- touch /own\n- {}\n",
    "a relative path": "write_files:\n- path: own\n  content: x\n",
    "a path of a directory": "write_files:\n- path: /own/\n  content: x\n",
    "no path": "write_files:\n- content: x\n",
    "an encoding": "write_files:\n- path: /own\n  encoding: b64\n  content: eA==\n",
    "an owner": "write_files:\n- path: /own\n  owner: nobody\n  content: x\n",
    "permissions": "write_files:\n- path: /own\n  permissions: '4755'\n  content: x\n",
    "append": "write_files:\n- path: /own\n  append: true\n  content: x\n",
    "a key's list": "ssh_authorized_keys: [/own]\n",
    "a name that is a list": "hostname:\n  - /own\n",
}


@pytest.mark.fault(
    "a disk CIDATA has user-data with wrong YAML, wrong types or what the subset has not",
    "that key is left out as a whole and named with its line; the others count",
)
@pytest.mark.parametrize("text", BROKEN.values(), ids=BROKEN.keys())
def test_broken(run: Run, text: str) -> None:
    key = text.partition(":")[0]
    others = {"hostname": "hostname: web-7\n", "runcmd": "runcmd:\n- echo ran it\n"}
    before, after = (others[name] if name != key else "" for name in ("hostname", "runcmd"))
    done = cloud(run, f"#cloud-config\n{before}{text}{after}")
    assert f"of user-data: {key}, because of " in done.stderr, done.stderr
    assert "own" not in done.stdout
    assert ("web-7" in done.stdout, "ran it" in done.stdout) == (bool(before), bool(after))


@pytest.mark.fault("user-data that is no cloud-config", "nothing of it is done; the log says so")
@pytest.mark.parametrize(
    "text",
    [
        "#!/bin/sh\ntouch /own",
        "runcmd:\n- touch /own",
        '{"runcmd": ["touch /own"]}',
        "\x1f\x8b\x08 gzip",
        "Content-Type: multipart/mixed\n\n#cloud-config\nruncmd:\n- touch /own",
        "",
    ],
)
def test_another_kind(run: Run, text: str) -> None:
    done = cloud(run, text)
    assert "own" not in done.stdout
    assert "it is not #cloud-config: nothing is done" in done.stderr


@pytest.mark.fault("a host name of shell words in user-data", "it is ignored and named in the log")
@pytest.mark.parametrize(
    "name", ["$(touch /own)", "-x", "a_b", "a" * 64, "a..b", "ü", "|\n  a\n  b"]
)
def test_a_wrong_name(run: Run, name: str) -> None:
    done = cloud(run, f"#cloud-config\nhostname: {name}\n")
    assert "== host\nbq2\n" in done.stdout and "own" not in done.stdout
    assert "ignored: hostname is no name of a host" in done.stderr


def test_random_bytes_change_nothing(run: Run, tmp_path: Path) -> None:
    script = "head -c 100000 /dev/urandom >/tmp/x; (echo '#cloud-config'; cat /tmp/x)"
    done = run(f"{script} >/run/provision/user-data; {DO}")
    assert "== host\nbq2\n" in done.stdout
    assert len(done.stderr.splitlines()) < 40


def test_windows_line_ends(run: Run) -> None:
    done = cloud(run, "#cloud-config\r\nhostname: web-7\r\nruncmd:\r\n- echo it\r\n")
    assert "== host\nweb-7\n" in done.stdout and "== ran\nit\n" in done.stdout
