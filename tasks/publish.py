"""publish: writes the finished steps, signed, and the sources to a shared cache.

doit publish publish=URL key=FILE

    steps that were built here ──packed──▶ artifacts/ ──▶ signed records: steps/
    steps taken from others    ──only if `doit verify` built them again to the same bytes──┘
    sources in the cache ──▶ sources/

Only what is missing there is sent. It can be interrupted and goes on where it was.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from plan.errors import BuildError
from plan.typed import typed
from tasks.actions import DoitTask, speaking
from tasks.console.console import say
from tasks.engine.project import Project
from tasks.engine.records.verdicts import IDENTICAL, Verified
from tasks.engine.side_by_side import SideBySide
from tasks.engine.survey import StepState, survey
from tasks.engine.trust import key_id

if TYPE_CHECKING:
    from cache.remote import Remote
    from cache.store import Record

_Sent = TypeVar("_Sent")
_SELF = "builder"  # the name of this key's owner in a file of allowed signers
_AT_ONCE = 4  # files


def task_publish(project: Project) -> DoitTask:
    """write finished steps, signed, to a shared cache: publish=URL key=FILE

    publish publish=https://cache.example.org/bq2 key=FILE
    """
    return {"actions": [(speaking(_publish), [project])]}


def before_publish(project: Project, _words: Sequence[str]) -> None:
    """Raise BuildError without a URL, ssh-keygen, or a key that can sign here."""
    from rootfs.inspection.signing_key import require_signing

    if not project.settings.publish:
        raise BuildError("no shared cache is named", hint=typed("publish publish=URL key=FILE"))
    if not project.settings.key:
        raise BuildError("no key is named", hint=typed("publish publish=URL key=FILE"))
    require_signing(project.settings.key)


@dataclass(frozen=True)
class _Sender:
    """Sends to one shared cache, in the name of the private key at `key` with the id `id`.

    allowed: a file of allowed signers that names only this key.
    """

    remote: Remote
    project: Project
    key: Path
    id: str
    allowed: Path

    def step(self, record: Record) -> bool:
        """Send the step of `record`, unless it is there. Returns whether it was sent."""
        from cache.packed import pack
        from rootfs.inspection.signature import STEPS, signature

        if self._is_there(record):
            return False
        with tempfile.TemporaryDirectory() as directory:
            packed = Path(directory, "packed")
            self.project.store.require_intact(record.artifact, record.name)
            claim = pack(self.project.store.artifact(record.artifact), record, packed)
            if not self.remote.has_artifact(claim):
                with packed.open("rb") as file:
                    self.remote.put_artifact(claim, file)
        self.remote.put_claim(claim, self.id, signature(claim.text, self.key, STEPS).encode())
        return True

    def _is_there(self, record: Record) -> bool:
        """Whether the step is there, whole and signed. Raises BuildError if this key signed that
        the step has another artifact.
        """
        from cache.remote import parse
        from rootfs.inspection.signature import STEPS, is_signed

        text, signed = self.remote.claim(record.step, self.id) or (b"", b"")
        if not is_signed(text, signed, self.allowed, _SELF, STEPS):
            return False
        try:
            claim = parse(text)
        except ValueError:  # this key signed what another version wrote
            return False
        if claim.artifact != record.artifact:
            raise BuildError(
                f"this key has signed that {record.name} ({record.phase}) gives {claim.artifact}, "
                f"and here it gives {record.artifact}",
                where=str(self.remote),
                hint=f"{typed(f'verify packages={record.name}')} shows whether it is reproducible",
            )
        return self.remote.has_artifact(claim)

    def source(self, sha256: str) -> bool:
        """Send the source, unless it is there. Returns whether it was sent."""
        from cache import paths
        from rootfs.archives.files import file_sha256

        path = paths.source(sha256, self.project.cache)
        if self.remote.has_source(sha256, path.stat().st_size):
            return False
        if file_sha256(path) != sha256:
            hint = f"{typed('fsck')} removes it, and {typed('fetch')} downloads it again"
            raise BuildError("is damaged", where=os.fspath(path), hint=hint)
        with path.open("rb") as file:
            self.remote.put_source(sha256, file)
        return True


def _publish(project: Project) -> None:
    from cache.sources import cached
    from tasks.engine.sources import all_sources

    states = survey(project).values()
    if not any(state.is_here for state in states):
        raise BuildError(
            "no step of this plan is built here, so there is nothing to publish",
            hint=f"{typed('pkg')} builds the packages of the set {project.plan.set.name}",
        )
    records = [*_own(project, states)]
    if left := len(states) - len(records):
        say(f"steps not built here, or taken and not verified: {left}; they are not published")
    send(
        project,
        records,
        [each.sha256 for each in all_sources(project) if cached(each, project.cache)],
    )


def send(project: Project, records: Sequence[Record], sources: Sequence[str]) -> None:
    """Send the steps of `records`, signed, and the sources with these hashes to publish=.

    Raises BuildError; what was sent stays.
    """
    from cache.remote import Remote
    from cache.web import Web

    settings, key = project.settings, project.settings.key
    assert key
    remote = Remote(settings.publish, Web(headers=settings.headers))
    with tempfile.TemporaryDirectory() as directory:
        public, allowed = _public(key), Path(directory, "allowed")
        allowed.write_text(f"{_SELF} {public}\n")
        sender = _Sender(remote, project, key, key_id(public), allowed)
        sent = _all(sender, sender.step, records)
        say(f"steps sent: {sent}; there already: {len(records) - sent}")
        sent = _all(sender, sender.source, sources)
        say(f"sources sent: {sent}; there already: {len(sources) - sent}")
    say(f"others can take them with cache={remote}, and this line in the file of trust=:")
    say(f"  {_SELF} {public}")


def _all(sender: _Sender, send: Callable[[_Sent], bool], things: Sequence[_Sent]) -> int:
    """Send all `things`, some at once; return the number of those that were not there."""
    from cache.places import UrlFailed

    try:
        with SideBySide(_AT_ONCE) as pool:
            return sum(pool.map(send, things))
    except UrlFailed as error:
        hint = error.remedy or "what was sent stays; run it again to continue"
        raise BuildError(str(error), where=str(sender.remote), hint=hint) from error


def _own(project: Project, states: Iterable[StepState]) -> Iterator[Record]:
    """The records of the steps that were built here, or built again with the same result."""
    for state in states:
        record = project.store.find(state.id) if state.id and state.is_here else None
        if record and (not record.origin or _verified(project, state, record)):
            yield record


def _verified(project: Project, state: StepState, record: Record) -> bool:
    verified = Verified(project.workdir, state.step.file_stem)
    found = verified.read(record.step, record.artifact)
    return found is not None and found.verdict == IDENTICAL


def _public(key: Path) -> str:
    """The kind and the public half of the key at `key`. Raises BuildError."""
    from rootfs.inspection.signature import public_key

    public = " ".join(public_key(key).split()[:2])
    try:
        key_id(public)
    except ValueError as error:
        raise BuildError(str(error), where=str(key)) from error
    return public
