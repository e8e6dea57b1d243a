"""Reads the package index of a Debian suite, after checking its signature.

    dists/<suite>/Release + Release.gpg ──gpgv or sqv, Debian's archive key──▶ sha256 of Packages.xz
        ──cache.sources──▶ Packages ──Index──▶ closure(): packages with all their dependencies

The detached signature is tried first: both tools then check exactly the bytes that are used. It
fails on a mirror that has updated only one of the two files. Then InRelease is used, one file with
text and signature; the tool writes out the signed text.
Formats: https://wiki.debian.org/DebianRepository/Format, Debian policy chapter 7.
"""

from __future__ import annotations

import lzma
import re
import shutil
import subprocess
import tempfile
from collections import deque
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path

from cache.places import UrlFailed
from cache.sources import fetch
from cache.web import Web
from plan.errors import BuildError
from plan.model import Source
from plan.seeding.debian import Deb

_KEYRINGS = (
    Path("/usr/share/keyrings/debian-archive-keyring.gpg"),
    Path("/usr/share/keyrings/debian-archive-keyring.pgp"),
)
_LARGEST_RELEASE = 4 << 20
ANOTHER = "use another Debian archive: mirror=URL"
"""The remedy if an archive has a file that makes no sense."""
# snapshot.debian.org imports a release some hours after its date, and answers for a time that it
# does not have with an older state: one day later it has this release.
_SNAPSHOT_LAG = timedelta(days=1)
_NEEDED_LINES = re.compile(
    rb"^(?:(?:Package|Version|Provides|(?:Pre-)?Depends|Filename|Size|SHA256): .*)?\n", re.MULTILINE
)
_RELEASE_HASHES = re.compile(r"^SHA256:\s*\n((?: .*\n?)+)", re.MULTILINE)


@dataclass(frozen=True)
class Release:
    """A suite's verified Release file. hashes: path → (sha256, size in bytes)."""

    suite: str
    date: datetime
    hashes: dict[str, tuple[str, int]]

    @property
    def snapshot(self) -> str:
        """A time at which snapshot.debian.org has the files of this release."""
        return (self.date + _SNAPSHOT_LAG).strftime("%Y%m%dT%H%M%SZ")


def fetch_index(
    bases: Sequence[str],
    *,
    suite: str,
    component: str = "main",
    architecture: str = "amd64",
    keyring: Path | None = None,
    web: Web | None = None,
) -> tuple[Release, Index]:
    """The verified index of a suite, from the first archive that has it.

    bases: URLs of archives, each with `dists/` below it. keyring: default is Debian's own.
    Raises BuildError if no archive answers (with the reason of each), if a signature or hash is
    wrong, or if the tool or key to check it is missing.
    """
    web = web or Web()
    release = fetch_release(bases, suite=suite, keyring=keyring, web=web)
    path = f"{component}/binary-{architecture}/Packages.xz"
    if path not in release.hashes:
        where = f"Debian {suite}"
        raise BuildError(f"its Release file does not name {path}", where=where, hint=ANOTHER)
    sha256, size = release.hashes[path]
    urls = tuple(f"{base.rstrip('/')}/dists/{suite}/{path}" for base in bases)
    packed = fetch([Source(sha256, size, "Packages.xz", urls)], web=web)[sha256]
    return release, Index(_needed(packed))


def _needed(packed: Path) -> bytes:
    """The lines of a compressed `Packages` file that `Index` reads: a third of its 50 MB."""
    kept = []
    try:
        with lzma.open(packed) as file:
            while block := file.read(1 << 20):
                block += file.readline()
                kept.append(b"".join(_NEEDED_LINES.findall(block)))
    except (lzma.LZMAError, EOFError) as error:
        where = str(packed)
        raise BuildError(f"cannot be decompressed: {error}", where=where, hint=ANOTHER) from error
    return b"".join(kept)


