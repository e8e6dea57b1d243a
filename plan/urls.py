"""The kinds of URLs of a source; cache/places.py resolves them to the addresses to try."""

from __future__ import annotations

import re

# The form of SPDX 2.3, 7.7. A commit is a whole object name (SHA-1 or SHA-256): a branch moves.
GIT = re.compile(r"git\+((?:https?|ssh|git|file)://\S+)@([0-9a-f]{40}|[0-9a-f]{64})")
URL = re.compile(rf"(?:(?:https?://|debian:pool/|wheel:[A-Za-z0-9._-]+==)\S+|{GIT.pattern})")
# A password, or a token in the place of the user. With ssh, a user alone is part of the address.
CREDENTIALS = re.compile(r"(?:git\+)?(?:https?://[^/@]*@|\w+://[^/@]*:[^/@]*@)")
KNOWN = "known: https://…, debian:pool/…, wheel:NAME==VERSION, git+https://…@COMMIT"
