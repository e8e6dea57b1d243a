"""plan/reading/layer.py: what a layer is, and what is refused in one."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from plan.errors import BuildError
from plan.reading.layer import load_layer

fault = pytest.mark.fault
Make = Callable[[Path], object]


@pytest.fixture
def layer(tmp_path: Path) -> Path:
    directory = tmp_path / "mine"
    (directory / "files" / "etc").mkdir(parents=True)
    (directory / "files" / "etc" / "motd").write_text("hello\n")
    return directory


def about(text: str) -> Make:
    return lambda layer: (layer / "layer.yaml").write_text(text)


def empty_directory(layer: Path) -> None:
    (layer / "files" / "var" / "empty" / "below").mkdir(parents=True)
    (layer / "layer.yaml").write_text("name: mine\nmodes: {var/empty: '0700'}\n")


def setuid(layer: Path) -> None:
    (layer / "files" / "etc" / "motd").chmod(0o4755)


def fifo(layer: Path) -> None:
    os.mkfifo(layer / "files" / "etc" / "pipe")


def link(layer: Path) -> None:
    (layer / "files" / "etc" / "link").symlink_to("motd")


def fragment(text: str) -> Make:
    def write(layer: Path) -> None:
        (layer / "kernel").mkdir()
        (layer / "kernel" / "mine.config").write_text(text)

    return write


def kind(name: str, make: Make) -> Make:
    return lambda layer: make(layer / name)


def written(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("")


def nothing(layer: Path) -> None:
    (layer / "files").rename(layer / "file")


def test_the_parts_of_a_layer_are_its_content(layer: Path) -> None:
    (layer / "README.md").write_text("not a part")
    (layer / "recipes").mkdir()
    (layer / "recipes" / "a.yaml").write_text("a")
    before = load_layer(layer)
    assert before.name == "mine"
    assert before.content == (("files/etc/motd", False), ("recipes/a.yaml", False))
    (layer / "README.md").write_text("changed")
    assert load_layer(layer).sha256 == before.sha256
    (layer / "files" / "etc" / "motd").chmod(0o755)
    assert load_layer(layer).sha256 != before.sha256


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        pytest.param(
            nothing,
            "not a layer",
            marks=fault("layer= of a directory that is none", "refused, with what a layer has"),
        ),
        pytest.param(
            about("needs: '99'"),
            "needs version 99",
            marks=fault("a layer that needs a newer version of this project", "both versions"),
        ),
        pytest.param(
            setuid,
            "set-user-id",
            marks=fault("a set-user-id file in files/ of a layer", "refused, with its path"),
        ),
        pytest.param(
            fifo,
            "only plain files",
            marks=fault("a device, socket or FIFO in files/ of a layer", "refused, with its path"),
        ),
        pytest.param(
            link,
            "no symbolic links",
            marks=fault(
                "a symbolic link in a layer", "refused, with how layer.yaml states a link instead"
            ),
        ),
        pytest.param(
            about("modes: {etc/motd: '4755'}"),
            "not a mode",
            marks=fault("a set-user-id mode in layer.yaml", "refused, with its line"),
        ),
        (about("modes: {etc/motdd: '0600'}"), "no 'etc/motdd'"),
        (about("modes: {../../x: '0600'}"), "no '../../x'"),
        pytest.param(
            empty_directory,
            "the directory 'var/empty' has no file, so the product does not get it",
            marks=fault("layer.yaml gives a mode to a directory without a file", "its line"),
        ),
        (about("links: {etc/motd: x}"), "cannot be a link"),
        (about("links: {/etc/x: y}"), "cannot be a link"),
        (about("name: Mine"), "cannot be the name"),
        (about("replace: [zlib]"), "unknown key"),
        (about("app: {prots: '80:80'}"), "unknown key 'prots'"),
        (about("needs: banana"), "'banana' is no version"),
        pytest.param(
            fragment("CONFIG_A=y\n\n# CONFIG_B is not set\nCONFIG_USB y\n"),
            "'CONFIG_USB y' is no line of a kernel's configuration",
            marks=fault("a line in kernel/*.config of a layer that Kconfig drops", "its line"),
        ),
        (fragment("CONFIG_A=y # needed\n"), "'CONFIG_A=y # needed' is no line"),
        pytest.param(
            fragment("CONFIG_USB=n\n"),
            "'CONFIG_USB=n' is no line",
            marks=fault("kernel/*.config says =n", "its line, and how Kconfig writes that"),
        ),
        pytest.param(
            fragment("#CONFIG_NET is not set\n"),
            "'#CONFIG_NET is not set' is no line",
            marks=fault("kernel/*.config has a line that only looks like an answer", "its line"),
        ),
        (fragment("\ufeffCONFIG_A=y\n\ufeffCONFIG_B=y\n"), "ufeffCONFIG_B=y' is no line"),
        (lambda layer: (layer / "kernel" / "x").mkdir(parents=True), "nothing reads this part"),
        (about("links: {a: ''}"), "a link leads somewhere"),
        (about("links: {a: b, a/c: d}"), "'a/c' is below the link 'a'"),
        pytest.param(
            kind("sets.yaml", Path.mkdir),
            "sets.yaml of a layer is a file",
            marks=fault("a directory in a layer where a file should be, or a file", "its path"),
        ),
        (kind("kernel", Path.touch), "kernel of a layer is a directory"),
        (kind("seeds", lambda path: path.symlink_to("gone")), "seeds of a layer is a directory"),
    ],
)
def test_what_a_layer_cannot_be(layer: Path, spoil: Make, message: str) -> None:
    load_layer(layer)
    spoil(layer)
    with pytest.raises(BuildError, match=message) as caught:
        load_layer(layer)
    assert os.fspath(layer) in (caught.value.where or "")


def test_what_lies_beside_the_parts_is_no_part(layer: Path) -> None:
    for name in ("README.md", "seed/users.json", "recipes/zlib.yaml~", "recipes/README"):
        written(layer / name)
    written(layer / "recipes" / "zlib.yaml")
    written(layer / "recipes" / "zlib" / "fix.patch")
    load_layer(layer)


@fault("a file of a layer is open in Emacs, which has a link to nothing beside it", "not read")
def test_a_lock_of_an_editor(layer: Path) -> None:
    before = load_layer(layer).sha256
    (layer / "files" / "etc" / ".#motd").symlink_to("me@here.1:2")
    (layer / "kernel").mkdir()
    (layer / "kernel" / ".#usb.config").symlink_to("me@here.1:2")
    assert load_layer(layer).sha256 == before and not load_layer(layer).fragments


@fault("an editor keeps files in files/ of a layer", "they are no part of it")
@pytest.mark.parametrize("name", ["motd~", "#motd#", ".motd.swp", "old~/motd", "__pycache__/a.pyc"])
def test_what_an_editor_keeps(layer: Path, name: str) -> None:
    before = load_layer(layer).sha256
    file = layer / "files" / "etc" / name
    file.parent.mkdir(exist_ok=True)
    file.write_text("older")
    assert load_layer(layer).sha256 == before
    (layer / "layer.yaml").write_text(f"modes: {{'etc/{name}': '0600'}}\n")
    with pytest.raises(BuildError, match="there is no"):
        load_layer(layer)


@fault("a file in a layer whose name is nearly one that is read", "refused, with that name")
@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("recipes/zlib.yml", "name it zlib.yaml"),
        ("kernel/usb.cfg", "name it usb.config"),
        ("layer.yml", "name it layer.yaml"),
        ("set.yaml", "name it sets.yaml"),
    ],
)
def test_the_name_that_is_read_is_told(layer: Path, name: str, hint: str) -> None:
    written(layer / name)
    with pytest.raises(BuildError) as caught:
        load_layer(layer)
    assert caught.value.hint == hint
