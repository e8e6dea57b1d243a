"""A small Debian archive on loopback; a temporary key signs its index."""

from __future__ import annotations

import functools
import hashlib
import lzma
import shutil
import subprocess
import tempfile
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

DATE = "Sat, 12 Sep 2026 07:55:41 UTC"


class Signer:
    """A temporary key; `keyring` is the file with its public half."""

    def __init__(self) -> None:
        # Not below pytest's directory: the agent's socket may have 107 characters only.
        self._home = Path(tempfile.mkdtemp(prefix="gpg-"))
        self._gpg("--quick-generate-key", "Nobody <nobody@example.org>", "ed25519", "sign", "never")
        self.keyring = self._home / "public.gpg"
        self.keyring.write_bytes(self._gpg("--export"))

    def sign(self, text: bytes) -> bytes:
        """A detached, armoured signature."""
        return self._gpg("--armor", "--detach-sign", "--output", "-", stdin=text)

    def sign_inside(self, text: bytes) -> bytes:
        """The text with its signature, as InRelease."""
        return self._gpg("--clear-sign", "--output", "-", stdin=text)

    def close(self) -> None:
        subprocess.run(["gpgconf", "--homedir", self._home, "--kill", "all"], check=False)
        shutil.rmtree(self._home, ignore_errors=True)

    def _gpg(self, *argv: str, stdin: bytes = b"") -> bytes:
        command = ["gpg", "--homedir", str(self._home), "--batch", "--quiet"]
        result = subprocess.run(
            [*command, "--pinentry-mode", "loopback", "--passphrase", "", *argv],
            input=stdin,
            capture_output=True,
            check=False,
        )
        assert result.returncode == 0, result.stderr.decode()
        return result.stdout


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


class Mirror:
    """Serves a directory that `publish` fills; `url` is its base."""

    def __init__(self, directory: Path, signer: Signer) -> None:
        self.directory = directory
        self._signer = signer
        self._indexes: dict[Path, dict[str, bytes]] = {}
        directory.mkdir(parents=True)
        handler = functools.partial(_Quiet, directory=str(directory))
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def publish(
        self, packages: str, *, suite: str = "trixie", codename: str = "trixie", archive: str = "."
    ) -> Path:
        """Publish `packages` (deb822 text) as an index in the directory `archive`; return the
        Release directory."""
        top = self.directory / archive / "dists" / suite
        binary = top / "main/binary-amd64"
        binary.mkdir(parents=True, exist_ok=True)
        packed = lzma.compress(packages.encode())
        (binary / "Packages.xz").write_bytes(packed)
        self._release(top, codename, "main/binary-amd64/Packages.xz", packed)
        return top

    def publish_sources(self, sources: str, *, suite: str, archive: str = "debian") -> Path:
        """Publish an index of source packages (deb822 text) in the directory `archive`."""
        top = self.directory / archive / "dists" / suite
        (top / "main/source").mkdir(parents=True, exist_ok=True)
        packed = lzma.compress(sources.encode())
        (top / "main/source/Sources.xz").write_bytes(packed)
        self._release(top, suite, "main/source/Sources.xz", packed)
        return top

    def _release(self, top: Path, codename: str, path: str, packed: bytes) -> None:
        indexes = self._indexes.setdefault(top, {})
        indexes[path] = packed
        md5 = [f" {'0' * 32} {len(data):8} {name}\n" for name, data in indexes.items()]
        sha256 = [
            f" {hashlib.sha256(data).hexdigest()} {len(data):8} {name}\n"
            for name, data in indexes.items()
        ]
        release = (
            f"Origin: Debian\nSuite: stable\nCodename: {codename}\nDate: {DATE}\n"
            f"MD5Sum:\n{''.join(md5)}SHA256:\n{''.join(sha256)}"
        ).encode()
        (top / "Release").write_bytes(release)
        (top / "Release.gpg").write_bytes(self._signer.sign(release))

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def stanza(name: str, version: str = "1-1", **fields: str) -> str:
    """One entry of an index, with what every entry has and `fields` (`_` stands for `-`)."""
    sha256 = hashlib.sha256(f"{name} {version}".encode()).hexdigest()
    path = f"pool/main/{name[0]}/{name}/{name}_{version}_amd64.deb"
    lines = [f"Package: {name}", f"Version: {version}", "Architecture: amd64"]
    lines += [f"{key.replace('_', '-')}: {value}" for key, value in fields.items()]
    lines += [f"Filename: {path}", "Size: 1000", "MD5sum: 0", f"SHA256: {sha256}"]
    return "\n".join(lines) + "\n"


def source_stanza(name: str, version: str, *files: tuple[str, bytes], pool: str = "pool") -> str:
    """One entry of an index of source packages, with the hashes of `files` (name and content)."""
    lines = [f"Package: {name}", f"Binary: {name}", f"Version: {version}", "Files:"]
    lines += [f" {'0' * 32} {len(content)} {file}" for file, content in files]
    lines += [f"Directory: {pool}/main/{name[0]}/{name}", "Checksums-Sha256:"]
    lines += [
        f" {hashlib.sha256(content).hexdigest()} {len(content)} {file}" for file, content in files
    ]
    return "\n".join([*lines, "Section: misc"]) + "\n"
