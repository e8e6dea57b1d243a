"""One server of the Remote Execution API, version 2: its blobs, and the Actions that it executes.

    blobs ──FindMissingBlobs──▶ only those ──BatchUpdateBlobs, ByteStream.Write──▶ server
    action ──Execute──▶ queued ▶ executing ▶ done ──▶ ActionResult ──ByteStream.Read──▶ files

See build/bazel/remote/execution/v2/remote_execution.proto. A cut connection is tried again. The
libraries are an optional extra (requirements-remote.txt), so they are imported here only.
"""

from __future__ import annotations

import hashlib
import threading
import time
import uuid
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any, BinaryIO, TypeVar
from urllib.parse import urlsplit

from cache.merkle import Blob, digest
from plan.errors import BuildError

try:
    import grpc
    from buildgrid.common.protos.build.bazel.remote.execution.v2 import (
        remote_execution_pb2 as protocol,
    )
    from buildgrid.common.protos.build.bazel.remote.execution.v2 import (
        remote_execution_pb2_grpc as services,
    )
    from buildgrid.common.protos.google.bytestream import bytestream_pb2, bytestream_pb2_grpc
    from buildgrid.common.protos.google.longrunning import (
        operations_pb2,
        operations_pb2_grpc,
    )
except ImportError as error:
    raise BuildError(
        f"remote= needs libraries that are not installed: {error}",
        where="requirements-remote.txt",
        hint="./bq2 installs them by itself if remote= is given",
    ) from error

__all__ = ["Server", "ServerFailed", "protocol"]

_Made = TypeVar("_Made")
_CHUNK = 1 << 20
_SMALL = 1 << 20  # bytes of a blob that is sent with others
_BATCH = 3 << 20  # bytes of all of them: gRPC's limit of a message is 4 MiB
_TRIES = 4
_SECONDS = 60  # for a call that only asks
_PING = 300_000  # milliseconds: servers refuse more (gRPC, A8-client-side-keepalive)
_CANCEL = 2  # seconds


class ServerFailed(Exception):
    """The server did not do what was asked. gone: it is not worth asking again in this run."""

    def __init__(self, reason: str, *, gone: bool = False) -> None:
        super().__init__(reason)
        self.gone = gone


