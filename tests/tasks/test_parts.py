"""A recipe of several sources: a commit, a file that is unpacked into it, patches in an order."""

from __future__ import annotations

import gzip
import hashlib
import io
import subprocess
import tarfile
import zipfile
from pathlib import Path

import pytest

from rootfs.compare.unified_diff import unified
from tests.cache.test_git import git
from tests.tasks.toy import Checkout

pytestmark = pytest.mark.namespace


def commit(place: Path) -> str:
    """The URL of a commit with the file `number` and an empty directory for a submodule."""
    place.mkdir()
    git("init", "--quiet", at=place)
    (place / "number").write_text("1\n")
    git("add", ".", at=place)
    git("commit", "--quiet", "-m", "one", at=place)
    return f"git+file://{place}@{git('rev-parse', 'HEAD', at=place)}"


def kept(toy: Checkout, name: str, data: bytes, how: str) -> str:
    """A source with this content, which the cache has; as an entry of a recipe."""
    sha256 = hashlib.sha256(data).hexdigest()
    (toy.cache / "sources").mkdir(parents=True, exist_ok=True)
    (toy.cache / "sources" / sha256).write_bytes(data)
    return (
        f"  - {{sha256: {sha256}, size: {len(data)}, file: {name}, "
        f"urls: ['https://x.test/{name}'], {how}}}\n"
    )


def part() -> bytes:
    """A tarball with the file part-1/own."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz") as tar:
        member = tarfile.TarInfo("part-1/own")
        member.size, member.uid = 2, 1234
        tar.addfile(member, io.BytesIO(b"p\n"))
    return made.getvalue()


def step(before: str, after: str) -> str:
    return unified("number", f"{before}\n".encode(), f"{after}\n".encode())


def test_sources_are_laid_into_the_first(toy: Checkout, tmp_path: Path) -> None:

    url = commit(tmp_path / "thing")
    made = toy.doit("recipe", "new", "thing", f"url={url}")
    assert made.status == 0, made
    recipe = toy.root / "plan" / "recipes" / "thing.yaml"
    text = recipe.read_text()
    assert url in text and "file: thing-" in text
    more = kept(toy, "part.tar.gz", part(), "into: lib/part")
    more += kept(toy, "two.patch.gz", gzip.compress(step("1", "2").encode()), "patch: yes")
    head, _, _ = text.partition("depends:")
    build = "mkdir -p /dest/usr/share; cat number lib/part/own > /dest/usr/share/thing"
    recipe.write_text(f"{head}{more}depends: []\nstyle: script\nbuild: {build}\n")
    patches = recipe.with_suffix("") / "patches"
    patches.mkdir(parents=True)
    # In the order of their names they do not apply.
    (patches / "a.patch").write_text(step("3", "4"))
    (patches / "b.patch").write_text(step("2", "3"))
    (patches / "series").write_text("b.patch\na.patch\n")
    subprocess.run(["rm", "-rf", tmp_path / "thing"], check=True)
    built = toy.doit("pkg:thing", "with=thing", "offline=1")
    assert built.status == 0, built
    project = toy.project(**{"with": "thing"})
    found = project.store.root / "trees"
    (told,) = found.glob("*/usr/share/thing")
    assert told.read_text() == "4\np\n"


def test_a_wheel_is_a_source(toy: Checkout) -> None:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as wheel:
        wheel.writestr("thing/__init__.py", "one = 1\n")
    entry = kept(toy, "thing-1-py3-none-any.whl", made.getvalue(), "exclude: [x]")
    script = "find . > $share/thing; stat -c %Y thing/__init__.py >> $share/thing"
    toy.recipe("thing", script, sources=f"\n{entry}".rstrip())
    assert toy.doit("pkg:thing", "with=thing", "offline=1").status == 0
    (told,) = (toy.cache / "trees").glob("*/usr/share/thing")
    assert told.read_text().split() == [".", "./thing", "./thing/__init__.py", "1735689600"]


def test_an_override_cannot_add_to_a_stated_order(toy: Checkout) -> None:
    patches = toy.root / "plan" / "recipes" / "bottom" / "patches"
    patches.mkdir(parents=True)
    (patches / "a.patch").write_text("")
    (patches / "series").write_text("a.patch\n")
    work = toy.root / "work"
    (work / "patches" / "bottom").mkdir(parents=True)
    (work / "patches" / "bottom" / "b.patch").write_text("")
    (work / "overrides.yaml").write_text("bottom:\n  patches: [b.patch]\n")
    done = toy.doit("overrides", "apply")
    assert done.status != 0 and "states the order of the patches of bottom" in done.said, done
    assert "move b.patch there, and add the names to it" in done.said
