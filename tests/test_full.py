"""The full set: its contents, that nothing of the seed is in it, and that it builds itself again.

Packages that the store lacks are compiled, which takes hours:

    BQ2_TEST_FULL=1 ./bq2 test tests/test_full.py

`BQ2_TEST_SEED="seed=alpine seed_release=3.20.3"` chooses another seed than Debian's, so that the
test takes what was built from it.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from plan.compiling.architecture import architectures, load_architecture
from plan.errors import BuildError
from rootfs.image.grow import grow
from rootfs.vm import boot, devices
from rootfs.vm.qemu import Machine
from tests.checkout import ROOT, own_cache
from tests.ports import answer
from tests.rootfs.tools import tool

HOURS = 4 * 3600
OTHERS = [
    name
    for name in architectures()
    if name != os.uname().machine and not load_architecture(name).without
]
pytestmark = [
    pytest.mark.full,
    pytest.mark.namespace,
    pytest.mark.timeout(HOURS),
]

Run = Callable[..., str]

# Programs in C, C++ and Crystal, and the tools that the image is for.
PROGRAMS = r"""
cd /tmp
printf '#include <stdio.h>\nint main(void){puts("C 42");}\n' > a.c && cc -O2 a.c -o a && ./a
printf '#include <iostream>\nint main(){try{throw 42;}catch(int x){std::cout<<"C++ "<<x;}}\n' > b.cc
c++ -O2 b.cc -o b && ./b
echo 'puts "Crystal #{6 * 7}"' > c.cr && crystal build c.cr && ./c
crystal eval 'puts "eval #{6 * 7}"'
cat > d.cr <<'END'
def slow
  Thread.sleep(500.milliseconds)
  42
end
seen = 0
watcher = Thread.new do
  Thread.sleep(50.milliseconds)
  seen = SLOW
end
SLOW = slow
watcher.join
puts "a thread without a scheduler saw #{seen}"
END
crystal run d.cr
clang --version | head -1
python3 -c 'import doit, requests, yaml, tqdm, ssl, ctypes, lzma, bz2, sqlite3; print("modules")'
curl --version | grep -o https
perl -e 'print "perl\n"'
make --version | head -1
git --version
fossil version
cmake --version | head -1
ninja --version
"""
ANSWERS = (
    "C 42",
    "C++ 42",
    "Crystal 42",
    "eval 42",
    "a thread without a scheduler saw 42",
    "clang version 19",
    "modules",
    "https",
    "git version 2",
    "fossil version 2",
)

# Versions of the seeds' compilers and library, and where they keep them. (Not "Debian" as such:
# clang knows the names of distributions.)
SEED = (
    rb"Debian clang version",
    rb"Debian LLD",
    rb"\+deb13",
    rb"GLIBC_2\.\d+\x00",
    rb"/usr/lib/llvm-19",
    rb"ziglang",
)


@pytest.fixture(scope="module")
def workdir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("full") / "work"


@pytest.fixture(scope="module")
def doit(workdir: Path) -> Run:
    """Runs doit in this checkout, with the user's cache and a work directory of its own."""

    def run(*words: str) -> str:
        command = _command(workdir, *words)
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=HOURS)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run


def _command(workdir: Path, *words: str) -> list[str]:
    seed = os.environ.get("BQ2_TEST_SEED", "seed=debian").split()
    return [sys.executable, "-m", "doit", *words, "set=full", *seed, f"workdir={workdir}"]


@pytest.fixture(scope="module")
def built(doit: Run) -> Run:
    doit("pkg")
    return doit


@pytest.mark.parametrize("root", ["sysroot", "rootfs"])
def test_it_compiles_and_runs_programs_on_its_own(built: Run, root: str) -> None:
    script = PROGRAMS if root == "rootfs" else PROGRAMS.partition("crystal eval")[0]
    said = built("shell", root, f"run=set -e\n{script}")
    expected = ANSWERS if root == "rootfs" else ANSWERS[:3]
    assert [word for word in expected if word not in said] == [], said


def test_no_file_of_the_product_names_the_seed(built: Run, workdir: Path) -> None:
    stamps = (workdir / "stamps" / "rootfs-from-sysroot").glob("*.json")
    artifacts = [json.loads(path.read_text())["artifact"] for path in stamps]
    assert artifacts
    found = []
    # One by one: a search for what begins with plain letters is fast, one for alternatives is not.
    patterns = [re.compile(each) for each in SEED]
    for tree in artifacts:
        for path in (own_cache() / "trees" / tree).rglob("*"):
            if path.is_file() and not path.is_symlink():
                content = path.read_bytes()
                found += [str(path) for pattern in patterns if pattern.search(content)]
    assert found == []


