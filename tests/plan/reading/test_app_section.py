"""plan/reading/app_section.py: what layer.yaml and local.yaml say of an app, and which wins."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from plan.errors import BuildError
from plan.reading.app_section import merged, of_checkout, of_program
from plan.settings.resolve import resolve
from plan.settings.settings import Settings
from plan.yamlfile import Table, load
from tests.checkout import ROOT

fault = pytest.mark.fault


@pytest.fixture
def app(tmp_path: Path) -> Path:
    return project(tmp_path / "hello", "{ports: '8080:80', environment: {A: '1', B: '2'}}")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout of which only plan/ is read."""
    (tmp_path / "checkout").mkdir()
    (tmp_path / "checkout" / "plan").symlink_to(ROOT / "plan")
    return tmp_path / "checkout"


def project(path: Path, section: str) -> Path:
    (path / "src").mkdir(parents=True)
    (path / "src" / "it.cr").touch()
    name = path.name
    (path / "shard.yml").write_text(f"name: {name}\ntargets: {{{name}: {{main: src/it.cr}}}}\n")
    (path / "layer.yaml").write_text(f"app: {section}\n")
    return path


def section(path: Path, text: str) -> Table:
    path.write_text(text)
    return load(path)


def resolved(checkout: Path, local: str, **given: object) -> Settings:
    (checkout / "local.yaml").write_text(local)
    return resolve(checkout, {name: str(value) for name, value in given.items()}, {})


def service(settings: Settings) -> str:
    assert settings.data.app
    return str(settings.data.app.table["after"])


def test_a_key_of_local_yaml_wins_and_variables_are_merged(tmp_path: Path) -> None:
    program = section(
        tmp_path / "layer.yaml",
        "ports: 8080:80\narguments: [-a, -b]\nenvironment: {A: '1', B: '2'}\noptions: [-O1]\n",
    )
    local = section(
        tmp_path / "local.yaml", "arguments: [-c]\nenvironment:\n  B: '3'\n  C: '4'\nports: 1:2\n"
    )
    both = merged(program, local)
    assert both == {
        "ports": "1:2",
        "arguments": ["-c"],
        "environment": {"A": "1", "B": "3", "C": "4"},
        "options": ["-O1"],
    }
    assert both.where("ports") == f"{tmp_path}/local.yaml:5"
    assert both.where("options") == f"{tmp_path}/layer.yaml:4"
    assert both["environment"].where("B") == f"{tmp_path}/local.yaml:3"
    assert program["environment"] == {"A": "1", "B": "2"}, "the file's own table stays as it is"
    assert merged(Table("none", 1), local) == dict(local)


def test_local_yaml_names_the_app_in_its_section(app: Path, checkout: Path) -> None:
    settings = resolved(
        checkout, "app:\n  directory: ../hello\n  ports: 9000:90\n  environment: {B: x y}\n"
    )
    assert (settings.app, settings.origin["app"], settings.set) == (app, "local.yaml", "base")
    assert settings.ports == ((9000, 90),)
    assert "export A=1" in service(settings) and "start 90 hello" in service(settings)
    assert "export B='\"'\"'x y'" in service(settings)
    # What boot is told on the command line is stronger still.
    assert resolved(
        checkout, "app: {directory: ../hello, ports: '9000:90'}", ports="1:90"
    ).ports == ((1, 90),)


def test_a_section_is_for_the_directory_that_it_names(app: Path, checkout: Path) -> None:
    other = project(app.with_name("other"), "{ports: '7000:70'}")
    named = "app: {directory: ../hello, ports: '9000:90'}\n"
    assert resolved(checkout, named, app=other).ports == ((7000, 70),)
    assert resolved(checkout, named, app=f"{other}/../hello").ports == ((9000, 90),)
    assert resolved(checkout, named, app="").app is None
    each = "app: {ports: '9000:90'}\n"
    assert resolved(checkout, each, app=other).ports == ((9000, 90),)
    assert resolved(checkout, each, app=app).ports == ((9000, 90),)
    assert resolved(checkout, each).app is None and resolved(checkout, each).set == "full"


def test_a_plain_directory_is_one_still(app: Path, checkout: Path) -> None:
    settings = resolved(checkout, "app: ../hello\n")
    assert (settings.app, settings.ports) == (app, ((8080, 80),))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param(
            "app:\n  port: '80'\n",
            "local.yaml:2: unknown key 'port'.*did you mean ports",
            marks=fault("a misspelt key of app in local.yaml", "its line, and the nearest key"),
        ),
        pytest.param(
            "app:\n  ports: '80'\n",
            "local.yaml:2: 'ports' is wrong",
            marks=fault("app in local.yaml has ports that are none", "its line, and how they look"),
        ),
        pytest.param(
            "app:\n  environment: [A]\n",
            "local.yaml:2: 'environment' must be a mapping, not list",
            marks=fault("a key of app in local.yaml has another type", "its line, and the type"),
        ),
        ("app:\n  environment:\n    A: [1]\n", "local.yaml:3: 'A' must be a text, not list"),
        ("app:\n  environment:\n    a-b: c\n", "local.yaml:3: 'a-b' cannot be the name of a var"),
        pytest.param(
            "app:\n  environment:\n    PATH: /opt/bin\n",
            "local.yaml:3: PATH of a service is always /usr/bin",
            marks=fault("app sets PATH or HOME, which the machine sets", "its line"),
        ),
        ("app:\n  arguments: -v\n", "local.yaml:2: 'arguments' must be a list, not text"),
        ("app:\n  options: [[-O0]]\n", "local.yaml:2: 'options' must be a list of plain values"),
        ("app:\n  directory: [a]\n", "local.yaml:2: 'directory' must be a text, not list"),
        ("app: [a]\n", "local.yaml:1: 'app' must be a directory, or a mapping"),
        ("app: {directory: ../hullo}\n", "local.yaml:1: app cannot be '../hullo'"),
        ("app: {directory: ../hello, target: hullo}\n", "local.yaml:1: which program.*mean hello"),
    ],
)
def test_a_wrong_section(app: Path, checkout: Path, text: str, message: str) -> None:
    with pytest.raises(BuildError) as caught:
        resolved(checkout, text).data  # noqa: B018
    assert re.search(message, str(caught.value).replace("\n", " ")), caught.value


@fault(
    "app in local.yaml names a library that has no recipe", "the line of local.yaml, not layer.yaml"
)
def test_an_unknown_library(app: Path, checkout: Path) -> None:
    from plan.reading.recipes import load_recipes

    settings = resolved(checkout, "app:\n  directory: ../hello\n  depends: [sqlit]\n")
    with pytest.raises(BuildError, match="did you mean sqlite") as caught:
        load_recipes(settings.data)
    assert caught.value.where == "local.yaml:3"


def test_layer_yaml_does_not_say_where_the_app_is(tmp_path: Path) -> None:
    about = section(tmp_path / "layer.yaml", "app: {directory: .}\n")
    with pytest.raises(BuildError, match="unknown key 'directory'"):
        of_program(about)
    assert of_checkout(section(tmp_path / "local.yaml", "directory: x\n")) == ("x", {})
