"""The page with unusual data: hostile names, or nothing known."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from plan.model import Source
from tasks.engine.records.outcome import Outcome
from tasks.report.facts import (
    BUILT,
    CUT,
    FAILED,
    Bar,
    Change,
    Comparison,
    Facts,
    ProductFacts,
    Run,
    StepFacts,
)
from tasks.report.page import page
from tests.tasks.page.checker import Checked

EVIL = (
    """</script></style><script>parent.evil=1</script><img src=x onerror="parent.evil=1">'&amp;"""
)
FIRST, SECOND = "sysroot-from-seed", "rootfs-from-sysroot"
PROBE = """\
<body><iframe src="%s" width=360 height=900></iframe><script>
  onload = () => {
    const page = document.querySelector("iframe").contentDocument, told = {};
    told.wide = page.documentElement.scrollWidth;
    told.evil = String(window.evil);
    told.cut = [...page.querySelectorAll(".n")].filter((node) =>
      node.querySelector("text").getBBox().width > node.querySelector("rect").getBBox().width)
      .map((node) => node.textContent).join();
    const table = page.querySelectorAll("table.packages")[1];
    const order = () => [...table.tBodies[0].rows].map((row) => row.cells[3].textContent).join();
    told.before = order();
    table.tHead.querySelectorAll("button")[3].click();
    told.sorted = order();
    document.body.textContent = "told " + JSON.stringify(told) + " end";
  };
</script>"""


def step(phase: str, name: str, *depends: str, **more: object) -> StepFacts:
    plain = StepFacts(
        task=f"{phase}:{name}",
        name=name,
        phase=phase,
        version="1",
        license="MIT",
        description="a toy",
        state="up_to_date",
        depends=depends,
        tools=("zlib",) if phase == SECOND else (),
        sources=(),
        artifact="ab" * 32,
        size=1000,
        seconds=3.0,
        cpu=2.0,
        memory=1 << 20,
    )
    return replace(plain, **more)  # type: ignore[arg-type]


def facts(**more: object) -> Facts:
    source = Source("cd" * 32, 0, "zlib-1.tar", ("https://zlib.test/a?b&c", "debian:pool/z"))
    steps = (
        step(FIRST, "zlib", sources=(source,)),
        step(SECOND, "zlib", size=5000, resumed=True),
        step(SECOND, "python-packages", "zlib", state="failed", size=None, artifact=None),
        step(SECOND, "musl", "zlib", size=70_000_000),
    )
    bars = (
        Bar(f"{FIRST}:zlib", 0, 30, BUILT),
        Bar(f"{SECOND}:zlib", 31, 3000, FAILED),
        Bar(f"{SECOND}:musl", 2900, 3100, CUT),
    )
    run = Run(
        1.7e9, "image jobs=2", 3100.0, Outcome("failed", 3100.0, 1), bars, ((f"{FIRST}:zlib", 1.0),)
    )
    old, new = {"version": "1", "size": 100, "cpu": 0.0}, {"version": "2", "size": 110, "cpu": 9}
    plain = Facts(
        title="bootstrap-qcow2-full-x86_64",
        written=1.7e9,
        set="full",
        arch="x86_64",
        seed="debian 1234",
        plan_digest="11" * 32,
        product_digest="22" * 32,
        phases=(FIRST, SECOND),
        product_phase=SECOND,
        steps=steps,
        products=(ProductFacts("image", "/x/image.qcow2", 123_000_000, "33" * 32),),
        last_run=run,
        runs=(run,),
        failures=(
            {"step": f"{SECOND}:zlib", "message": "no", "log": "/x/log", "tail": ["a", "b"]},
        ),
        warnings=("one thing",),
        comparison=Comparison(1.6e9, 1.7e9, (Change("zlib", "other version", old, new),)),
        next="nothing to build",
    )
    return replace(plain, **more)  # type: ignore[arg-type]


