"""The provenance of a product: in it, and beside it.

    in it      /etc/bq2/: provenance.json, sbom.cdx.json, licenses/    (with a root file system)
    beside it  <product>.provenance.json         everything, also the seed and the verifying runs
               <product>.artifacts.jsonl         the same for each artifact, one per line

    sources ──licenses──▶ work/licenses/<sha256> (read once a source) ─┐
    plan, artifacts ──────────────────────────────────────────────────┴─▶ in it
    plan, stamps, seed, work/{verified,challenged}/*.json ──────────────▶ beside it

The files beside the product are written again if their content changes and the product does not:
for example after `doit verify` or `doit challenge`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from plan.documents import provenance
from plan.model import Source, Step
from plan.outputs import write_file
from plan.steps.plan import canonical
from rootfs.image.names import BILL, LICENSES
from tasks.engine.project import Project
from tasks.engine.records.verdicts import verdicts
from tasks.engine.stamps import Stamp, product_artifacts

PROVENANCE = ".provenance.json"
ARTIFACTS = ".artifacts.jsonl"
ATTESTATION = ".attest"


def statement(project: Project) -> dict[str, Any]:
    """The provenance in the product, without the hashes of its files."""
    seed, added = project.seed.describe(), project.settings.added
    return provenance.of_system(project.plan, product_artifacts(project), seed=seed, added=added)


def texts(project: Project) -> dict[str, bytes]:
    """The bill of materials, and the licenses of all packages with sources, by path."""
    from plan.documents.sbom import sbom

    found = {BILL: sbom(project.plan, product_artifacts(project)).encode()}
    for name, step in project.plan.product.items():
        lines = ""
        for source in step.sources:
            for path, text in _licenses(project, source):
                sha256 = hashlib.sha256(text).hexdigest()
                found[f"{LICENSES}/texts/{sha256}"] = text
                lines += f"{sha256}  {source.file}: {path}\n"
        if lines:
            found[f"{LICENSES}/{name}"] = lines.encode()
    return found


def _licenses(project: Project, source: Source) -> list[tuple[str, bytes]]:
    """The license texts in `source`. Finding them reads the whole tarball, so it is done once."""
    from rootfs.archives.licenses import RULE, license_texts

    kept = project.workdir / "licenses" / f"{source.sha256}-{RULE}.json"
    try:
        rows = [(str(path), str(text)) for path, text in json.loads(kept.read_text())]
    except (OSError, ValueError, TypeError):
        read = license_texts(project.fetched(source), source.file)
        rows = [(path, text.decode("utf-8", "surrogateescape")) for path, text in read]
        write_file(kept, json.dumps(rows))
    return [(path, text.encode("utf-8", "surrogateescape")) for path, text in rows]


def beside(file: Path, suffix: str) -> Path:
    """The path of the file beside the product `file`."""
    return file.with_name(file.name + suffix)


class Attestation:
    """The files beside the product `file` of the kind `kind`, made of the artifacts `packages`.

    parts: by name, the sha256 of the file and of its parts. own: the hash of this project's files,
    if the product contains them.
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
        self.verdicts = [row for _, row in verdicts(project.workdir)]

    def is_up_to_date(self) -> bool:
        """Whether both files have the current content. Raises ValueError if one is no JSON."""
        try:
            rows = beside(self.file, ARTIFACTS).read_bytes()
            told = beside(self.file, PROVENANCE).read_text()
        except OSError:
            return False
        # Not the texts: the indented one takes long to make.
        return canonical(json.loads(told)) == canonical(self._statement(rows))

    def write(self) -> Path | None:
        """Write both files. Returns the signature of another provenance, if one is removed."""
        from rootfs.inspection.signature import signature_file

        rows = b"".join(self._rows())
        told = provenance.text_of(self._statement(rows)).encode()
        before = beside(self.file, PROVENANCE)
        signed = signature_file(before)
        stale = signed.exists() and not (before.exists() and before.read_bytes() == told)
        if stale:
            signed.unlink()
        for suffix, content in ((ARTIFACTS, rows), (PROVENANCE, told)):
            write_file(beside(self.file, suffix), content)
        return signed if stale else None

    def _statement(self, rows: bytes) -> dict[str, Any]:
        project, seed = self.project, self.project.seed
        made = {step.task: self._made(step) for step in self.steps}
        artifacts = beside(self.file, ARTIFACTS).name
        subject = [provenance.resource(name, sha256) for name, sha256 in self.parts.items()]
        subject[0] |= {"annotations": found} if (found := self._verified(subject[0])) else {}
        return provenance.of_product(
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

    def _rows(self) -> Iterable[bytes]:
        for step in self.steps:
            inputs = Stamp(self.project, step).read_inputs() or {}
            told = {"tools": [], "depends": [], "build_root": "", **inputs}
            yield canonical(provenance.of_step(step, told, self._made(step))) + b"\n"

    def _made(self, step: Step) -> dict[str, Any]:
        stamp = Stamp(self.project, step).require()
        return {**asdict(stamp), "verified": self._verdicts(stamp.artifact, stamp.step)}

    def _verified(self, product: provenance.Resource) -> dict[str, Any]:
        found = self._verdicts(product["digest"]["sha256"], None)
        return {"verified": found} if found else {}

    def _verdicts(self, artifact: str, step: str | None) -> list[dict[str, Any]]:
        """The results for this artifact: the variations, and the verdict.

        If another seed was used, also the files that are in both seeds.
        """
        found = []
        for row in self.verdicts:
            if row["artifact"] == artifact and step in (None, row["step"]):
                told = ("variations", "verdict", *(["shared"] if row.get("shared") else []))
                found.append({key: row[key] for key in told})
        return sorted(found, key=canonical)


def closure(project: Project, packages: Iterable[str]) -> list[Step]:
    """The steps of `packages` and of their dependencies and tools, in build order."""
    wanted = {project.plan.product[name].task for name in packages}
    for step in reversed(project.plan.steps):
        if step.task in wanted:
            wanted |= {before.task for before in project.plan.before(step)}
    return [step for step in project.plan.steps if step.task in wanted]
