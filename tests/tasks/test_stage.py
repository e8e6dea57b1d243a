"""tasks.stage: a source is unpacked for a person to read, once."""

from __future__ import annotations

import pytest

from tests.tasks.test_inspect import put_source
from tests.tasks.toy import Checkout


@pytest.mark.fault(
    "`clean` while a build runs in the work directory", "it says who is at work there; all stays"
)
def test_clean_is_refused_while_a_build_runs(toy: Checkout) -> None:
    project = toy.project()
    project.lock.take("doit pkg")
    kept = project.workdir / "build" / "sysroot-from-seed" / "left"
    kept.mkdir(parents=True)
    done = toy.doit("clean", "pkg:left")
    assert done.status != 0 and "in use by process" in done.said and kept.exists(), done
    assert toy.doit("clean", "-n", "pkg:left").status == 0
    project.lock.release()
    assert toy.doit("clean", "pkg:left").status == 0 and not kept.exists()


@pytest.mark.namespace
def test_clean_says_that_the_cache_keeps_the_seed(toy: Checkout) -> None:
    assert toy.doit("seed").status == 0
    done = toy.doit("clean", "seed")
    assert "removing work/seed-made; the cache keeps the unpacked seed" in done.said, done
    assert not (toy.root / "work" / "seed-made").exists()


@pytest.mark.namespace
def test_a_source_is_unpacked_and_stays(toy: Checkout) -> None:
    toy.recipe("bottom", "echo bottom > $share/bottom", sources=put_source(toy))
    done = toy.doit("stage:bottom")
    assert done.status == 0, done
    (text,) = (toy.root / "work" / "sources").rglob("LICENSES/MIT")
    assert done.said == f"bottom: {text.parents[1].relative_to(toy.root)}\n"
    assert text.read_bytes() == b"MIT\n"
    before = text.stat()
    assert toy.doit("stage:bottom").status == 0 and text.stat() == before
    text.write_text("changed\n")
    assert toy.doit("stage:bottom").status == 0 and text.read_bytes() == b"MIT\n"
    kept = {*text.parents[1].parent.iterdir()}
    dry = toy.doit("clean", "-n", "stage:bottom").said
    assert all(f"removing work/sources/{path.name}\n" in dry for path in kept), dry
    assert {*text.parents[1].parent.iterdir()} == kept
    assert toy.doit("clean", "stage:bottom").said == dry
    assert not [*text.parents[1].parent.iterdir()], "the tree goes with its listing"
    assert "removing" not in toy.doit("clean", "stage:bottom").said
    assert toy.doit("stage:bottom").status == 0 and text.read_bytes() == b"MIT\n"
