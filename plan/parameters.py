"""The parameters of a run: their names, what they may be, and what they are if nothing is said."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from plan import checks
from plan.architecture import architectures

ARCHITECTURES = architectures()
SETS = ("base", "base-tools", "full")
PLACES = ("namespace", "vm")
SEEDS = checks.SEEDS
PROGRESS = ("auto", "live", "plain", "json", "quiet")
VARIATIONS = (
    *("cold", "host", "jobs", "links", "locale", "order", "path", "serial", "time", "umask"),
    "user",
)


@dataclass(frozen=True)
class Parameter:
    """One parameter: `check` turns the given text into its canonical text or raises ValueError.

    Where the default is not the same everywhere, the docstring of `default` says what it is.
    of: the commands that read it; none are named where all do, because all look at one plan.
    """

    name: str
    default: Callable[[], str]
    check: Callable[[str], str]
    help: str
    of: tuple[str, ...] = ()


def _constant(text: str) -> Callable[[], str]:
    return lambda: text


def _this_machine() -> str:
    """that of this machine"""
    return platform.machine()


def _seed() -> str:
    """debian, or alpine on a machine that debian is not pinned for"""
    lock = Path(__file__).parent / "seeds" / f"debian-{platform.machine()}.lock.yaml"
    return "debian" if lock.exists() else "alpine"


def _processors() -> str:
    """the processors that it may use"""
    return str(len(os.sched_getaffinity(0)))


# What makes the image or looks at it, and what does so with either product.
IMAGE = ("image", "boot", "sign", "inspect", "regenerate")
PRODUCTS = (*IMAGE, "sysroot", "challenge", "verify", "list")

PARAMETERS = (
    Parameter("set", _constant("full"), checks.one_of(*SETS), "what to build: " + ", ".join(SETS)),
    Parameter("with", _constant(""), checks.anything, "packages to add to the set, with commas"),
    Parameter("arch", _this_machine, checks.architecture(ARCHITECTURES), "the target architecture"),
    Parameter(
        "build",
        _this_machine,
        checks.architecture(ARCHITECTURES),
        "the architecture that builds: another one where this machine runs its programs",
    ),
    Parameter(
        "seed",
        _seed,
        checks.seed,
        "the first root: " + ", ".join(SEEDS) + ", a path (also of what doit sysroot "
        "wrote), or auto: alpine if it can be had",
    ),
    Parameter("seed_tarball", _constant(""), checks.file, "another minirootfs for the seed alpine"),
    Parameter("seed_sha256", _constant(""), checks.sha256, "the hash of seed_tarball"),
    Parameter(
        "seeds",
        _constant(""),
        checks.some_of(*SEEDS),
        "which seeds doit challenge compares (all that can be)",
        of=("challenge",),
    ),
    Parameter("jobs", _processors, checks.count, "how many processes at once"),
    Parameter("timeout", _constant(""), checks.minutes, "minutes after which a step is ended"),
    Parameter("offline", _constant("0"), checks.flag, "never open a socket"),
    Parameter(
        "bundle", _constant(""), checks.file, "what doit bundle wrote: the only place to ask"
    ),
    Parameter(
        "image",
        _constant(""),
        checks.file,
        "the image that doit inspect or verify looks into",
        of=("inspect", "verify"),
    ),
    Parameter(
        "key",
        _constant(""),
        checks.file,
        "an SSH key: to sign with, or to check by (.pub)",
        of=("inspect", "sign", "verify"),
    ),
    Parameter(
        "strict", _constant("0"), checks.flag, "refuse a seed that drifted from its lock file"
    ),
    Parameter("mirror", _constant(""), checks.url, "a Debian archive to ask before those of apt"),
    Parameter("workdir", _constant("work"), checks.path, "where builds happen"),
    Parameter(
        "output",
        _constant(""),
        checks.anything,
        "the file to write (default: output/…)",
        of=(*PRODUCTS, "bundle", "report", "sbom"),
    ),
    Parameter(
        "sources",
        _constant("1"),
        checks.flag,
        "put the sources into the products",
        of=(*PRODUCTS, "report"),
    ),
    Parameter(
        "packages",
        _constant(""),
        checks.anything,
        "what doit regenerate, verify or outdated looks at (all)",
        of=("outdated", "regenerate", "verify"),
    ),
    Parameter(
        "in",
        _constant("namespace"),
        checks.one_of(*PLACES),
        "where doit regenerate works",
        of=("regenerate",),
    ),
    Parameter(
        "variations",
        _constant(""),
        checks.some_of(*VARIATIONS),
        "what doit verify makes different (all but links, serial)",
        of=("verify",),
    ),
    Parameter(
        "overlay", _constant("1"), checks.flag, "compose trees by overlay where that can be had"
    ),
    Parameter(
        "progress",
        _constant("auto"),
        checks.one_of(*PROGRESS),
        "what the console shows: " + ", ".join(PROGRESS),
    ),
    Parameter(
        "json", _constant("0"), checks.flag, "have doit status answer in JSON", of=("status",)
    ),
    Parameter(
        "diff",
        _constant("0"),
        checks.flag,
        "have doit plan only say what changed since the last",
        of=("plan",),
    ),
    Parameter(
        "suite",
        _constant("trixie"),
        checks.suite,
        "what doit outdated and doit bump look at",
        of=("bump", "outdated"),
    ),
    Parameter(
        "keep", _constant("10"), checks.count, "of how many plans doit gc keeps all", of=("gc",)
    ),
    Parameter(
        "dry", _constant("0"), checks.flag, "let doit gc only show what it would free", of=("gc",)
    ),
    Parameter(
        "phase",
        _constant(""),
        checks.phase,
        "which build doit shell enters (the last phase's), or doit verify looks at (all)",
        of=("patch", "shell", "verify"),
    ),
    Parameter(
        "run",
        _constant(""),
        checks.anything,
        "a command for doit boot or doit shell to run",
        of=("boot", "shell"),
    ),
)