def test_every_program_is_loaded_by_our_loader_and_has_its_libraries(built: Run) -> None:
    script = r"""
    for file in /usr/bin/* /usr/lib/*.so* /usr/lib/python3.13/lib-dynload/*; do
      [ -f "$file" ] && [ ! -L "$file" ] && readelf -ld "$file" 2>/dev/null |
        sed -n -e 's/.*interpreter: \(.*\)]/\1/p' -e 's/.*(NEEDED).*\[\(.*\)]/\1/p'
    done | sort -u
    """
    names = built("shell", "rootfs", f"run={script}").split()
    loaders = {name for name in names if name.startswith("/")}
    assert loaders == {f"/lib/ld-musl-{os.uname().machine}.so.1"}
    missing = built(
        "shell", "rootfs", f"run=cd /usr/lib; ls {' '.join(sorted({*names} - loaders))}"
    )
    assert "No such file" not in missing


@pytest.mark.qemu
def test_the_image_answers(built: Run) -> None:
    said = built("boot", f"run={PROGRAMS}")
    assert [word for word in ANSWERS if word not in said] == [], said


@pytest.mark.qemu
@pytest.mark.parametrize("arch", OTHERS)
def test_the_same_programs_answer_on_another_architecture(doit: Run, arch: str) -> None:
    doit("image", f"arch={arch}")
    said = doit("boot", f"run=uname -m\n{PROGRAMS}", f"arch={arch}")
    assert [word for word in (arch, *ANSWERS) if word not in said] == [], said


@pytest.fixture(scope="module")
def image(built: Run) -> Path:
    built("image")
    return ROOT / "output" / f"bootstrap-qcow2-full-{os.uname().machine}.qcow2"


@pytest.mark.qemu
def test_fossil_serves_this_project(doit: Run, workdir: Path, free_port: int) -> None:
    """A person starts it, and reads the files with a browser of the host."""
    doit("image", "with=fossil-service")
    start = _command(workdir, "boot", "with=fossil-service", f"ports={free_port}:8080")
    with subprocess.Popen(
        start, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
    ) as machine:
        try:
            while not (page := answer(f"http://127.0.0.1:{free_port}/dir?ci=tip")):
                assert machine.poll() is None
                time.sleep(1)
            assert b"dodo.py" in page
            said = doit("ssh", "run=ps; poweroff")
            assert re.search(r"nobody .*fossil server", said), said
            assert machine.wait(HOURS) == 0
        finally:
            machine.kill()


MACHINE = Machine(os.uname().machine, memory_mib=1024, cache=own_cache())


@pytest.mark.qemu
@pytest.mark.parametrize("interrupted", [False, True])
def test_the_root_grows_to_the_disk_it_is_given(
    image: Path, tmp_path: Path, interrupted: bool
) -> None:
    disk = tmp_path / "disk"
    tool("qemu-img", "convert", "-O", "raw" if interrupted else "qcow2", image, disk)
    tool("qemu-img", "resize", "-q", *(["-f", "raw"] if interrupted else []), disk, "9G")
    if interrupted:  # after the partition, and before the file system
        grow(str(disk))
    # At the first boot; the second finds it done.
    said = boot.run(disk, "df -k / && e2fsck -fn /dev/vda2", MACHINE, timeout_s=900)
    assert int(said.output.splitlines()[1].split()[1]) > 8_500_000, said.output
    assert "could not be made larger" not in said.output


@pytest.mark.qemu
@pytest.mark.parametrize(
    ("bus", "other", "root"),
    [("virtio", "nvme", "/dev/vda2"), ("nvme", "virtio", "/dev/nvme0n1p2")],
)
def test_the_root_is_on_the_disk_that_was_booted(
    image: Path, bus: str, other: str, root: str
) -> None:
    """Its copy has the same names and UUIDs."""
    copy = f"if=none,id=copy,format=qcow2,snapshot=on,file={image}"
    machine = replace(MACHINE, disk=bus, more=("-drive", copy, *devices.disk(other, "copy")))
    said = boot.run(image, "cat /proc/mounts", machine, timeout_s=900)
    assert f"{root} / ext4" in said.output, said.output


@pytest.mark.qemu
def test_a_root_that_does_not_mount_ends_in_the_rescue_shell(image: Path, tmp_path: Path) -> None:
    disk = shutil.copy(image, tmp_path / "disk.qcow2")
    start = tmp_path / "start"
    tool(
        "qemu-img",
        "dd",
        "-f",
        "qcow2",
        "-O",
        "raw",
        "bs=1M",
        "count=2",
        f"if={disk}",
        f"of={start}",
    )
    sector = int(re.findall(r"First sector: (\d+)", tool("sgdisk", "-i", "2", start))[0])
    # s_feature_incompat of the superblock (ext4(5)): features that no kernel knows.
    place = sector * 512 + 1024 + 0x60
    tool("qemu-io", "-f", "qcow2", "-c", f"write -P 0xff {place} 4", disk)
    with pytest.raises(BuildError) as caught:
        boot.run(disk, "true", MACHINE, timeout_s=120)
    told = str(caught.value)
    assert "/dev/vda2 cannot be mounted: " in told and "this is the initramfs" in told


@pytest.mark.qemu
def test_the_image_builds_itself_again(built: Run) -> None:
    assert "2 of 2 identical" in built("regenerate", "in=vm", "packages=musl,zlib")


def test_the_rootfs_builds_itself_again(built: Run) -> None:
    assert re.search(r"(\d+) of \1 identical", built("regenerate"))
