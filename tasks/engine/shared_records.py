"""The records in one shared cache, each with what is wrong with it.

step ids: as the server lists them, else those of this plan ─┐
keys: as it lists them, else those of trust= ────────────────┴─▶ Seen(claim, builder, fault)
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from cache.places import UrlFailed
from cache.remote import Claim, Remote, parse
from plan.steps.identity import step_id
from rootfs.inspection.signature import STEPS, is_signed
from tasks.engine.builder import Builder
from tasks.engine.project import Project
from tasks.engine.side_by_side import SideBySide
from tasks.engine.trust import signers

UNSIGNED, DAMAGED = "unsigned", "damaged"
_AT_ONCE = 8  # requests
# The server does not know PROPFIND, or does not allow it.
_NO_LISTING = (400, 401, 403, 405, 501)


@dataclass(frozen=True)
class Seen:
    """One record. builder: its name in trust=, "" if that file does not have its key.

    fault: UNSIGNED, DAMAGED or "", and `why`.
    """

    step: str
    key: str
    builder: str
    claim: Claim | None
    fault: str = ""
    why: str = ""


class Records:
    """Reads the records of `remote`. lists: whether its server lists files."""

    def __init__(self, project: Project, remote: Remote) -> None:
        trust = project.settings.trust
        self.project, self.remote, self.trust = project, remote, trust
        self.names = {each.key: each.name for each in signers(trust)} if trust else {}
        self.lists = True

    def all(self) -> list[Seen]:
        """All records. Raises UrlFailed if the server cannot be asked."""
        try:
            steps = [each.name for each in self.remote.steps()]
        except UrlFailed as error:
            if error.status not in _NO_LISTING:
                raise
            self.lists = False
            return [*self._planned()]
        with SideBySide(_AT_ONCE) as pool:
            keys = zip(steps, pool.map(self.remote.keys, steps), strict=True)
            pairs = [(step, key) for step, found in keys for key in found]
            return [each for each in pool.map(lambda pair: self.seen(*pair), pairs) if each]

    def _planned(self) -> Iterator[Seen]:
        """The records of this plan's steps, as far as their ids can be known: from what is in the
        store, and from records of trusted builders.
        """
        made: dict[str, str] = {}
        for step in self.project.plan.steps:
            inputs = Builder(self.project, step).inputs(made)
            if inputs is None:
                continue
            wanted = step_id(inputs)
            found = [each for key in self.names if (each := self.seen(wanted, key))]
            yield from found
            record = self.project.store.find(wanted)
            known = [record, *(each.claim for each in found if not each.fault)]
            if first := next((each for each in known if each), None):
                made[step.task] = first.artifact

    def seen(self, step: str, key: str) -> Seen | None:
        """The record of the key id `key` of a step; None if there is none."""
        name = self.names.get(key, "")
        try:
            given = self.remote.claim(step, key)
        except UrlFailed as error:
            return Seen(step, key, name, None, DAMAGED, error.reason)
        if given is None:
            return None
        text, signature = given
        try:
            claim = parse(text)
            if claim.step != step:
                raise ValueError("it is the record of another step")
        except ValueError as error:
            return Seen(step, key, name, None, DAMAGED, str(error))
        if not signature:
            return Seen(step, key, name, claim, UNSIGNED, "it has no signature")
        trust = self.trust
        if name and trust and not is_signed(text, signature, trust, name, STEPS):
            return Seen(step, key, name, claim, UNSIGNED, f"its signature is not {name}'s")
        return Seen(step, key, name, claim)


def contradicting(records: list[Seen]) -> Iterator[list[Seen]]:
    """The records of each step whose sound records name different artifacts."""
    by_step: dict[str, list[Seen]] = {}
    for each in records:
        if each.claim and not each.fault:
            by_step.setdefault(each.step, []).append(each)
    for found in by_step.values():
        if len({each.claim.artifact for each in found if each.claim}) > 1:
            yield found


def claims(records: list[Seen]) -> Mapping[str, Claim]:
    """One claim for each packed artifact that sound records name, by its hash."""
    return {each.claim.packed: each.claim for each in records if each.claim and not each.fault}
