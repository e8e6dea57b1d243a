"""Signs files and checks signatures with OpenSSH's ssh-keygen, as git does.

    file, private key ──ssh-keygen -Y sign──▶ file.sig
    file, file.sig, public key ──ssh-keygen -Y verify──▶ the key's fingerprint, or BuildError
    text, signature, file of trusted keys ──────────────▶ whether that key signed it

The namespace is part of the signed data: a signature for another purpose is invalid here.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from plan.errors import BuildError
from plan.outputs import write_file
from plan.typed import typed

NAMESPACE = "bootstrap-qcow2"
STEPS = "bootstrap-qcow2-step"
"""The namespace of what shared caches say of steps."""
_SECONDS = 60


def signature_file(file: Path) -> Path:
    """The path of the signature beside `file`."""
    return file.with_name(f"{file.name}.sig")


def sign(file: Path, key: Path) -> Path:
    """Sign `file` with the private key `key` (or a public key whose private key ssh-agent has).

    Returns the signature's file. Raises BuildError, or OSError if the file cannot be written.
    """
    made = signature_file(file)
    write_file(made, signature(file.read_bytes(), key))
    return made


def signature(text: bytes, key: Path, namespace: str = NAMESPACE) -> str:
    """The signature of `text` with the private key `key`, as for `sign`. Raises BuildError."""
    hint = "name a key without a passphrase, or add it to ssh-agent and name its public half: "
    return _run("sign", words_to_sign(key), key, f"{hint}key=FILE.pub", text, namespace)


def words_to_sign(key: Path) -> list[str]:
    """ssh-keygen's words for a signature with `key`."""
    return ["-f", os.fspath(key)]


def is_signed(text: bytes, signed: bytes, allowed: Path, signer: str, namespace: str) -> bool:
    """Whether `signed` is a signature of `text` by `signer`, as ssh-keygen's file `allowed`
    permits it now (ssh-keygen(1), ALLOWED SIGNERS). Raises BuildError without ssh-keygen.
    """
    ssh_keygen()
    with tempfile.NamedTemporaryFile() as file:
        file.write(signed)
        file.flush()
        words = ["-f", os.fspath(allowed), "-I", signer, "-s", file.name]
        try:
            _run("verify", words, allowed, "", text, namespace)
        except BuildError:
            return False
    return True


def verify(file: Path, key: Path) -> str:
    """Verify the signature beside `file` with the public key `key`; return ssh-keygen's message.

    Raises BuildError if the signature is missing, or if it does not match the key or the file.
    """
    made = signature_file(file)
    if not file.exists() or not made.exists():
        raise BuildError("is not there", where=str(made), hint=f"{typed('sign key=FILE')} makes it")
    try:
        public = key.read_bytes().strip()  # its comment may be in any encoding
    except OSError as error:
        hint = "a public key's file ends with .pub"
        raise BuildError("is not a public key", where=str(key), hint=hint) from error
    with tempfile.TemporaryDirectory() as directory:
        allowed = Path(directory) / "allowed_signers"
        allowed.write_bytes(f'{NAMESPACE} namespaces="{NAMESPACE}" '.encode() + public + b"\n")
        words = ["-f", os.fspath(allowed), "-I", NAMESPACE, "-s", os.fspath(made)]
        hint = "the file was changed after it was signed, or another key signed it"
        return _run("verify", words, made, hint, file.read_bytes()).strip()


def public_key(key: Path) -> str:
    """The public key of `key`, a private or public key's file. Raises BuildError."""
    text = key.read_text(errors="replace")
    if "PRIVATE KEY" not in text:
        return text
    command = [ssh_keygen(), "-y", "-P", "", "-f", os.fspath(key)]
    done = subprocess.run(
        command, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False
    )
    if done.returncode:
        hint = "name a key without a passphrase, or add it to ssh-agent and name its public half"
        raise BuildError(f"ssh-keygen: {done.stderr.strip()}", where=os.fspath(key), hint=hint)
    return done.stdout


def ssh_keygen() -> str:
    """The path of ssh-keygen. Raises BuildError if it is not installed."""
    program = shutil.which("ssh-keygen")
    if program is None:
        remedy = "install OpenSSH's client (Debian: openssh-client)"
        raise BuildError("ssh-keygen is missing", hint=remedy)
    return program


def ran(
    what: str, words: list[str], text: bytes, where: str, namespace: str = NAMESPACE
) -> subprocess.CompletedProcess[bytes]:
    """How `ssh-keygen -Y` did `what` with the input `text`.

    Raises BuildError, which names `where`, if it is not installed or does not end in time.
    """
    command = [ssh_keygen(), "-Y", what, "-n", namespace, *words]
    # Without a terminal and a window ssh-keygen fails instead of waiting for a passphrase.
    environment = {**os.environ, "SSH_ASKPASS_REQUIRE": "never", "LC_ALL": "C"}
    try:
        return subprocess.run(
            command,
            input=text,
            capture_output=True,
            env=environment,
            start_new_session=True,
            timeout=_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise BuildError(
            f"ssh-keygen does not end within {_SECONDS:g} s",
            where=where,
            hint="touch the device that holds the key meanwhile; or restart ssh-agent",
        ) from None


def _run(
    what: str, words: list[str], where: Path, hint: str, text: bytes, namespace: str = NAMESPACE
) -> str:
    done = ran(what, words, text, os.fspath(where), namespace)
    if done.returncode:
        said = (done.stderr + done.stdout).decode(errors="replace")
        lines = [line for line in said.splitlines() if line.strip()]
        raise BuildError(
            f"ssh-keygen: {lines[-1] if lines else 'failed'}", where=str(where), hint=hint
        )
    return done.stdout.decode()
