"""What a machine may refuse: space, and namespaces. Simulated by the kernel, not by mocks."""

from __future__ import annotations

import shlex

import pytest

from tests.tasks.toy import SCRIPTS, Checkout, Done, doit

pytestmark = pytest.mark.namespace

BIG = "dd if=/dev/zero of=/build/big bs=64k count=8 2> /dev/null; "


def as_master(toy: Checkout, script: str) -> Done:
    """Run a shell script in user and mount namespaces in which it may mount and set limits."""
    return toy.run(["unshare", "--user", "--map-root-user", "--mount", "sh", "-euc", script])


@pytest.mark.parametrize("what", ["work", "cache"])
def test_a_full_disk_is_said_and_loses_nothing(toy: Checkout, what: str) -> None:
    """The disk has room for the first package, and for the others only when somebody cleans up."""
    place = toy.root / "work" if what == "work" else toy.cache
    place.mkdir()
    fill = "cp /input/big $share/left; " if what == "cache" else ""
    del fill
    toy.recipe("left", "sleep 2; dd if=/dev/zero of=$share/left bs=64k count=16", "bottom")
    run = shlex.join(doit("pkg"))
    stamp = f"{toy.root}/work/stamps/sysroot-from-seed/right.json"
    done = as_master(
        toy,
        f"""mount -t tmpfs -o size=8m tmpfs {place}
        {{ while [ ! -e {stamp} ]; do sleep 0.05; done; dd if=/dev/zero of={place}/filler bs=4k; }} &
        status=0; {run} || status=$?; wait
        echo "=== ended with $status"
        rm {place}/filler
        exec {run}""",
    )
    first, _, second = done.said.partition("=== ended with ")
    assert second[0] != "0", done
    assert "No space left on device" in first and "free some space" in first, done
    assert "Traceback" not in done.said, done
    assert done.status == 0, done
    assert sorted(Done(0, second).built) == ["kernel", "left", "top"], done


def test_no_user_namespaces(toy: Checkout) -> None:
    limit = "echo 0 > /proc/sys/user/max_user_namespaces"
    done = as_master(toy, f"{limit}; exec {shlex.join(doit('pkg'))}")
    assert done.status != 0 and done.built != list(SCRIPTS)
    assert "unshare" in done.said and "ENOSPC" in done.said
    assert "sysctl -w user.max_user_namespaces=" in done.said
    assert "Traceback" not in done.said
    toy.builds(*SCRIPTS)
