"""What a command needs at its end is looked for before it begins."""

from __future__ import annotations

import os
import re
import shutil
import socket
from pathlib import Path

import pytest

from tests.tasks.toy import Checkout, doit, two_sets


def without_programs(directory: Path) -> str:
    """A PATH with hardly anything in it."""
    for name in ("sh", "true"):
        (directory / name).symlink_to(str(shutil.which(name)))
    return os.fspath(directory)


def refused(toy: Checkout, *words: str, **variables: str) -> str:
    done = toy.doit(*words, **variables)
    assert done.status != 0 and done.said.count("ERROR: ") == 1, done
    assert done.built == [] and not (toy.root / "work" / "stamps").exists(), done
    return done.said


@pytest.mark.fault(
    "`./bq2 boot` on a machine without QEMU", "it says what to install before it builds anything"
)
@pytest.mark.parametrize("words", ["boot", "boot run=about"])
def test_no_qemu(toy: Checkout, tmp_path: Path, words: str) -> None:
    said = refused(toy, *words.split(), PATH=without_programs(tmp_path))
    assert "qemu-system-x86_64 is not installed" in said and "qemu-system-x86 ovmf" in said


def test_no_firmware(toy: Checkout) -> None:
    assert "no such file: /none" in refused(toy, "boot", BQ2_FIRMWARE="/none")


@pytest.mark.qemu
@pytest.mark.fault(
    "`./bq2 boot` with a port that is taken, with screen=1 without a display, or with persist=1 "
    "without qemu-img",
    "the error comes before the first step",
)
def test_the_devices_of_a_machine(toy: Checkout, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        said = refused(toy, "boot", f"ports={port}:80")
        assert f"port {port} of this machine cannot be used" in said
    said = refused(toy, "boot", "screen=1", DISPLAY="", WAYLAND_DISPLAY="")
    assert "there is no display for screen=1" in said
    path = without_programs(tmp_path)
    (tmp_path / "qemu-system-x86_64").symlink_to(str(shutil.which("qemu-system-x86_64")))
    said = refused(toy, "boot", "persist=1", "arch=x86_64", PATH=path)
    assert "qemu-img is missing" in said


@pytest.mark.fault(
    "`./bq2 sign` without a key, or without ssh-keygen", "it says so before it builds the image"
)
def test_sign(toy: Checkout, tmp_path: Path) -> None:
    assert "no key is given" in refused(toy, "sign")
    key = tmp_path / "key"
    key.write_text("")
    tools = tmp_path / "tools"
    tools.mkdir()
    for command in ("sign", "inspect"):
        said = refused(toy, command, f"key={key}", PATH=without_programs(tools))
        assert "openssh-client" in said
        shutil.rmtree(tools)
        tools.mkdir()


@pytest.mark.fault(
    "a command that builds for long names what does not exist: a package, a tree, a seed, a set "
    "without a compiler; or a shell has no terminal",
    "the error comes before the first step",
)
@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("verify packages=bottom,tpo", "did you mean top?"),
        ("regenerate", "has no compiler"),
        ("challenge seeds=self", "it cannot be a seed"),
        ("shell pkg:tpo", "did you mean pkg:top?"),
        ("shell seeed", "did you mean seed?"),
        ("shell", "there is no terminal for a shell"),
    ],
)
def test_what_is_not_there(toy: Checkout, words: str, message: str) -> None:
    assert message in refused(toy, *words.split())


@pytest.mark.fault(
    "`regenerate`, or `challenge seeds=self`, of a system for another architecture",
    "refused before the first step, with what can do it",
)
def test_what_cannot_run_here(toy: Checkout) -> None:
    two_sets(toy)
    sets = toy.root / "plan" / "sets.yaml"
    whole = "full:\n  root: yes\n  phase: rootfs-from-sysroot"
    sets.write_text(re.sub(r"(?m)^full:\n  phase: .*", whole, sets.read_text()))
    other = "aarch64" if os.uname().machine == "x86_64" else "x86_64"
    for words in (["regenerate"], ["challenge", "seeds=self"]):
        assert f"is for {other}, and this machine" in refused(
            toy, *words, f"arch={other}", "set=full"
        )


@pytest.mark.fault(
    "`./bq2 boot` before anything was built", "it says what to build, and how long that takes"
)
def test_nothing_is_built(toy: Checkout) -> None:
    command = ["env", "-u", "BQ2_SET", *doit("boot")]
    two_sets(toy)
    done = toy.run(command)
    assert done.status != 0 and "no image was built here yet" in done.said, done
    assert "doit image set=base takes about" in done.said and not done.built
    assert not (toy.root / "work" / "stamps").exists()
