"""`doit bench`: measures what the project promises, and a plain tool in the same run to compare.

    doit bench         the quick measurements (two minutes)
    doit bench cold    also a complete cold build of the base set, in its own cache

It prints the table of docs/performance.md. Wall times: the best, and the worst behind it. The plain
tool takes turns with ours, so a busy moment meets both. Nothing passes or fails, because a busy
machine is no bug.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from plan.compiling.toolchain import SOURCE_DATE_EPOCH
from tests.checkout import ROOT, copy_project, own_cache

RUNS = 5


def main(words: list[str]) -> int:
    heading()
    with tempfile.TemporaryDirectory(prefix="bq2-bench-") as name:
        directory = Path(name)
        for bench in BENCHES:
            bench(directory)
        if "cold" in words:
            cold_build(directory)
    return 0


def heading() -> None:
    """What the figures depend on, and the head of the table."""
    models = [
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    processors = f"{len(os.sched_getaffinity(0))} x {models[0] if models else platform.machine()}"
    load = os.getloadavg()[0]
    print(f"{time.strftime('%Y-%m-%d')}, {processors}, load {load:.1f} at the start\n")
    print("| what | ours | promised | ratio | plain tool |\n|---|---|---|---|---|")


def report(what: str, figure: str, promised: str = "", ratio: str = "", plain: str = "") -> None:
    print(f"| {what} | {figure} | {promised} | {ratio} | {plain} |", flush=True)


def times(action: Callable[[], Any], runs: int = RUNS) -> list[float]:
    """The wall times of `action`, in seconds, the best first."""
    return sorted(_timed(action) for _ in range(runs))


def turns(
    ours: Callable[[], Any], theirs: Callable[[], Any], runs: int = RUNS
) -> tuple[list[float], list[float]]:
    """The wall times of two actions that take turns."""
    pairs = [(_timed(ours), _timed(theirs)) for _ in range(runs)]
    return sorted(pair[0] for pair in pairs), sorted(pair[1] for pair in pairs)


def _timed(action: Callable[[], Any]) -> float:
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def spread(found: list[float]) -> str:
    """The best time and the worst one."""
    if found[0] < 0.1:
        return f"{found[0] * 1000:.0f} ms ({found[-1] * 1000:.0f})"
    return f"{found[0]:.2f} s ({found[-1]:.2f})"


def compare(
    what: str, ours: list[float], theirs: list[float], tool: str, promised: str = ""
) -> None:
    ratio = f"{ours[0] / theirs[0]:.2f}"
    report(what, spread(ours), promised, ratio, f"`{tool}` {spread(theirs)}")


def cpu() -> float:
    """The processor time of all finished child processes, in seconds."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def run(*command: str | Path, **more: Any) -> subprocess.CompletedProcess[str]:
    words = [os.fspath(word) for word in command]
    return subprocess.run(words, check=True, capture_output=True, text=True, **more)


UP_TO_DATE = (ROOT / "bq2", "image", "set=base", "seed=debian")


def plan_40(directory: Path) -> None:
    """Forty recipes: the real ones under several names."""
    from plan.steps.planner import make_plan

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
    took = times(lambda: make_plan(data, set_name="base", arch_name="x86_64").digest)
    report(f"load, order and hash {len(every)} recipes", spread(took), "≤ 0.15 s")


def up_to_date(directory: Path) -> None:
    """What a person types: with the launcher, in a new process."""
    run(*UP_TO_DATE)
    doit = (sys.executable, "-m", "doit", "--version")
    ours, theirs = turns(lambda: run(*UP_TO_DATE), lambda: run(*doit, cwd=directory))
    compare("`./bq2 image set=base`, up to date", ours, theirs, "doit --version", "≤ 0.25 s")


def layer(directory: Path) -> None:
    """What a layer adds to that."""
    own = directory / "layer"
    run(ROOT / "bq2", "layer", "new", own)
    with_layer = (*UP_TO_DATE, f"layer={own}")
    # Not in turns: each would find the other's build as the last one.
    run(*with_layer)
    ours = times(lambda: run(*with_layer))
    run(*UP_TO_DATE)
    theirs = times(lambda: run(*UP_TO_DATE))
    more = (ours[0] - theirs[0]) * 1000
    report("the same with a layer", spread(ours), "≤ 20 ms more", f"{more:+.0f} ms", "")


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
    commands = [Command(("true",), "/")]
    ours, theirs = turns(
        lambda: enter(place, commands, log=directory / "log"),
        lambda: run("unshare", "-Urmpinuf", "true"),
        runs=20,
    )
    compare("run `true` in the sandbox", ours, theirs, "unshare -Urmpinuf")


