"""shell: the sandboxes of builds, entered by hand."""

from __future__ import annotations

import os

import pytest

from tests.rootfs.terminal import Terminal
from tests.tasks.toy import DEPENDS, SECONDS, Checkout, doit, processes, until

pytestmark = pytest.mark.namespace


def entered(checkout: Checkout, target: str, run: str, status: int = 0) -> list[str]:
    """The lines that the command `run` printed in the place `target`."""
    done = checkout.doit("shell", *target.split(), f"run={run}")
    assert done.status == status, done
    assert "Traceback" not in done.said
    return done.said.splitlines()


def test_the_seed_and_exit_statuses(toy: Checkout) -> None:
    """It is made ready if it is not; what is written there is lost."""
    said = entered(toy, "", "id -u; echo x > /root/x && ls /root; echo x > /usr/x; exit 7", 7)
    assert said[-3:-1] == ["0", "x"] and "Read-only file system" in said[-1]
    assert entered(toy, "seed", "ls /root; ls -d /sysroot /dest; true")[-1].startswith("ls: ")
    entered(toy, "seed", "kill -9 $$", 128 + 9)
    entered(toy, "seed", "no-such-program", 127)


def test_the_sysroot_holds_what_is_built(toy: Checkout) -> None:
    toy.recipe(
        "bottom", "mkdir /dest/usr/bin; cp /bin/busybox /dest/usr/bin/sh\necho > $share/bottom"
    )
    refused = toy.doit("shell", "sysroot", "run=true")
    assert refused.status != 0 and "Traceback" not in refused.said, refused
    assert "doit sysroot-from-seed" in refused.said, refused
    assert toy.doit("pkg").status == 0
    (line,) = entered(toy, "sysroot", "echo /usr/share/* /usr/bin/*")
    names = ("bottom", "left", "right", "top")
    assert line == " ".join([*(f"/usr/share/{name}" for name in names), "/usr/bin/sh"])


def test_a_failed_build_as_it_was_left(toy: Checkout) -> None:
    toy.recipe("left", "echo one > /build/clue; echo two > $share/half; exit 1", *DEPENDS["left"])
    assert toy.doit("pkg:left").status != 0
    look = "cat /build/clue /dest/usr/share/half /sysroot/usr/share/bottom; echo $TARGET"
    said = entered(toy, "pkg:left", f"{look}; touch /build/more")
    assert "as its run left it" in said[0] and said[0].endswith("left/log")
    assert said[1:] == ["one", "two", "bottom", "x86_64-bq2-linux-musl"]
    assert entered(toy, "pkg:left", "echo /build/*")[1:] == ["/build/clue /build/more"]
    log = toy.root / "work" / "build" / "sysroot-from-seed" / "left" / "log"
    assert "exit 1" in log.read_text()


def test_the_build_of_a_package_made_ready(built: Checkout) -> None:
    said = entered(
        built, "pkg:top", "cat /sysroot/usr/share/left; ls -A /build /dest; echo $JOBS", 0
    )
    assert said[:2] == ["bottom", "left"]
    built.edit("plan/recipes/bottom.yaml", "echo bottom", "echo other")
    # The next build of it starts from nothing all the same.
    built.recipe("top", "[ ! -e /build/x ]; echo > $share/top", *DEPENDS["top"])
    entered(built, "pkg:top", "touch /build/x")
    built.builds("bottom", "left", "right", "top", "kernel")


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("sed", "there is no build or tree called 'sed'"),
        ("pkg:tpo", "did you mean pkg:top?"),
        ("pkg:top", "the dependencies of top are not built yet"),
    ],
)
def test_what_cannot_be_entered(toy: Checkout, target: str, message: str) -> None:
    done = toy.doit("shell", target, "run=true")
    assert done.status != 0
    assert message in done.said and "Traceback" not in done.said


# Makes the terminal that it finds the controlling one, as a login does.
ON_TERMINAL = """
import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.chdir(sys.argv[1])
os.execv(sys.argv[2], sys.argv[2:])
"""


def test_a_shell_on_a_terminal(toy: Checkout, monkeypatch: pytest.MonkeyPatch) -> None:
    """Interactive: a prompt; Ctrl-C is for what runs in it, and not the end of doit."""
    monkeypatch.setenv("BQ2_CACHE", str(toy.cache))
    monkeypatch.setenv("BQ2_SEED", str(toy.seed))
    monkeypatch.setenv("BQ2_SET", "base")
    marker = f"{1000 + os.getpid()}"
    with Terminal(ON_TERMINAL, str(toy.root), *doit("shell")) as terminal:
        terminal.expect(b"leave with `exit`")
        terminal.expect(b"/ # ")
        terminal.type(f"sleep {marker}\n".encode())
        until(lambda: bool(processes(f"sleep {marker}")), "the command")
        terminal.type(b"\x03")
        terminal.expect(b"/ # ")
        terminal.type(b"echo $((6 * 7))\n")
        terminal.expect(b"42")
        terminal.type(b"exit 3\n")
        assert terminal.process.wait(SECONDS) == 0
        assert terminal.restored()
    assert not processes(f"sleep {marker}")


@pytest.mark.fault(
    "`doit shell sysroot` where that is for another architecture",
    "refused, with what runs it",
)
def test_what_is_for_another_machine_is_built_here_and_not_entered(toy: Checkout) -> None:
    other = "aarch64" if os.uname().machine == "x86_64" else "x86_64"
    toy.recipe("bottom", "echo $ARCH on $BUILD > $share/bottom")
    assert toy.doit("pkg:bottom", f"arch={other}").status == 0
    told = toy.tree("bottom", "usr/share/bottom").read_text()
    assert told == f"{other} on {os.uname().machine}-bq2-linux-musl\n"
    refused = toy.doit("shell", "sysroot", "run=true", f"arch={other}")
    assert refused.status != 0 and "Traceback" not in refused.said, refused
    assert f"the sysroot is for {other}, and this machine is {os.uname().machine}" in refused.said
    # A build runs here, whatever it is for.
    said = entered(toy, f"pkg:bottom arch={other}", "echo $TARGET")
    assert said[-1] == f"{other}-bq2-linux-musl"
