"""A recipe's source in Debian's archive, and the recipe's text with a newer source.

    urls: debian:pool/main/z/zlib/zlib_1.3.1.orig.tar.gz ──pin──▶ source package, version, path
    text of the recipe + a newer Tarball ──bumped──▶ the text with version, hash, size and URLs

A recipe that uses another's source (`from`) has no pin: the owner of the source has it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from plan.errors import BuildError
from plan.model import Recipe
from plan.reading.data import Data
from plan.reading.keys import SOURCE
from plan.versions import upstream
from plan.writing.rewrite import set_value
from plan.yamlfile import load

DEBIAN = "debian:"
TARBALL = re.compile(
    r"pool/(?:updates/)?\S+/(?P<package>[^/_]+)"
    r"/(?P=package)_(?P<version>[^/_]+)\.orig(?P<ending>\.tar\.\w+)\Z"
)


@dataclass(frozen=True)
class Tarball:
    """An upstream tarball of Debian's archive. `path` begins with pool/, `size` is in bytes.

    `version` is upstream's own, `ending` is for example ".tar.gz". A pin has the recipe's hash.
    `snapshot`: the time at which snapshot.debian.org has it.
    """

    package: str
    version: str
    ending: str
    path: str
    size: int
    sha256: str
    snapshot: str = ""

    @property
    def file(self) -> str:
        return self.path.rpartition("/")[2]


def tarball(path: str, size: int, sha256: str) -> Tarball | None:
    """The upstream tarball at `path`, or None if that is something else.

    A path in the security archive becomes the path in the main archive, where the file moves later.
    """
    match = TARBALL.match(path)
    if not match:
        return None
    main = path.replace("pool/updates/", "pool/", 1)
    version = upstream(match["version"])
    return Tarball(match["package"], version, match["ending"], main, size, sha256)


def pin(recipe: Recipe) -> Tarball | None:
    """The only source of `recipe` as a tarball in Debian's archive, or None."""
    if len(recipe.sources) != 1:
        return None
    (source,) = recipe.sources
    paths = [url.removeprefix(DEBIAN) for url in source.urls if url.startswith(DEBIAN)]
    found = (tarball(path, source.size, source.sha256) for path in paths)
    return next((each for each in found if each), None)


def why_unpinned(recipe: Recipe) -> str:
    """Why `pin` returns None, in two or three words."""
    count = len(recipe.sources)
    return ("no source", "no debian URL")[count] if count < 2 else f"{count} sources"


def owners(data: Data) -> dict[str, str]:
    """The recipe that owns the source of each recipe in `data`: usually itself."""
    authored = {name: load(path).get("from", name) for name, path in data.recipes.items()}
    return authored | {name: name for name in data.made}


def bumped(text: str, recipe: Recipe, new: Tarball) -> str:
    """The `text` of `recipe` with its source replaced by `new`; all other bytes stay.

    Web URLs follow the version: they are hints, and the hash decides. Raises BuildError if the
    recipe's version is not the version of its file.
    """
    old = pin(recipe)
    if old is None or recipe.version != old.version:
        why = f"its file is {old.package} {old.version}" if old else why_unpinned(recipe)
        raise by_hand(recipe, f"{recipe.name} is {recipe.version}, but {why}")
    (source,) = recipe.sources
    values: Mapping[tuple[str | int, ...], str] = {
        ("version",): new.version,
        ("sources", 0, "sha256"): new.sha256,
        ("sources", 0, "size"): str(new.size),
        ("sources", 0, "file"): renamed(source.file, old, new),
        ("sources", 0, "snapshot"): new.snapshot,
    }
    for path, value in values.items():
        text = set_value(text, path, value, [*SOURCE])
    for index, url in enumerate(source.urls):
        debian = url.startswith(DEBIAN)
        after = f"{DEBIAN}{new.path}" if debian else renamed(url, old, new)
        text = set_value(text, ("sources", 0, "urls", index), after)
    return text


def renamed(name: str, old: Tarball, new: Tarball) -> str:
    """The file name or URL `name`, with the version of `old` replaced by the version of `new`.

    1.2.3 is also found as 1_2_3, but never inside of 11.2.3 or 1.2.3.4.
    """
    forms = {old.version.replace(".", s): new.version.replace(".", s) for s in ("-", "_", ".")}
    either = "|".join(re.escape(form) for form in forms)
    whole = rf"(?<![0-9])(?<![0-9][._])({either})(?![0-9])(?![._][0-9])"
    name = re.sub(whole, lambda match: forms[match[0]], name)
    return name.removesuffix(old.ending) + new.ending if name.endswith(old.ending) else name


def by_hand(recipe: Recipe, message: str) -> BuildError:
    """The error for a recipe that cannot be bumped: what to edit, and where."""
    return BuildError(
        message,
        where=recipe.file,
        hint="edit by hand: version, and sha256, size, file and urls of each source",
    )
