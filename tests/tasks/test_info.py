"""`doit info`: what doit knows of one part of a build, in words."""

from __future__ import annotations

from tests.tasks.toy import Checkout


def test_what_a_task_needs_and_writes_in_words(built: Checkout) -> None:
    built.edit("plan/recipes/top.yaml", "cat /sysroot", "cat  /sysroot")
    (built.root / "work/stamps/sysroot-from-seed/left").unlink()
    done = built.doit("info", "sysroot-from-seed:top")
    assert done.status == 1, done
    assert " ".join(done.said.split()) == (
        "sysroot-from-seed:top: 1 top is a toy"
        " state would run"
        " needed, but not made yet: work/stamps/sysroot-from-seed/left"
        " doit why pkg:top says which input changed"
        " first sysroot-from-seed:bottom, sysroot-from-seed:left, sysroot-from-seed:right"
        " also first fetch, seed"
        " reads work/plan/sysroot-from-seed/top.json, work/stamps/sysroot-from-seed/bottom,"
        " work/stamps/sysroot-from-seed/left, work/stamps/sysroot-from-seed/right"
        " writes work/stamps/sysroot-from-seed/top"
    )


def test_without_the_state(built: Checkout) -> None:
    told = built.doit("info", "--no-status", "pkg:kernel")
    assert told.status == 0 and "state" not in told.said and "seed:kernel" in told.said


def test_one_task_at_a_time(toy: Checkout) -> None:
    for words in ((), ("pkg:top", "image")):
        done = toy.doit("info", *words)
        assert done.status == 3 and "doit info TASK" in done.said, done
