#!/usr/bin/env python3
"""Checks an attestation: the proof of how an image was made, and of who found the same bytes again.

    python3 check.py [IMAGE]      beside this program: steps.jsonl, provenance.json, verdicts.jsonl

It needs Python 3.11 and its standard library, no network, and nothing of bootstrap-qcow2. It builds
nothing. All hashes are sha256; "the hash of" data is that of its JSON with sorted keys, without
spaces, in ASCII.

    a step      what is run, in which environment, on which sources, with the artifacts of other
                steps; the hash of all this is its id
    artifact    the packed result of a step
    verdict     somebody built a step again, under other conditions or from another seed, and
                compared the bytes

What it checks:

    every step id is the hash of what the step says it depends on
    every artifact that a step says it used is the artifact of that step
    the provenance names the same plan, steps and artifacts
    the provenance names IMAGE by its hash
    no second build differed

So whoever believes the provenance (sign it, or build it yourself) can follow each byte of the image
to the hashes of upstream's sources and of the seed. It ends with status 1 if a check fails.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

FIRST_PHASE = "sysroot-from-seed"

Row = Mapping[str, Any]


def hash_of(value: object) -> str:
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode("ascii")).hexdigest()


class Attestation:
    """The files in `directory`, and what they say about `image`."""

    def __init__(self, directory: Path, image: Path | None) -> None:
        self.image = image
        self.steps = rows(directory / "steps.jsonl")
        self.verdicts = rows(directory / "verdicts.jsonl")
        told = directory / "provenance.json"
        self.provenance: Row = parsed(told, text(told))
        self.by_task = {step["task"]: step for step in self.steps}
        definition = self.provenance["predicate"]["buildDefinition"]
        self.plan = definition["internalParameters"]["plan"]
        self.named = definition["resolvedDependencies"]

    def ids(self) -> Iterator[str]:
        """The steps whose id is not the hash of their inputs."""
        for step in self.steps:
            if hash_of(step["inputs"]) != step["id"]:
                yield f"{step['task']}: its inputs give another id"

    def inputs(self) -> Iterator[str]:
        """The steps that say another artifact or build root than the steps before them."""
        seed = next(each["digest"]["sha256"] for each in self.named if each["name"] == "seed")
        for step in self.steps:
            phase = step["inputs"]["step"]["phase"]
            for name, artifact in step["inputs"]["depends"]:
                if self.artifact(f"{phase}:{name}") != artifact:
                    yield f"{step['task']}: it used another {name}"
            tools = [
                [name, self.artifact(f"{FIRST_PHASE}:{name}")]
                for name in step["inputs"]["step"]["tools"]
            ]
            below = [seed] if phase == FIRST_PHASE or not tools else []
            root = hash_of([*below, *tools]) if tools else seed
            if step["inputs"]["build_root"] != root:
                yield f"{step['task']}: it was built in another root"

    def artifact(self, task: str) -> str | None:
        step = self.by_task.get(task)
        return step["artifact"] if step else None

    def names(self) -> Iterator[str]:
        """What the provenance says differently."""
        if hash_of([step["inputs"]["step"] for step in self.steps]) != self.plan:
            yield "these are not the steps of its plan"
        for each in self.named:
            told = each.get("annotations", {}).get("step")
            step = self.by_task.get(each["name"])
            if told and (not step or (step["id"], step["artifact"]) != (told, digest(each))):
                yield f"{each['name']}: another step or artifact"

    def whole(self) -> Iterator[str]:
        """Whether the image is another one."""
        if self.image:
            with self.image.open("rb") as file:
                found = hashlib.file_digest(file, "sha256").hexdigest()
            if found not in map(digest, self.provenance["subject"]):
                yield f"{self.image.name}: its sha256 is {found}"

    def differing(self) -> Iterator[str]:
        """The second builds that were not identical."""
        for verdict in self.verdicts:
            if verdict["verdict"] != "identical":
                how = ", ".join(verdict["variations"])
                yield f"{verdict['of']}: {verdict['verdict']} ({how}; {verdict['when']})"

    def told(self) -> Iterator[str]:
        """For each way of building again how many artifacts were identical; then where and when."""
        artifacts = {(step["id"], step["artifact"]) for step in self.steps}
        good = [
            verdict
            for verdict in self.verdicts
            if verdict["verdict"] == "identical"
            and (verdict["step"], verdict["artifact"]) in artifacts
        ]
        ways = Counter(way for verdict in good for way in verdict["variations"])
        for way, count in sorted(ways.items()):
            yield f"{way:<16} {count} of {len(self.steps)}"
        days = defaultdict[str, set[str]](set)
        for verdict in good:
            days[verdict["machine"] or "a machine that is not known"].add(verdict["when"])
        for machine, on in sorted(days.items()):
            yield f"on {machine}: {', '.join(sorted(on))}"


class Unreadable(Exception):
    """A file is not what `attest` writes."""


def rows(path: Path) -> Sequence[Row]:
    return [parsed(path, line) for line in text(path).splitlines()]


def text(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except UnicodeDecodeError:
        raise Unreadable(f"{path}: cannot be read: it is not UTF-8") from None


def parsed(path: Path, content: str) -> Any:
    try:
        return json.loads(content)
    except (ValueError, RecursionError) as error:
        raise Unreadable(f"{path}: cannot be read: it is not JSON: {error}") from None


def digest(resource: Row) -> str:
    return str(resource["digest"]["sha256"])


def plain(text: str) -> str:
    """`text` in ASCII: somebody else wrote it, and it must not control this terminal."""
    return "".join(each if " " <= each <= "~" else ascii(each)[1:-1] for each in text)


def main(directory: Path, words: Sequence[str]) -> int:
    try:
        told = Attestation(directory, Path(words[0]) if words else None)
        checks: Mapping[str, Callable[[], Iterator[str]]] = {
            f"{len(told.steps)} step ids": told.ids,
            "what each step used": told.inputs,
            "the provenance": told.names,
            "the image": told.whole,
            "second builds": told.differing,
        }
        wrong = {what: [*check()] for what, check in checks.items() if words or what != "the image"}
        known = [*told.told()]
    except OSError as error:
        print(f"{error.filename}: cannot be read: {error.strerror}")
        return 1
    except Unreadable as error:
        print(plain(str(error)))
        return 1
    except (ValueError, KeyError, TypeError, AttributeError, RuntimeError) as error:
        print(f"{directory}: cannot be read: `attest` writes other files: {plain(repr(error))}")
        return 1
    for what, faults in wrong.items():
        print(f"{'WRONG' if faults else 'ok':<6}{what}", *map(plain, faults), sep="\n        ")
    lines = map(plain, known or ["nothing was built again"])
    print("built again, identical:", *lines, sep="\n  ")
    if not words:
        print("no image was given: this says how an image was made, not which")
    return 1 if any(wrong.values()) else 0


if __name__ == "__main__":
    sys.exit(main(Path(__file__).parent, sys.argv[1:]))
