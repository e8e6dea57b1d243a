"""Commands whose purpose is output fail if the output fails; a build does not."""

from __future__ import annotations

import shlex
import sys

import pytest

from plan.model import PHASES
from tasks.commands import COMMANDS, MAKES, OF_DOIT, READS, READS_WITH, SHOWS_ALL
from tests.tasks.toy import SCRIPTS, Checkout, doit

OURS = [sys.executable, "-m", "tasks"]
LOST = "ERROR: standard output cannot be written: No space left on device\n"
SHOW = (
    *("settings", "status json=1", "licenses", "why pkg:bottom", "log pkg:bottom"),
    *("doctor offline=1", "plan", "gc dry=1", "fsck", "list", "info pkg:bottom", "--help"),
    *("help log", "forget pkg:bottom", "shell run='echo hello'"),
)


@pytest.mark.fault(
    "the output of what only shows something is on a full disk (/dev/full)",
    "one line on standard error, and a status that is not 0",
)
@pytest.mark.namespace
def test_what_exists_for_its_output(built: Checkout) -> None:
    log = built.root / "work/build/sysroot-from-seed/bottom/log"
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_text("what it printed\n")
    for words in SHOW:
        command = f"{shlex.join(OURS)} {words}"
        assert built.run(["sh", "-c", command]).status == 0, words
        done = built.run(["sh", "-c", f"{command} > /dev/full"])
        assert done.status != 0, words
        assert done.said.endswith(LOST) or "shell" in words, (words, done.said)
        assert done.said.count("\n") == 1, (words, done.said)


@pytest.mark.parametrize("words", ["settings", "list", "--help", "--version"])
def test_the_launcher_ends_with_the_same_status(toy: Checkout, words: str) -> None:
    code = "import sys; sys.path.insert(0, '.'); from tasks.launch import run; run(sys.argv[1:])"
    command = shlex.join([sys.executable, "-I", "-c", code, "./bq2", words])
    done = toy.run(["sh", "-c", f"{command} > /dev/full"])
    assert (done.status, done.said) == (1, LOST)


@pytest.mark.fault(
    "who reads the output of what only shows something has seen enough (| head)",
    "no error and no traceback",
)
@pytest.mark.parametrize("words", ["status", "list --all", "settings", "help run", "--version"])
def test_a_pipe_that_is_closed(toy: Checkout, words: str) -> None:
    command = f'({shlex.join(OURS)} {words}; echo "status $?" >&2) | true'
    done = toy.run(["sh", "-c", command])
    assert done.said == "status 0\n", done


@pytest.mark.fault(
    "the output of a build is on a full disk (/dev/full)", "the build is made, and its status is 0"
)
@pytest.mark.namespace
def test_a_build_does_not_need_its_output(toy: Checkout) -> None:
    done = toy.run(["sh", "-c", f"{shlex.join(doit('pkg'))} > /dev/full"])
    assert (done.status, done.said) == (0, "")
    assert all(toy.artifact(name).exists() for name in SCRIPTS)


def test_the_table_names_what_there_is() -> None:
    known = {*COMMANDS, *PHASES}
    assert known >= READS | MAKES | {*READS_WITH, SHOWS_ALL}
    assert not READS & MAKES and not {*OF_DOIT} & known


@pytest.mark.fault(
    "a command of doit that makes no sense here: strace, dumpdb, ignore, reset-dep, tabcompletion",
    "not offered, and refused before anything is built",
)
def test_commands_of_doit_that_make_no_sense(toy: Checkout) -> None:
    told = toy.run([*OURS, "help"]).said
    for name in ("strace", "dumpdb", "ignore", "reset-dep", "tabcompletion"):
        assert name not in told, told
        done = toy.run([*OURS, name, "image"])
        assert done.status != 0 and f"there is no task '{name}'" in done.said, done
    for name in ("strace", "ignore", "reset-dep"):  # of a bare doit those that can be had
        done = toy.doit(name, "image")
        assert done.status != 0 and f"there is no task '{name}'" in done.said, done
    assert not (toy.root / "work" / "stamps").exists()
    for name in OF_DOIT:
        assert toy.run([*OURS, "help", name]).status == 0, name


@pytest.mark.fault(
    "a parameter that the command has no use for (doit image dry=1)",
    "refused, with the commands that know it",
)
@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("image dry=1", "no command here knows dry: image\n  known to: gc"),
        ("dry=1", "no command is given"),
        ("pkg:bottom gc json=1", "no command here knows json: pkg, gc\n  known to: status"),
        ("shell sysroot output=x", "no command here knows output: shell"),
        ("list run=x", "known to: boot, push, shell, ssh"),
        ("forget pkg:bottom keep=3", "no command here knows keep: forget, pkg"),
        ("status diff=1", "known to: plan"),
    ],
)
def test_a_parameter_of_another_command(toy: Checkout, words: str, message: str) -> None:
    done = toy.doit(*words.split())
    assert done.status != 0 and message in done.said and "Traceback" not in done.said, done
    assert not (toy.root / "work" / "stamps").exists()


def test_a_parameter_where_it_belongs(toy: Checkout) -> None:
    (toy.root / "local.yaml").write_text("dry: yes\n")
    for words in ("status json=1", "status plan json=1 diff=0", "settings dry=1", "list output=x"):
        assert toy.doit(*words.split(), BQ2_KEEP="3").status == 0, words


@pytest.mark.fault(
    "a build starts while doit inspect reads an image", "neither waits or is refused"
)
@pytest.mark.parametrize("words", ["inspect", "gc dry=1"])
def test_what_only_reads_takes_no_lock(toy: Checkout, words: str) -> None:
    toy.doit(*words.split())
    assert not (toy.root / "work" / "lock").exists()
    assert toy.doit("gc").status == 0 and (toy.root / "work" / "lock").exists()