class Server:
    """The server at `url`, grpc(s)://HOST:PORT. All methods are safe in any thread.

    headers: of each call. certificates, identity: PEM files: whom to believe, and who asks (a key
    and its certificate). patience: seconds that an Action may be queued while no Action of this run
    was ever started: then there is no worker. pause: seconds before the second try.
    """

    def __init__(
        self,
        url: str,
        *,
        instance: str = "",
        headers: Mapping[str, str] | None = None,
        certificates: bytes | None = None,
        identity: bytes | None = None,
        patience: float = 600.0,
        pause: float = 1.0,
    ) -> None:
        self.instance, self.patience, self.pause = instance, patience, pause
        self._metadata = [(name.lower(), value) for name, value in (headers or {}).items()]
        options = [("grpc.max_receive_message_length", -1), ("grpc.keepalive_time_ms", _PING)]
        where = urlsplit(url)
        if where.scheme == "grpcs":
            trusted = grpc.ssl_channel_credentials(certificates, identity, identity)
            self._channel = grpc.secure_channel(where.netloc, trusted, options)
        else:
            self._channel = grpc.insecure_channel(where.netloc, options)
        self._blobs = services.ContentAddressableStorageStub(self._channel)
        self._execution = services.ExecutionStub(self._channel)
        self._stream = bytestream_pb2_grpc.ByteStreamStub(self._channel)
        self._operations = operations_pb2_grpc.OperationsStub(self._channel)
        self._running: dict[Any, Any] = {}  # call → its last Operation
        self._lock, self._sending = threading.Lock(), threading.Lock()
        self._stopped, self._started, self._idle = threading.Event(), False, False

    def upload(self, blobs: Collection[Blob]) -> int:
        """Send those of `blobs` that the server lacks; return their bytes. Raises ServerFailed."""
        by_hash = {blob.sha256: blob for blob in blobs}
        # One step at a time: the next one finds the same large blobs there.
        with self._sending:
            lacked = self._again(lambda: self._missing(blobs))
            missing = [by_hash[sha256] for sha256 in lacked if sha256 in by_hash]
            batch, size = list[Blob](), 0
            for blob in missing:
                if blob.size > _SMALL:
                    self._again(lambda blob=blob: self._write(blob))  # type: ignore[misc]
                    continue
                if size + blob.size > _BATCH:
                    self._again(lambda batch=batch: self._update(batch))  # type: ignore[misc]
                    batch, size = list[Blob](), 0
                batch.append(blob)
                size += blob.size
            if batch:
                self._again(lambda: self._update(batch))
        return sum(blob.size for blob in missing)

    def execute(self, action: Blob, *, fresh: bool = False) -> Any:
        """The ActionResult of `action`, whose blobs are there. fresh: execute it even if the server
        has a result. Raises ServerFailed.
        """
        request = protocol.ExecuteRequest(
            instance_name=self.instance,
            action_digest=digest(action, protocol),
            skip_cache_lookup=fresh,
        )
        response = self._again(lambda: self._executed(request))
        if response.cached_result and response.result.exit_code and not fresh:
            return self.execute(action, fresh=True)  # some servers keep failures
        return response.result

    def download(self, wanted: Any, into: BinaryIO, *, limit: int) -> None:
        """Write the blob with the message Digest `wanted` to the file `into`, and check its hash.

        Raises ServerFailed, also if it has more than `limit` bytes.
        """
        if wanted.size_bytes > limit:
            raise ServerFailed(f"an output has more than {limit} bytes")

        def read() -> None:
            into.seek(0)
            into.truncate()
            hashed = hashlib.sha256()
            name = self._name(f"blobs/{wanted.hash}/{wanted.size_bytes}")
            request = bytestream_pb2.ReadRequest(resource_name=name)
            call, left = self._stream.Read(request, metadata=self._metadata), wanted.size_bytes
            for part in call:
                if (left := left - len(part.data)) < 0:
                    call.cancel()
                    raise ServerFailed(f"the blob {wanted.hash} is larger than it was said to be")
                hashed.update(part.data)
                into.write(part.data)
            if hashed.hexdigest() != wanted.hash:
                raise ServerFailed(f"the blob {wanted.hash} has another hash")

        if wanted.size_bytes:
            self._again(read)

    def stop(self) -> None:
        """Cancel everything that runs there, and ask for nothing more. For the end of a run."""
        self._stopped.set()
        with self._lock:
            running = dict(self._running)
        # The end of the stream alone does not end an execution.
        asked = [
            self._operations.CancelOperation.future(
                operations_pb2.CancelOperationRequest(name=name),
                timeout=_CANCEL,
                metadata=self._metadata,
            )
            for name in (each.name for each in running.values() if each)
        ]
        for each in asked:
            each.exception()  # waits; a server may not know this call
        for call in running:
            call.cancel()

    @property
    def is_stopped(self) -> bool:
        """Whether `stop` was called."""
        return self._stopped.is_set()

    def _missing(self, blobs: Collection[Blob]) -> list[str]:
        request = protocol.FindMissingBlobsRequest(
            instance_name=self.instance,
            blob_digests=[digest(blob, protocol) for blob in blobs],
        )
        found = self._blobs.FindMissingBlobs(request, timeout=_SECONDS, metadata=self._metadata)
        return [each.hash for each in found.missing_blob_digests]

    def _update(self, blobs: list[Blob]) -> None:
        request = protocol.BatchUpdateBlobsRequest(instance_name=self.instance)
        for blob in blobs:
            with blob.open() as file:
                request.requests.add(digest=digest(blob, protocol), data=file.read())
        done = self._blobs.BatchUpdateBlobs(request, timeout=_SECONDS, metadata=self._metadata)
        for each in done.responses:
            if each.status.code:
                raise ServerFailed(f"a blob is refused: {each.status.message}")

    def _write(self, blob: Blob) -> None:
        name = self._name(f"uploads/{uuid.uuid4()}/blobs/{blob.sha256}/{blob.size}")

        def parts() -> Iterator[Any]:
            with blob.open() as file:
                at = 0
                while at < blob.size:
                    data = file.read(_CHUNK)
                    last = not data or at + len(data) >= blob.size
                    yield bytestream_pb2.WriteRequest(
                        resource_name=name, write_offset=at, data=data, finish_write=last
                    )
                    if last:
                        return
                    at += len(data)

        done = self._stream.Write(parts(), metadata=self._metadata)
        if done.committed_size not in (blob.size, -1):
            raise ServerFailed(f"took {done.committed_size} of {blob.size} bytes")

    def _executed(self, request: Any) -> Any:
        """The ExecuteResponse, when the execution is over."""
        call = self._execution.Execute(request, metadata=self._metadata)
        with self._lock:
            self._running[call] = None
        timer = threading.Timer(self.patience, self._give_up, [call])
        timer.daemon = True
        timer.start()
        try:
            for operation in call:
                with self._lock:
                    self._running[call] = operation
                if operation.done or _stage(operation) == protocol.ExecutionStage.EXECUTING:
                    self._started = True
                if operation.done:
                    return _response(operation)
            raise ServerFailed("the execution ended without a result")
        finally:
            timer.cancel()
            with self._lock:
                del self._running[call]

    def _give_up(self, call: Any) -> None:
        with self._lock:
            last = self._running.get(call)
        # Some servers tell no stage: what they have may be running.
        if last and not self._started and _stage(last) == protocol.ExecutionStage.QUEUED:
            self._idle = True
            call.cancel()

    def _name(self, name: str) -> str:
        return f"{self.instance}/{name}" if self.instance else name

    def _again(self, do: Callable[[], _Made]) -> _Made:
        """The result of `do`, which is tried again if the connection is at fault."""
        for left in reversed(range(_TRIES)):
            try:
                if self._stopped.is_set():
                    raise ServerFailed("interrupted", gone=True)
                return do()
            except grpc.RpcError as error:
                code, told = error.code(), f"{error.code().name}: {error.details()}"
                if code == grpc.StatusCode.CANCELLED and self._idle:
                    message = f"no worker started a step in {self.patience:g} s"
                    raise ServerFailed(message, gone=True) from error
                if code not in _AGAIN or not left or self._stopped.is_set():
                    raise ServerFailed(told, gone=code in _GONE) from error
            time.sleep(self.pause * (_TRIES - left))
        raise AssertionError


_AGAIN = frozenset(
    {
        grpc.StatusCode.ABORTED,
        grpc.StatusCode.INTERNAL,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.UNKNOWN,
    }
)
_GONE = frozenset(
    {
        grpc.StatusCode.CANCELLED,
        grpc.StatusCode.PERMISSION_DENIED,
        grpc.StatusCode.UNAUTHENTICATED,
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.UNIMPLEMENTED,
    }
)


def _stage(operation: Any) -> Any:
    metadata = protocol.ExecuteOperationMetadata()
    operation.metadata.Unpack(metadata)
    return metadata.stage


def _response(operation: Any) -> Any:
    response = protocol.ExecuteResponse()
    if operation.HasField("error"):
        raise ServerFailed(f"the execution failed: {operation.error.message}")
    operation.response.Unpack(response)
    if response.status.code:
        raise ServerFailed(f"the execution failed: {response.status.message}")
    return response
