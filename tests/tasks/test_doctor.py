"""doctor: its findings on machines that lack something; each test makes the lack real."""

from __future__ import annotations

import os
import re
import shutil
import sys
import time

import pytest

from cache.lock import WorkLock
from tests.tasks.toy import BUSYBOX, ROOT, Checkout, Done, doit

CHECKS = (
    *("sandbox", "disk", "memory", "cores", "cache", "work", "seed", "sources", "clock"),
    *("python", "boot", "pins"),
)
MISSING = f"[{{sha256: {'1' * 64}, size: 4, file: x.tar, urls: ['https://x.test/']}}]"
QUICK = """\
import os
from tasks.doctor import quick
from tasks.engine.project import open_project
project = open_project({}, os.environ)
start = sum(os.times()[:4])
for problem in quick(project):
    print("PROBLEM", problem.level, problem.found, problem.remedy)
print("SECONDS", sum(os.times()[:4]) - start)
"""


def levels(done: Done) -> dict[str, str]:
    """The level of each check, by its name, in the order in which they were told."""
    rows = re.findall(r"^(ok|warn|FAIL) +(\S+) ", done.said, re.MULTILINE)
    return {name: level for level, name in rows}


def unfolded(done: Done) -> Done:
    """What doctor said, with one line for each check."""
    return Done(done.status, re.sub(r"\n {16}(?=\S)", " ", done.said))


def asked(toy: Checkout, *words: str, **variables: str) -> Done:
    done = unfolded(toy.doit("doctor", "offline=1", *words, **variables))
    assert "Traceback" not in done.said, done
    assert tuple(levels(done)) == CHECKS, done
    return done


def lacking(toy: Checkout, script: str, command: list[str]) -> Done:
    """Run `command` in namespaces of its own where root may spoil the machine by `script`."""
    (toy.root / "work").mkdir()
    namespaces = ["unshare", "--map-root-user", "--mount"]
    return unfolded(toy.run([*namespaces, "sh", "-ec", f'{script}; exec "$@"', "sh", *command]))


def test_a_machine_that_lacks_nothing(toy: Checkout) -> None:
    start = sum(os.times()[:4])
    done = asked(toy, "jobs=1")
    assert sum(os.times()[:4]) - start < 10  # of a processor: other tests run beside it
    assert done.status == 0
    told = levels(done)
    assert {told[name] for name in ("sandbox", "disk", "cache", "work", "clock")} == {"ok"}
    assert [*(toy.root / "work").iterdir()] == [] and not toy.cache.exists()


def test_what_stands_is_not_needed_again(built: Checkout) -> None:
    done = asked(built)
    assert "up to 0.1 GB more" in done.said and "nothing to compile" in done.said, done


def test_no_line_is_wider_than_the_terminal(toy: Checkout) -> None:
    for words in (["doctor", "offline=1"], ["status"]):
        lines = toy.doit(*words).said.splitlines()
        # A path stays whole.
        assert max(len(line) for line in lines if "/" not in line) <= 80


def test_it_does_not_wait_for_a_run(toy: Checkout) -> None:
    lock = WorkLock(toy.root / "work")
    lock.take("another")
    assert asked(toy).status == 0
    lock.release()


@pytest.mark.namespace
def test_no_namespaces(toy: Checkout) -> None:
    done = lacking(toy, "echo 0 > /proc/sys/user/max_user_namespaces", doit("doctor", "offline=1"))
    assert done.status == 1 and levels(done)["sandbox"] == "FAIL", done
    assert "unshare (namespaces) failed with ENOSPC" in done.said
    assert "sysctl -w user.max_user_namespaces=15000" in done.said


@pytest.mark.namespace
def test_a_small_disk_without_programs(toy: Checkout) -> None:
    script = "mount -t tmpfs -o noexec,size=20m tmpfs work"
    done = lacking(toy, script, doit("doctor", "offline=1"))
    assert done.status == 1, done
    assert levels(done)["disk"] == levels(done)["work"] == "FAIL"
    assert re.search(r"work directory: up to 0\.[1-9] GB more, 0\.0 GB free", done.said)
    assert "or name another disk: workdir=PATH" in done.said
    assert "(tmpfs) does not run programs (it is mounted noexec)" in done.said


CHROOTS = {
    "a directory that is no mount point": "",
    "a mount point": "mount --bind jail jail\n",
    "without /proc": "skip=/proc\n",
}
# Everything of the machine, by the names that it has, below another root.
JAIL = """\
for each in /*; do
  if [ -L $each ]; then cp -P $each jail
  elif [ -d $each ]; then
    mkdir jail$each
    [ "$each" = "$skip" ] || mount --rbind $each jail$each
  fi
done"""


@pytest.mark.namespace
@pytest.mark.parametrize(
    "kind",
    [
        pytest.param(
            kind, marks=pytest.mark.fault(f"a build in a chroot: {kind}", "it is named as that")
        )
        for kind in CHROOTS
    ],
)
def test_in_a_chroot(toy: Checkout, kind: str) -> None:
    # BusyBox: chroot is not on the PATH of every user.
    jail = [str(BUSYBOX), "chroot", "jail", "sh", "-ec", f'cd {toy.root}; exec "$@"', "sh"]
    command = [*jail, *doit("doctor", "offline=1")]
    done = lacking(toy, f"mkdir jail\n{CHROOTS[kind]}{JAIL}", command)
    assert levels(done)["sandbox"] == "FAIL", done
    assert "a user namespace cannot be made in a chroot" in done.said, done
    assert ", on ," not in done.said and "()" not in done.said, done
    assert "Docker" not in done.said and "seccomp" not in done.said, done


