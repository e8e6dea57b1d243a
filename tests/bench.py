"""`doit bench`: measures what the project promises, and a plain tool in the same run to compare.

    doit bench         the quick measurements (a minute)
    doit bench cold    also a complete cold build of the base set, in its own cache

Times are the best of several runs, in seconds of wall time unless noted. Each figure is printed
with its promise. Nothing passes or fails, because a busy machine is no bug.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from plan.toolchain import SOURCE_DATE_EPOCH
from tests.checkout import ROOT, copy_project, own_cache

RUNS = 5


def main(words: list[str]) -> int:
    with tempfile.TemporaryDirectory(prefix="bq2-bench-") as name:
        directory = Path(name)
        for bench in (plan_40, up_to_date, sandbox, pack_tree, unpack_tree, image, prompt):
            bench(directory)
        if "cold" in words:
            cold_build(directory)
    return 0


def report(what: str, figure: str, promised: str = "", ratio: str = "") -> None:
    print(f"{what:<44} {figure:>16}  {promised:<16} {ratio}", flush=True)


def best(action: Callable[[], Any], runs: int = RUNS) -> float:
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        action()
        times.append(time.perf_counter() - start)
    return min(times)


def cpu() -> float:
    """The processor time of all finished child processes, in seconds."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def run(*command: str | Path, **more: Any) -> subprocess.CompletedProcess[str]:
    words = [os.fspath(word) for word in command]
    return subprocess.run(words, check=True, capture_output=True, text=True, **more)


def versus(ours: float, theirs: float, tool: str) -> str:
    return f"{ours / theirs:.2f} x {tool} ({theirs:.3f} s)"


def plan_40(directory: Path) -> None:
    """Forty recipes: the real ones under several names."""
    from plan.planner import make_plan

    data = directory / "plan"
    shutil.copytree(ROOT / "plan", data)
    real = sorted((data / "recipes").glob("*.yaml"))
    for number in range(40 - len(real)):
        model = real[number % len(real)]
        text = model.read_text().replace(f"name: {model.stem}\n", f"name: x{number}\n", 1)
        (data / "recipes" / f"x{number}.yaml").write_text(text)
    every = sorted(path.stem for path in (data / "recipes").glob("*.yaml"))
    text = (data / "sets.yaml").read_text()
    line = next(line for line in text.splitlines() if line.startswith("  packages: ["))
    (data / "sets.yaml").write_text(text.replace(line, f"  packages: [{', '.join(every)}]"))
    took = best(lambda: make_plan(data, set_name="base", arch_name="x86_64").digest)
    report(f"load, order and hash {len(every)} recipes", f"{took:.3f} s", "<= 0.15 s")


def up_to_date(directory: Path) -> None:
    """What a person types: with the launcher, in a new process."""
    command = (ROOT / "bq2", "image", "set=base", "seed=debian")
    run(*command)
    before = cpu()
    ours = best(lambda: run(*command))
    worked = (cpu() - before) / RUNS
    theirs = best(lambda: run(sys.executable, "-m", "doit", "--version", cwd=directory))
    report(
        "./bq2 image set=base, up to date",
        f"{ours:.3f} s",
        "<= 0.25 s",
        f"{worked:.3f} s of processor time; {versus(ours, theirs, 'doit --version')}",
    )


def sandbox(directory: Path) -> None:
    from plan.model import Command
    from rootfs.sandbox.compose import bound, scratch
    from rootfs.sandbox.enter import Sandbox, enter

    points = directory / "points"
    for name in ("proc", "dev", "tmp", "usr"):
        (points / name).mkdir(parents=True)
    for name in ("bin", "lib", "lib64"):
        (points / name).symlink_to(f"usr/{name}")
    mounts = [bound("/usr", Path("/usr")), scratch("/tmp")]
    place = Sandbox(directory / "sandbox", bound("/", points), mounts, {"PATH": "/usr/bin"})
    ours = best(lambda: enter(place, [Command(("true",), "/")], log=directory / "log"), 20)
    theirs = best(lambda: run("unshare", "-Urmpinuf", "true"), 20)
    report(
        "run `true` in the sandbox", f"{ours * 1000:.0f} ms", "", versus(ours, theirs, "unshare")
    )


def seed_tree() -> Path:
    """The seed debian: some thousand files, as real as any."""
    return next(tree for tree in (own_cache() / "trees").glob("seed-*") if _has_clang(tree))


def _has_clang(tree: Path) -> bool:
    return (tree / "usr" / "lib" / "llvm-19").is_dir()


