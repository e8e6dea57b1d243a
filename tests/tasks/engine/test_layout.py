"""tasks/engine/layout.py: on the real command line, with a package that others must fit."""

from __future__ import annotations

import pytest

from tests.tasks.toy import Checkout

pytestmark = pytest.mark.namespace


@pytest.fixture
def laid_out(toy: Checkout) -> Checkout:
    """A set whose first package has links and directories as base-files has."""
    toy.recipe("top", "mkdir -p /dest/usr/bin /dest/etc; ln -s bin /dest/usr/sbin")
    toy.recipe("left", "echo > /dest/usr/left")
    toy.edit(
        "plan/sets.yaml", "packages: [top, kernel]", "packages: [top, left, bottom, right, kernel]"
    )
    toy.builds("top", words=["pkg:top"])
    return toy


@pytest.mark.fault(
    "a package installs into /usr/sbin, which is a link",
    "its own build fails, with its name, the path and the remedy",
)
@pytest.mark.parametrize(
    ("script", "said", "hint"),
    [
        (
            "mkdir -p /dest/usr/sbin; echo > /dest/usr/sbin/x",
            "it installs /usr/sbin as a directory, but top has a link to bin there",
            "install into /usr/bin, or move the files there with the recipe's `after`",
        ),
        (
            "echo > /dest/etc",
            "it installs /etc as a file, but top has a directory there",
            "install it elsewhere",
        ),
    ],
)
def test_what_does_not_fit(laid_out: Checkout, script: str, said: str, hint: str) -> None:
    laid_out.recipe("left", script)
    done = laid_out.doit("pkg:left")
    assert done.status != 0 and "Traceback" not in done.said, done
    assert "pkg:left" in done.said and said in done.said and hint in done.said, done
    laid_out.recipe("left", "echo > /dest/usr/left")
    laid_out.builds("left", words=["pkg:left"])
