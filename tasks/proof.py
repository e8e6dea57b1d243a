"""What is said of where a product comes from: in it, and beside it.

    in it      /etc/bq2/: provenance.json, sbom.cdx.json, licences/    (with a root file system)
    beside it  <product>.provenance.json         everything, the seed too, and what verified it
               <product>.artifacts.jsonl         the same of each artifact, one to a line

    sources ──licences──▶ work/licences/<sha256> (read once a source) ─┐
    plan, artifacts ──────────────────────────────────────────────────┴─▶ in it
    plan, stamps, seed, work/{verified,challenged}/*.json ──────────────▶ beside it

What is beside is written again when any of it is other than it was, the product being the same:
a `doit verify` or `doit challenge` after it was made, say.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from plan import provenance
from plan.model import Source, Step
from plan.plan import canonical
from plan.sbom import sbom
from rootfs.files import replacing
from rootfs.workspace import BILL, LICENCES
from tasks.project import Project
from tasks.stamps import Stamp, product_artifacts
from tasks.verified import CHALLENGED, FOLDER

PROVENANCE = ".provenance.json"
ARTIFACTS = ".artifacts.jsonl"


def statement(project: Project) -> dict[str, Any]:
    """What the product says of itself, but for its files."""
    seed, added = project.seed.describe(), project.settings.added
    return provenance.of_system(project.plan, product_artifacts(project), seed=seed, added=added)


def texts(project: Project) -> dict[str, bytes]:
    """The bill of materials, and the licences of all packages that have sources, by path."""
    found = {BILL: sbom(project.plan, product_artifacts(project)).encode()}
    for name, step in project.plan.product.items():
        lines = ""
        for source in step.sources:
            for path, text in _licences(project, source):
                sha256 = hashlib.sha256(text).hexdigest()
                found[f"{LICENCES}/texts/{sha256}"] = text
                lines += f"{sha256}  {source.file}: {path}\n"
        if lines:
            found[f"{LICENCES}/{name}"] = lines.encode()
    return found


def _licences(project: Project, source: Source) -> list[tuple[str, bytes]]:
    """The texts in `source`. To look for them takes as long as to unpack it, so it is done once."""
    from rootfs.licences import RULE, licence_texts

    kept = project.workdir / "licences" / f"{source.sha256}-{RULE}.json"
    try:
        rows = [(str(path), str(text)) for path, text in json.loads(kept.read_text())]
    except (OSError, ValueError, TypeError):
        read = licence_texts(project.fetched(source), source.file)
        rows = [(path, text.decode("utf-8", "surrogateescape")) for path, text in read]
        with replacing(kept) as file:
            file.write(json.dumps(rows).encode())
    return [(path, text.encode("utf-8", "surrogateescape")) for path, text in rows]


def beside(file: Path, suffix: str) -> Path:
    """The file that tells of the product `file`."""
    return file.with_name(file.name + suffix)


class Attestation:
    """What is said beside the product `file` of the kind `kind`, made of the artifacts `packages`.

    parts: by name, the sha256 of the file and of what can be told apart in it. own: the hash of
    this project's files, where they are in the product.
    """

    def __init__(
        self,
        project: Project,
        kind: str,
        file: Path,
        packages: Iterable[str],
        parts: Mapping[str, str],
        own: str | None,
    ) -> None:
        self.project, self.kind, self.file = project, kind, file
        self.parts, self.own = parts, own
        self.steps = closure(project, packages)
        folders = (project.workdir / name for name in (FOLDER, CHALLENGED))
        self.verdicts = [row for folder in folders for row in _verdicts(folder)]

    def stands(self) -> bool:
        """Whether both files say what there is to say."""
        try:
            rows = beside(self.file, ARTIFACTS).read_bytes()
            told = beside(self.file, PROVENANCE).read_text()
        except OSError:
            return False
        return told == self._text(rows)

    def write(self) -> None:
        """Write both files."""
        rows = b"".join(self._rows())
        for suffix, content in ((ARTIFACTS, rows), (PROVENANCE, self._text(rows).encode())):
            with replacing(beside(self.file, suffix)) as file:
                file.write(content)

    def _text(self, rows: bytes) -> str:
        project, seed = self.project, self.project.seed
        made = {step.task: self._made(step) for step in self.steps}
        artifacts = beside(self.file, ARTIFACTS).name
        subject = [provenance.resource(name, sha256) for name, sha256 in self.parts.items()]
        subject[0] |= {"annotations": found} if (found := self._verified(subject[0])) else {}
        return provenance.text_of(
            provenance.of_product(
                project.plan,
                self.kind,
                subject,
                seed=seed.describe(),
                packages=seed.sources,
                added=project.settings.added,
                made=made,
                project=self.own,
                byproducts=[provenance.resource(artifacts, hashlib.sha256(rows).hexdigest())],
            )
        )

    def _rows(self) -> Iterable[bytes]:
        for step in self.steps:
            inputs = Stamp(self.project, step).read_inputs() or {}
            told = {"tools": [], "depends": [], "build_root": "", **inputs}
            yield canonical(provenance.of_step(step, told, self._made(step))) + b"\n"

    def _made(self, step: Step) -> dict[str, Any]:
        stamp = Stamp(self.project, step).require()
        return {**stamp, "verified": self._verdicts(stamp["artifact"], stamp["step"])}

    def _verified(self, product: provenance.Resource) -> dict[str, Any]:
        found = self._verdicts(product["digest"]["sha256"], None)
        return {"verified": found} if found else {}

    def _verdicts(self, artifact: str, step: str | None) -> list[dict[str, Any]]:
        """What was found of this artifact: under which variations, and the verdict.

        Where a seed was another, also what both seeds were made of.
        """
        found = []
        for row in self.verdicts:
            if row["artifact"] == artifact and step in (None, row["step"]):
                told = ("variations", "verdict", *(["shared"] if row.get("shared") else []))
                found.append({key: row[key] for key in told})
        return sorted(found, key=canonical)


def _verdicts(folder: Path) -> Iterable[Mapping[str, Any]]:
    """The verdicts in `folder`; a file that tells none is passed over, as `doit verify` does."""
    for path in sorted(folder.glob("*.json")):
        try:
            row = dict(json.loads(path.read_text()))
            if {"step", "artifact", "variations", "verdict"} <= row.keys():
                yield row
        except (OSError, ValueError, TypeError):
            continue


def closure(project: Project, packages: Iterable[str]) -> list[Step]:
    """The steps that `packages` of the product come of, in build order."""
    wanted = {project.plan.product[name].task for name in packages}
    for step in reversed(project.plan.steps):
        if step.task in wanted:
            wanted |= {before.task for before in project.plan.before(step)}
    return [step for step in project.plan.steps if step.task in wanted]
