"""Bad input on the real command line, and the commands that only show something."""

from __future__ import annotations

import re
import sys

import pytest

from plan.version import VERSION
from tests.rootfs.tools import tool
from tests.tasks.toy import SCRIPTS, Checkout, doit

BOTTOM = "plan/recipes/bottom.yaml"


def refused(toy: Checkout, *words: str, **variables: str) -> str:
    """What doit says of bad input: one error, no traceback, and nothing is built."""
    done = toy.doit(*words, **variables)
    assert done.status != 0, done
    assert "Traceback" not in done.said, done
    assert done.said.count("ERROR: ") == 1 and done.said.count("\n") <= 3, done
    assert not (toy.root / "work" / "stamps").exists()
    return done.said


@pytest.mark.parametrize(
    ("words", "message", "hint"),
    [
        ("jbos=2", "command line: unknown parameter 'jbos'", "did you mean jobs?"),
        ("image workdi=x", "command line: unknown parameter 'workdi'", "did you mean workdir?"),
        ("with=tpo", "with=: there is no recipe 'tpo'", "did you mean top?"),
        ("set=bse", "set cannot be 'bse'", "did you mean base?"),
        ("arch=x86-64", "arch cannot be 'x86-64'", "did you mean x86_64?"),
        ("seed=/does/not/exist", "seed cannot be '/does/not/exist'", "no such directory"),
        ("mirror=ftp://x", "mirror cannot be 'ftp://x'", "http(s)"),
        ("imag", "there is no task 'imag'", "did you mean image?"),
        ("pkg:bottm", "there is no task 'pkg:bottm'", "did you mean pkg:bottom?"),
        ("run sysrot", "there is no task 'sysrot'", "did you mean sysroot?"),
        ("info pkg:tpo", "there is no task 'pkg:tpo'", "did you mean pkg:top?"),
        ("verify packages=", "packages= names nothing", "leave out packages="),
        ("forget pkg:tpo", "there is no task 'pkg:tpo'", "did you mean pkg:top?"),
        ("list sysrot", "there is no task 'sysrot'", "did you mean sysroot?"),
        ("clean imag", "there is no task 'imag'", "did you mean image?"),
        ("info clean", "there is no task 'clean'", "it is a command: doit help clean"),
        ("status pkg:left", "status is given without pkg", "doit why pkg:NAME"),
        ("licenses image", "licenses is given without image", "doit log pkg:NAME"),
        ("image jobs=no", "jobs cannot be 'no'", "it must be a whole number from 1"),
        ("info QQQQ", "there is no task 'QQQQ'", "known: attest, bench"),
        ("info pkg:xyzw", "there is no task 'pkg:xyzw'", "known: attest, bench"),
        ("log pkg:top pkg:left", "log shows one package, not 2", "doit log pkg:top"),
        ("image set base", "there is no task 'set'", "it is a parameter: set=VALUE"),
        ("push to web", "there is no task 'to'", "it is a parameter: to=VALUE"),
        ("image --wrong", "option --wrong not recognized", ""),
    ],
)
def test_bad_words(toy: Checkout, words: str, message: str, hint: str) -> None:
    said = refused(toy, *words.split())
    assert message in said and hint in said


def test_a_recipe_outside_of_the_set_is_added_by_name(toy: Checkout) -> None:
    toy.recipe("extra", "echo extra > $share/extra", "bottom")
    said = refused(toy, "pkg:extra")
    assert "extra is not in the set base" in said and "with=extra adds it" in said
    assert toy.doit("pkg:extra", "with=extra").built == ["bottom", "extra"]
    # A product that has it knows so.
    assert toy.doit("sysroot", "with=extra").status == 0
    (tarball,) = (toy.root / "output").glob("*.tar")
    local = tool("tar", "-x", "-O", "-f", tarball, "workspace/bootstrap-qcow2/local.yaml")
    assert "set: base\nwith: extra\n" in local


