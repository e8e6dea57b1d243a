"""Two phases: the seed builds the tools, the tools build the product, and the seed is not visible.

seed ──▶ base, tool, first ──▶ base, tool, first, nosy, kernel
         sysroot-from-seed     rootfs-from-sysroot
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.scratch import IN_MEMORY
from tests.tasks.toy import BUSYBOX, PROGRAMS, Checkout

pytestmark = pytest.mark.namespace

FULL = """\
full:
  phase: rootfs-from-sysroot
  packages: [base, tool, first, nosy, kernel]
  exclude: []
  initramfs: {kernel: kernel, packages: [base]}
"""
LINKS = " ".join(PROGRAMS)
RECIPES = {
    "base": (
        f"mkdir /dest/usr/bin; cp /bin/busybox /dest/usr/bin\n"
        f"for each in {LINKS}; do ln -s busybox /dest/usr/bin/$each; done\n"
        "cp /usr/bin/llvm-strip /dest/usr/bin; ln -s usr/bin /dest/bin\n"
    ),
    "tool": "echo 1 > $share/tool",
    "first": "cat /usr/share/tool > $share/first || echo none > $share/first",
    "nosy": "find / -xdev > $share/nosy; cat /usr/share/seed >> $share/nosy || true",
    "kernel": "mkdir /dest/boot; cat /input/initramfs.cpio > /dest/boot/kernel.efi",
}
PHASES = ("sysroot-from-seed", "rootfs-from-sysroot")


@pytest.fixture
def two(toy: Checkout, tmp_path: Path) -> Checkout:
    """A checkout whose set `full` has two phases, and a seed that can be told from the rest."""
    toy.seed = shutil.copytree(toy.seed, tmp_path / "seed", symlinks=True)
    (toy.seed / "usr" / "share").mkdir()
    (toy.seed / "usr" / "share" / "seed").write_text("the seed was here\n")
    plan = toy.root / "plan"
    (plan / "sets.yaml").write_text(FULL)
    (plan / "toolbox.yaml").write_text("every: [base]\n")
    for name, script in RECIPES.items():
        more = {"tools": "[tool]"} if name == "first" else {}
        toy.recipe(name, script, **more)
    toy.variables["BQ2_SET"] = "full"
    assert BUSYBOX.exists()
    return toy


def built(said: str) -> list[str]:
    """What was built, the first phase's named as such, in that order."""
    lines = re.findall(r"^pkg:(\S+) +building \S+(.*)", said, re.MULTILINE)
    return [name + ("" if not phase else " first") for name, phase in lines]


def tree(checkout: Checkout, phase: str, name: str) -> Path:
    stamp = checkout.root / "work" / "stamps" / phase / f"{name}.json"
    artifact = json.loads(stamp.read_text())["artifact"]
    return checkout.cache / "trees" / artifact / "usr" / "share"


def test_what_builds_the_set_is_built_first_and_nothing_else(two: Checkout) -> None:
    done = two.doit("pkg")
    assert done.status == 0, done
    order = built(done.said)
    assert sorted(order) == ["base", "base first", "first", "kernel", "nosy", "tool", "tool first"]
    assert order.index("base first") < order.index("base")
    assert order.index("tool first") < order.index("first")
    assert built(two.doit("pkg").said) == []


def test_the_second_phase_sees_nothing_of_the_seed(two: Checkout) -> None:
    assert two.doit("pkg").status == 0
    seen = (tree(two, PHASES[1], "nosy") / "nosy").read_text()
    assert "the seed was here" not in seen and "/usr/share/seed" not in seen
    assert "/usr/share/tool" not in seen, "a tool that the recipe does not name"
    assert (tree(two, PHASES[1], "first") / "first").read_text() == "1\n"


def test_a_tool_reaches_what_is_built_with_it(two: Checkout) -> None:
    assert two.doit("pkg").status == 0
    two.edit("plan/recipes/tool.yaml", "echo 1", "echo 2")
    assert sorted(built(two.doit("pkg").said)) == ["first", "kernel", "tool", "tool first"]


def test_forgotten_in_one_phase_or_in_all(two: Checkout) -> None:
    assert two.doit("pkg").status == 0
    assert two.doit("forget", "rootfs-from-sysroot:tool").status == 0
    assert built(two.doit("pkg").said) == ["tool"]
    assert two.doit("forget", "pkg:tool").status == 0
    assert sorted(built(two.doit("pkg").said)) == ["tool", "tool first"]


def test_a_set_that_lacks_what_builds_it_is_refused(two: Checkout) -> None:
    two.edit("plan/sets.yaml", "[base, tool, first,", "[base, first,")
    done = two.doit("list")
    assert done.status != 0
    assert "the set full cannot build itself: it lacks tool" in done.said, done
    two.edit("plan/toolbox.yaml", "[base]", "[base, hammer]")
    assert "plan/toolbox.yaml:1: there is no recipe 'hammer'" in two.doit("list").said


def test_the_phases_are_listed_and_can_be_entered(two: Checkout) -> None:
    names = [line.split()[0] for line in two.doit("list").said.splitlines()]
    assert {*PHASES, "pkg"} <= {*names}
    assert "doit rootfs-from-sysroot" in two.doit("shell", "rootfs", "run=true").said
    assert two.doit("pkg").status == 0
    for target, expected in (("sysroot", "tool"), ("rootfs", "first nosy tool")):
        said = two.doit("shell", target, "run=echo $(ls /usr/share)").said
        assert said.splitlines()[-1] == expected, said
    said = two.doit("shell", "sysroot-from-seed:tool", "run=cat /usr/share/seed").said
    assert "the seed was here" in said
    assert "the seed was here" not in two.doit("shell", "pkg:tool", "run=cat /usr/share/seed").said


