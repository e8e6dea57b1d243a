"""Command lines with a mistake: one error with the place and the remedy, and nothing is begun."""

from __future__ import annotations

import pytest

from tests.tasks.toy import Checkout

fault = pytest.mark.fault


@fault("a parameter with two values on the command line", "refused: both are named")
@fault("one output= for two products; verify publish= without sample=", "refused, with the remedy")
@fault("`bench` with a word that it does not know", "refused: nothing is measured")
@pytest.mark.parametrize(
    ("words", "message", "remedy"),
    [
        ("plan set=base set=full", "two values: set=base and set=full", "leave out one"),
        ("pkg:top jobs=1 jobs=2", "two values: jobs=1 and jobs=2", "leave out one"),
        ("plan headers=a headers=b", "headers is secret", "local.yaml"),
        ("plan workdir=tasks", "workdir cannot be 'tasks'", "in this project's own tasks"),
        ("image sysroot output=x", "is the file of one command, not of image", "each of them"),
        ("boot report output=x", "one command, not of image and report", "each of them alone"),
        ("verify publish=http://127.0.0.1:9", "no effect without sample=", "give both"),
        ("verify output=x", "no command here knows output: verify", "known to: image"),
        ("pkg:more with=top", "more is not in the set base", "with=top,more adds it"),
        ("pkg:seed-more", "seed-more is not in the set base", "only a seed that lacks"),
        ("bench nope", "bench knows no 'nope'", "doit bench cold"),
    ],
)
def test_it_is_refused(toy: Checkout, words: str, message: str, remedy: str) -> None:
    toy.recipe("more", "true")
    toy.recipe("seed-more", "true")
    done = toy.doit(*words.split())
    assert done.status != 0 and "Traceback" not in done.said, done
    assert message in done.said and remedy in done.said and not done.built, done
    assert not (toy.root / "work" / "stamps").exists()


def test_the_same_value_twice_is_no_mistake(toy: Checkout) -> None:
    assert toy.doit("settings", "jobs=2", "jobs=2").status == 0