def pack_tree(directory: Path) -> None:
    from rootfs.archives.pack import Hashing, finish, pack

    tree = seed_tree() / "usr" / "lib"

    def ours() -> None:
        with (directory / "ours.tar").open("wb") as file:
            out = Hashing(file)
            pack([tree], out)
            finish(out)

    plain = ["tar", "--sort=name", f"--mtime=@{SOURCE_DATE_EPOCH}", "-C", tree, "-cf"]
    took = best(ours, 3)
    theirs = best(lambda: run(*plain, directory / "theirs.tar", "."), 3)
    size = (directory / "ours.tar").stat().st_size
    report(f"pack and hash {size / 1e6:.0f} MB", f"{took:.2f} s", "", versus(took, theirs, "tar"))


def unpack_tree(directory: Path) -> None:
    from rootfs.archives.files import fresh_directory
    from rootfs.archives.unpack import unpack

    archive = directory / "ours.tar"
    took = best(lambda: unpack(archive, fresh_directory(directory / "unpacked")), 3)

    def plain() -> None:
        run("tar", "-xf", archive, "-C", fresh_directory(directory / "unpacked"))

    theirs = best(plain, 3)
    report("unpack the same", f"{took:.2f} s", "", versus(took, theirs, "tar"))


def base_image() -> Path:
    return next((ROOT / "output").glob("bootstrap-qcow2-base-*.qcow2"))


def image(directory: Path) -> None:
    from rootfs.image.assemble import write_image

    raw, kernel = directory / "image.raw", directory / "kernel"
    run("qemu-img", "convert", "-O", "raw", base_image(), raw)
    run("mcopy", "-i", f"{raw}@@1M", "::/EFI/BOOT/BOOTX64.EFI", kernel)
    out = directory / "image.qcow2"
    identity = {"efi_name": "BOOTX64.EFI", "identity": "bench"}
    took = best(lambda: write_image(out, efi_executable=kernel, **identity), 3)
    plain = ["qemu-img", "convert", "-c", "-O", "qcow2", raw, directory / "theirs.qcow2"]
    theirs = best(lambda: run(*plain), 3)
    report(
        "write the image", f"{took:.2f} s", "<= 2 s", versus(took, theirs, "qemu-img convert -c")
    )
    report("size of the image", f"{out.stat().st_size / 1e6:.1f} MB", "<= 12 MB")


def prompt(directory: Path) -> None:
    del directory
    from rootfs.vm.boot import time_to_prompt
    from rootfs.vm.qemu import Machine

    machine = Machine("x86_64", accel="tcg")
    took = min(time_to_prompt(base_image(), machine) for _ in range(3))
    report("QEMU's start to the prompt, TCG", f"{took:.1f} s", "<= 10 s")


def cold_build(directory: Path) -> None:
    """All but the downloads of the sources: those come from the user's cache."""
    checkout = copy_project(directory / "checkout")
    cache = directory / "cache"
    cache.mkdir()
    shutil.copytree(own_cache() / "sources", cache / "sources", copy_function=os.link)
    before, start = cpu(), time.monotonic()
    command = [sys.executable, "-m", "doit", "image", "set=base", "seed=debian", "offline=1"]
    environment = os.environ | {"BQ2_CACHE": str(cache)}
    peak = highest_memory(subprocess.Popen(command, cwd=checkout, env=environment))
    wall = time.monotonic() - start
    used = cpu() - before
    records = [json.loads(path.read_text()) for path in (cache / "steps").glob("*.json")]
    packages = sum(record["cpu"] for record in records)
    kernel = sum(record["cpu"] for record in records if record["name"] == "linux")
    report("cold build, sources at hand", f"{wall / 60:.1f} min", "<= 12 min")
    report("CPU of the kernel's objects", f"{kernel / 60:.1f} min", "<= 10 min")
    own = f"{1 - packages / used:.1%}"
    report("CPU of all but the packages' commands", f"{used - packages:.0f} s", "<= 5 %", own)
    report("peak memory of doit's process", f"{peak:.0f} MiB", "<= 150 MB")


def highest_memory(process: subprocess.Popen[bytes]) -> float:
    """Wait for `process`, and say how much memory it alone had at most, in MiB (proc(5), VmHWM)."""
    highest = 0
    while process.poll() is None:
        try:
            status = Path(f"/proc/{process.pid}/status").read_text()
        except OSError:
            continue
        found = [line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")]
        highest = max([highest, *map(int, found)])
        time.sleep(0.2)
    return highest / 1024


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
