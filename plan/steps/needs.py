"""The processor time, memory and disk space that a build needs, from the table plan/costs.yaml.

missing steps ──┬─▶ cache    artifacts, packed and unpacked
                └─▶ work     unpacked sources, the builds that run at once
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from plan.model import Step
from plan.yamlfile import Table, load

MB = 10**6
_PACKAGE = {"cpu": float, "memory": int, "artifact": int, "build": int}
_IMAGE = dict.fromkeys(("disk", "memory", "command", "regenerate"), int)
_WHOLE = dict.fromkeys(("seconds", "job", "seed", "builds", "unpacked", "files"), int)
_ROWS = dict.fromkeys(("others", "image", "image-with-root", "packages"), dict)


@dataclass(frozen=True)
class Needs:
    """The measured figures; plan/costs.yaml says what they mean, and their units."""

    unit: str
    whole: Mapping[str, int]
    image: Mapping[str, int]
    packages: Mapping[str, Mapping[str, float]]
    others: Mapping[str, float]

    def of(self, package: str, figure: str) -> float:
        """One figure of `package`: cpu, memory, artifact or build."""
        return self.packages.get(package, self.others).get(figure, self.others[figure])

    def _bytes(self, steps: Iterable[Step], figure: str) -> list[int]:
        return sorted((MB * int(self.of(step.name, figure)) for step in steps), reverse=True)

    def memory(self, steps: Iterable[Step]) -> int:
        """The memory, in bytes, of the largest process of `steps`."""
        return max(self._bytes(steps, "memory"), default=0)

    def in_cache(self, steps: Iterable[Step]) -> int:
        """The size, in bytes, of the artifacts of `steps`, packed and unpacked."""
        return 2 * sum(self._bytes(steps, "artifact"))

    def in_work(self, steps: Iterable[Step]) -> int:
        """The peak size, in bytes, of the work directory while `steps` are built."""
        steps = list(steps)
        sources = {step.sources[0].sha256: step.sources[0].size for step in steps if step.sources}
        builds = self._bytes(steps, "build")[: self.whole["builds"]]
        return sum(builds) + self.whole["unpacked"] * sum(sources.values())


def load_needs(path: Path, *, root: bool) -> Needs:
    """The table at `path`; `root`: whether the image has a partition with the packages.

    Raises BuildError with file and line.
    """
    table = load(path, shown_as="plan/costs.yaml")
    table.expect({"unit": str, **_WHOLE, **_ROWS}, ("unit", *_WHOLE, *_ROWS))
    image: Table = table["image-with-root" if root else "image"]
    packages: Table = table["packages"]
    image.expect(_IMAGE, _IMAGE)
    table["others"].expect(_PACKAGE, _PACKAGE)
    packages.expect(dict.fromkeys(packages, dict))
    for row in packages.values():
        row.expect(_PACKAGE)
    whole = {name: table[name] for name in _WHOLE}
    return Needs(table["unit"], whole, image, packages, table["others"])