MISSES = 100


def misses(directory: Path) -> None:
    """Ask a shared cache for steps that it does not have, as a build asks before it compiles."""
    from tasks.engine.project import open_project
    from tasks.engine.taking import AT_ONCE, Taking
    from tests.tasks.nginx import IS_HERE, MISSING, Nginx

    what = f"{MISSES} steps that a shared cache does not have"
    if not IS_HERE:
        report(what, MISSING)
        return
    key = directory / "key"
    run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key)
    trust = directory / "trust"
    trust.write_text(f"me {key.with_suffix('.pub').read_text()}")
    server = Nginx(directory / "nginx")
    given = {"set": "base", "seed": "debian", "cache": server.url, "trust": os.fspath(trust)}
    project = open_project(given | {"workdir": os.fspath(directory / "work")}, os.environ, ROOT)
    step = project.plan.steps[0]
    ids = [hashlib.sha256(bytes([number])).hexdigest() for number in range(MISSES)]
    urls = [f"{server.url}/steps/{each}/key.json" for each in ids]
    used = list[float]()

    def ours() -> None:
        taking, before = Taking(project), time.process_time()
        with ThreadPoolExecutor(AT_ONCE) as pool:
            assert not any(pool.map(lambda each: taking.take(step, each), ids))
        used.append(time.process_time() - before)

    try:
        side_by_side = ("--parallel", "--parallel-max", str(AT_ONCE))
        curl = ("curl", "--silent", *side_by_side, "--output", os.devnull, *urls)
        took, theirs = turns(ours, lambda: run(*curl))
    finally:
        server.close()
    compare(what, took, theirs, "curl --parallel", "≤ 1 s")
    report("the same, CPU", f"{min(used):.2f} s", "≤ 0.5 s")


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
    took, theirs = turns(ours, lambda: run(*plain, directory / "theirs.tar", "."), runs=3)
    size = (directory / "ours.tar").stat().st_size
    compare(f"pack and hash {size / 1e6:.0f} MB", took, theirs, "tar --sort=name")


def unpack_tree(directory: Path) -> None:
    from rootfs.archives.files import fresh_directory
    from rootfs.archives.unpack import unpack

    archive = directory / "ours.tar"

    def ours() -> None:
        unpack(archive, fresh_directory(directory / "unpacked"))

    def plain() -> None:
        run("tar", "-xf", archive, "-C", fresh_directory(directory / "unpacked"))

    took, theirs = turns(ours, plain, runs=3)
    compare("unpack the same", took, theirs, "tar -x")


def base_image() -> Path:
    return next((ROOT / "output").glob("bootstrap-qcow2-base-*.qcow2"))


def image(directory: Path) -> None:
    from rootfs.image.assemble import write_image
    from rootfs.image.names import BOOT

    raw = directory / "image.raw"
    run("qemu-img", "convert", "-O", "raw", base_image(), raw)
    name, kernel = "BOOTX64.EFI", directory / "kernel"
    run("mcopy", "-i", f"{raw}@@1M", f"::/{BOOT}/{name}", kernel)
    out = directory / "image.qcow2"

    def ours() -> None:
        write_image(out, efi_executable=kernel, efi_name=name, identity="bench")

    plain = ["qemu-img", "convert", "-c", "-O", "qcow2", raw, directory / "theirs.qcow2"]
    took, theirs = turns(ours, lambda: run(*plain), runs=3)
    compare("write the image", took, theirs, "qemu-img convert -c", "≤ 2 s")
    report("size of the image", f"{out.stat().st_size / 1e6:.1f} MB", "≤ 6 MB")


def prompt(directory: Path) -> None:
    del directory
    from rootfs.vm.boot import time_to_prompt
    from rootfs.vm.qemu import Machine

    machine = Machine("x86_64", accel="tcg")
    took = sorted(time_to_prompt(base_image(), machine) for _ in range(3))
    report("QEMU's start to the prompt, TCG", spread(took), "≤ 7 s")


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
    report("cold build, sources at hand", f"{wall / 60:.1f} min", "≤ 12 min")
    report("CPU of the kernel's objects", f"{kernel / 60:.1f} min", "≤ 10 min")
    own = f"{1 - packages / used:.1%}"
    report("CPU of all but the packages' commands", f"{used - packages:.0f} s", "≤ 5 %", own)
    report("peak memory of doit's process", f"{peak:.0f} MiB", "≤ 150 MB")


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


BENCHES = (plan_40, up_to_date, layer, sandbox, misses, pack_tree, unpack_tree, image, prompt)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
