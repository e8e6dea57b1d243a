"""The memory and disk space that a build needs, by package, to compare with the machine.

Measured on x86_64 in the cache and the work directory of builds of both sets, and rounded up. (The
store's records have the size and peak memory of each step.) A package that is not listed needs no
more than the default. Another version may need more or less: the figures find a disk that is too
small by gigabytes, not by a file.

    missing steps ──┬─▶ cache    artifacts, packed and unpacked
                    └─▶ work     unpacked sources, the builds that run at once
"""

from __future__ import annotations

from collections.abc import Iterable

from plan.model import Step

MB = 10**6
GB = 10**9

# Of the largest process. LLVM's figure is what its recipe allows for one link job.
MEMORY = {"crystal": 3400 * MB, "llvm": 3000 * MB}
MEMORY_OF_OTHERS = 500 * MB
# The largest compiler process; several run at once.
MEMORY_OF_A_JOB = GB

ARTIFACT = {
    "llvm": 153 * MB,
    "python": 31 * MB,
    "crystal": 30 * MB,
    "linux": 28 * MB,
    "openssl": 24 * MB,
    "git": 22 * MB,
    "perl": 21 * MB,
    "cmake": 15 * MB,
    "libcxx": 11 * MB,
    "linux-headers": 8 * MB,
}
ARTIFACT_OF_OTHERS = 3 * MB
SEED_TREE = 450 * MB

# The build directory after compiling; it is removed when the package is packed.
BUILD = {"llvm": 1400 * MB, "linux": 500 * MB}
BUILD_OF_OTHERS = 150 * MB
BUILDS_AT_ONCE = 2
# Unpacked size / tarball size. Most of LLVM and the kernel is not unpacked.
UNPACKED = 3

# The image, and during its making also its root file system with packages and sources.
PRODUCT_WITH_ROOT = 2700 * MB
PRODUCT_WITHOUT = 100 * MB


def memory(steps: Iterable[Step]) -> int:
    """The memory, in bytes, of the largest process of `steps`."""
    return max((MEMORY.get(step.name, MEMORY_OF_OTHERS) for step in steps), default=0)


def in_cache(steps: Iterable[Step]) -> int:
    """The size, in bytes, of the artifacts of `steps`, packed and unpacked."""
    return sum(2 * ARTIFACT.get(step.name, ARTIFACT_OF_OTHERS) for step in steps)


def in_work(steps: Iterable[Step]) -> int:
    """The peak size, in bytes, of the work directory while `steps` are built."""
    steps = list(steps)
    builds = sorted((BUILD.get(step.name, BUILD_OF_OTHERS) for step in steps), reverse=True)
    sources = {step.sources[0].sha256: step.sources[0].size for step in steps if step.sources}
    return sum(builds[:BUILDS_AT_ONCE]) + UNPACKED * sum(sources.values())
