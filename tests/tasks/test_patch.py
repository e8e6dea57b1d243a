"""patch: from a failing package, through an edit in its shell, to a recipe with a patch."""

from __future__ import annotations

import hashlib
import io
import tarfile
from pathlib import Path

import pytest

from tests.tasks.toy import DEPENDS, Checkout

pytestmark = pytest.mark.namespace

MAIN = "".join(f"line {number}\n" for number in range(20)) + "error\n"
FILES = {
    "main.c": MAIN.encode(),
    "sub/other.c": b"one\ntwo\n",
    "sub/gone.c": b"gone\n",
    "sub/deep/a": b"a\n",
    "picture": b"\0\1",
    "configure": b"latin \xe4\r\n",
}
# It writes into its own source, as many do: over a file of the source too.
BUILD = """\
cp sub/other.c made.o
echo built >> sub/other.c
if grep error main.c; then exit 1; fi
cp main.c $share/left"""


def with_source(toy: Checkout, script: str = BUILD) -> Checkout:
    """`left` is made of a real tarball."""
    directory = toy.cache / "sources"
    directory.mkdir(parents=True)
    with tarfile.open(directory / "tar", "w") as tar:
        for name, content in FILES.items():
            member = tarfile.TarInfo(f"left-1/{name}")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    data = (directory / "tar").read_bytes()
    digest = hashlib.sha256(data).hexdigest()
    (directory / "tar").rename(directory / digest)
    (directory / digest).chmod(0o444)
    source = f"{{sha256: {digest}, size: {len(data)}, file: left-1.tar, urls: []}}"
    toy.recipe("left", script, *DEPENDS["left"], sources=f"[{source}]")
    return toy


@pytest.fixture
def broken(toy: Checkout) -> Checkout:
    """A checkout in which `left` was built and failed."""
    done = with_source(toy).doit("pkg:left")
    assert done.status != 0 and "doit shell pkg:left" in done.said, done
    return toy


def shell(toy: Checkout, run: str) -> str:
    done = toy.doit("shell", "pkg:left", f"run=cd /source; {run}")
    assert done.status == 0, done
    return done.said


def patch(toy: Checkout, number: int = 1) -> Path:
    return toy.root / "work" / "patches" / "left" / f"{number:02}-edited.patch"


EDITED = """\
--- a/main.c
+++ b/main.c
@@ -18,4 +18,4 @@
 line 17
 line 18
 line 19
-error
+mended
"""


def test_from_a_broken_package_to_a_recipe_with_a_patch(broken: Checkout) -> None:
    overrides = broken.root / "work" / "overrides.yaml"
    overrides.write_text("# Slower.\nleft: {environment: {CFLAGS: -O1}} # here\n")
    shell(broken, "busybox sed -i s/error/mended/ main.c")
    assert "mended" in shell(broken, "cat main.c")
    done = broken.doit("patch", "pkg:left")
    assert done.status == 0, done
    assert f"{patch(broken)}: 8 lines, 1 file: main.c\n" in done.said
    assert done.said.endswith("continue with: doit pkg:left\n")
    assert patch(broken).read_text() == EDITED
    assert overrides.read_text() == (
        "# Slower.\nleft: {environment: {CFLAGS: -O1}, patches: [01-edited.patch]} # here\n"
    )
    again = broken.doit("patch", "pkg:left")
    assert again.status == 1 and "no source file of left was edited" in again.said, again
    done = broken.doit("pkg")
    assert done.status == 0 and "left" in done.built and "kept in" not in done.said, done
    assert broken.tree("left", "usr/share/left").read_text() == MAIN.replace("error", "mended")
    digest = broken.plan()["digest"]
    assert "recipes/left/patches/01-edited.patch" in broken.doit("overrides", "apply").said
    assert broken.plan()["digest"] == digest and not overrides.exists()
    assert broken.doit("pkg:left").built == []


def test_all_that_a_patch_can_hold(broken: Checkout) -> None:
    said = shell(
        broken,
        "echo mended > main.c; rm sub/gone.c; rm -r sub/deep; mkdir sub/deep; echo b > sub/deep/b;"
        "echo x > picture; printf 'x \\344\\r\\nno newline' > configure; chmod 755 sub/other.c;"
        "echo new > new.c; echo new > 'other new.c'; ln -s main.c link; echo x >> made.o",
    )
    assert "as its run left it" in said
    done = broken.doit("patch", "pkg:left", "/source/sub/deep/b", "new.c")
    assert done.status == 0, done
    assert "not in the patch: picture: not a text" in done.said
    assert "not in the patch: sub/other.c: only its mode differs" in done.said
    assert "new files, not in the patch unless you name them: link made.o other new.c" in done.said
    content = patch(broken).read_bytes()
    assert b"built" not in content and b"/dev/null\n+++ b/new.c" in content
    for name in ("configure", "main.c", "new.c", "sub/deep/b"):
        assert f"/{name}\n".encode() in content, name
    overrides = broken.root / "work" / "overrides.yaml"
    removing = "rm -f sub/deep/a\n    rm -f sub/gone.c\n"
    assert overrides.read_text() == (
        f"left:\n  patches: [01-edited.patch]\n  add-before: |\n    {removing}"
    )
    assert broken.doit("patch", "pkg:left").status == 1
    look = "cat main.c configure new.c > $share/left; find . -type f | sort >> $share/left"
    broken.edit("plan/recipes/left.yaml", BUILD.replace("\n", "\n  "), look)
    done = broken.doit("pkg:left")
    assert done.status == 0, done
    assert broken.tree("left", "usr/share/left").read_bytes() == (
        b"mended\nx \xe4\r\nno newline\nnew\n"
        b"./configure\n./main.c\n./new.c\n./picture\n./sub/deep/b\n./sub/other.c\n"
    )
    # And once more, now that they are gone: there is nothing to remove.
    shell(broken, "true")
    assert broken.doit("patch", "pkg:left").status == 1