@pytest.mark.parametrize(
    ("variable", "message"),
    [
        ("BQ2_JBOS", "environment: unknown parameter 'jbos' (BQ2_JBOS)"),
        ("BQ2_SET", "environment: set cannot"),
    ],
)
def test_bad_variables(toy: Checkout, variable: str, message: str) -> None:
    assert message in refused(toy, "pkg", **{variable: "x"})


@pytest.mark.parametrize(
    ("path", "old", "new", "messages"),
    [
        (BOTTOM, "'1'", "'1", [f"{BOTTOM}:", "broken YAML"]),
        (BOTTOM, "depends: []", "name: bottom", [f"{BOTTOM}:5: duplicate key", "first in line 1"]),
        (BOTTOM, "license:", "licence:", [f"{BOTTOM}:3: unknown key 'licence'", "license now"]),
        (BOTTOM, "style: script", "style: scrpt", [f"{BOTTOM}:6: unknown style", "script?"]),
        (BOTTOM, "depends: []", "depends: [tpo]", [f"{BOTTOM}:5: depends on 'tpo'", "top?"]),
        (BOTTOM, "depends: []", "depends: [top]", [f"{BOTTOM}:5:", "bottom → top → left → bot"]),
        ("plan/sets.yaml", "[top, kernel]", "[topp]", ["plan/sets.yaml:3", "'topp'", "mean top?"]),
        ("plan/sets.yaml", "  exclude: [usr/src]\n", "", ["plan/sets.yaml:", "'exclude' is"]),
    ],
)  # fmt: skip
def test_bad_authored_files(
    toy: Checkout, path: str, old: str, new: str, messages: list[str]
) -> None:
    toy.edit(path, old, new)
    said = refused(toy, "list")
    assert all(message in said for message in messages), said


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("jbos: 2\n", "local.yaml:1: unknown parameter 'jbos'"),
        ("jobs: 0\n", "local.yaml:1: jobs cannot be '0'"),
        ("jobs: [1]\n", "local.yaml:1: 'jobs' must be a plain value"),
        ("jobs: 1\njobs: 2\n", "local.yaml:2: duplicate key 'jobs'"),
        ("with: tpo\n", "local.yaml: with: there is no recipe 'tpo'"),
    ],
)
def test_a_bad_local_file(toy: Checkout, text: str, message: str) -> None:
    (toy.root / "local.yaml").write_text(text)
    assert message in refused(toy, "pkg")


def test_settings_say_where_each_value_came_from(toy: Checkout) -> None:
    (toy.root / "local.yaml").write_text("jobs: 5\noffline: yes\nstrict: yes\n")
    done = toy.doit("settings", "strict=no", "jobs=7", BQ2_JOBS="6", BQ2_OFFLINE="no")
    assert done.status == 0
    expected = {
        "jobs": ("7", "command line "),
        "strict": ("0", "command line "),
        "offline": ("0", "environment "),
        "seed": (str(toy.seed), "environment "),
        "set": ("base", "environment "),
        "output": ("-", "default "),
    }
    for name, (value, origin) in expected.items():
        assert re.search(rf"^{name} +{re.escape(value)}\s+{origin}", done.said, re.M), name
    local = toy.doit("settings").said
    assert re.search(r"^jobs +5 +local.yaml ", local, re.M)
    # A value that is a path may be longer than a terminal is wide; nothing else is.
    assert all(len(line) <= 80 or str(toy.root) in line for line in local.splitlines())


