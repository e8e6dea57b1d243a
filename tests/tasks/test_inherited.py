"""Settings that a run inherits from its parent process reach no artifact and no build.

Real builds: one package writes all that it sees of its processes and directories.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from rootfs.archives.files import remove_tree
from tests.nobody import IS_ROOT, NOBODY
from tests.tasks.toy import Checkout, Done, doit, make_checkout

pytestmark = pytest.mark.namespace

LOOKS = """\
for each in self 1; do cat /proc/$each/limits | grep -v processes > $share/limits-$each; done
grep -E '^(Sig[BI]|THP|Threads)' /proc/self/status /proc/1/status > $share/status
for each in personality oom_score_adj timerslack_ns coredump_filter; do
  cat /proc/self/$each > $share/$each
done
{ id; uname -m; uname -r; umask; ulimit -a | grep -v processes; } > $share/shell
ls -l /proc/self/fd | wc -l > $share/open
mkdir $share/below $share/below/below; echo x > $share/below/file
stat -c '%n %A %u %g' / /sysroot /dest /build /source /tmp /dest/usr /jobserver /input/* \
  $share/below/* > $share/modes
"""
# Python that is run before doit is, in the same process.
CALL = "ctypes.CDLL(None)."
IGNORE = (
    f"[{CALL}syscall(13 if os.uname().machine == 'x86_64' else 134, n,"
    " (1).to_bytes(8, 'little') + bytes(24), None, 8) for n in (32, 33)]"
)
SOFT = "for n in (3, 6, 7, 8): setrlimit(n, (1 << 20 if n == 3 else 512, getrlimit(n)[1]))"
BEFORE = {
    "soft limits": SOFT,
    "hard limits that are higher than usual": "setrlimit(3, (-1, -1)); setrlimit(7, (9999, 9999))",
    "ignored signals (nohup, &, a daemon)": "[signal(n, SIG_IGN) for n in (1, 2, 3, 15, 40)]",
    "ignored ends of children (SIGCHLD)": "signal(SIGCHLD, SIG_IGN)",
    "ignored signals that C libraries keep to themselves": IGNORE,
    "blocked signals": "pthread_sigmask(SIG_BLOCK, range(1, 65))",
    "an open file": "os.dup2(os.open('/etc/passwd', os.O_RDONLY), 7)",
    "no address randomisation (setarch -R)": f"{CALL}personality(0x0040000)",
    "an old kernel's name (setarch --uname-2.6)": f"{CALL}personality(0x0020000)",
    "a timer slack": f"{CALL}prctl(29, 123456, 0, 0, 0)",
    "no huge pages": f"{CALL}prctl(41, 1, 0, 0, 0)",
    "an OOM score": "open('/proc/self/oom_score_adj', 'w').write('300')",
    "what a core holds": "open('/proc/self/coredump_filter', 'w').write('0x7f')",
    "a umask of 077": "os.umask(0o077)",
    "no standard input": "os.close(0)",
}
IMPORTS = "import ctypes, os, sys; from resource import *; from signal import *"


def fetched(cache: Path, mode: int) -> str:
    """Put two sources into the cache, with that mode; the YAML that names them."""
    (cache / "sources").mkdir(parents=True)
    told = []
    for name, content in (("a.tar", bytes(10240)), ("file", b"x")):
        digest = hashlib.sha256(content).hexdigest()
        (cache / "sources" / digest).write_bytes(content)
        (cache / "sources" / digest).chmod(mode)
        told.append(f"{{sha256: {digest}, size: {len(content)}, file: {name}, urls: []}}")
    return f"[{', '.join(told)}]"


@dataclass(frozen=True)
class Looked:
    """A checkout in which a package wrote down what it saw of a usual run, and what that gave."""

    checkout: Checkout
    artifact: str
    seen: dict[str, str]


@pytest.fixture(scope="module")
def looked(tmp_path_factory: pytest.TempPathFactory, template: Path, seed: Path) -> Looked:
    directory = tmp_path_factory.mktemp("looked")
    checkout = make_checkout(template, directory / "root", cache=directory / "cache", seed=seed)
    checkout.recipe("left", LOOKS, "bottom", sources=fetched(checkout.cache, 0o444))
    checkout.builds("bottom", "left", words=["pkg:left"])
    return Looked(checkout, checkout.stamp("left")["artifact"], seen(checkout))


def again(checkout: Checkout, code: str, package: str) -> Done:
    """Build the package once more, by a process that runs `code` first."""
    assert checkout.doit("forget", f"pkg:{package}").status == 0
    run = f"{IMPORTS}\n{code}\nos.execv(sys.argv[1], sys.argv[1:])"
    return checkout.run([sys.executable, "-c", run, *doit(f"pkg:{package}")])


def seen(checkout: Checkout) -> dict[str, str]:
    """What the package wrote down."""
    files = checkout.tree("left", "usr/share").rglob("*")
    return {path.name: path.read_text() for path in files if path.is_file()}


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(
            name,
            marks=pytest.mark.fault(
                f"who starts a run hands down {name}", "a build sees none of it; the same artifact"
            ),
        )
        for name in BEFORE
    ],
)
def test_what_a_process_inherits(looked: Looked, name: str) -> None:
    done = again(looked.checkout, BEFORE[name], "left")
    assert done.status == 0 and done.built == ["left"], done
    assert seen(looked.checkout) == looked.seen
    assert looked.checkout.stamp("left")["artifact"] == looked.artifact


@pytest.mark.fault("a build is started with nice, ionice or taskset", "that stays in force")
def test_what_is_the_users_stays(looked: Looked) -> None:
    checkout = looked.checkout
    checkout.recipe("right", "set -- $(cat /proc/self/stat); echo ${19} > $share/nice", "bottom")
    done = again(checkout, "os.nice(7)", "right")
    assert done.status == 0, done
    assert checkout.tree("right", "usr/share/nice").read_text() == f"{min(os.nice(0) + 7, 19)}\n"


@pytest.mark.fault(
    "a build is started with setarch linux32",
    "one error, which names that as the likely cause; nothing is built",
)
def test_another_architecture_s_name(looked: Looked) -> None:
    done = again(looked.checkout, f"{CALL}personality(8)", "left")
    assert done.status != 0 and done.built == [], done
    assert "ERROR" in done.said and "Traceback" not in done.said, done
    assert "arch cannot be 'i686'" in done.said and "under linux32 or setarch" in done.said, done


def default_acl(directory: Path) -> None:
    subprocess.run(["setfacl", "-d", "-m", "u::rwx,g::rwx,o::---,u:1:rwx", directory], check=True)


def set_group(directory: Path) -> None:
    os.chown(directory, -1, NOBODY if IS_ROOT else -1)
    directory.chmod(0o2775)


def attributes(directory: Path) -> None:
    subprocess.run(["chattr", "+Ad", directory], check=True)


ABOVE: dict[str, Callable[[Path], None]] = {
    "a default ACL": default_acl,
    "its group (set-group-id)": set_group,
    "that no access time is kept, and none of it dumped (chattr)": attributes,
}


@pytest.mark.parametrize("overlay", ["yes", "no"])
@pytest.mark.parametrize(
    "name",
    [
        pytest.param(
            name,
            marks=pytest.mark.fault(
                f"a work directory and a cache below a directory that hands down {name}",
                "a build sees none of it; the same artifacts",
            ),
        )
        for name in ABOVE
    ],
)
def test_what_a_directory_hands_down(
    looked: Looked, tmp_path: Path, name: str, overlay: str
) -> None:
    above = tmp_path / "above"
    above.mkdir()
    ABOVE[name](above)
    variables = {"BQ2_WORKDIR": str(above / "work"), "BQ2_OVERLAY": overlay}
    other = Checkout(looked.checkout.root, above / "cache", looked.checkout.seed, variables)
    fetched(other.cache, 0o640)
    assert other.doit("pkg:bottom").built == ["bottom"]
    for tree in (other.cache / "trees").iterdir():
        remove_tree(tree)  # so that it is unpacked
    done = other.doit("pkg:left")
    assert done.status == 0 and done.built == ["left"], done
    assert looked.artifact in [path.stem for path in (above / "cache/artifacts").iterdir()]