def test_overrides_of_one_phase_and_the_shell_in_it(two: Checkout) -> None:
    assert two.doit("pkg").status == 0
    file = two.root / "work" / "overrides.yaml"
    file.write_text("rootfs-from-sysroot:tool: {add-build: 'echo 2 >> $share/tool'}\n")
    assert sorted(built(two.doit("pkg").said)) == ["kernel", "tool"]  # which tells the plan
    assert (tree(two, PHASES[0], "tool") / "tool").read_text() == "1\n"
    assert "rootfs-from-sysroot:tool\n  build:\n" in two.doit("overrides").said
    # In the phase before, it is a tool; the plan of the product does not tell of those.
    file.write_text("sysroot-from-seed:tool: {add-build: 'echo 3 > $share/tool'}\n")
    assert sorted(built(two.doit("pkg").said)) == ["first", "tool first"]
    assert (tree(two, PHASES[1], "first") / "first").read_text() == "3\n"
    file.write_text("".join(f"{phase}:tool: {{version: '2'}}\n" for phase in PHASES))
    assert two.doit("overrides").said == "pkg:tool\n  version: 1 → 2\n"
    file.write_text("rootfs-from-sysroot:*: {environment: {CFLAGS: -O3}}\ntool: {version: '2'}\n")
    assert two.doit("overrides").said == (
        "pkg:tool\n  version: 1 → 2\n"
        "rootfs-from-sysroot:* (5 packages)\n  environment.CFLAGS: -O2 → -O3\n"
    )
    look = ("shell", "pkg:tool", "run=cat /usr/share/seed")
    assert "the seed was here" in two.doit(*look, "phase=sysroot-from-seed").said
    assert "the seed was here" not in two.doit(*look, "phase=rootfs-from-sysroot").said
    wrong = two.doit("shell", "pkg:nosy", "phase=sysroot-from-seed", "run=true")
    assert wrong.status != 0 and "called 'pkg:nosy' in the phase sysroot-from-seed" in wrong.said
    wrong = two.doit("shell", "pkg:tool", "phase=sysroot-from-sed")
    assert "phase cannot be 'sysroot-from-sed'" in wrong.said and "from-seed?" in wrong.said


def test_both_phases_are_verified(two: Checkout) -> None:
    two.recipe("nosy", "find / -xdev | sort > $share/nosy")
    done = two.doit("verify")
    assert done.status == 0 and "10 of 10 identical" in done.said, done


@pytest.mark.skipif(IN_MEMORY, reason="a directory for temporary files that is not in memory")
def test_what_the_second_phase_runs_in_has_another_order(two: Checkout) -> None:
    two.recipe("nosy", "find / -xdev > $share/nosy")
    done = two.doit("verify", "packages=nosy", "variations=order")
    assert done.status == 1 and "cause  another order" in done.said, done


def test_one_phase_is_verified_alone(two: Checkout) -> None:
    done = two.doit("verify", "phase=sysroot-from-seed", "packages=tool,nosy")
    assert done.status == 0 and "1 of 1 identical" in done.said, done
    assert re.search(r"^sysroot-from-seed:tool +identical", done.said, re.MULTILINE), done
    assert built(done.said) == ["tool first"], done
    done = two.doit("verify", "phase=rootfs-from-sysroot", "packages=tool,kernel")
    assert done.status == 0 and "2 of 2 identical" in done.said, done


@pytest.mark.parametrize("unpacked", [False, True])
def test_our_own_output_is_a_seed(two: Checkout, tmp_path: Path, unpacked: bool) -> None:
    output = tmp_path / "system.tar"
    assert two.doit("sysroot", f"output={output}").status == 0
    seed = output
    if unpacked:
        seed = tmp_path / "system"
        seed.mkdir()
        subprocess.run(["tar", "-xf", output, "-C", seed], check=True)
    done = two.doit("pkg", f"seed={seed}", "workdir=again")
    assert done.status == 0, done
    assert sorted(built(done.said)) == ["base", "first", "kernel", "nosy", "tool"], done
    (tree,) = (two.cache / "trees").glob("seed-*/etc/bq2")
    assert list((tree.parents[1] / "workspace").iterdir()) == []  # of no use, and large
    stamps = Path("stamps") / "rootfs-from-sysroot"
    for name in ("base", "tool", "first", "kernel"):
        texts = [(two.root / work / stamps / f"{name}.json") for work in ("work", "again")]
        one, again = (json.loads(text.read_text())["artifact"] for text in texts)
        assert one == again, name


def test_a_system_that_cannot_build_is_no_seed(two: Checkout, tmp_path: Path) -> None:
    about = tmp_path / "etc" / "bq2" / "image.json"
    about.parent.mkdir(parents=True)
    told = {"name": "bootstrap-qcow2", "set": "base", "arch": "x86_64", "seed": "toy 1"}
    about.write_text(json.dumps(told))
    done = two.doit("plan", f"seed={tmp_path}")
    assert done.status != 0 and "the set base was compiled by a seed" in done.said, done
    about.write_text(json.dumps({**told, "arch": "aarch64"}))
    done = two.doit("plan", f"seed={tmp_path}")
    assert done.status != 0 and "or with build=aarch64" in done.said, done
