"""rootfs/push/steps.sh: what an update asks of the services of a machine, in namespaces."""

from __future__ import annotations

import shlex

import pytest

from rootfs.push.reach import STEPS, Answer
from tests.machine.conftest import Run
from tests.machine.test_services import HELPERS

pytestmark = pytest.mark.namespace

STAYS = "exec sleep 1000"
LISTENS = "exec nc -l -k -p 8000"
DIES = "echo why; sleep 1; exit 3"


def asked(run: Run, program: str, *words: str, before: str = "") -> Answer:
    """What a machine answers whose service `mine` runs `program`."""
    step = f"set -- {shlex.join(words)}\n{STEPS.read_text()}"
    script = f"""
    mkdir -p /etc/bq2; echo '{{}}' >/etc/bq2/image.json
    printf '%s\\n' '#!/bin/sh' {shlex.quote(program)} >/etc/service/mine
    start log mine
    {before}
    sh -c {shlex.quote(step)}
    """
    return Answer.of(run(HELPERS + script).stdout)


@pytest.mark.parametrize(("program", "ports"), [(STAYS, ()), (LISTENS, ("8000",))])
def test_a_service_is_well(run: Run, program: str, ports: tuple[str, ...]) -> None:
    assert asked(run, program, "well", "mine", *ports).all("fail") == []


@pytest.mark.fault(
    "the service of an updated machine dies, or listens on nothing",
    "the machine says so, and what its log says; the update is not kept",
)
def test_a_service_is_not_well(run: Run) -> None:
    assert asked(run, STAYS, "well", "mine", "8000").first("fail") == "silent 8000"
    assert asked(run, STAYS, "well", "other").first("fail") == "down"
    answer = asked(run, DIES, "well", "mine")
    assert answer.first("fail") == "down"
    assert any(line.endswith(" why") for line in answer.all("log"))


@pytest.mark.fault(
    "an update goes to a machine of another kind, or two at once",
    "the machine refuses the step",
)
def test_a_step_is_refused(run: Run) -> None:
    gone = "rm /etc/bq2/image.json"
    assert asked(run, STAYS, "look", before=gone).first("fail") == "foreign"
    hold = "(flock -n 8; touch /run/held; exec sleep 1000) 8>/run/push.lock &"
    other = f"{hold}\nuntil [ -e /run/held ]; do sleep 0.1; done"
    assert asked(run, STAYS, "look", before=other).first("fail") == "busy another update runs"
    assert asked(run, STAYS, "look").first("boot")


@pytest.mark.fault(
    "`push` is ended while it copies", "the next one unmounts what that left mounted in the machine"
)
def test_what_a_push_that_was_ended_leaves(run: Run) -> None:
    left = "mkdir -p /run/push; mount -t tmpfs left /run/push; mount -t tmpfs left /run/push"
    step = f"set -- look\n{STEPS.read_text()}"
    about = "mkdir -p /etc/bq2; echo '{}' >/etc/bq2/image.json"
    done = run(f"{about}; {left}; sh -c {shlex.quote(step)}; cat /proc/mounts")
    assert Answer.of(done.stdout).first("boot") and "/run/push" not in done.stdout, done.stdout
