"""What a build takes of a machine: figures by package, to be held against what there is.

Measured on x86_64 in the cache and the work directory of builds of both sets (the records of the
store hold size and peak memory of each step), and rounded up. A package that is not named takes
no more than the rest. What a newer version takes may differ: good enough to tell a disk that is
too small by gigabytes, not by a file.

    missing steps ──┬─▶ cache    artifacts, packed and unpacked
                    └─▶ work     unpacked sources, the builds that run at once
"""

from __future__ import annotations

from collections.abc import Iterable

from plan.model import Step

MB = 10**6
GB = 10**9

# Of the largest process. LLVM's is what its recipe allows a link job.
MEMORY = {"crystal": 3400 * MB, "llvm": 3000 * MB}
MEMORY_OF_OTHERS = 500 * MB
# What a compiler takes at most, beside each other.
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

# A build folder, when all is compiled; it goes when the package is packed.
BUILD = {"llvm": 1400 * MB, "linux": 500 * MB}
BUILD_OF_OTHERS = 150 * MB
BUILDS_AT_ONCE = 2
# How much larger sources are than their tarballs: of LLVM and the kernel much stays packed.
UNPACKED = 3

# The image and, while it is made, its root file system with the packages and the sources.
PRODUCT_WITH_ROOT = 2700 * MB
PRODUCT_WITHOUT = 100 * MB


def memory(steps: Iterable[Step]) -> int:
    """Bytes of memory that the largest process of `steps` takes."""
    return max((MEMORY.get(step.name, MEMORY_OF_OTHERS) for step in steps), default=0)


def in_cache(steps: Iterable[Step]) -> int:
    """Bytes that the artifacts of `steps` take, packed and unpacked."""
    return sum(2 * ARTIFACT.get(step.name, ARTIFACT_OF_OTHERS) for step in steps)


def in_work(steps: Iterable[Step]) -> int:
    """Bytes that building `steps` takes at its peak."""
    steps = list(steps)
    builds = sorted((BUILD.get(step.name, BUILD_OF_OTHERS) for step in steps), reverse=True)
    sources = {step.sources[0].sha256: step.sources[0].size for step in steps if step.sources}
    return sum(builds[:BUILDS_AT_ONCE]) + UNPACKED * sum(sources.values())
