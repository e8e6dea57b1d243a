"""Finds the Debian archives in this machine's apt configuration.

It reads the files (sources.list(5): one-line and deb822 style), so that this project names no
mirror. Archives of other vendors are left out as far as possible. One that is not recognized only
costs a 404 answer: every fetched file is checked by its hash.

    /etc/apt/sources.list, sources.list.d/*.{list,sources} ──▶ entries ──▶ Debian archives
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

_FALSE = frozenset({"no", "false", "without", "off", "disable", "0"})
_KEYRING = "debian-archive"
# A code name or a release class, and perhaps a part of it. Suites of other vendors mostly look
# different: "stable-product", "trixie/product/7.0", "nodistro", a path that ends with "/".
_SUITE = re.compile(r"[a-z]+(-updates|-security|-backports|-proposed-updates|/updates)?")
_ONE_LINE = re.compile(r"deb(?:-src)?\s+(?:\[(?P<options>[^]]*)\]\s*)?(?P<rest>\S.*)")


@dataclass(frozen=True)
class Archive:
    """A Debian archive: `url`, without a final slash, has `pool/` and `dists/` below it.

    The security archive keeps its files in `pool/updates/` instead of `pool/`.
    """

    url: str
    security: bool


@dataclass(frozen=True)
class _Entry:
    uri: str
    suite: str
    components: tuple[str, ...]
    signed_by: str


def archives(root: Path = Path("/")) -> tuple[Archive, ...]:
    """The Debian archives of the apt configuration below `root`, in order, without duplicates.

    Unreadable files are skipped: they are apt's problem.
    """
    found: dict[str, Archive] = {}
    for entry in _entries(root):
        for uri in _expand(entry.uri, root):
            url = uri.rstrip("/")
            if _is_debian(url, entry):
                found.setdefault(url, Archive(url, security=_is_security(entry)))
    return tuple(found.values())


def _is_debian(url: str, entry: _Entry) -> bool:
    return (
        url.startswith(("http://", "https://"))
        and _SUITE.fullmatch(entry.suite) is not None
        and "main" in entry.components
        and ("debian" in url or _KEYRING in entry.signed_by)
    )


def _is_security(entry: _Entry) -> bool:
    return entry.suite.endswith(("-security", "/updates"))


def _entries(root: Path) -> Iterator[_Entry]:
    apt = root / "etc/apt"
    parts = apt / "sources.list.d"
    try:
        files = sorted(parts.iterdir())
    except OSError:
        files = []
    for file in (apt / "sources.list", *files):
        text = _read(file)
        if file.suffix == ".list":
            yield from _one_line_style(text)
        elif file.suffix == ".sources":
            yield from _deb822_style(text)


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _one_line_style(text: str) -> Iterator[_Entry]:
    """Lines of the form: deb [ option=value … ] uri suite component …"""
    for line in text.splitlines():
        match = _ONE_LINE.fullmatch(line.partition("#")[0].strip())
        if match is None:
            continue
        uri, *rest = match["rest"].split()
        if rest:
            yield _Entry(uri, rest[0], tuple(rest[1:]), match["options"] or "")


def _deb822_style(text: str) -> Iterator[_Entry]:
    """Paragraphs of fields, separated by empty lines; each URI is combined with each suite."""
    for fields in _paragraphs(text.splitlines()):
        if fields.get("enabled", "yes").strip().lower() in _FALSE:
            continue
        components = tuple(fields.get("components", "").split())
        for uri in fields.get("uris", "").split():
            for suite in fields.get("suites", "").split():
                yield _Entry(uri, suite, components, fields.get("signed-by", ""))


def _paragraphs(lines: Iterable[str]) -> Iterator[dict[str, str]]:
    fields: dict[str, str] = {}
    name = ""
    for line in lines:
        if line.startswith("#"):
            continue
        if not line.strip():
            if fields:
                yield fields
            fields, name = {}, ""
        elif line[0] in " \t":
            if name:
                fields[name] += "\n" + line.strip()
        else:
            name, _, value = line.partition(":")
            name = name.strip().lower()
            fields[name] = value.strip()
    if fields:
        yield fields


def _expand(uri: str, root: Path) -> list[str]:
    """`uri`, or for a `mirror+file:` URI the mirrors in that file."""
    scheme, _, path = uri.partition(":")
    if scheme != "mirror+file":
        return [uri]
    lines = _read(root / path.lstrip("/")).splitlines()
    return [words[0] for line in lines if (words := line.partition("#")[0].split())]
