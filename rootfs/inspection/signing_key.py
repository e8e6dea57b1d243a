"""Tells whether a key can sign here, before anything is built or sent for its signature.

key file ──▶ private, or public with its private half in ssh-agent? ──signs nothing──▶ good
              └ no: BuildError, with what is wrong and the remedy
"""

from __future__ import annotations

import os
import re
import shlex
from pathlib import Path

from plan.errors import BuildError
from rootfs.inspection.signature import ran, ssh_keygen, words_to_sign

# The kind of a public key, and the key; options may come before them.
_PUBLIC = re.compile(r"(?:^|\s)(?:ssh-|ecdsa-|sk-)\S+\s+AAAA\S+")
_OPEN = re.compile(r"Permissions 0\d+ for '(.*)' are too open")
_AGENT = "or a public key (.pub) whose private key ssh-agent has (ssh-add)"
_LARGEST = 1 << 16  # bytes of a key's file


def require_signing(key: Path) -> None:
    """Raise BuildError, with the remedy, unless `key` can sign here, or without ssh-keygen.

    key: the file of a private key, or of a public one whose private key ssh-agent has.
    """
    ssh_keygen()
    where = f"key={key}"
    text = _text(key, where)
    is_private = "PRIVATE KEY" in text
    if not is_private and not _PUBLIC.search(text):
        hint = f"name the file of a private key, {_AGENT}; `ssh-keygen -t ed25519` makes a pair"
        raise BuildError("this file is no SSH key", where=where, hint=hint)
    done = ran("sign", words_to_sign(key), b"", where)
    if not done.returncode:
        return
    said = done.stderr.decode(errors="replace")
    if found := _OPEN.search(said):
        hint = f"chmod 600 {shlex.quote(found[1])}"
        raise BuildError("others may read the private key: it is not used", where=where, hint=hint)
    if "passphrase" in said:
        hint = (
            "nobody is asked for it: name a key without one, or add it to ssh-agent (ssh-add) and "
            "name its public half, key=FILE.pub"
        )
        raise BuildError("the private key has a passphrase", where=where, hint=hint)
    if is_private:
        what, file = "ssh-keygen cannot sign with this private key", os.fspath(key)
        command = f"ssh-keygen -y -f {shlex.quote(file)} > {shlex.quote(f'{file}.pub')}"
        hint = f"`{command}` writes its public half if that is missing, or says what is wrong"
    else:
        what = "this is a public key, and its private key is not in ssh-agent"
        hint = f"name the private key, {_AGENT}"
    raise BuildError(what, where=where, hint=hint)


def require_public(key: Path) -> None:
    """Raise BuildError, with the remedy, unless `key` is the file of a public key."""
    where = f"key={key}"
    if not _PUBLIC.search(_text(key, where)):
        hint = "name the file of a public key; it ends with .pub"
        raise BuildError("this file is no public key", where=where, hint=hint)


def _text(key: Path, where: str) -> str:
    try:
        with key.open("rb") as file:
            return file.read(_LARGEST).decode(errors="replace")
    except OSError as error:
        raise BuildError(f"it cannot be read: {error.strerror}", where=where) from error
