"""A gRPC server on loopback that does what buildbox-casd cannot be made to do.

Import it only where the libraries in requirements-remote.txt are installed.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc

from cache.reapi import bytestream_pb2, bytestream_pb2_grpc, operations_pb2, protocol, services

STAGES = protocol.ExecutionStage


class Peer(
    services.ExecutionServicer,  # type: ignore[misc]
    services.ContentAddressableStorageServicer,  # type: ignore[misc]
    bytestream_pb2_grpc.ByteStreamServicer,  # type: ignore[misc]
):
    """It queues every Action for ever, unless `answer` says what happens to it."""

    def __init__(self) -> None:
        self.blobs: dict[str, bytes] = {}
        self.metadata: dict[str, str] = {}
        self.executed: list[Any] = []
        self.fails, self.code = 0, grpc.StatusCode.UNAVAILABLE
        self.lacks: list[Any] = []
        self.over = threading.Event()
        self.answer: Callable[[Any], Iterator[Any]] = self.queue
        self._servers: list[Any] = []

    def listen(self, identity: bytes = b"") -> int:
        """Start a server, with TLS if it has an `identity` (PEM), and give its port."""
        server = grpc.server(ThreadPoolExecutor(8))
        services.add_ExecutionServicer_to_server(self, server)
        services.add_ContentAddressableStorageServicer_to_server(self, server)
        bytestream_pb2_grpc.add_ByteStreamServicer_to_server(self, server)
        own = grpc.ssl_server_credentials([(identity, identity)]) if identity else None
        where = "127.0.0.1:0"
        port: int = server.add_secure_port(where, own) if own else server.add_insecure_port(where)
        server.start()
        self._servers.append(server)
        return port

    def close(self) -> None:
        """End it."""
        self.over.set()
        for server in self._servers:
            server.stop(0).wait()

    def queue(self, request: Any) -> Iterator[Any]:
        yield operation(STAGES.QUEUED)
        self.over.wait()

    def Execute(self, request: Any, context: Any) -> Iterator[Any]:
        self.metadata = dict(context.invocation_metadata())
        self.executed.append(request)
        yield from self.answer(request)

    def FindMissingBlobs(self, request: Any, context: Any) -> Any:
        if self.fails:
            self.fails -= 1
            context.abort(self.code, "busy")
        missing = [each for each in request.blob_digests if each.hash not in self.blobs]
        return protocol.FindMissingBlobsResponse(missing_blob_digests=missing + self.lacks)

    def BatchUpdateBlobs(self, request: Any, context: Any) -> Any:
        self.blobs |= {each.digest.hash: each.data for each in request.requests}
        return protocol.BatchUpdateBlobsResponse()

    def Write(self, requests: Iterator[Any], context: Any) -> Any:
        data = b""
        for each in requests:
            data += each.data
        self.blobs[each.resource_name.split("/")[-2]] = data
        return bytestream_pb2.WriteResponse(committed_size=len(data))

    def Read(self, request: Any, context: Any) -> Iterator[Any]:
        data = self.blobs[request.resource_name.split("/")[-2]]
        for at in range(0, len(data), 1 << 20):
            yield bytestream_pb2.ReadResponse(data=data[at : at + (1 << 20)])


def operation(stage: Any, *, done: bool = False, **outcome: Any) -> Any:
    made = operations_pb2.Operation(name="one", done=done)
    made.metadata.Pack(protocol.ExecuteOperationMetadata(stage=stage))
    if done:
        made.response.Pack(protocol.ExecuteResponse(**outcome))
    return made
