"""A cache that many machines share: static files below one URL, read by GET and written by PUT.

    <url>/steps/<step id>/<key id>.json        a builder's claim: which artifact the step has
    <url>/steps/<step id>/<key id>.json.sig    its signature, by `ssh-keygen -Y`
    <url>/artifacts/<sha256>.tar.gz            the artifact, packed; the hash is that of this file
    <url>/sources/<sha256>                     a source, or a file of a seed

It is listed, and files are removed, by WebDAV (cache/dav.py), if the server has that.
Each builder has its own claims, so no builder overwrites another's. This module only moves bytes:
tasks/engine/taking.py decides what is trusted.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from typing import BinaryIO

from cache import dav
from cache.places import UrlFailed, without_password
from cache.store import Finished
from cache.web import Web
from plan.model import Source

FORMAT = 1
_LARGEST = 1 << 16  # bytes of a claim or a signature
_CHUNK = 1 << 20
_NONE = (404, 410)  # statuses of what is not there
_HASH = re.compile(r"[0-9a-f]{64}")
_CLAIM = re.compile(r"([0-9a-f]{64})\.json")
_ARTIFACT = re.compile(r"([0-9a-f]{64})\.tar\.gz")


@dataclass(frozen=True)
class Claim(Finished):
    """What a builder says of a finished step."""

    packed: str
    """The sha256 of the artifact's packed form."""
    packed_size: int
    """The size of that form, in bytes."""

    @property
    def text(self) -> bytes:
        """The claim as it is signed."""
        return (json.dumps({"format": FORMAT, **asdict(self)}, indent=1) + "\n").encode()


def parse(text: bytes) -> Claim:
    """The claim with this text. Raises ValueError with the reason."""
    try:
        facts = json.loads(text)
        if facts.pop("format") != FORMAT:
            raise ValueError("it has another format")
        claim = Claim(**facts)
    except (AttributeError, KeyError, TypeError, RecursionError) as error:
        raise ValueError("it is no record of a step") from error
    for field in fields(Claim):
        kind = str(field.type)
        if type(facts[field.name]).__name__ not in (kind, "int" if kind == "float" else kind):
            raise ValueError(f"its {field.name} is no {kind}")
    if not all(map(_HASH.fullmatch, (claim.step, claim.artifact, claim.packed))):
        raise ValueError("it has a hash that is none")
    if min(claim.size, claim.packed_size) <= 0:
        raise ValueError("it has a size that is none")
    return claim


class Remote:
    """One shared cache. `web` is shared with other downloads of the run."""

    def __init__(self, url: str, web: Web) -> None:
        self.url, self.web = url.rstrip("/"), web

    def __str__(self) -> str:
        return without_password(self.url)

    def claim(self, step: str, key: str) -> tuple[bytes, bytes] | None:
        """The claim of the key id `key` and its signature, unchecked; None if there is none.

        Raises UrlFailed.
        """
        text = self._small(_claim(step, key))
        if text is None:
            return None
        return text, self._small(f"{_claim(step, key)}.sig") or b""

    def artifact(self, claim: Claim) -> Source:
        """The packed artifact of `claim`, for cache.sources.fetch."""
        url = f"{self.url}/{_artifact(claim.packed)}"
        return Source(claim.packed, claim.packed_size, f"{claim.name}.tar.gz", (url,))

    def has_artifact(self, claim: Claim) -> bool:
        """Whether the packed artifact is there, with its size. Raises UrlFailed."""
        return self._has(f"{self.url}/{_artifact(claim.packed)}", claim.packed_size)

    def has_source(self, sha256: str, size: int) -> bool:
        """Whether the source is there, with its size in bytes. Raises UrlFailed."""
        return self._has(source_url(self.url, sha256), size)

    def put_artifact(self, claim: Claim, file: BinaryIO) -> None:
        """Write the packed artifact of `claim`. Raises UrlFailed."""
        dav.put(self.web, self.url, _artifact(claim.packed), file)

    def put_source(self, sha256: str, file: BinaryIO) -> None:
        """Write the source. Raises UrlFailed."""
        dav.put(self.web, self.url, f"sources/{sha256}", file)

    def put_claim(self, claim: Claim, key: str, signature: bytes) -> None:
        """Write the claim of the key id `key`: first its signature, because readers ask for the
        claim first. Raises UrlFailed.
        """
        path = _claim(claim.step, key)
        dav.put(self.web, self.url, f"{path}.sig", signature)
        dav.put(self.web, self.url, path, claim.text)

    def steps(self) -> list[dav.Entry]:
        """The directories of the step ids. Raises UrlFailed, also if the server lists nothing."""
        return self._listed("steps", _HASH, directories=True)

    def keys(self, step: str) -> dict[str, dav.Entry]:
        """The claims of the step id `step` by the ids of their keys. Raises UrlFailed."""
        return {each.name[:64]: each for each in self._listed(f"steps/{step}", _CLAIM)}

    def artifacts(self) -> dict[str, dav.Entry]:
        """The packed artifacts by their hashes. Raises UrlFailed."""
        return {each.name[:64]: each for each in self._listed("artifacts", _ARTIFACT)}

    def sources(self) -> dict[str, dav.Entry]:
        """The sources by their hashes. Raises UrlFailed."""
        return {each.name: each for each in self._listed("sources", _HASH)}

    def remove_step(self, step: str) -> None:
        """Remove all claims of the step id `step`. Raises UrlFailed."""
        dav.remove(self.web, f"{self.url}/steps/{step}/")

    def remove_artifact(self, packed: str) -> None:
        """Remove the packed artifact with this hash. Raises UrlFailed."""
        dav.remove(self.web, f"{self.url}/{_artifact(packed)}")

    def remove_source(self, sha256: str) -> None:
        """Remove the source. Raises UrlFailed."""
        dav.remove(self.web, source_url(self.url, sha256))

    def read(self, path: str) -> Iterator[bytes]:
        """The bytes of the file at `path`, in chunks. Raises UrlFailed."""
        with self.web.get(f"{self.url}/{path}") as response:
            while chunk := self.web.read(response, _CHUNK):
                yield chunk

    def _listed(
        self, path: str, names: re.Pattern[str], *, directories: bool = False
    ) -> list[dav.Entry]:
        found = dav.listing(self.web, f"{self.url}/{path}")
        return [
            each
            for each in found
            if names.fullmatch(each.name) and each.is_directory == directories
        ]

    def _has(self, url: str, size: int) -> bool:
        try:
            with self.web.get(url) as response:
                return response.headers.get("Content-Length") == str(size)
        except UrlFailed as error:
            if error.status in _NONE:
                return False
            raise

    def _small(self, path: str) -> bytes | None:
        """The small file at `path`, or None if the server has none. Raises UrlFailed."""
        try:
            with self.web.get(f"{self.url}/{path}") as response:
                text = self.web.read(response, _LARGEST + 1)
        except UrlFailed as error:
            if error.status in _NONE:
                return None
            raise
        if len(text) > _LARGEST:
            raise UrlFailed(f"{path} has more than {_LARGEST} bytes")
        return text


def source_url(url: str, sha256: str) -> str:
    """Where the shared cache at `url` has the source `sha256`."""
    return f"{url.rstrip('/')}/sources/{sha256}"


def _claim(step: str, key: str) -> str:
    return f"steps/{step}/{key}.json"


def _artifact(packed: str) -> str:
    return f"artifacts/{packed}.tar.gz"
