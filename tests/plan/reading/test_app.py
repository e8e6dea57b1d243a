"""plan/reading/app.py: a Crystal project as a recipe, and what is wrong with one."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from plan.errors import BuildError
from plan.model import Step
from plan.reading.app import App, load_app
from plan.reading.data import Data, load_data
from plan.reading.recipes import load_recipes
from plan.settings.resolve import resolve
from plan.steps.planner import make_plan
from tests.checkout import ROOT
from tests.plan.conftest import PLAN

fault = pytest.mark.fault

EXAMPLE = ROOT / "docs" / "examples" / "notes"
LIBRARIES = {"yaml": "libyaml", "digest": "openssl", "digest/crc32": "zlib"}
SHARD = """\
name: my_server
version: 0.3.1
license: MIT
authors: [Some One <one@example.org>]
targets:
  server:
    main: src/server.cr
"""


@pytest.fixture
def app(tmp_path: Path) -> Path:
    directory = tmp_path / "My Server"
    (directory / "src").mkdir(parents=True)
    (directory / "shard.yml").write_text(SHARD)
    (directory / "src" / "server.cr").write_text("puts 1\n")
    return directory


def layered(app: Path, text: str) -> App:
    (app / "layer.yaml").write_text(f"app: {text}\n")
    return load_app(app, LIBRARIES)


def test_the_recipe_of_a_project(app: Path) -> None:
    found = load_app(app, LIBRARIES)
    table = found.table
    assert (found.name, found.ports) == ("my-server", ())
    assert (table["version"], table["license"]) == ("0.3.1", "MIT")
    assert table["programs"] == {"server": "src/server.cr"}
    assert table["depends"] == ["libunwind", "pcre2", "bdwgc", "libevent"]
    assert table["options"] == ["-Dwithout_openssl", "-Dwithout_zlib"]
    assert table["sources"] == [{"folder": str(app)}]


def test_what_it_requires_it_links_to(app: Path) -> None:
    (app / "lib" / "other" / "src").mkdir(parents=True)
    (app / "lib" / "other" / "src" / "other.cr").write_text('  require "digest/crc32"\n')
    (app / "src" / "more.cr").write_text('# require "yaml"\nrequire "yamlish"\n')
    found = load_app(app, LIBRARIES)
    assert found.depends[4:] == ("openssl", "zlib") and found.table["options"] == []


@fault(
    "a program that is open in an editor, which has a link to nothing there; a library NAME.cr",
    "only files are read for what they require",
)
def test_what_is_no_file_requires_nothing(app: Path) -> None:
    (app / "src" / ".#server.cr").symlink_to("me@host.123:456")
    (app / "lib" / "other.cr").mkdir(parents=True)
    assert load_app(app, LIBRARIES).table["depends"] == ["libunwind", "pcre2", "bdwgc", "libevent"]


def test_what_layer_yaml_says_of_it(app: Path, tmp_path: Path) -> None:
    found = layered(
        app,
        "{ports: '8080:80,2222:22', environment: {WHO: it's me}, arguments: [-v, 'a b'],"
        " depends: [sqlite], options: [-O1]}",
    )
    assert found.ports == ((8080, 80), (2222, 22))
    assert found.depends[-1] == "sqlite" and found.table["options"][-1] == "-O1"
    made = tmp_path / "dest"
    made.mkdir()
    script = found.table["after"].replace("/recipe", str(PLAN / "program"))
    subprocess.run(["sh", "-euc", script], cwd=made, check=True)
    assert (made / "etc/service/my-server").read_text().splitlines()[2:] == [
        "export WHO='it'\"'\"'s me'",
        "exec /usr/lib/app/start '80 22' server -v 'a b'",
    ]


def test_the_ports_that_a_person_gives_count_first(app: Path) -> None:
    (app / "layer.yaml").write_text("name: mine\napp: {ports: '8080:80'}\n")
    assert resolve(ROOT, {"app": str(app)}, {}).ports == ((8080, 80),)
    assert resolve(ROOT, {"app": str(app), "ports": "9000:80"}, {}).ports == ((9000, 80),)
    assert resolve(ROOT, {}, {}).ports == ()


def several(app: Path) -> None:
    more = "  other:\n    main: src/other.cr\n"
    (app / "shard.yml").write_text(SHARD + more)
    (app / "src" / "other.cr").touch()


def test_one_of_several_programs(app: Path) -> None:
    several(app)
    assert layered(app, "{target: other}").table["programs"] == {"other": "src/other.cr"}
    text = (app / "shard.yml").read_text().replace("my_server", "other")
    (app / "shard.yml").write_text(text)
    (app / "layer.yaml").unlink()
    assert load_app(app, LIBRARIES).table["programs"] == {"other": "src/other.cr"}


def test_a_license_that_is_unknown_here_is_its_own(app: Path) -> None:
    (app / "shard.yml").write_text(SHARD.replace("MIT", "see LICENSE"))
    assert load_app(app, LIBRARIES).table["license"] == "LicenseRef-app"


def shard(text: str, new: str) -> object:
    return lambda app: (app / "shard.yml").write_text(SHARD.replace(text, new))


def section(text: str) -> object:
    return lambda app: (app / "layer.yaml").write_text(f"app: {text}\n")


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        pytest.param(
            lambda app: (app / "shard.yml").unlink(),
            "there is no shard.yml",
            marks=fault("app= of a directory without shard.yml", "refused: `crystal init`"),
        ),
        pytest.param(
            shard("targets:", "targets"),
            r"shard.yml:\d+: broken YAML",
            marks=fault("the shard.yml of an app is no YAML", "its line"),
        ),
        pytest.param(
            several,
            "which program. It has server, other",
            marks=fault("an app with several programs", "its layer.yaml is to say which one"),
        ),
        pytest.param(
            section("{target: servr}"),
            "did you mean server",
            marks=fault("layer.yaml of an app names a program that it lacks", "the nearest one"),
        ),
        pytest.param(
            shard("targets:", "other:"),
            "names no program",
            marks=fault("the shard.yml of an app names no program", "how it does"),
        ),
        pytest.param(
            lambda app: (app / "src" / "server.cr").unlink(),
            "main file of server is not there",
            marks=fault("the main file of an app is not there", "refused, with its line"),
        ),
        pytest.param(
            shard("main: src/server.cr", "main: /etc/passwd"),
            "is not in the source: /etc/passwd",
            marks=fault("the main file of an app is elsewhere, or git ignores it", "its line"),
        ),
        (shard("name: my_server\n", ""), "'name' is missing"),
        (shard("my_server", "My Server"), "cannot be the name"),
        (shard("version: 0.3.1", "version: [1]"), "'version' must be text"),
        (shard("  server:", "  se/rver:"), "cannot be a program"),
        (section("[]"), "'app' must be a mapping"),
        (section("{port: '80'}"), "unknown key 'port'"),
        (section("{ports: '80'}"), "'ports' is wrong"),
        (section("{environment: {a-b: c}}"), "cannot be the name of a variable"),
    ],
)
def test_what_an_app_cannot_be(app: Path, spoil: object, message: str) -> None:
    load_app(app, LIBRARIES)
    assert callable(spoil)
    spoil(app)
    with pytest.raises(BuildError, match=message) as caught:
        load_app(app, LIBRARIES)
    assert str(app) in str(caught.value)


@fault("an app has the name of a package of this project", "refused, with the line of shard.yml")
def test_a_name_that_is_taken(app: Path) -> None:
    (app / "shard.yml").write_text(SHARD.replace("my_server", "zlib"))
    with pytest.raises(BuildError, match="a package zlib already") as caught:
        load_data(PLAN, app=app)
    assert caught.value.where == f"{app}/shard.yml:1"


@fault("an app has the name of a service of the machine (clock, ssh, log)", "refused")
@pytest.mark.parametrize("name", ["clock", "ssh", "fossil"])
def test_a_service_that_is_taken(app: Path, name: str) -> None:
    (app / "shard.yml").write_text(SHARD.replace("my_server", name))
    with pytest.raises(BuildError, match=f"there is a .* {name} already"):
        load_data(PLAN, app=app)


@fault("`patch pkg:APP` of an app", "the next build applies the patch, and installs the service")
def test_files_beside_the_service(app: Path, tmp_path: Path) -> None:
    recipe = tmp_path / "recipe"
    shutil.copytree(PLAN / "program", recipe)
    (recipe / "patches").mkdir()
    (recipe / "patches" / "01-edited.patch").touch()
    dest = tmp_path / "dest"
    dest.mkdir()
    script = str(load_app(app, LIBRARIES).table["after"]).replace("/recipe", str(recipe))
    subprocess.run(["sh", "-euc", script], cwd=dest, check=True)
    names = {path.name for path in (PLAN / "program").iterdir()}
    assert {path.name for path in (dest / "usr/lib/app").iterdir()} == names


@fault("an app depends on a package that has no recipe", "the line of its layer.yaml")
def test_an_unknown_library(app: Path) -> None:
    (app / "layer.yaml").write_text("name: mine\napp:\n  depends: [sqlit]\n")
    with pytest.raises(BuildError, match="did you mean sqlite") as caught:
        load_recipes(load_data(PLAN, app=app))
    assert caught.value.where == f"{app}/layer.yaml:3"


def test_it_is_a_part_of_the_base_set(app: Path, tmp_path: Path) -> None:
    settings = resolve(ROOT, {"app": "My Server"}, {}, tmp_path)
    assert (settings.set, settings.origin["set"]) == ("base", "app=")
    assert (settings.loader, settings.origin["loader"]) == ("loader", "app=")
    assert resolve(ROOT, {"app": "My Server", "set": "full"}, {}, tmp_path).set == "full"
    assert resolve(ROOT, {"app": "My Server", "loader": "none"}, {}, tmp_path).loader == ""
    plan = make_plan(settings.data, set_name="base", arch_name="x86_64")
    assert plan.app == plan.title == "my-server" and "my-server" in plan.set.initramfs.packages
    step = plan.product["my-server"]
    assert step.sources[0].urls == ("folder:my-server",)
    assert [path for path, _ in step.files] == ["ended", "listens", "start", "tell"]


@pytest.mark.parametrize("arch_name", ["x86_64", "aarch64"])
def test_its_kernel_is_packed_faster_and_not_compiled_again(app: Path, arch_name: str) -> None:
    def product(data: Data) -> Mapping[str, Step]:
        plan = make_plan(data, set_name="base", arch_name=arch_name, build_name="x86_64")
        return plan.product

    without, of_app = product(load_data(PLAN)), product(load_data(PLAN, app=app))
    levels = [dict(each["kernel"].environment)["LEVEL"] for each in (without, of_app)]
    assert levels == ["18", "12"]
    assert without["linux"] == of_app["linux"]


@fault("an option in layer.yaml of an app that names no variable", "the line in layer.yaml")
def test_a_wrong_option_has_its_place(app: Path) -> None:
    (app / "layer.yaml").write_text("name: mine\napp:\n  options: [$FOO]\n")
    with pytest.raises(BuildError, match="FOO is no variable of the step") as caught:
        make_plan(load_data(PLAN, app=app), set_name="base", arch_name="x86_64")
    assert caught.value.where == f"{app / 'layer.yaml'}:3"


@fault("an app for an architecture that Crystal cannot compile for", "refused, with the reason")
def test_an_architecture_without_crystal(app: Path) -> None:
    data = load_data(PLAN, app=app)
    with pytest.raises(BuildError, match="my-server does not exist for riscv64: Crystal cannot"):
        make_plan(data, set_name="base", arch_name="riscv64", build_name="x86_64")


def test_it_may_be_a_layer_too(app: Path) -> None:
    (app / "files").mkdir()
    (app / "files" / "motd").touch()
    assert load_data(PLAN, app=app).layers == (), "a directory files/ alone does not make it one"
    (app / "layer.yaml").write_text("name: mine\n")
    data = load_data(PLAN, [app], app)
    assert data.made == ("mine-files", "my-server")
    layer = data.layer_of("my-server")
    assert layer and layer.name == "mine"


def test_the_path_is_in_no_step(app: Path, tmp_path: Path) -> None:
    def digest(data: Data) -> str:
        return make_plan(data, set_name="base", arch_name="x86_64").digest

    before = digest(load_data(PLAN, app=app))
    shutil.copytree(app, tmp_path / "other")
    assert digest(load_data(PLAN, app=tmp_path / "other")) == before


def test_every_library_of_the_table_has_a_recipe() -> None:
    data = load_data(PLAN, app=EXAMPLE)
    assert data.app and data.app.ports == ((8080, 80),)
    libraries = (PLAN / "libraries.yaml").read_text().splitlines()
    named = {line.split(": ")[1] for line in libraries if ": " in line and line[0] != "#"}
    assert named <= {*data.recipes}