@pytest.mark.namespace
@pytest.mark.fault(
    "no inodes are left, though bytes are", "doctor and the build say so, and what helps"
)
@pytest.mark.parametrize(("inodes", "level"), [(15, "FAIL"), (5000, "warn")])
def test_a_disk_without_inodes(toy: Checkout, inodes: int, level: str) -> None:
    script = f"mount -t tmpfs -o nr_inodes={inodes},size=4g tmpfs work"
    done = lacking(toy, script, doit("doctor", "offline=1"))
    assert levels(done)["disk"] == level and "inodes left (df -i)" in done.said, done
    assert "remove many small files there" in done.said, done
    if level == "FAIL":
        shutil.rmtree(toy.root / "work")
        built = lacking(toy, script, doit("pkg"))
        assert built.status != 0 and "no inodes are left" in built.said, built


@pytest.mark.namespace
def test_a_read_only_cache(toy: Checkout) -> None:
    toy.cache.mkdir()
    script = f"mount -t tmpfs -o ro tmpfs {toy.cache}"
    done = lacking(toy, script, doit("doctor", "offline=1"))
    assert done.status == 1 and levels(done)["cache"] == "FAIL", done
    assert "Read-only file system" in done.said and "BQ2_CACHE=PATH" in done.said


def test_a_broken_seed(toy: Checkout) -> None:
    """The other checks are made all the same."""
    seeds = toy.root / "plan" / "seeds"
    shutil.copytree(ROOT / "plan" / "seeds", seeds, dirs_exist_ok=True)
    (seeds / "debian-x86_64.lock.yaml").write_text("suite: [")
    done = asked(toy, "seed=debian", "arch=x86_64")
    assert done.status == 1 and levels(done)["seed"] == "FAIL", done
    assert re.search(r"^FAIL +seed .*debian-x86_64.lock.yaml:\d", done.said, re.MULTILINE)
    assert [*levels(done).values()].count("FAIL") == 1


def test_sources_that_lack(toy: Checkout) -> None:
    toy.recipe("bottom", "true", sources=MISSING)
    done = asked(toy)
    assert done.status == 1 and levels(done)["sources"] == "FAIL", done
    assert "0 of 1 sources are in the cache, and offline=1" in done.said
    assert "doit fetch" in done.said


def test_archives_that_do_not_answer(toy: Checkout) -> None:
    done = unfolded(toy.doit("doctor", "mirror=http://127.0.0.1:9/debian"))
    assert levels(done)["sources"] == "warn" and done.status == 0, done
    assert "http://127.0.0.1:9/debian/: no connection: Connection refused" in done.said


def test_more_jobs_than_processors(toy: Checkout) -> None:
    done = asked(toy, "jobs=1000")
    assert done.status == 0 and levels(done)["cores"] == levels(done)["memory"] == "warn"
    assert f"jobs={len(os.sched_getaffinity(0))}: more only need more memory" in done.said


def test_a_clock_that_is_behind(toy: Checkout) -> None:
    os.utime(toy.root / "tasks" / "actions.py", (time.time() + 86400,) * 2)
    done = asked(toy)
    assert levels(done)["clock"] == "warn" and "the time of tasks/actions.py" in done.said, done


def test_no_emulator(toy: Checkout) -> None:
    done = asked(toy, PATH="/nowhere")
    assert done.status == 0 and levels(done)["boot"] == "warn", done
    assert (
        "can be built, but not booted" in done.said and "Debian, Ubuntu: qemu-system" in done.said
    )


@pytest.mark.namespace
def test_quick(toy: Checkout) -> None:
    toy.doit("settings")  # writes the modules' bytecode
    good = toy.run([sys.executable, "-c", QUICK])
    assert good.status == 0 and "PROBLEM" not in good.said, good
    assert float(good.said.split()[-1]) < 1  # of a processor: other tests run beside it
    shutil.rmtree(toy.root / "work")
    script = "mount -t tmpfs -o size=20m tmpfs work; echo 0 > /proc/sys/user/max_user_namespaces"
    bad = lacking(toy, script, [sys.executable, "-c", QUICK])
    assert [line.split()[1] for line in bad.said.splitlines()[:-1]] == ["FAIL", "FAIL"], bad
    assert "user.max_user_namespaces" in bad.said and "0.0 GB free" in bad.said


@pytest.mark.fault(
    "a variable for proxies or certificates is wrong", "doctor says which, and what helps"
)
@pytest.mark.parametrize(
    ("name", "value", "remedy"),
    [
        ("ALL_PROXY", "socks5h://127.0.0.1:1080", "https_proxy=http://HOST:PORT"),
        ("REQUESTS_CA_BUNDLE", "/none", "/etc/ssl/certs/ca-certificates.crt"),
        ("https_proxy", "http://[", "unset https_proxy"),
    ],
)
def test_a_wrong_way_out(toy: Checkout, name: str, value: str, remedy: str) -> None:
    done = unfolded(toy.doit("doctor", "mirror=http://127.0.0.1:9/debian", **{name: value}))
    assert levels(done)["sources"] == "warn" and done.status == 0, done
    assert f"{name}={value}: {name} " in done.said and remedy in done.said, done
    assert "behind a proxy, set https_proxy" not in done.said, done
    toy.recipe("bottom", "true", sources=MISSING)
    assert levels(toy.doit("doctor", **{name: value}))["sources"] == "FAIL"
    said = toy.doit("fetch", **{name: value}).said
    assert f"{name}={value}: {name} " in said and "Traceback" not in said