def fetch_release(
    bases: Sequence[str], *, suite: str, keyring: Path | None = None, web: Web | None = None
) -> Release:
    """The verified Release file of a suite, from the first of `bases` that has it."""
    web = web or Web()
    reasons = []
    for base in bases:
        url = f"{base.rstrip('/')}/dists/{suite}/Release"
        try:
            text = _signed_text(web, url, keyring)
        except UrlFailed as error:
            reasons.append(f"\n    {base}: {error.reason}")
            continue
        return _parse_release(text.decode("utf-8", "replace"), suite, url)
    raise BuildError(
        f"no archive has the Release file of Debian {suite}{''.join(reasons)}",
        hint="check the network, or name a Debian archive with mirror=URL",
    )


def _get(web: Web, url: str) -> bytes:
    with web.get(url) as response:
        return web.read(response, _LARGEST_RELEASE)


def _signed_text(web: Web, url: str, keyring: Path | None) -> bytes:
    """The verified text of the Release file at `url`."""
    text, signature = _get(web, url), _get(web, f"{url}.gpg")
    try:
        check_signature(text, signature, keyring=keyring, where=url)
    except BuildError:
        # Not told: an older sqv cannot read it.
        with suppress(UrlFailed, BuildError):
            both = _get(web, f"{url.removesuffix('Release')}InRelease")
            return _verify({"InRelease": both}, keyring=keyring, where=url)
        raise
    return text


def check_signature(
    text: bytes, signature: bytes, *, keyring: Path | None = None, where: str
) -> None:
    """Check a detached signature with gpgv or sqv. Raises BuildError without a known key.

    Several keys sign an index. Unknown keys are allowed, bad signatures are not.
    """
    _verify({"Release.gpg": signature, "Release": text}, keyring=keyring, where=where)