def hostile() -> Facts:
    """Facts in which every text is an attack."""
    evil = replace(
        step(SECOND, EVIL, "zlib"),
        **dict.fromkeys(("version", "license", "description", "artifact", "step_id"), EVIL),
        sources=(Source(EVIL, 1, EVIL, ("javascript:parent.evil=1", f"https://x/{EVIL}", EVIL)),),
    )
    run = Run(
        1.7e9,
        EVIL,
        9.0,
        Outcome("interrupted", 9, 1, EVIL),
        (Bar(f"{SECOND}:{EVIL}", 0, 9, FAILED),),
        ((EVIL, 1.0),),
    )
    report = dict.fromkeys(("step", "message", "error", "cause", "remedy", "log"), EVIL)
    change = Change(EVIL, EVIL, {"version": EVIL}, {"artifact": EVIL})
    plain = facts()
    return replace(
        plain,
        steps=(*plain.steps, evil),
        runs=(run,),
        last_run=run,
        seed=EVIL,
        failures=({**report, "tail": [EVIL]},),
        warnings=(EVIL,),
        products=(ProductFacts("", EVIL, 1, EVIL),),
        comparison=Comparison(1, 2, (change,)),
        title=EVIL,
        next=EVIL,
    )


def test_the_page_tells_what_is_known() -> None:
    read = Checked(page(facts()))
    told = ["image.qcow2", "33" * 32, "11" * 32, "✕ python-packages", "one thing", "70.0 MB"]
    told += ["size not known", "debian:pool/z", "1 → 2", "+10.0 %", "50 min"]
    told += ["failed: zlib", "not finished: musl"]
    assert [text for text in told if text not in read.text] == []
    assert "https://zlib.test/a?b&c" in read.links
    assert read.classes.count("bar p1 failed") == 1 and read.classes.count("hit p0") == 1


def test_every_package_is_drawn_and_every_edge() -> None:
    read = Checked(page(facts()))
    nodes = [each for each in read.classes if each.startswith("n n")]
    assert len(nodes) == 4
    assert {"e1 e2", "e1 e3"} <= {*read.classes}


def test_the_first_questions_are_answered_first() -> None:
    text = Checked(page(facts())).text
    answers = ["Failed: 1 step; 3 of 4 steps built.", "failed with status 1 after 52 min"]
    answers += ["1 change since the build before: zlib", "nothing to build", "packages"]
    at = [text.index(answer) for answer in answers]
    assert at == sorted(at) and at[-1] < text.index("Timeline") < text.index("11" * 32)


def test_the_size_map_tells_packages_apart_and_names_the_small_ones() -> None:
    names = [f"package-{n}" for n in range(30)]
    steps = tuple(
        step(SECOND, name, size=10 ** (8 - n // 4), tools=()) for n, name in enumerate(names)
    )
    read = Checked(page(facts(steps=steps)))
    tiles = [each for each in read.classes if re.fullmatch(r"t\d", each)]
    assert {*tiles} == {f"t{n}" for n in range(8)}
    shown = read.text.partition("before compression")[2].partition("In build order")[0]
    for part in shown.split("Too small")[1:]:
        assert "package-29" in part
    assert all(name in shown for name in names) and "Too small for a name" in shown


def test_nothing_in_a_name_becomes_markup() -> None:
    text = page(hostile())
    read = Checked(text)
    assert read.text.count(EVIL) >= 12
    assert EVIL not in text and not any("javascript" in link for link in read.links)
    assert "javascript:parent.evil=1" in read.text


def test_a_page_of_nothing_says_so() -> None:
    nothing = facts(
        steps=(), products=(), last_run=None, runs=(), failures=(), warnings=(), comparison=None
    )
    read = Checked(page(nothing))
    for text in (
        "No image or tarball was made here yet.",
        "none in this work directory",
        "There is no earlier, different build",
        "No run in this work directory had anything to build.",
        "No artifact has a known size yet.",
    ):
        assert text in read.text


def test_in_a_browser(tmp_path: Path) -> None:
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("needs a browser")
    (tmp_path / "page.html").write_text(page(hostile()))
    (tmp_path / "probe.html").write_text(PROBE % "page.html")
    command = [browser, "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom"]
    command += ["--allow-file-access-from-files", f"--user-data-dir={tmp_path / 'profile'}"]
    done = subprocess.run(
        [*command, (tmp_path / "probe.html").as_uri()],
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    found = re.search("told (.*) end", done.stdout)
    assert found, done.stdout
    told = json.loads(html.unescape(found[1]))
    assert told["wide"] <= 360 and told["cut"] == "" and told["evil"] == "undefined", told
    assert told["before"].startswith("5.0 kB") and told["sorted"].startswith("70.0 MB,5.0 kB"), told
