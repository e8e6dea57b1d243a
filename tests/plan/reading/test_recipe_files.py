"""plan/reading/recipe_files.py: the files of a recipe, and what layers add to them."""

from __future__ import annotations

from pathlib import Path

import pytest

from plan.reading.data import load_data
from plan.reading.layer import load_layer
from plan.reading.recipe_files import Made, content, files, tree_recipe


@pytest.fixture
def layer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("layers") / "one"
    (directory / "kernel").mkdir(parents=True)
    (directory / "kernel" / "usb.config").write_text("CONFIG_USB=y\n# CONFIG_PCI is not set\n")
    return directory


def test_a_fragment_joins_every_configuration_of_the_kernel(data: Path, layer: Path) -> None:
    own = data / "recipes" / "linux"
    own.mkdir()
    (own / "x86_64.config").write_text("# All of it.\nCONFIG_PCI=y\nCONFIG_A=y\n")
    (own / "shared.config").write_text("CONFIG_USB=m\nCONFIG_NET=y\n")
    (own / "make-kernel").write_text("true\n")
    (layer / "kernel" / "aarch64.config").write_text("CONFIG_ARM=y\n")
    (layer / "kernel" / "x86_64.config").write_text("CONFIG_A=m\n")
    found = files(load_data(data, [layer]), "linux")
    assert content(found["make-kernel"]) == b"true\n"
    # The later part wins: a symbol that is asked for twice could not be granted twice.
    assert content(found["x86_64.config"]).decode() == (
        "# All of it.\nCONFIG_USB=y\n# CONFIG_PCI is not set\nCONFIG_A=m\n"
    )
    assert content(found["shared.config"]) == b"CONFIG_NET=y\n"
    assert b"CONFIG_ARM=y" in content(found["aarch64.config"])
    assert b"CONFIG_ARM=y" not in content(found["x86_64.config"])
    assert files(load_data(data), "linux").keys() == {
        *("make-kernel", "shared.config", "x86_64.config")
    }


@pytest.mark.fault("bytes that are not UTF-8 in a layer's part of the configuration", "kept")
def test_a_comment_in_any_encoding_stays(data: Path, layer: Path) -> None:
    (data / "recipes" / "linux").mkdir()
    (data / "recipes" / "linux" / "x86_64.config").write_bytes(b"CONFIG_A=y\n")
    (layer / "kernel" / "usb.config").write_bytes(b"# caf\xe9 \xc3\xa9\nCONFIG_USB=y\n")
    found = files(load_data(data, [layer]), "linux")
    assert content(found["x86_64.config"]) == b"CONFIG_A=y\n# caf\xe9 \xc3\xa9\nCONFIG_USB=y\n"


@pytest.mark.fault(
    "a layer's kernel/*.config has a setting in a comment", "the project's setting stays"
)
def test_a_comment_settles_nothing(tmp_path: Path) -> None:
    own, more = tmp_path / "own", tmp_path / "more"
    own.write_text("CONFIG_NET=y\nCONFIG_B=y\nCONFIG_C=y\n")
    more.write_text("\ufeff# CONFIG_NET=y\n# CONFIG_B is not set\nCONFIG_C=m\n")
    made = content(Made((own, more)))
    assert made == b"CONFIG_NET=y\n# CONFIG_NET=y\n# CONFIG_B is not set\nCONFIG_C=m\n"


def test_a_tree_states_its_modes_and_links(layer: Path) -> None:
    (layer / "files" / "usr" / "bin").mkdir(parents=True)
    (layer / "files" / "usr" / "bin" / "it's").write_text("#!/bin/sh\n")
    (layer / "files" / "usr" / "bin" / "it's").chmod(0o755)
    (layer / "files" / "secret").write_text("x")
    (layer / "layer.yaml").write_text("modes: {secret: '0600'}\nlinks: {etc/a: ../secret}\n")
    assert tree_recipe("one-files", load_layer(layer))["build"].splitlines() == [
        "cd /dest",
        "cp -R /recipe/files/. .",
        "chmod 755 'usr/bin/it'\"'\"'s'",
        "chmod 0600 secret",
        "mkdir -p ./etc",
        "ln -s -- ../secret etc/a",
    ]
