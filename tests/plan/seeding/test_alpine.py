"""The seed `alpine`: its file, and the errors in it that are refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from plan.errors import BuildError
from plan.seeding.alpine import load_alpine
from plan.steps.toolbox import seed_tools
from tests.plan.conftest import PLAN, written

SEEDS = PLAN / "seeds"
SHA = "ab" * 32
ALPINE = f"""\
version: 3.23.2
programs:
  usr/bin/cc: "zig -target @arch@-linux"
  usr/bin/ar: "zig"
wheels:
  ninja: {{urls: ["wheel:ninja==1.13.2"], exclude: [doc]}}
architectures:
  x86_64:
    releases:
      3.23.2: {{sha256: {SHA}, size: 0, file: a.tar.gz, urls: ["https://example.org/a.tar.gz"]}}
    programs: {{usr/bin/b: "x86"}}
    wheels:
      ninja: {{sha256: {SHA}, size: 1, file: ninja-1.13.2-py3-none-any.whl}}
compiler: {{programs: /usr/bin, resources: /usr}}
"""


@pytest.mark.parametrize("architecture", ["x86_64", "aarch64"])
def test_the_real_seed(architecture: str) -> None:
    seed = load_alpine(SEEDS / "alpine.yaml", architecture)
    assert seed.architecture == architecture
    assert all(seed.version in place and architecture in place for place in seed.source.urls)
    compiler = dict(seed.programs)["usr/lib/wheels/bin/cc"]
    assert f"-target {architecture}-linux-musl" in compiler


def test_what_is_shared_and_what_is_the_architectures_come_together(tmp_path: Path) -> None:
    seed = load_alpine(written(tmp_path, ALPINE), "x86_64")
    assert seed.source.size == 0 and seed.version == "3.23.2"
    assert seed.programs == (
        ("usr/bin/ar", "zig"),
        ("usr/bin/b", "x86"),
        ("usr/bin/cc", "zig -target x86_64-linux"),
    )
    assert [(each.sha256, each.urls, each.exclude) for each in seed.wheels] == [
        (SHA, ("wheel:ninja==1.13.2",), ("doc",))
    ]


def test_the_real_seed_lacks_what_is_made_first() -> None:
    tools = seed_tools(SEEDS, "alpine", "x86_64")
    assert tools.compiler and tools.compiler.host == ("cc", "c++")
    assert tools.makes["seed-make"] == ("make",) and tools.makes["seed-m4"] == ("m4",)
    assert seed_tools(SEEDS, "debian", "x86_64") == seed_tools(SEEDS, "", "x86_64")


@pytest.mark.fault("a seed's wheel for another architecture", "refused before anything is built")
@pytest.mark.parametrize(
    ("platform", "fits"),
    [("musllinux_1_2_x86_64", True), ("any", True), ("manylinux_2_17_aarch64", False)],
)
def test_a_wheel_of_another_architecture_is_refused(
    platform: str, fits: bool, tmp_path: Path
) -> None:
    path = written(tmp_path, ALPINE.replace("any.whl", f"{platform}.whl"))
    if fits:
        assert platform in load_alpine(path, "x86_64").wheels[0].file
        return
    with pytest.raises(BuildError) as caught:
        load_alpine(path, "x86_64")
    assert "is not for x86_64" in caught.value.message
    assert caught.value.where == f"{path}:13"


@pytest.mark.parametrize(
    ("old", "new", "line", "reason"),
    [
        (f"3.23.2: {{sha256: {SHA}", "3.23.2: {sha256: x", 10, "64 hexadecimal digits"),
        ("version: 3.23.2", "versions: 3.23.2", 1, "did you mean version?"),
        ("  x86_64:", "  sparc:", 7, "no seed alpine for machines of x86_64"),
        ("    wheels:\n      ninja:", "    wheels:\n      nijna:", 13, "did you mean ninja?"),
        ("wheels:\n  ninja:", "wheels: {}\nlinks:\n  ninja:", 14, "not in both lists of wheels"),
        ("usr/bin/ar:", "../ar:", 2, "not a path inside"),
        ('{urls: ["wheel:ninja==1.13.2"], exclude: [doc]}', "ninja", 6, "must be a mapping"),
    ],
)
def test_seeds_that_are_refused(old: str, new: str, line: int, reason: str, tmp_path: Path) -> None:
    assert ALPINE.count(old) == 1
    path = written(tmp_path, ALPINE.replace(old, new))
    with pytest.raises(BuildError) as caught:
        load_alpine(path, "x86_64")
    assert reason in str(caught.value)
    assert str(path) in str(caught.value)
    assert caught.value.where == f"{path}:{line}"


@pytest.mark.parametrize("architecture", ["x86_64", "aarch64"])
@pytest.mark.parametrize("release", ["3.23.4", "3.20.3"])
def test_a_release_of_the_file_may_be_chosen(architecture: str, release: str) -> None:
    usual = load_alpine(SEEDS / "alpine.yaml", architecture)
    other = load_alpine(SEEDS / "alpine.yaml", architecture, release)
    assert usual.version == "3.23.2" and other.version == release
    assert other.source.sha256 != usual.source.sha256
    assert release in other.source.file and all(release in url for url in other.source.urls)
    assert other.wheels == usual.wheels and other.makes == usual.makes


@pytest.mark.fault(
    "seed_release= names a release that is not pinned", "the known releases are told"
)
def test_an_unknown_release_is_told() -> None:
    with pytest.raises(BuildError, match=r"3\.23\.1 is not pinned") as caught:
        load_alpine(SEEDS / "alpine.yaml", "x86_64", "3.23.1")
    assert "3.23.2, 3.23.4, 3.20.3" in str(caught.value)
