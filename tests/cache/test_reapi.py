"""cache/reapi.py with a server that does what buildbox-casd cannot be made to do."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from cache.merkle import Blob, digest, of_bytes
from tests.cache.test_outward import authority

if TYPE_CHECKING:
    from cache.reapi import Server
    from tests.cache.peer import Peer

__all__ = ["authority"]
ACTION = of_bytes(b"an action")


@pytest.fixture
def peer() -> Iterator[Peer]:
    for name in ("grpc", "buildgrid"):
        pytest.importorskip(name, reason="needs the libraries in requirements-remote.txt")
    from tests.cache.peer import Peer

    made = Peer()
    yield made
    made.close()


def server(port: int, **options: Any) -> Server:
    from cache.reapi import Server

    return Server(f"grpc://127.0.0.1:{port}", **{"pause": 0.01, **options})


def read(at: Server, blob: Blob, limit: int = 1 << 30) -> bytes:
    from cache.reapi import protocol

    file = io.BytesIO()
    at.download(digest(blob, protocol), file, limit=limit)
    return file.getvalue()


def test_blobs_are_sent_once_in_any_size(peer: Peer) -> None:
    at = server(peer.listen())
    small = [of_bytes(bytes([n]) * 700_000) for n in range(9)]
    blobs = [*small, of_bytes(b"x" * 5_000_000), of_bytes(b"")]
    peer.fails = 2
    assert at.upload(blobs) == sum(blob.size for blob in blobs)
    assert at.upload(blobs) == 0 and len(peer.blobs) == len(blobs)
    assert [read(at, blob) for blob in blobs] == [blob.open().read() for blob in blobs]  # type: ignore[attr-defined]


@pytest.mark.fault(
    "a Remote Execution server that gives a blob with other bytes, or more than is wanted",
    "the blob is refused",
)
def test_a_blob_with_other_bytes(peer: Peer) -> None:
    from cache.reapi import ServerFailed

    at, blob = server(peer.listen()), of_bytes(b"right")
    peer.blobs[blob.sha256] = b"wrong"
    with pytest.raises(ServerFailed, match="has another hash"):
        read(at, blob)
    with pytest.raises(ServerFailed, match="more than 3 bytes"):
        read(at, blob, limit=3)
    peer.blobs[blob.sha256] = bytes(5 << 20)
    with pytest.raises(ServerFailed, match="larger than it was said to be"):
        read(at, blob)


@pytest.mark.fault(
    "a Remote Execution server that lacks what nobody named, or cancels what it was asked",
    "only what was named is sent; its own word is told",
)
def test_a_server_that_answers_something_else(peer: Peer) -> None:
    from cache.reapi import ServerFailed, protocol

    at, blob = server(peer.listen()), of_bytes(b"right")
    peer.lacks = [digest(of_bytes(b"another"), protocol)]
    assert at.upload([blob]) == blob.size and peer.blobs == {blob.sha256: b"right"}
    peer.fails, peer.code = 1, grpc_code("CANCELLED")
    with pytest.raises(ServerFailed, match="CANCELLED: busy") as caught:
        at.upload([blob])
    assert caught.value.gone


def grpc_code(name: str) -> Any:
    import grpc

    return grpc.StatusCode[name]


@pytest.mark.fault("a server that gives a kept failure, whatever it is asked", "the failure")
def test_a_failure_that_is_always_kept(peer: Peer) -> None:
    from cache.reapi import protocol
    from tests.cache.peer import STAGES, operation

    def failed(request: Any) -> Iterator[Any]:
        result = protocol.ActionResult(exit_code=1)
        kept = len(peer.executed) < 5  # not for ever, for the sake of this test
        yield operation(STAGES.COMPLETED, done=True, result=result, cached_result=kept)

    peer.answer = failed
    assert server(peer.listen()).execute(ACTION).exit_code == 1 and len(peer.executed) == 2


@pytest.mark.fault(
    "a Remote Execution server that queues an Action for ever, because it has no worker",
    "after a time it counts as gone; one with a worker, or that tells no stage, is waited for",
)
def test_no_worker(peer: Peer) -> None:
    from cache.reapi import ServerFailed
    from tests.cache.peer import STAGES, operation

    at = server(peer.listen(), patience=2)
    with pytest.raises(ServerFailed, match=r"no worker started a step in 2 s") as caught:
        at.execute(ACTION)
    assert caught.value.gone and len(peer.executed) == 1

    def slow(request: Any) -> Iterator[Any]:
        yield operation(STAGES.UNKNOWN)
        peer.over.wait(3)
        yield operation(STAGES.COMPLETED, done=True)

    peer.answer = slow
    assert at.execute(ACTION).exit_code == 0, "it is waited for"


def test_a_kept_failure_is_executed_again(peer: Peer) -> None:
    from cache.reapi import protocol
    from tests.cache.peer import STAGES, operation

    def failed_before(request: Any) -> Iterator[Any]:
        code = 0 if request.skip_cache_lookup else 1
        result = protocol.ActionResult(exit_code=code)
        yield operation(STAGES.COMPLETED, done=True, result=result, cached_result=code == 1)

    peer.answer = failed_before
    assert server(peer.listen()).execute(ACTION).exit_code == 0 and len(peer.executed) == 2


def test_tls_headers_and_instance(peer: Peer, authority: Path) -> None:
    from cache.reapi import Server, ServerFailed
    from tests.cache.peer import STAGES, operation

    def done(request: Any) -> Iterator[Any]:
        yield operation(STAGES.COMPLETED, done=True)

    peer.answer = done
    port = peer.listen((authority / "identity").read_bytes())
    url, trusted = f"grpcs://127.0.0.1:{port}", (authority / "ca.pem").read_bytes()
    header = {"Authorization": "Bearer s3cret"}
    at = Server(url, instance="main", headers=header, certificates=trusted, pause=0.01)
    assert at.execute(ACTION).exit_code == 0
    assert peer.metadata["authorization"] == "Bearer s3cret"
    assert peer.executed[0].instance_name == "main"
    with pytest.raises(ServerFailed) as caught:
        Server(url, pause=0.01).execute(ACTION)
    assert caught.value.gone, "nobody vouches for it"
