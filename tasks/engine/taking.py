"""Takes finished steps from shared caches (cache/remote.py), if trusted builders signed them.

    step id ──▶ every cache, every trusted builder: claim ──signature, step id──▶ believed
                  believed by agree= builders, all naming one artifact ──▶ fetched, hashed, stored
                  naming different artifacts ──▶ all stored: the step is CONTRADICTED
                  otherwise ──▶ built here; then this build is compared with the claims

Nothing unsigned, and nothing by another key, is taken. No fault of a server fails a build: the
reason is kept for `doit why`. work/passed/<phase>-<name>.json: {"step": id, "reasons": [text...]}
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Collection, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, wait
from pathlib import Path

from cache.packed import chunks, unpacked
from cache.places import UrlFailed
from cache.remote import Claim, Remote, parse
from cache.store import Record
from cache.uses import saying
from cache.web import Patience, Web
from plan.errors import BuildError
from plan.model import Step
from plan.outputs import unfinished, write_file
from plan.steps.identity import step_id
from plan.typed import typed
from rootfs.inspection.signature import STEPS, is_signed
from tasks.engine.builder import Builder
from tasks.engine.project import Project
from tasks.engine.side_by_side import SideBySide
from tasks.engine.trust import Signer, signers

AT_ONCE = 8  # steps
_PATIENCE = Patience(connect=4, read=10)  # a build is an alternative to a slow server
# Why an artifact is passed over: it cannot be fetched, unpacked or stored, or is another one.
_UNUSABLE = (BuildError, OSError, ValueError)


class Taking:
    """Takes steps for one run. All methods are safe in any thread."""

    def __init__(self, project: Project) -> None:
        settings = project.settings
        self.project, self.web = project, Web(_PATIENCE, settings.headers)
        self.remotes = [Remote(url, self.web) for url in settings.caches]
        self.signers = signers(settings.trust) if settings.trust else []
        self._claims: dict[str, list[tuple[Remote, Claim]]] = {}
        self._asked: set[str] = set()
        self._lock = threading.Lock()

    def fill(self, wanted: Collection[str]) -> None:
        """Take, side by side, what there is of the steps of the tasks `wanted`."""
        if not self.signers:
            self._note(f"no step is taken from cache=: no builder is trusted; {_TRUST}")
            return
        made: dict[str, str] = {}
        left = {each.task: each for each in self.project.plan.steps if each.task in wanted}
        running: dict[Future[str | None], str] = {}
        with SideBySide(AT_ONCE) as pool:
            while left or running:
                for step in self._ready(left, made):
                    running[pool.submit(self._artifact, step, dict(made))] = step.task
                if not running:
                    return
                for done in wait(running, return_when=FIRST_COMPLETED).done:
                    task, artifact = running.pop(done), done.result()
                    if artifact:
                        made[task] = artifact

    def _ready(self, left: dict[str, Step], made: Mapping[str, str]) -> Iterator[Step]:
        """The steps of `left` whose inputs are in `made`; they are taken out of it."""
        for step in list(left.values()):
            if all(each.task in made for each in self.project.plan.before(step)):
                yield left.pop(step.task)

    def _artifact(self, step: Step, made: Mapping[str, str]) -> str | None:
        """The artifact of `step`, which is here or can be taken; None if it must be built."""
        builder, store = Builder(self.project, step), self.project.store
        inputs = None if builder.stamp.forgotten.exists() else builder.inputs(made)
        if inputs is None or store.contradicting(wanted := step_id(inputs)):
            return None
        record = store.find(wanted) or self.take(step, wanted)
        return record.artifact if record else None

    def take(self, step: Step, wanted: str) -> Record | None:
        """The record of the step id `wanted` with its artifact in the store; None if it must be
        built here. A step id is asked for once in a run.
        """
        with self._lock:
            first = wanted not in self._asked
            self._asked.add(wanted)
        if not first or not self.signers:
            return None
        reasons: list[str] = []
        claims = self._believed(wanted, reasons)
        artifacts = {claim.artifact for _, claim in claims.values()}
        builders = {signer.name for signer in claims}  # who may have several keys
        if len(artifacts) > 1 or len(builders) >= self.project.settings.agree:
            taken = self._stored(list(claims.values()), reasons)
        else:
            taken = None
            self._claims[wanted] = list(claims.values())
            if claims:
                reasons.append(f"{len(builders)} of {self.project.settings.agree} builders have it")
        self._tell(step, wanted, reasons, taken)
        if self.project.store.contradicting(wanted):
            return None
        # Another run of this user may have taken it meanwhile.
        return taken or self.project.store.find(wanted)

    def compare(self, wanted: str) -> None:
        """Compare what was built here as the step id `wanted` with the believed claims: if one
        names another artifact, take that too, so that the step is contradicted.
        """
        record = self.project.store.find(wanted)
        others = [
            (remote, claim)
            for remote, claim in self._claims.pop(wanted, [])
            if record and claim.artifact != record.artifact
        ]
        reasons: list[str] = []
        if others and not self._stored(others, reasons):
            claim = others[0][1]
            raise BuildError(
                f"this build gives {record.artifact if record else ''}, and a trusted builder says "
                f"{claim.artifact}, which cannot be fetched: {'; '.join(reasons)}",
                where=claim.name,
            )

    def _believed(self, wanted: str, reasons: list[str]) -> dict[Signer, tuple[Remote, Claim]]:
        """The claims with a trusted signature, one for each key. With agree=1 one is enough."""
        found: dict[Signer, tuple[Remote, Claim]] = {}
        for remote in self.remotes:
            for signer in self.signers:
                if any(signer.key == each.key for each in found):
                    continue
                if claim := self._claim(remote, signer, wanted, reasons):
                    found[signer] = (remote, claim)
                if found and self.project.settings.agree == 1:
                    return found
        return found

    def _claim(
        self, remote: Remote, signer: Signer, wanted: str, reasons: list[str]
    ) -> Claim | None:
        trust = self.project.settings.trust
        assert trust
        try:
            given = remote.claim(wanted, signer.key)
            if given is None:
                return None
            text, signature = given
            if not is_signed(text, signature, trust, signer.name, STEPS):
                raise ValueError(f"its signature is not {signer.name}'s, or not valid now")
            claim = parse(text)
            if claim.step != wanted:
                raise ValueError("it is the record of another step")
            return claim
        except (UrlFailed, ValueError) as error:
            reasons.append(f"{remote}: the record of {signer.name} is passed over: {error}")
            return None

    def _stored(self, claims: list[tuple[Remote, Claim]], reasons: list[str]) -> Record | None:
        """Fetch the artifacts of `claims`, each once, into the store; return the first record."""
        records: dict[str, Record] = {}
        for remote, claim in claims:
            if claim.artifact in records:
                continue
            try:
                records[claim.artifact] = self._fetched(remote, claim)
            except _UNUSABLE as error:
                reasons.append(f"{remote}: its artifact is passed over: {error}")
        return next(iter(records.values()), None)

    def _fetched(self, remote: Remote, claim: Claim) -> Record:
        """The artifact of `claim` in the store. Raises one of _UNUSABLE."""
        from cache.sources import fetch

        cache, source = self.project.cache, remote.artifact(claim)
        packed = fetch([source], cache=cache, web=self.web)[source.sha256]
        record = Record(**claim.facts, origin=str(remote))
        try:
            file = self._unpacked(claim, packed)
            with saying(cache):
                self.project.store.register(file, record)
                self.project.uses.took(record.step, record.artifact)
        finally:
            # Last: another run that misses it finds the artifact in the store.
            packed.unlink(missing_ok=True)
        return record

    def _unpacked(self, claim: Claim, packed: Path) -> Path:
        """The artifact, unpacked into a temporary file of the store and synced."""
        file = unfinished(self.project.store.scratch() / claim.artifact)
        try:
            with packed.open("rb") as given, file.open("wb") as out:
                out.writelines(unpacked(chunks(given), claim))
                out.flush()
                os.fsync(out.fileno())
        except BaseException:
            file.unlink(missing_ok=True)
            raise
        return file

    def _tell(self, step: Step, wanted: str, reasons: list[str], taken: Record | None) -> None:
        """Keep the reasons why claims were passed over, and tell what is new of the servers."""
        file = _file(self.project, step)
        if reasons:
            content = {"step": wanted, "reasons": reasons}
            file.parent.mkdir(exist_ok=True)
            write_file(file, json.dumps(content, indent=1) + "\n")
            if not taken:
                why = typed(f"why {step.task}")
                self._note(f"{step.task} is not taken from a shared cache: {why} says the reason")
        else:
            file.unlink(missing_ok=True)
        for text in self.web.news():
            self._note(text)

    def _note(self, text: str) -> None:
        self.project.events.emit("note", text=text)


_TRUST = "trust=FILE names the builders, as ssh-keygen's allowed_signers"


def passed_over(project: Project, step: Step, wanted: str) -> list[str]:
    """Why no record of the step id `wanted` was taken from a shared cache, as lines."""
    try:
        known = json.loads(_file(project, step).read_text())
        return list(known["reasons"]) if known["step"] == wanted else []
    except (OSError, ValueError, KeyError, TypeError):
        return []


def _file(project: Project, step: Step) -> Path:
    return project.workdir / "passed" / f"{step.file_stem}.json"
