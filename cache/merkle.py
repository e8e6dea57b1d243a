"""The input root of an Action of the Remote Execution API: directories as blobs, named by hash.

    path → blob ──▶ Directory messages, from the leaves up ──▶ digest of the root

See build/bazel/remote/execution/v2/remote_execution.proto, message Directory: names are sorted and
occur once, so equal directories have equal bytes.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

Opener = Callable[[], AbstractContextManager[BinaryIO]]


@dataclass(frozen=True)
class Blob:
    """Bytes with their sha256 and size; `open` reads them."""

    sha256: str
    size: int
    open: Opener


def of_bytes(content: bytes) -> Blob:
    """The blob with this content."""
    sha256 = hashlib.sha256(content).hexdigest()
    return Blob(sha256, len(content), lambda: io.BytesIO(content))


def of_file(path: Path, sha256: str = "") -> Blob:
    """The blob with the content of the file at `path`; sha256: of the content, if it is known."""
    if not sha256:
        with path.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    return Blob(sha256, path.stat().st_size, lambda: path.open("rb"))


def of_message(message: Any) -> Blob:
    """The blob of a message, as all of the API encode it."""
    return of_bytes(message.SerializeToString(deterministic=True))


@dataclass
class Tree:
    """A directory that is put together, and becomes a Directory message."""

    files: dict[str, tuple[Blob, bool]] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)
    directories: dict[str, Tree] = field(default_factory=dict)

    def directory(self, path: str) -> Tree:
        """The directory at `path`, "" for this one; it is made if it is missing."""
        found = self
        for name in filter(None, path.split("/")):
            found = found.directories.setdefault(name, Tree())
        return found

    def add(self, path: str, blob: Blob, *, executable: bool = False) -> None:
        """Put the file `blob` at `path`."""
        above, _, name = path.rpartition("/")
        self.directory(above).files[name] = (blob, executable)

    def link(self, path: str, target: str) -> None:
        """Put a symbolic link to `target` at `path`."""
        above, _, name = path.rpartition("/")
        self.directory(above).links[name] = target

    def encoded(self, protocol: Any) -> tuple[Blob, dict[str, Blob]]:
        """This directory as a blob, and all blobs that it needs, also itself, by sha256.

        protocol: the module of the generated messages.
        """
        blobs: dict[str, Blob] = {}
        return self._encoded(protocol, blobs), blobs

    def _encoded(self, protocol: Any, blobs: dict[str, Blob]) -> Blob:
        message = protocol.Directory()
        for name, (blob, executable) in sorted(self.files.items()):
            message.files.add(name=name, digest=digest(blob, protocol), is_executable=executable)
            blobs[blob.sha256] = blob
        for name, inner in sorted(self.directories.items()):
            made = inner._encoded(protocol, blobs)
            message.directories.add(name=name, digest=digest(made, protocol))
        for name, target in sorted(self.links.items()):
            message.symlinks.add(name=name, target=target)
        made = of_message(message)
        blobs[made.sha256] = made
        return made


def input_root(files: Mapping[str, Blob], protocol: Any) -> tuple[Blob, dict[str, Blob]]:
    """The root directory with `files`, by path, and all blobs that it needs, by sha256.

    protocol: the module of the generated messages.
    """
    root = Tree()
    for path, blob in files.items():
        root.add(path, blob)
    return root.encoded(protocol)


def digest(blob: Blob, protocol: Any) -> Any:
    """The message Digest of `blob`."""
    return protocol.Digest(hash=blob.sha256, size_bytes=blob.size)