def test_the_plan_is_literal_and_the_same_twice(toy: Checkout) -> None:
    plan = toy.plan()
    assert [step["name"] for step in plan["steps"]] == ["bottom", "left", "right", "top", "kernel"]
    left = plan["steps"][1]
    script = f"share=/dest/usr/share; mkdir -p $share\n{SCRIPTS['left']}\n"
    assert left["commands"][0] == {"argv": ["sh", "-euc", script], "cwd": "/source"}
    assert (
        left["depends"] == ["bottom"] and ["TARGET", "x86_64-bq2-linux-musl"] in left["environment"]
    )
    assert plan["seed"] == {"name": "seed", "identity": plan["seed"]["identity"]}
    text = (toy.root / "work" / "plan.json").read_text()
    assert str(toy.root) not in text and str(toy.cache) not in text
    assert toy.plan() == plan and (toy.root / "work" / "plan.json").read_text() == text
    other = toy.doit("plan", "arch=aarch64", "workdir=other")
    assert other.status == 0
    assert "aarch64-bq2-linux-musl" in (toy.root / "other" / "plan.json").read_text()


def test_list_and_info_tell_what_stands(built: Checkout) -> None:
    def status(*words: str) -> dict[str, str]:
        lines = built.doit("list", "--all", "--status", *words).said.splitlines()
        return {line.split()[1]: line.split()[0] for line in lines}

    packages = {f"{kind}:{name}" for name in SCRIPTS for kind in ("pkg", "sysroot-from-seed")}
    before = status()
    more = {"fetch", "plan", "seed"}
    assert {name for name, letter in before.items() if letter == "U"} == packages | more
    built.edit("plan/recipes/left.yaml", "echo left", "echo other")
    after = status("pkg")
    assert after["pkg:bottom"] == after["pkg:right"] == "U"
    assert after["pkg:left"] == after["pkg:kernel"] == "R"
    info = built.doit("info", "pkg:bottom").said
    assert "bottom is a toy" in info and "up to date" in info


def test_a_list_that_is_not_read_to_its_end_is_no_error(toy: Checkout) -> None:
    command = ["sh", "-c", '("$@" && echo fine >&2) | true', "sh", *doit("list", "--all")]
    done = toy.run(command)
    assert "fine" in done.said and "Traceback" not in done.said, done


@pytest.mark.fault(
    "the description of a recipe has control characters", "`list` shows them as text"
)
def test_a_recipe_does_not_control_the_terminal(toy: Checkout) -> None:
    path = toy.recipe("bottom", "true")
    path.write_text(path.read_text().replace("bottom is a toy", '"\\e]0;title\\a"'))
    for words in (["list", "pkg"], ["list", "pkg:bottom"], ["info", "pkg:bottom"]):
        assert not {"\x1b", "\a"} & {*toy.doit(*words).said}, words


def test_every_task_is_among_the_names_to_choose_from(toy: Checkout) -> None:
    names = toy.doit("list", "--all", "--quiet").said.split()
    assert {"image", "pkg", "pkg:top"} <= {*names}
    known = toy.doit("info", "WRONG").said.partition("known: ")[2]
    plain = {name for name in names if ":" not in name and name != "sysroot-from-seed"}
    assert plain <= {*known.strip().split(", ")} and "pkg:top" not in known


def test_it_does_not_matter_where_doit_is_called(built: Checkout) -> None:
    inside = ["sh", "-c", 'cd rootfs && exec "$@"', "sh"]
    done = built.run([*inside, *doit("-k", "image")])
    assert done.status == 0 and done.built == [], done
    assert (built.root / "output" / "bootstrap-qcow2-base-x86_64.qcow2").exists()


def test_the_version_is_that_of_the_project(toy: Checkout) -> None:
    said = toy.run([sys.executable, "-m", "tasks", "--version"]).said
    assert said.splitlines()[0].split()[-1] == VERSION


@pytest.mark.qemu
def test_what_boot_needs_is_built_side_by_side(toy: Checkout) -> None:
    for name in ("left", "right"):
        toy.recipe(name, "sleep 2", "bottom")
    toy.recipe("kernel", "false")
    done = toy.doit("boot", "jobs=2")
    assert done.status == 1 and {"left", "right"} < {*done.built}, done
    begun = [done.said.index(f"pkg:{name} ") for name in ("left", "right")]
    ended = [re.search(rf"^pkg:{name} +built", done.said, re.M) for name in ("left", "right")]
    assert all(match and match.start() > max(begun) for match in ended), done
