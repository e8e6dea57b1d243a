"""shell: the sandboxes of builds, entered by hand."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cache.loopback import Site
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


def test_one_name(toy: Checkout) -> None:
    """What follows is no command: run= gives one."""
    done = toy.doit("shell", "pkg:top", "make", "it's")
    assert done.status == 3
    assert "shell takes one name, not pkg:top make it's" in done.said, done
    assert "doit shell pkg:top run='make it'\"'\"'s' runs a command in it" in done.said, done


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


def on_terminal(toy: Checkout, monkeypatch: pytest.MonkeyPatch, *words: str) -> Terminal:
    """`doit shell` with `words` on a terminal of its own."""
    for name, value in toy.environment.items():
        monkeypatch.setenv(name, value)
    return Terminal(ON_TERMINAL, str(toy.root), *doit("shell", *words))


def test_a_shell_on_a_terminal(toy: Checkout, monkeypatch: pytest.MonkeyPatch) -> None:
    """Interactive: a prompt; Ctrl-C is for what runs in it, and not the end of doit."""
    marker = f"{1000 + os.getpid()}"
    with on_terminal(toy, monkeypatch) as terminal:
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


# --- with the network of this machine ------------------------------------------------------------

NAMES = "cat /etc/resolv.conf /etc/hosts"


@pytest.fixture
def site() -> Iterator[Site]:
    made = Site()
    yield made
    made.close()


def reached(site: Site) -> str:
    """A command that prints `reached` if the server on this machine answers, else `alone`."""
    return f"busybox wget -q -O /dev/null {site.url('good')} && echo reached || echo alone"


@pytest.mark.fault("`doit shell network=yes`", "the shell alone has a network and names: no build")
@pytest.mark.parametrize("overlay", ["yes", "no"])
@pytest.mark.parametrize("target", ["seed", "sysroot", "pkg:left"])
def test_a_shell_with_a_network(built: Checkout, site: Site, target: str, overlay: str) -> None:
    if target == "sysroot":
        install = (
            "mkdir /dest/usr/bin; cp /bin/busybox /dest/usr/bin; ln -s busybox /dest/usr/bin/sh"
        )
        built.recipe("bottom", f"{install}; ln -s busybox /dest/usr/bin/cat\necho > $share/bottom")
        assert built.doit("pkg").status == 0
    words = f"{target} overlay={overlay}"
    names = "".join(Path("/etc", name).read_text() for name in ("resolv.conf", "hosts"))
    assert "alone" in entered(built, words, reached(site))
    said = entered(built, f"{words} network=yes", f"{reached(site)}; {NAMES}")
    assert "reached" in said and names.splitlines() == said[said.index("reached") + 1 :]
    # Once more without it, in what was kept of the build, too.
    again = entered(built, words, f"{reached(site)}; {NAMES} || true")
    assert "alone" in again and not {*filter(None, names.splitlines())} & {*again}


def test_no_build_has_the_network_of_its_shell(toy: Checkout, site: Site) -> None:
    """A failed build that a shell with a network entered runs once more: without."""
    script = f"{reached(site)} > $share/left; {NAMES} && echo names >> $share/left"
    toy.recipe("left", f"{script}; exit 1", *DEPENDS["left"])
    assert toy.doit("pkg:left").status != 0
    assert "reached" in entered(toy, "pkg:left network=yes", reached(site))
    toy.recipe("left", f"{script}; true", *DEPENDS["left"])
    assert toy.doit("pkg:left", BQ2_NETWORK="yes").status == 0
    assert toy.tree("left", "usr/share/left").read_text() == "alone\n"


def test_the_prompt_says_that_there_is_a_network(
    toy: Checkout, monkeypatch: pytest.MonkeyPatch
) -> None:
    with on_terminal(toy, monkeypatch, "network=yes") as terminal:
        terminal.expect(b"no build has one")
        terminal.expect(b"network:/ # ")
        terminal.type(b"cd /usr\n")
        terminal.expect(b"network:/usr # ")
        terminal.type(b"exit\n")
        assert terminal.process.wait(SECONDS) == 0


@pytest.mark.fault("`network=` for a command that is no shell", "refused, with where it belongs")
@pytest.mark.parametrize("command", ["pkg", "image", "regenerate", "verify", "patch"])
def test_a_network_for_no_other_command(toy: Checkout, command: str) -> None:
    done = toy.doit(command, "network=yes")
    assert done.status != 0 and done.built == [], done
    assert f"no command here knows network: {command}\n  known to: shell" in done.said, done
