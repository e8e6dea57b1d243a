"""recipe: writes a recipe for a new package, into the last layer, or else into this checkout.

url= ──fetch, hash──▶ tarball ──names, build files, licenses──▶ guess.py ──▶ recipes/NAME.yaml

plan/writing/guess.py guesses.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from plan.errors import BuildError
from plan.model import Source
from plan.outputs import write_file
from plan.reading.data import ARCHITECTURES, SETS
from plan.reading.recipes import NAME
from plan.typed import typed
from plan.urls import CREDENTIALS, GIT
from plan.writing.build_files import READ
from plan.writing.guess import recipe
from plan.writing.pins import DEBIAN
from tasks.actions import DoitTask, caller_directory, speaking
from tasks.console.console import say
from tasks.engine.project import Project
from tasks.engine.sources import fetch_now

# The name of a source package (Debian's policy, 5.6.1).
_PACKAGE = re.compile(r"[a-z0-9][a-z0-9+.-]+")
_WEB = re.compile(r"https?://[^/]+/\S*[^/\s]\Z")


def task_recipe(project: Project) -> DoitTask:
    """write a recipe that mostly builds: new NAME url=URL

    recipe new lz4 url=https://example.org/lz4-1.10.0.tar.gz layer=../mine
    recipe new lz4 url=debian:lz4    Debian's source package of that name
    recipe new lz4 url=git+https://example.org/lz4@COMMIT    a commit
    """
    return {"actions": [(speaking(_recipe), [project])], "pos_arg": "words"}


def before_recipe(project: Project, words: Sequence[str]) -> None:
    """Raise BuildError if there can be no such recipe, or its URL is none."""
    url = project.settings.values["url"]
    if len(words) != 2 or words[0] != "new" or not url:
        raise BuildError("recipe takes a name and a URL", hint=typed("recipe new NAME url=URL"))
    name = _name(words)
    if not NAME.match(name):
        raise BuildError(
            f"{name!r} cannot be the name of a package",
            hint="it has lower case letters, digits and +.-",
        )
    taken = {*project.data.names(SETS), *project.data.names(ARCHITECTURES), *project.data.trees}
    if name in taken:
        raise BuildError(
            f"{name} is a set, an architecture or the files of a layer",
            hint="give the package another name",
        )
    if name in project.data.recipes:
        where = project.data.shown(project.data.recipes[name])
        hint = "edit that one, or give the new one another name"
        raise BuildError(f"there is a recipe {name} already", where=where, hint=hint)
    if CREDENTIALS.match(url):
        hint = "remove it: the URL is written into the recipe; ~/.netrc may hold it"
        raise BuildError("there is a password in the URL", where="url=", hint=hint)
    if url.startswith("git+") and not GIT.fullmatch(url):
        hint = "it ends with @ and the whole name of a commit: git+https://…@COMMIT"
        raise BuildError("this is no commit", where=f"url={url}", hint=hint)
    package = url.removeprefix(DEBIAN) if url.startswith(DEBIAN) else ""
    if not (_WEB.match(url) or GIT.fullmatch(url) or _PACKAGE.fullmatch(package)):
        hint = "https://…/x.tar.gz, or debian:SOURCE-PACKAGE"
        if "://" not in url and (caller_directory() / url).is_dir():
            hint = "for a folder, write the recipe by hand: sources: [{folder: PATH}]"
        raise BuildError("this is no URL of a file", where=f"url={url}", hint=hint)


def _name(words: Sequence[str]) -> str:
    return words[1].removeprefix("pkg:")


def _recipe(project: Project, words: list[str]) -> None:
    name = _name(words)
    url = project.settings.values["url"]
    source, release = _fetched(project, url)
    path = _directory(project) / f"{name}.yaml"
    try:
        text = _guessed(project, name, source, release)
    except BuildError as error:
        hint = error.hint or "look at what is there: a server may answer with a page"
        raise BuildError(error.message, where=f"url={url}", hint=hint) from error
    write_file(path, text)
    say(f"{project.data.shown(path)}: read it, and correct the lines that end with # check")
    # Without a word, the set would be full: hours before it comes to this package.
    base = "set=base " if project.settings.origin["set"] == "default" else ""
    say(f"  build it: {typed(f'pkg:{name} {base}with={name}')}")


def _directory(project: Project) -> Path:
    layers = project.settings.layers or [layer.path for layer in project.data.layers]
    return (layers[-1] if layers else project.data.own) / "recipes"


def _fetched(project: Project, url: str) -> tuple[Source, str]:
    """The source at `url`, which the cache has, and its version if the archive says it."""
    settings = project.settings
    if settings.offline:
        hint = "offline=no lets it be fetched"
        raise BuildError("offline=1, but the file must be fetched", where=f"url={url}", hint=hint)
    if _WEB.match(url) or GIT.fullmatch(url):
        from cache.unknown import fetch_unknown

        return fetch_unknown(url, project.cache), ""
    return _of_debian(project, url.removeprefix(DEBIAN), url)


def _of_debian(project: Project, package: str, url: str) -> tuple[Source, str]:
    from cache.places import known_archives
    from cache.source_index import fetch_source_index

    suite = project.settings.suite
    archives = known_archives(project.settings.mirror or "")
    index = fetch_source_index(archives, {package}, suite=suite)
    found = index.newest.get(package)
    if found is None:
        like = index.like(package)
        hint = f"there is {', '.join(like)}" if like else "packages.debian.org finds the name"
        raise BuildError(
            f"Debian {suite} has no source package {package}", where=f"url={url}", hint=hint
        )
    place = f"{DEBIAN}{found.path}"
    source = Source(found.sha256, found.size, found.file, (place,), snapshot=found.snapshot)
    fetch_now(project, [source])
    return source, found.version


def _guessed(project: Project, name: str, source: Source, release: str) -> str:
    from rootfs.archives.licenses import license_texts
    from rootfs.archives.look_inside import look_inside

    path = project.fetched(source)
    inside = look_inside(path, source.file, READ)
    texts = [text.decode(errors="replace") for _, text in license_texts(path, source.file)]
    return recipe(name, source, inside.names, inside.texts, texts, release)
