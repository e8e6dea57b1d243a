"""Malicious recipes, and edited files of this project, on the real command line."""

from __future__ import annotations

import json
import os
import stat

import pytest

from tests.tasks.toy import SCRIPTS, Checkout, Done

pytestmark = pytest.mark.namespace
fault = pytest.mark.fault


def outside(toy: Checkout) -> dict[str, tuple[int, bytes]]:
    """All of the cache but locks and what runs add: what a build must not reach."""
    directories = ("artifacts", "trees", "sources", "seeds")
    found = (path for name in directories for path in (toy.cache / name).rglob("*"))
    return {
        os.fspath(path): (path.lstat().st_mode, path.read_bytes() if path.is_file() else b"")
        for path in found
    }


def failed(done: Done) -> str:
    """What a run said that ended as it should: with an error, not with a traceback."""
    assert done.status != 0 and "Traceback" not in done.said, done
    return done.said


ATTEMPTS = """\
n=0
tried() {{ "$@" 2> /dev/null && echo "DONE $*" || n=$((n + 1)); }}
tried touch /sysroot/x
tried touch /sysroot/usr/share/bottom
tried rm /sysroot/usr/share/bottom
tried chmod 777 /sysroot/usr/share
tried touch /usr/bin/x
tried rm /bin/sh
tried touch /recipe/x
tried touch /input/x
tried ls {cache}
tried ls {root}
tried ls /proc/1/root/
tried touch /proc/1/cwd/x
echo "refused: $n"
"""


@fault(
    "a build that writes to its root, /sysroot, /recipe, /input, the store, by any path",
    "refused; nothing there changes",
)
def test_a_build_writes_only_where_it_may(built: Checkout) -> None:
    before = outside(built)
    attempts = ATTEMPTS.format(cache=built.cache, root=built.root)
    built.recipe("left", f"{attempts}false", "bottom")
    said = failed(built.doit("pkg:left"))
    assert "refused: 12" in said and "DONE" not in said, said
    assert outside(built) == before


@fault(
    "a build that leaves set-user-id programs",
    "refused as a package; its directory is nobody else's",
)
@pytest.mark.parametrize("place", ["/dest/usr/share", "/build"])
def test_set_user_id_programs_are_no_door(toy: Checkout, place: str) -> None:
    script = f"cp /bin/sh {place}/door; chmod 4755 {place}/door; [ {place} = /dest/usr/share ]"
    toy.recipe("bottom", script)
    failed(toy.doit("pkg:bottom"))
    doors = list((toy.root / "work").rglob("door"))
    assert doors, "it should be left for whoever looks why it failed"
    for door in doors:
        assert any(not stat.S_IMODE(above.stat().st_mode) & 0o077 for above in door.parents)
        assert toy.root / "work" in door.parents


@fault(
    "a build that nests directories deeper than a path can be", "one error; the next run goes on"
)
def test_directories_deeper_than_a_path(toy: Checkout) -> None:
    chain = "/".join(["d" * 200] * 18)
    toy.recipe(
        "bottom",
        f"cd $share; mkdir -p a/{chain} b/{chain}; cd b/{chain}; busybox mv /dest/usr/share/a .",
    )
    assert "File name too long" in failed(toy.doit("pkg:bottom"))
    toy.recipe("bottom", SCRIPTS["bottom"])
    toy.builds("bottom", words=["pkg:bottom"])


@fault("a build that makes its directories unreadable and fails", "the next run goes on")
def test_directories_that_nobody_may_enter(toy: Checkout) -> None:
    toy.recipe("bottom", "mkdir -p $share/a/b; chmod 0 $share/a /build; false")
    failed(toy.doit("pkg:bottom"))
    toy.recipe("bottom", SCRIPTS["bottom"])
    toy.builds("bottom", words=["pkg:bottom"])


@fault(
    "a package that installs a fifo or links out of its tree",
    "a fifo is an error; a link stays one",
)
def test_what_a_package_installs(toy: Checkout) -> None:
    toy.recipe("bottom", "mkfifo $share/fifo")
    assert "device, socket or set-id file" in failed(toy.doit("pkg:bottom"))
    up = "../" * 12
    toy.recipe(
        "bottom", f"ln -s {up}{toy.root}/LICENSE $share/bottom", remove="[usr/share/bottom/x]"
    )
    assert toy.doit("pkg:bottom").status == 0
    assert (toy.cache / "trees" / toy.stamp("bottom")["artifact"] / "usr/share/bottom").is_symlink()
    assert (toy.root / "LICENSE").exists()


