"""What `doit verify` found, kept so that an interrupted one goes on, and for others to read.

work/verified/<phase>-<name>.json, work/verified/product-{image,sysroot}.json
work/challenged/… the same of `doit challenge` and `doit regenerate`, where what is varied is the
seed ("seed=alpine"):

    {"step": the step id (of a product: the hash of its inputs),
     "artifact": the sha256 of what stands: the artifact, or the product's file,
     "verdict": "identical", or "differs", or "failed" where the second build did,
     "variations": [what was different: plan.parameters.VARIATIONS],
     "differences": [{"path", "where", "old", "new", "cause"}...],
     "shared": [the files that both seeds were made of]}

It tells of another step or artifact than the one of now where those are not equal: then it counts
as missing. What was found identical in several runs has the variations of all of them. A difference
stays until the step is identical under all that it differed under.
work/verified/<phase>-<name>.again is what a second build gave that differed, or
its log where it failed.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from rootfs.files import replacing

IDENTICAL, DIFFERS, FAILED = "identical", "differs", "failed"
FOLDER, CHALLENGED = "verified", "challenged"


@dataclass(frozen=True)
class Verdict:
    """What was found of one step or product."""

    step: str
    artifact: str
    verdict: str
    variations: list[str]
    differences: list[dict[str, Any]] = field(default_factory=list)
    shared: list[str] = field(default_factory=list)

    def covers(self, variations: set[str]) -> bool:
        """Whether nothing new is to be learned by a build with `variations`."""
        return self.verdict == IDENTICAL and variations <= set(self.variations)


class Verified:
    """The file of one step or product, called `name`, in the work directory `workdir`."""

    def __init__(self, workdir: Path, name: str, folder: str = FOLDER) -> None:
        self.file = workdir / folder / f"{name}.json"
        self.made = self.file.with_suffix(".again")

    def read(self, step: str, artifact: str) -> Verdict | None:
        """What is known of this step with this artifact."""
        try:
            found = Verdict(**json.loads(self.file.read_text()))
        except (OSError, ValueError, TypeError):
            return None
        return found if (found.step, found.artifact) == (step, artifact) else None

    def keep(self, new: Verdict) -> None:
        """Add what was found now to what is known."""
        old, variations = self.read(new.step, new.artifact), set(new.variations)
        if old and new.verdict == IDENTICAL:
            if old.verdict == IDENTICAL:
                variations |= set(old.variations)
            elif not set(old.variations) <= variations:
                return
        content = asdict(new) | {"variations": sorted(variations)}
        with replacing(self.file) as file:
            file.write(json.dumps(content, indent=1).encode() + b"\n")
        if new.verdict == IDENTICAL:
            self.made.unlink(missing_ok=True)
