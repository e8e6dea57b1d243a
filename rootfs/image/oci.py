"""Writes OCI images (OCI Image Format Specification 1.0), each as the tar of an OCI image layout.

    tree ──tar──▶ layer ─▶ config ─▶ manifest ─▶ index.json             one architecture
    images of several architectures ──▶ their blobs, index of manifests ─▶ index.json

The layer is the system's tarball, byte for byte. It is not compressed, so that no byte depends on
the version of a compressor: whatever sends it to a registry compresses it.
"""

from __future__ import annotations

import hashlib
import json
import os
import tarfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from plan.compiling.toolchain import SOURCE_DATE
from plan.errors import BuildError
from plan.outputs import replacing
from plan.steps.plan import canonical
from rootfs.archives import pack

_OCI = "application/vnd.oci.image."
CONFIG, MANIFEST = f"{_OCI}config.v1+json", f"{_OCI}manifest.v1+json"
INDEX, LAYER = f"{_OCI}index.v1+json", f"{_OCI}layer.v1.tar"
BLOBS = "blobs/sha256/"
NAME = "org.opencontainers.image.ref.name"
LAYOUT = {"imageLayoutVersion": "1.0.0"}
LARGEST_DOCUMENT = 1 << 20

Descriptor = dict[str, Any]


def write_oci(
    out: Path,
    layer: Callable[[pack.Sink], None],
    *,
    architecture: str,
    name: str,
    labels: Mapping[str, str],
) -> dict[str, str]:
    """Write the image `out` of one layer, the tar that `layer` writes.

    architecture: Go's name, "amd64". name: that of the image in the layout. labels: of the image.
    Returns the sha256 of the parts. Raises BuildError if the layer is too large for a tar, and
    OSError.
    """
    with replacing(out) as file:
        _begin(file)
        tree = _add_layer(file, layer)
        config = _add(file, CONFIG, _config(architecture, tree, labels))
        manifest = {"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": [tree]}
        made = _add(file, MANIFEST, manifest)
        made["platform"] = {"architecture": architecture, "os": "linux"}
        _finish(file, {**made, "annotations": {NAME: name}})
    return {"manifest": _sha256(made), "layer": _sha256(tree)}


def join(out: Path, images: Sequence[Path], *, name: str) -> None:
    """Write the image `out` of several architectures from `images`, which write_oci wrote.

    Raises BuildError if one of them is not such a file, or is damaged, and OSError.
    """
    with replacing(out) as file:
        _begin(file)
        manifests = [_copy_blobs(image, file) for image in images]
        told = {"schemaVersion": 2, "mediaType": INDEX, "manifests": manifests}
        _finish(file, {**_add(file, INDEX, told), "annotations": {NAME: name}})


def _begin(file: IO[bytes]) -> None:
    pack.add_bytes(file, "oci-layout", canonical(LAYOUT))
    pack.add_directory(file, "blobs")
    pack.add_directory(file, BLOBS.rstrip("/"))


def _finish(file: IO[bytes], only: Descriptor) -> None:
    index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": [only]}
    pack.add_bytes(file, "index.json", canonical(index))
    pack.finish(file)


def _config(architecture: str, layer: Descriptor, labels: Mapping[str, str]) -> dict[str, Any]:
    return {
        "architecture": architecture,
        "os": "linux",
        "created": SOURCE_DATE,
        "config": {"Env": ["PATH=/usr/bin"], "Cmd": ["/bin/sh"], "Labels": {**labels}},
        "rootfs": {"type": "layers", "diff_ids": [layer["digest"]]},
        "history": [{"created": SOURCE_DATE, "created_by": "bootstrap-qcow2"}],
    }


def _add(file: IO[bytes], kind: str, document: Mapping[str, Any]) -> Descriptor:
    """Add a document as a blob; return its descriptor."""
    content = canonical(document)
    found = _descriptor(kind, hashlib.sha256(content).hexdigest(), len(content))
    pack.add_bytes(file, BLOBS + _sha256(found), content)
    return found


def _add_layer(file: IO[bytes], write: Callable[[pack.Sink], None]) -> Descriptor:
    """Add what `write` writes as a blob. Its hash is its name, so its header is written last."""
    head = file.tell()
    file.write(bytes(tarfile.BLOCKSIZE))
    blob = pack.Hashing(file)
    write(blob)
    found = _descriptor(LAYER, blob.sha256.hexdigest(), blob.size)
    header = pack.file_header(BLOBS + _sha256(found), size=blob.size)
    if len(header) != tarfile.BLOCKSIZE:
        raise BuildError("the system is too large for an OCI image", hint="sources=no")
    file.write(bytes(-blob.size % tarfile.BLOCKSIZE))
    end = file.tell()
    file.seek(head)
    file.write(header)
    file.seek(end)
    return found


def _descriptor(kind: str, sha256: str, size: int) -> Descriptor:
    return {"mediaType": kind, "digest": f"sha256:{sha256}", "size": size}


def _sha256(descriptor: Descriptor) -> str:
    return str(descriptor["digest"]).removeprefix("sha256:")


def _copy_blobs(image: Path, file: IO[bytes]) -> Descriptor:
    """Copy the blobs of `image`, checked, into `file`; return the descriptor of its manifest."""
    try:
        with tarfile.open(image, "r:") as tar:
            for member in tar:
                if member.name.startswith(BLOBS):
                    _copy(tar, member, file)
            content = tar.extractfile("index.json")
            index = json.loads(content.read(LARGEST_DOCUMENT) if content else b"")
        (manifest,) = index["manifests"]
        return {key: manifest[key] for key in ("mediaType", "digest", "size", "platform")}
    except (tarfile.TarError, KeyError, ValueError, TypeError) as error:
        hint = "make it again: its file was changed, or is not of this project"
        raise BuildError(
            f"is not an OCI image of one architecture: {error}", where=os.fspath(image), hint=hint
        ) from error


def _copy(tar: tarfile.TarFile, member: tarfile.TarInfo, file: IO[bytes]) -> None:
    blob = pack.Hashing(file)
    content = tar.extractfile(member)
    if content is None:
        raise ValueError(f"{member.name} is no file")
    pieces = iter(lambda: content.read(1 << 20), b"")
    file.write(pack.file_header(member.name, size=member.size))
    for piece in pieces:
        blob.write(piece)
    file.write(bytes(-member.size % tarfile.BLOCKSIZE))
    if blob.sha256.hexdigest() != member.name.removeprefix(BLOBS):
        raise ValueError(f"{member.name} has another hash")