@fault("a recipe's `remove` that names what is outside of its package", "nothing outside goes")
@pytest.mark.parametrize(
    "glob", ["../**", "/**/LICENSE", "../../../../**/LICENSE", "usr/share/out/*"]
)
def test_remove_stays_inside(toy: Checkout, glob: str) -> None:
    script = f"echo x > $share/bottom; ln -s {toy.root} $share/out"
    toy.recipe("bottom", script, remove=f"['{glob}']")
    toy.doit("pkg:bottom")
    assert (toy.root / "LICENSE").exists()
    assert (toy.root / "plan" / "recipes" / "bottom.yaml").exists()


PATCH = """\
--- /dev/null
+++ b/{name}
@@ -0,0 +1 @@
+written
"""


@fault("a patch that writes to absolute paths or up", "it writes nowhere outside of its build")
@pytest.mark.parametrize("name", ["../../../../{root}/evil", "../sysroot/evil", "../recipe/evil"])
def test_patches_stay_inside(toy: Checkout, name: str) -> None:
    directory = toy.root / "plan" / "recipes" / "bottom" / "patches"
    directory.mkdir(parents=True)
    (directory / "a.patch").write_text(PATCH.format(name=name.format(root=toy.root)))
    toy.doit("pkg:bottom")
    assert not list(toy.root.glob("evil")) and not list(toy.root.rglob("recipes/**/evil"))


@fault(
    "a recipe whose name leads out of its directory, or holds a newline",
    "one error with file and line",
)
@pytest.mark.parametrize("name", ["../x", '"bottom\\n"', '"bottom\\e[31m"', "/etc/passwd", "''"])
def test_names_of_recipes(toy: Checkout, name: str) -> None:
    path = toy.recipe("bottom", SCRIPTS["bottom"])
    path.write_text(path.read_text().replace("name: bottom", f"name: {name}"))
    said = failed(toy.doit("pkg"))
    assert "recipes/bottom.yaml:1" in said and "\x1b" not in said, said


@fault("a file among the recipes whose name holds a newline or control characters", "one error")
def test_names_of_files(toy: Checkout) -> None:
    path = toy.recipe("bottom", SCRIPTS["bottom"])
    path.rename(path.with_name("bot\n\x1b[31mtom.yaml"))
    said = failed(toy.doit("pkg"))
    assert "\x1b" not in said and "the name 'bottom' must be the file's" in said, said


@fault("a recipe's file that is a link out of the checkout", "its content is taken, by its hash")
def test_a_recipe_file_that_is_a_link(toy: Checkout) -> None:
    directory = toy.root / "plan" / "recipes" / "bottom"
    directory.mkdir()
    (directory / "key").symlink_to("/etc/hostname")
    toy.recipe("bottom", "cat /recipe/key > $share/bottom; [ ! -L /recipe/key ]")
    toy.builds("bottom", words=["pkg:bottom"])


@fault("escape sequences in what a failing build prints", "shown inert on the console")
def test_what_a_build_prints_does_not_steer_the_terminal(toy: Checkout) -> None:
    toy.recipe("bottom", r"printf 'error: \033]0;owned\007\033[2J bad\n'; false")
    said = failed(toy.doit("pkg:bottom"))
    assert "owned" in said and "\x1b" not in said and "\x07" not in said, repr(said)
    shown = toy.doit("log", "pkg:bottom")
    assert shown.status == 0 and "owned" in shown.said and "\x1b" not in shown.said, repr(shown)


@fault("stamps, records, inputs, the plan: edited by hand, of wrong types", "read as missing")
@pytest.mark.parametrize("wrong", [None, 5, {"artifact": None, "size": "big"}], ids=json.dumps)
def test_files_of_ours_with_wrong_types(built: Checkout, wrong: object) -> None:
    assert built.doit("plan").status == 0
    work, steps = built.root / "work", (built.cache / "steps").glob("*.json")
    ours = [*work.glob("stamps/*/*"), *work.glob("*.json*"), *steps]
    assert len(ours) > 15
    for path in ours:
        path.chmod(0o644)
        path.write_text(json.dumps(wrong))
    for words in (["status"], ["why", "pkg:top"], ["plan", "diff=1"], ["pkg"]):
        done = built.doit(*words)
        assert "Traceback" not in done.said, (words, done)
        assert done.status == 0 or words[0] == "plan", (words, done)


@fault(
    "records whose numbers are text, negative, endless", "they count or are missing; never a crash"
)
def test_records_with_wrong_fields(built: Checkout) -> None:
    fields = ({"seconds": "x", "cpu": []}, {"size": -1}, {"cpu": 1e400}, {"name": None}, {"x": 1})
    records = sorted((built.cache / "steps").glob("*.json"))
    for path, wrong in zip(records, fields, strict=True):
        path.chmod(0o644)
        path.write_text(json.dumps(json.loads(path.read_text()) | wrong))
    for words in (["status"], ["list"], ["pkg"]):
        done = built.doit(*words)
        assert "Traceback" not in done.said and done.status == 0, (words, done)
