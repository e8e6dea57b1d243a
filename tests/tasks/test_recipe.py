"""recipe: on the command line, with a server on loopback."""

from __future__ import annotations

import hashlib
import io
import shutil
import tarfile
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from cache.lock import WorkLock
from plan.settings.resolve import resolve
from tasks.engine.project import Project
from tasks.recipe import _directory
from tests.checkout import ROOT
from tests.tasks.toy import Checkout, doit

pytestmark = pytest.mark.namespace
fault = pytest.mark.fault

FILES = {"configure": "#!/bin/sh\n", "LICENSE": "Permission is hereby granted, free of charge, …"}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    """The URL of a server: thing-1.2.tar, one without a directory, and two that are no tarballs."""
    place = tmp_path / "served"
    place.mkdir()
    (place / "page.tar.gz").write_text("<html>moved</html>")
    (place / "empty.tar.gz").touch()
    for file, top in (("thing-1.2.tar", "thing-1.2/"), ("flat.tar", "")):
        with tarfile.open(place / file, "w") as tar:
            for name, text in FILES.items():
                member = tarfile.TarInfo(f"{top}{name}")
                member.size = len(text.encode())
                tar.addfile(member, io.BytesIO(text.encode()))
    handler = partial(SimpleHTTPRequestHandler, directory=str(place))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as made:
        threading.Thread(target=made.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{made.server_address[1]}"
        made.shutdown()


def test_a_recipe_is_written_into_the_layer(toy: Checkout, server: str, tmp_path: Path) -> None:
    layer = tmp_path / "mine"
    (layer / "recipes").mkdir(parents=True)
    toy.recipe("musl", "true")
    url = f"{server}/thing-1.2.tar"
    done = toy.doit("recipe", "new", "thing", f"url={url}", f"layer={layer}")
    assert done.status == 0, done
    # BQ2_SET is set here.
    assert f"{layer}/recipes/thing.yaml" in done.said and "pkg:thing with=thing" in done.said
    recipe = toy.project(layer=str(layer), **{"with": "thing"}).plan.recipes["thing"]
    data = (tmp_path / "served" / "thing-1.2.tar").read_bytes()
    (source,) = recipe.sources
    assert (source.sha256, source.size) == (hashlib.sha256(data).hexdigest(), len(data))
    assert (recipe.version, recipe.license, recipe.style) == ("1.2", "MIT", "configure")
    # The cache has the file: nothing is fetched again.
    assert toy.doit("fetch:thing", f"layer={layer}", "with=thing", "offline=1").status == 0
    again = toy.doit("recipe", "new", "thing", f"url={url}", f"layer={layer}")
    assert again.status != 0 and "there is a recipe thing already" in again.said


@pytest.mark.fault(
    "`recipe new layer=DIR` where an app is a layer too", "the recipe is written into DIR"
)
def test_the_layer_that_is_given_and_not_the_app(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "docs" / "examples" / "notes", tmp_path / "app")
    (tmp_path / "app" / "layer.yaml").write_text("name: app\n")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "layer.yaml").touch()

    def directory(**given: str) -> Path:
        return _directory(Project(resolve(ROOT, given, {}), cache=tmp_path / "cache"))

    app, mine = f"{tmp_path}/app", f"{tmp_path}/mine"
    assert directory(app=app, layer=mine) == tmp_path / "mine" / "recipes"
    assert directory(app=app) == tmp_path / "app" / "recipes"


def test_the_command_that_builds_it_does_not_mean_the_full_set(toy: Checkout, server: str) -> None:
    sets = toy.root / "plan" / "sets.yaml"
    sets.write_text(sets.read_text() + sets.read_text().replace("base:", "full:"))
    words = doit("recipe", "new", "thing", f"url={server}/thing-1.2.tar")
    done = toy.run(["env", "-u", "BQ2_SET", *words])
    assert "build it: doit pkg:thing set=base with=thing" in done.said, done


def test_a_recipe_is_written_while_a_build_runs(toy: Checkout, server: str) -> None:
    running = WorkLock(toy.root / "work")
    running.take("doit image")
    done = toy.doit("recipe", "new", "thing", f"url={server}/thing-1.2.tar")
    running.release()
    assert done.status == 0, done
    assert (toy.root / "plan" / "recipes" / "thing.yaml").is_file()


@fault("recipe new with a URL that has nothing, or that is none", "refused; no recipe is written")
@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("new", "thing", "url=SERVER/missing.tar"), "cannot be fetched: "),
        (("new", "thing", "url=SERVER"), "this is no URL of a file"),
        (("new", "thing", "url=plan"), "write the recipe by hand: sources: [{folder: PATH}]"),
        (("new", "thing", "url=SERVER/flat.tar"), "its files are not in one directory at its top"),
        (("new", "thing", "url=SERVER/page.tar.gz"), "a server may answer with a page"),
        (("new", "thing", "url=SERVER/empty.tar.gz"), "url=SERVER/empty.tar.gz: "),
        (("new", "Thing", "url=SERVER/thing-1.2.tar"), "cannot be the name of a package"),
        (("new", "thing"), "recipe takes a name and a URL"),
        (("new", "bottom", "url=SERVER/thing-1.2.tar"), "there is a recipe bottom already"),
        (("new", "base", "url=SERVER/thing-1.2.tar"), "base is a set, an architecture or"),
        (("new", "thing", "url=http://u:secret@h/thing-1.2.tar"), "a password in the URL"),
    ],
)
def test_what_is_no_recipe(
    toy: Checkout, server: str, words: tuple[str, ...], message: str
) -> None:
    done = toy.doit("recipe", *(word.replace("SERVER", server) for word in words))
    assert done.status != 0 and "Traceback" not in done.said, done
    assert message.replace("SERVER", server) in done.said
    assert not (toy.root / "plan" / "recipes" / "thing.yaml").exists()