def _verify(files: Mapping[str, bytes], *, keyring: Path | None, where: str) -> bytes:
    """Check a signature and its text, or one file with both; then return the signed text.

    Raises BuildError unless a known key made the signature.
    """
    keys = keyring or next((path for path in _KEYRINGS if path.exists()), None)
    tool = shutil.which("gpgv") or shutil.which("sqv")
    if not tool or not keys:
        raise BuildError(
            f"cannot check the signature: {'no archive key' if tool else 'neither gpgv nor sqv'}",
            where=where,
            hint="install the packages gpgv and debian-archive-keyring",
        )
    with tempfile.TemporaryDirectory() as directory:
        out = f"{directory}/signed"
        for name, content in files.items():
            Path(directory, name).write_bytes(content)
        status = ["--status-fd", "1"] if Path(tool).name == "gpgv" else []
        output = ["--output", out] if len(files) == 1 else []
        if output and not status:
            output += ["--cleartext"]
        result = subprocess.run(
            [tool, *status, *output, "--keyring", keys.absolute(), *files],
            cwd=directory,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
        signed = Path(out).read_bytes() if output and Path(out).exists() else b""
    said = set(re.findall(r"^\[GNUPG:\] (\w+)", result.stdout, re.MULTILINE))
    # gpgv fails if it does not know one of several keys: use its status lines, not its exit status.
    good = "GOODSIG" in said and "BADSIG" not in said if status else result.returncode == 0
    if not good:
        lines = result.stderr.strip().splitlines() or ["no message"]
        raise BuildError(
            f"the signature is not by a key in {keys}: {lines[-1].strip()}",
            where=where,
            hint="update the package debian-archive-keyring, or use another mirror",
        )
    return signed


def _parse_release(text: str, suite: str, where: str) -> Release:
    fields = dict(re.findall(r"^([A-Za-z-]+): (.*)$", text, re.MULTILINE))
    if suite not in (fields.get("Suite"), fields.get("Codename")):
        raise BuildError(
            f"is the Release file of {fields.get('Codename')}, not {suite}",
            where=where,
            hint=ANOTHER,
        )
    table = _RELEASE_HASHES.search(text)
    try:
        date = parsedate_to_datetime(fields["Date"].replace("UTC", "+0000")).astimezone(UTC)
        rows = [line.split() for line in table[1].splitlines()] if table else []
        hashes = {path: (sha256, int(size)) for sha256, size, path in rows}
    except (KeyError, ValueError) as error:
        raise BuildError("is not a valid Release file", where=where, hint=ANOTHER) from error
    return Release(suite, date, hashes)


@dataclass(frozen=True)
class Package:
    """One package of an index. depends: tuples of alternatives, without versions."""

    deb: Deb
    depends: tuple[tuple[str, ...], ...]


class Index:
    """A `Packages` file; entries are parsed only when needed, few of its 70,000 packages are."""

    _NAMES = re.compile(rb"^(Package|Provides): (.*)$", re.MULTILINE)
    _FIELDS = re.compile(rb"^([A-Za-z0-9-]+): (.*)$", re.MULTILINE)

    def __init__(self, text: bytes) -> None:
        self._text = text
        self._starts: dict[str, int] = {}
        self._providers: dict[str, list[str]] = {}
        name = ""
        for match in self._NAMES.finditer(text):
            value = match[2].decode()
            if match[1] == b"Package":
                name = value
                self._starts[name] = match.start()
            else:
                for (virtual,) in _alternatives(value):
                    self._providers.setdefault(virtual, []).append(name)

    def __contains__(self, name: str) -> bool:
        return name in self._starts

    def find(self, name: str) -> Package | None:
        """The package `name`, or the first (by name) that provides it, or None."""
        if name not in self._starts:
            providers = self._providers.get(name)
            return self.find(min(providers)) if providers else None
        start = self._starts[name]
        end = self._text.find(b"\n\n", start)
        stanza = self._text[start : end if end >= 0 else len(self._text)]
        fields = {key.decode(): value.decode() for key, value in self._FIELDS.findall(stanza)}
        try:
            size = int(fields["Size"])
            deb = Deb(name, fields["Version"], fields["Filename"], size, fields["SHA256"])
        except (KeyError, ValueError) as error:
            where = f"Debian {name}"
            raise BuildError(
                "its entry in the index is invalid", where=where, hint=ANOTHER
            ) from error
        both = (fields.get("Pre-Depends", ""), fields.get("Depends", ""))
        return Package(deb, tuple(group for text in both for group in _alternatives(text)))


def _alternatives(text: str) -> Iterator[tuple[str, ...]]:
    """The groups of a dependency field; versions, architectures and conditions are dropped."""
    for group in text.split(","):
        names = tuple(
            part.split()[0].partition(":")[0] for part in group.split("|") if part.strip()
        )
        if names:
            yield names


def closure(
    index: Index,
    wanted: Sequence[str],
    exclude: Collection[str] = (),
    have: Collection[str] = (),
) -> tuple[Deb, ...]:
    """`wanted` and all their dependencies that are not in `have`, sorted by name.

    Of several alternatives an already chosen package is used, else the first in the index. Versions
    are not compared: within one suite they fit. A dependency with an excluded alternative is
    fulfilled. Raises BuildError for a package that the index lacks, or an unused `exclude` if
    nothing is in `have`.
    """
    chosen: dict[str, Deb] = {}
    met: set[str] = set()
    pending: deque[tuple[tuple[str, ...], str]] = deque(((name,), "the seed") for name in wanted)
    while pending:
        names, by = pending.popleft()
        skipped = [name for name in names if name in exclude]
        met.update(skipped)
        if skipped or any(name in chosen or name in have for name in names):
            continue
        found = [package for name in names if (package := index.find(name))]
        if not found:
            raise BuildError(
                f"{' | '.join(names)}, a dependency of {by}, is not in the index",
                hint="remove it from the list, or exclude it with a reason",
            )
        package = next((p for p in found if p.deb.name in names), found[0])
        if package.deb.name not in chosen and package.deb.name not in have:
            chosen[package.deb.name] = package.deb
            pending.extend((group, package.deb.name) for group in package.depends)
    if not have and (vain := sorted(set(exclude) - met)):
        hint = "remove it from exclude_packages in plan/seeds/debian.yaml"
        raise BuildError(f"excluded, but nothing depends on it: {', '.join(vain)}", hint=hint)
    return tuple(sorted(chosen.values(), key=lambda deb: deb.name))
