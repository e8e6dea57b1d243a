"""The builders whose steps are taken: the file trust=, in the form of ssh-keygen(1)'s
ALLOWED SIGNERS.

    alice@example.org namespaces="bootstrap-qcow2-step" ssh-ed25519 AAAA… ──▶ name, key id

The key id is the sha256 of the key. ssh-keygen reads the options (valid-before=, namespaces=).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from plan.errors import BuildError

# The names, which may be quoted; then the rest.
_LINE = re.compile(r'("[^"]*"|\S+)\s+(.*)')
# The kind of a key, and the key; options come before them.
_KEY = re.compile(r"(?:^|\s)(?:ssh-|ecdsa-|sk-)\S+\s+(AAAA\S+)")


@dataclass(frozen=True)
class Signer:
    """A builder: its name in the file, and its key id."""

    name: str
    key: str


def signers(path: Path) -> list[Signer]:
    """The builders in the file at `path`. Raises BuildError for a line without a key."""
    found = []
    for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        parts = _LINE.fullmatch(line.strip())
        names, rest = parts.groups() if parts else (line, "")
        try:
            found.append(Signer(names.strip('"').split(",")[0], key_id(rest)))
        except ValueError:
            raise BuildError(
                "has no public key",
                where=f"{path}:{number}",
                hint="a line is: NAME ssh-ed25519 AAAA… (ssh-keygen(1), ALLOWED SIGNERS)",
            ) from None
    return found


def key_id(public: str) -> str:
    """The key id of a public key, a line as in FILE.pub. Raises ValueError if it has none."""
    match = _KEY.search(public)
    if not match:
        raise ValueError("it has no public key")
    try:
        return hashlib.sha256(base64.b64decode(match[1], validate=True)).hexdigest()
    except binascii.Error as error:
        raise ValueError("it has no public key") from error
