"""The parameters of a run: their names, valid values and defaults."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from plan import checks
from plan.compiling.architecture import architectures
from plan.settings import addresses
from plan.settings.other_machines import OF_OTHER_MACHINES
from plan.settings.parameter import Parameter, constant
from plan.yamlfile import require_names, top_keys

ARCHITECTURES = architectures()
SETS_FILE, ARCHITECTURES_FILE = "sets.yaml", "architectures.yaml"
SETS = top_keys(Path(__file__).parents[1] / SETS_FILE)
PLACES = ("namespace", "vm")
LOADERS = ("none", "crystal")
FORMATS = ("qcow2", "raw", "vmdk", "vdi", "vhd")
AUTO, SEEDS = checks.AUTO, checks.SEEDS
PROGRESS = ("auto", "live", "plain", "json", "quiet")
VARIATIONS = (
    *("acl", "caller", "cold", "filesystem", "host", "jobs", "links", "locale", "many", "order"),
    *("path", "personality", "python", "serial", "time", "umask", "user", "variables"),
)


def _this_machine() -> str:
    """the architecture of this machine"""
    return os.uname().machine


def _processors() -> str:
    """the number of processors it may use"""
    return str(len(os.sched_getaffinity(0)))


# IMAGE: the commands that make or read the image. PRODUCTS: those for any product.
IMAGE = ("image", "boot", "sign", "inspect", "attest", "regenerate")
PRODUCTS = (*IMAGE, "oci", "sysroot", "challenge", "list")
# Those that write a file of their own. Those of IMAGE use that of `image`.
WRITERS = ("image", "oci", "sysroot", "bundle", "report", "sbom")

PARAMETERS = (
    Parameter("set", constant("full"), checks.one_of(*SETS), "what to build: " + ", ".join(SETS)),
    Parameter(
        "layer",
        constant(""),
        checks.directories,
        "directories outside of this checkout that add recipes, sets and files: a,b",
        placed=checks.placed_list,
    ),
    Parameter(
        "app",
        constant(""),
        checks.directory,
        "a Crystal project: its program is added as a service, to set=base with loader=crystal "
        "unless they are given",
        placed=checks.placed,
    ),
    Parameter("with", constant(""), checks.listed, "packages to add to the set: a,b"),
    Parameter(
        "loader",
        constant("none"),
        checks.one_of(*LOADERS),
        "what the firmware starts: the kernel (none), or a program that checks it (crystal)",
    ),
    Parameter("arch", _this_machine, checks.architecture(ARCHITECTURES), "the target architecture"),
    Parameter(
        "build",
        _this_machine,
        checks.architecture(ARCHITECTURES),
        "the architecture that builds, if this machine can run its programs",
    ),
    Parameter(
        "seed",
        constant(AUTO),
        checks.seed,
        "the first root: "
        + ", ".join(SEEDS)
        + ", a path (any root with a shell: a directory, or a tarball), or auto: "
        "alpine if its root can be had, else debian",
        placed=checks.placed_seed,
    ),
    Parameter(
        "seed_tarball",
        constant(""),
        checks.file,
        "another Alpine minirootfs for the seed alpine",
        placed=checks.placed,
    ),
    Parameter(
        "seed_release",
        constant(""),
        checks.anything,
        "the release of Alpine for the seed alpine (the one that plan/seeds/alpine.yaml names)",
    ),
    Parameter(
        "seed_sha256",
        constant(""),
        checks.sha256,
        "the sha256 of the tarball: seed_tarball, or seed",
    ),
    Parameter(
        "seeds",
        constant(""),
        checks.some_of(*SEEDS),
        "the seeds for challenge (all available)",
        of=("challenge",),
    ),
    Parameter("jobs", _processors, checks.count, "the number of processes at once"),
    Parameter(
        "timeout",
        constant(""),
        checks.minutes,
        "minutes until a step is stopped; on the command line also a command in a machine: run= of "
        "boot, ssh and push, and regenerate in=vm",
    ),
    Parameter("offline", constant("0"), checks.flag, "never use the network"),
    Parameter(
        "bundle",
        constant(""),
        checks.bundle,
        "a file that bundle wrote: the only source of files",
        placed=checks.placed,
    ),
    Parameter(
        "image",
        constant(""),
        checks.file,
        "the image for inspect, and for attest check",
        of=("inspect", "attest"),
        placed=checks.placed,
    ),
    Parameter(
        "key",
        constant(""),
        checks.file,
        "an SSH key: private to sign or to enter, public (.pub) to check",
        of=("inspect", "publish", "push", "sign", "verify"),
        placed=checks.placed,
    ),
    Parameter(
        "strict", constant("0"), checks.flag, "refuse a seed that differs from its lock file"
    ),
    *OF_OTHER_MACHINES,
    Parameter("mirror", constant(""), addresses.url, "a Debian archive to ask before apt's"),
    Parameter("workdir", constant("work"), checks.path, "the work directory", placed=checks.placed),
    Parameter(
        "output",
        constant(""),
        checks.output,
        "the file of the product, only on the command line (default: output/…)",
        once=True,
        placed=checks.placed,
        of=(*PRODUCTS, "bundle", "report", "sbom"),
    ),
    Parameter(
        "format",
        constant("qcow2"),
        checks.one_of(*FORMATS),
        "the format of the image: " + ", ".join(FORMATS),
        of=(*IMAGE, "challenge", "verify", "list"),
    ),
    Parameter(
        "archs",
        constant(""),
        checks.some_of(*ARCHITECTURES),
        "the architectures to join in one OCI image, after oci has written the image of each",
        of=("oci",),
    ),
    Parameter(
        "sources",
        constant("1"),
        checks.flag,
        "whether the product holds the sources",
        of=(*PRODUCTS, "verify", "report"),
    ),
    Parameter(
        "packages",
        constant(""),
        checks.listed,
        "the packages to look at (default: all)",
        of=("challenge", "outdated", "regenerate", "verify"),
    ),
    Parameter(
        "in",
        constant("namespace"),
        checks.one_of(*PLACES),
        "where regenerate works: " + ", ".join(PLACES),
        of=("regenerate",),
    ),
    Parameter(
        "variations",
        constant(""),
        checks.some_of(*VARIATIONS),
        "what verify varies (all except links, many, serial)",
        of=("verify",),
    ),
    Parameter("overlay", constant("1"), checks.flag, "compose trees with overlayfs if possible"),
    Parameter(
        "progress",
        constant("auto"),
        checks.one_of(*PROGRESS),
        "what the console shows: " + ", ".join(PROGRESS),
    ),
    Parameter("json", constant("0"), checks.flag, "status prints JSON", of=("status",)),
    Parameter(
        "diff",
        constant("0"),
        checks.flag,
        "plan only shows what changed since the last plan",
        of=("plan",),
    ),
    Parameter(
        "suite",
        constant("trixie"),
        checks.suite,
        "the Debian suite for outdated, bump and recipe",
        of=("bump", "outdated", "recipe"),
    ),
    Parameter(
        "url",
        constant(""),
        checks.anything,
        "the source for recipe new: https://…, git+https://…@COMMIT, debian:SOURCE-PACKAGE",
        of=("recipe",),
    ),
    Parameter("keep", constant("10"), checks.count, "how many plans gc keeps", of=("gc", "cache")),
    Parameter(
        "dry",
        constant("0"),
        checks.flag,
        "gc only shows what it would free",
        of=("gc", "cache"),
    ),
    Parameter(
        "phase",
        constant(""),
        checks.phase,
        "the phase (default: the last one; verify takes both)",
        of=("patch", "shell", "verify"),
    ),
    Parameter(
        "run",
        constant(""),
        checks.anything,
        "a command that boot, shell or ssh runs; for push: one that must succeed in the new "
        "system, or the old one comes back",
        of=("boot", "push", "shell", "ssh"),
    ),
    Parameter(
        "ports",
        constant(""),
        checks.ports,
        "ports of this machine that lead to ports of the one that boot starts: 8080:80,…",
        of=("boot",),
    ),
    Parameter(
        "share",
        constant(""),
        checks.directory,
        "a directory that boot shows the machine, in its /share",
        of=("boot",),
        placed=checks.placed,
    ),
    Parameter(
        "persist",
        constant("0"),
        checks.flag,
        "boot keeps what the machine writes, in a file beside the image",
        of=("boot",),
    ),
    Parameter(
        "memory",
        constant(""),
        checks.memory,
        "the memory of the machine that boot starts: 2G, 512M "
        "(default: 512M; 3G with a root partition)",
        of=("boot",),
    ),
    Parameter(
        "cpus",
        constant(""),
        checks.processors,
        "the processors of the machine that boot starts (default: this machine's, at most four)",
        of=("boot",),
    ),
    Parameter(
        "screen",
        constant("0"),
        checks.flag,
        "boot opens a window with the machine's screen",
        of=("boot",),
    ),
    Parameter(
        "network",
        constant("0"),
        checks.flag,
        "the shell has the network of this machine",
        of=("shell",),
    ),
)


def parameters(layers: Sequence[Path] = ()) -> tuple[Parameter, ...]:
    """PARAMETERS; a set or an architecture may also be one of `layers`.

    Raises BuildError, with file and line, if a layer gives one a name that it cannot have.
    """
    if not layers:
        return PARAMETERS
    for path in (layer / file for layer in layers for file in (SETS_FILE, ARCHITECTURES_FILE)):
        if path.exists():
            require_names(path)
    sets = (*SETS, *named(layers, SETS_FILE))
    known = checks.architecture((*ARCHITECTURES, *named(layers, ARCHITECTURES_FILE)))
    wider = {"set": checks.one_of(*sets), "arch": known, "build": known}
    return tuple(
        replace(each, check=wider[each.name]) if each.name in wider else each for each in PARAMETERS
    )


def named(layers: Sequence[Path], file: str) -> list[str]:
    """The names that `file` defines in `layers`."""
    found = [layer / file for layer in layers]
    return [name for path in found if path.exists() for name in top_keys(path)]
