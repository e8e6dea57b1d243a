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


@dataclass
class _Directory:
    files: dict[str, Blob] = field(default_factory=dict)
    directories: dict[str, _Directory] = field(default_factory=dict)


def input_root(files: Mapping[str, Blob], protocol: Any) -> tuple[Blob, dict[str, Blob]]:
    """The root directory with `files`, by path, and all blobs that it needs, by sha256.

    protocol: the module of the generated messages.
    """
    root, blobs = _Directory(), {blob.sha256: blob for blob in files.values()}
    for path, blob in files.items():
        *above, name = path.split("/")
        directory = root
        for each in above:
            directory = directory.directories.setdefault(each, _Directory())
        directory.files[name] = blob
    return _encoded(root, protocol, blobs), blobs


def _encoded(directory: _Directory, protocol: Any, blobs: dict[str, Blob]) -> Blob:
    message = protocol.Directory()
    for name, blob in sorted(directory.files.items()):
        message.files.add(name=name, digest=digest(blob, protocol))
    for name, inner in sorted(directory.directories.items()):
        message.directories.add(
            name=name, digest=digest(_encoded(inner, protocol, blobs), protocol)
        )
    made = of_bytes(message.SerializeToString(deterministic=True))
    blobs[made.sha256] = made
    return made


def digest(blob: Blob, protocol: Any) -> Any:
    """The message Digest of `blob`."""
    return protocol.Digest(hash=blob.sha256, size_bytes=blob.size)
