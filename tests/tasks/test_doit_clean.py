"""tasks.doit_clean: what `clean` and `forget` say. tests/tasks/test_stage.py has more."""

from __future__ import annotations

import pytest

from tests.tasks.toy import Checkout

pytestmark = pytest.mark.namespace


@pytest.mark.fault(
    "`forget` or `clean` of a command that keeps nothing (`forget status`)",
    "`forget` says that it runs every time, `clean` that there is nothing that clean removes",
)
def test_what_keeps_nothing(built: Checkout) -> None:
    for name in ("status", "boot", "verify"):
        done = built.doit("forget", "pkg:left", name)
        told = f"ERROR: {name} runs every time: there is nothing to forget\n"
        assert (done.status, done.said) == (3, told)
        done = built.doit("clean", name)
        assert (done.status, done.said) == (0, "nothing that clean removes\n")
    assert built.doit("forget", "-s", "boot").status == 0, "with what it depends on"


def test_clean_tells_what_it_removes_and_nothing_else(built: Checkout) -> None:
    told = "sysroot-from-seed:left - removing "
    told += f"{built.root}/work/stamps/sysroot-from-seed/left.json; the store keeps the artifact\n"
    for words in (["clean", "-n", "pkg:left"], ["clean", "pkg:left"]):
        assert built.doit(*words).said == told
    assert built.doit("clean", "pkg:left").said == "nothing that clean removes\n"


def test_the_proof_of_an_image_that_is_gone(built: Checkout) -> None:
    assert built.doit("image").status == 0
    (built.root / "output" / "bootstrap-qcow2-base-x86_64.qcow2").unlink()
    done = built.doit("clean", "image")
    assert "removing output/bootstrap-qcow2-base-x86_64.qcow2.provenance.json\n" in done.said
    assert "nothing" not in done.said, done
