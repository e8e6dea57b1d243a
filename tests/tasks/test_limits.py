"""What a machine may refuse: space, and namespaces. Simulated by the kernel, not by mocks."""

from __future__ import annotations

import shlex

import pytest

from tests.tasks.toy import SCRIPTS, Checkout, Done, doit

pytestmark = pytest.mark.namespace


def as_master(toy: Checkout, script: str) -> Done:
    """Run a shell script in user and mount namespaces in which it may mount and set limits."""
    return toy.run(["unshare", "--user", "--map-root-user", "--mount", "sh", "-euc", script])


@pytest.mark.parametrize("what", ["work", "cache"])
def test_a_full_disk_is_said_and_loses_nothing(toy: Checkout, what: str) -> None:
    """It fills up while `left` is being built; the next run starts with no space at all."""
    place = toy.root / "work" if what == "work" else toy.cache
    place.mkdir()
    toy.recipe("left", "sleep 1; dd if=/dev/zero of=$share/left bs=64k count=16", "bottom")
    run = shlex.join(doit("pkg"))
    done = as_master(
        toy,
        f"""mount -t tmpfs -o size=8m tmpfs {place}
        stamps={toy.root}/work/stamps/sysroot-from-seed
        fill() {{
          while [ ! -e $stamps/right.json ]; do sleep 0.05; done
          dd if=/dev/zero of={place}/filler bs=4k 2> /dev/null
        }}
        fill &
        {run} || echo "=== status $?"
        {run} || echo "=== status $?"
        rm {place}/filler
        {run}""",
    )
    assert done.status == 0 and "Traceback" not in done.said, done.said
    first, second, third = done.said.split("=== status ")
    assert "No space left on device" in first
    assert "No space left on device" in second and "free some space" in second, second
    assert third.startswith(second[0])
    assert "top" not in first + second
    assert sorted(Done(0, third).built) == ["kernel", "left", "top"], done.said


def test_no_user_namespaces(toy: Checkout) -> None:
    limit = "echo 0 > /proc/sys/user/max_user_namespaces"
    done = as_master(toy, f"{limit}; exec {shlex.join(doit('pkg'))}")
    assert done.status != 0 and done.built != list(SCRIPTS)
    assert "unshare" in done.said and "ENOSPC" in done.said
    assert "sysctl -w user.max_user_namespaces=" in done.said
    assert "Traceback" not in done.said
    toy.builds(*SCRIPTS)
