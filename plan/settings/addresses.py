"""The checks of parameters that name other machines, as those in plan/checks.py."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from plan.checks import is_port, names


def _is_url(text: str, without: str = "") -> bool:
    """Whether `text` is a whole http(s) URL below which paths can be named: no query, no fragment.

    Its host has none of the characters `without`.
    """
    found = re.fullmatch(r"https?://([^/\s?#]+)(/[^\s?#]*)?", text)
    try:
        # Both raise ValueError: for brackets that are not closed, and for a port above 65535.
        has_host = bool(urlsplit(text).hostname) and urlsplit(text).port != 0
    except ValueError:
        return False
    return found is not None and has_host and not {*without} & {*found[1]}


def url(text: str) -> str:
    """The URL of a Debian archive, or an empty text."""
    if text and not _is_url(text):
        raise ValueError("it must be the http(s) URL of a Debian archive")
    return text.rstrip("/")


def urls(text: str) -> str:
    """http(s) URLs, separated by commas, or an empty text."""
    found = [name.rstrip("/") for name in names(text)]
    if not all(_is_url(each, without="@") for each in found):
        raise ValueError(
            "it must be http(s)://HOST/PATH without ? and #; user and password belong into ~/.netrc"
        )
    return ",".join(found)


def one_url(text: str) -> str:
    """One http(s) URL, or an empty text."""
    if "," in (found := urls(text)):
        raise ValueError("it must be one URL: run it again for the other one")
    return found


def headers(text: str) -> str:
    """Lines "HOST NAME: VALUE", or an empty text. What is wrong is told without the value."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if not all(re.fullmatch(r"[^\s/@]+ [\w-]+: [ -~]+", line) for line in lines):
        raise ValueError("each line is HOST NAME: VALUE, or HOST:PORT NAME: VALUE")
    return "\n".join(lines)


def host(text: str) -> str:
    """The name or address of a machine, also one of ssh_config(5), or an empty text."""
    if "@" in text:
        raise ValueError("it must be the name or address alone: the user is always root")
    if found := re.fullmatch(r"([^:]*):(\d*)", text):
        raise ValueError(f"the port is given apart: to={found[1]} port={found[2]}")
    if text and not re.fullmatch(r"[\w.:%][\w.:%-]*", text):
        raise ValueError("it must be the name or address of a machine; port= is its port")
    return text


def port(text: str) -> str:
    """The number of a TCP port, or an empty text."""
    if text and not is_port(text):
        pairs = f"; ports={text} leads one port to another" if ":" in text else ""
        raise ValueError(f"it must be the number of a port, from 1 to 65535{pairs}")
    return str(int(text)) if text else ""


def endpoint(text: str) -> str:
    """grpc(s)://HOST:PORT, or an empty text."""
    found = re.fullmatch(r"grpcs?://([\w.-]+|\[[0-9a-fA-F:]+\]):(\d+)/?", text)
    if text and not (found and is_port(found[2])):
        raise ValueError("it must be grpc://HOST:PORT or grpcs://HOST:PORT")
    return text.rstrip("/")


def instance(text: str) -> str:
    """The name of an instance (its parts may not be words of the API), or an empty text."""
    words = {"blobs", "uploads", "actions", "actionResults", "operations", "capabilities"}
    if text and (not re.fullmatch(r"[\w./-]+", text) or words & {*text.split("/")}):
        raise ValueError("it must be a name like main, or main/linux")
    return text


def properties(text: str) -> str:
    """KEY=VALUE, separated by commas, or an empty text."""
    if not all(re.fullmatch(r"[^=\s]+=\S*", each) for each in names(text)):
        raise ValueError(
            "it must be KEY=VALUE, separated by commas, like OSFamily=linux,ISA=x86-64"
        )
    return ",".join(names(text))