def test_a_second_patch_is_made_on_top_of_the_first(broken: Checkout) -> None:
    shell(broken, "busybox sed -i 's/line 1$/first/' main.c")
    assert broken.doit("patch", "pkg:left").status == 0
    assert broken.doit("pkg:left").status != 0  # not mended yet
    shell(broken, "busybox sed -i s/error/mended/ main.c")
    assert broken.doit("patch", "pkg:left").status == 0
    assert patch(broken, 2).read_text() == EDITED
    assert broken.doit("pkg:left").status == 0
    text = broken.tree("left", "usr/share/left").read_text()
    assert text == MAIN.replace("line 1\n", "first\n").replace("error", "mended")


@pytest.mark.fault(
    "an edit in the shell of a build that succeeded, which has patches",
    "the source there has the patches; the new patch undoes none of them",
)
def test_a_shell_has_the_patches(broken: Checkout) -> None:
    shell(broken, "busybox sed -i s/error/mended/ main.c")
    assert broken.doit("patch", "pkg:left").status == 0
    assert broken.doit("pkg:left").status == 0
    assert "mended" in shell(broken, "cat main.c; echo more >> main.c")
    assert broken.doit("patch", "pkg:left").status == 0
    assert [line for line in patch(broken, 2).read_text().splitlines() if line[:1] in "+-"][2:] == [
        "+more"
    ]
    assert broken.doit("pkg:left").status == 0
    assert broken.tree("left", "usr/share/left").read_text().endswith("mended\nmore\n")


@pytest.mark.fault(
    "edits in the shell of a package that is up to date, then `gc` or `clean` before `patch`",
    "the edits stay",
)
def test_edits_in_no_patch_survive_gc_and_clean(toy: Checkout) -> None:
    with_source(toy, "cp main.c $share/left")
    assert toy.doit("pkg:left").status == 0
    shell(toy, "echo mine > main.c")
    built = toy.root / "work" / "build" / "sysroot-from-seed"
    for name in ("skeleton", "edits/mine"):
        (built / "of-another-plan" / name).mkdir(parents=True)
    assert toy.doit("gc").status == 0 and (built / "of-another-plan").exists()
    assert toy.doit("patch", "pkg:left").status == 0
    shell(toy, "echo more > main.c")
    kept = toy.root / "work" / "build" / "sysroot-from-seed" / "left.edits"
    done = toy.doit("clean", "pkg:left")
    assert f"edits that are in no patch are kept in {kept}" in done.said, done
    assert (kept / "main.c").read_text() == "more\n"


def test_edits_in_no_patch_survive_the_next_build(broken: Checkout) -> None:
    shell(broken, "echo mine > main.c")
    done = broken.doit("pkg:left")
    kept = broken.root / "work" / "build" / "sysroot-from-seed" / "left.edits"
    assert f"are kept in {kept}" in done.said, done
    assert (kept / "main.c").read_text() == "mine\n"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("", "no package is named"),
        ("pkg:lft", "did you mean pkg:left?"),
        ("pkg:bottom", "there is no build of bottom"),
        ("pkg:left nw.c", "did you mean new.c?"),
        ("pkg:left phase=rootfs-from-sysrot", "did you mean rootfs-from-sysroot?"),
        ("pkg:left phase=rootfs-from-sysroot", "called 'pkg:left' in the phase rootfs-from"),
    ],
)
def test_what_is_refused(broken: Checkout, words: str, message: str) -> None:
    shell(broken, "echo > new.c")
    done = broken.doit("patch", *words.split())
    assert done.status != 0 and message in done.said and "Traceback" not in done.said, done
    assert not patch(broken).exists()


@pytest.mark.fault(
    "patch of a package that was not built here", "refused at once; the seed is not fetched"
)
def test_without_a_build_no_seed_is_made(toy: Checkout) -> None:
    done = with_source(toy).doit("patch", "pkg:left")
    assert done.status != 0 and "there is no build of left" in done.said, done
    assert not (toy.root / "work" / "seed-made").exists()


def test_a_patch_that_does_not_apply_is_named(broken: Checkout) -> None:
    shell(broken, "echo mine > main.c")
    assert broken.doit("patch", "pkg:left").status == 0
    patch(broken).write_text(EDITED.replace(" line 17", " line 71"))
    assert broken.doit("pkg:left").status != 0
    shell(broken, "echo other > main.c")
    done = broken.doit("patch", "pkg:left")
    assert done.status != 0 and "01-edited.patch does not apply" in done.said, done


def test_where_there_is_no_overlay_changed_files_are_found(broken: Checkout) -> None:
    broken.variables["BQ2_OVERLAY"] = "no"
    assert broken.doit("pkg:left").status != 0
    shell(broken, "busybox sed -i s/error/mended/ main.c; echo new > new.c; rm sub/gone.c")
    shell(broken, "echo again >> new.c")
    done = broken.doit("patch", "pkg:left")
    assert done.status == 0 and "unless you name them: new.c" in done.said, done
    assert "+mended\n" in patch(broken).read_text() and "built" not in patch(broken).read_text()
    assert "rm -f sub/gone.c" in (broken.root / "work" / "overrides.yaml").read_text()
    assert broken.doit("pkg:left").status == 0
