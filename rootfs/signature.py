"""Signs files and checks signatures with OpenSSH's ssh-keygen, as git does.

    file, private key ──ssh-keygen -Y sign──▶ file.sig
    file, file.sig, public key ──ssh-keygen -Y verify──▶ the key's fingerprint, or BuildError

The namespace is part of what is signed: a signature for another purpose is none here.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from plan.errors import BuildError
from rootfs.files import replacing

NAMESPACE = "bootstrap-qcow2"
_SECONDS = 60


def sign(file: Path, key: Path) -> Path:
    """Sign `file` with the private key `key` (or a public one whose private key ssh-agent has).

    Returns the file of the signature. Raises BuildError, or OSError where it cannot be written.
    """
    made = file.with_name(f"{file.name}.sig")
    hint = "name a key without a passphrase, or add it to ssh-agent and name its public half: "
    signature = _run("sign", ["-f", os.fspath(key)], key, f"{hint}key=FILE.pub", stdin=file)
    with replacing(made) as out:
        out.write(signature.encode())
    return made


def verify(file: Path, key: Path) -> str:
    """Check the signature beside `file` by the public key `key`; what to say of it.

    Raises BuildError: there is none, it is of another key or of other bytes.
    """
    made = file.with_name(f"{file.name}.sig")
    if not file.exists() or not made.exists():
        raise BuildError("is not there", where=str(made), hint="doit sign key=FILE makes it")
    try:
        public = key.read_text(encoding="ascii").strip()
    except (OSError, ValueError) as error:
        raise BuildError("is no public key", where=str(key), hint="it ends with .pub") from error
    with tempfile.TemporaryDirectory() as folder:
        allowed = Path(folder) / "allowed_signers"
        allowed.write_text(f'{NAMESPACE} namespaces="{NAMESPACE}" {public}\n')
        words = ["-f", os.fspath(allowed), "-I", NAMESPACE, "-s", os.fspath(made)]
        hint = "the file was changed after it was signed, or another key signed it"
        return _run("verify", words, made, hint, stdin=file).strip()


def _run(what: str, words: list[str], where: Path, hint: str, stdin: Path | None = None) -> str:
    program = shutil.which("ssh-keygen")
    if program is None:
        remedy = "install OpenSSH's client (Debian: openssh-client)"
        raise BuildError("ssh-keygen is missing", hint=remedy)
    command = [program, "-Y", what, "-n", NAMESPACE, *words]
    # Without a terminal or a window it fails for want of a passphrase, and does not wait for one.
    environment = {**os.environ, "SSH_ASKPASS_REQUIRE": "never", "LC_ALL": "C"}
    with (stdin or Path(os.devnull)).open("rb") as given:
        done = subprocess.run(
            command,
            stdin=given,
            capture_output=True,
            text=True,
            env=environment,
            start_new_session=True,
            timeout=_SECONDS,
            check=False,
        )
    if done.returncode:
        lines = [line for line in (done.stderr + done.stdout).splitlines() if line.strip()]
        raise BuildError(
            f"ssh-keygen: {lines[-1] if lines else 'failed'}", where=str(where), hint=hint
        )
    return done.stdout
