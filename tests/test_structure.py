"""The rules for imports between packages, and for the length of modules."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
# Each directory, and what it may import besides itself; docs/architecture.md draws it. "plan" is
# the modules that lie in plan/ itself; "plan.*" is these and all directories of plan/.
DIRECTORIES = {
    "plan": set[str](),
    "plan.compiling": {"plan"},
    "plan.reading": {"plan.compiling", "plan"},
    "plan.seeding": {"plan.reading", "plan.compiling", "plan"},
    "plan.settings": {"plan.reading", "plan.compiling", "plan"},
    "plan.steps": {"plan.seeding", "plan.reading", "plan.compiling", "plan"},
    "plan.writing": {"plan.reading", "plan"},
    "plan.documents": {"plan.steps", "plan.settings", "plan.reading", "plan.compiling", "plan"},
    "cache": {"plan.writing", "plan.seeding", "plan.reading", "plan.compiling", "plan"},
    "rootfs.archives": {"plan.seeding", "plan.compiling", "plan"},
    "rootfs.compare": {"rootfs.archives", "plan"},
    "rootfs.sandbox": {"rootfs.archives", "plan.compiling", "plan"},
    "rootfs.image": {
        *("rootfs.sandbox", "rootfs.archives"),
        *("plan.documents", "plan.steps", "plan.compiling", "plan"),
    },
    "rootfs.inspection": {
        *("rootfs.image", "rootfs.archives"),
        *("plan.documents", "plan.steps", "plan"),
    },
    "rootfs.push": {"plan"},
    "rootfs.vm": {"rootfs.archives", "plan.compiling", "plan"},
    "tasks.engine.records": {"rootfs.*", "cache", "plan.*"},
    "tasks.engine.seeds": {"rootfs.*", "cache", "plan.*"},
    "tasks.engine": {
        *("tasks.engine.records", "tasks.engine.seeds"),
        *("rootfs.*", "cache", "plan.*"),
    },
    "tasks.engine.products": {"tasks.engine", "tasks.engine.records", "rootfs.*", "plan.*"},
    "tasks.engine.doctor": {
        *("tasks.engine", "tasks.engine.seeds"),
        *("rootfs.*", "cache", "plan.*"),
    },
    "tasks.console": {"tasks.engine", "tasks.engine.records", "rootfs.*", "plan"},
    "tasks": {"tasks.console", "tasks.engine.*", "rootfs.*", "cache", "plan.*"},
    "tasks.report": {"tasks.*", "rootfs.*", "cache", "plan.*"},
    "tasks.reproduce": {"tasks.*", "rootfs.*", "cache", "plan.*"},
}
# The run-time dependencies, and who may use them.
LIBRARIES = {
    "plan": {"yaml"},
    "plan.writing": {"yaml"},
    "cache": {"requests", "urllib3", "tqdm", "grpc", "buildgrid"},
    "tasks": {"doit"},
}
TOP = ("plan", "cache", "rootfs", "tasks")
MODULES = [path for package in TOP for path in sorted((ROOT / package).rglob("*.py"))]
# The sandbox is one file because it runs alone; all others stay well below.
# `compression` is there from Python 3.14 on; who imports it says what happens before.
STANDARD = set(sys.stdlib_module_names) | {"compression"}
LINES = 360

# A test mirrors each module: tests/<its path>/test_<its name>.py. Of a module without one, this is
# the file below tests/ that tries it.
TRIED_IN = {
    "cache/program.py": "cache/test_git.py",
    "cache/dav.py": "tasks/test_shared_cache.py",
    "cache/merkle.py": "tasks/engine/test_workers.py",
    "cache/packed.py": "tasks/test_publish.py",
    "cache/remote.py": "tasks/test_publish.py",
    "cache/source_index.py": "tasks/test_pins.py",
    "cache/watchdog.py": "cache/test_download.py",
    "cache/unknown.py": "tasks/test_recipe.py",
    "plan/checks.py": "plan/settings/test_settings.py",
    "plan/compiling/objects.py": "tasks/engine/test_objects.py",
    "plan/compiling/styles.py": "plan/reading/test_recipes.py",
    "plan/compiling/toolchain.py": "plan/steps/test_crossing.py",
    "plan/documents/provenance.py": "tasks/engine/products/test_products.py",
    "plan/documents/reference.py": "tasks/test_reference.py",
    "plan/documents/sbom.py": "tasks/test_sbom.py",
    "plan/errors.py": "plan/settings/test_settings.py",
    "plan/model.py": "plan/steps/test_plan.py",
    "plan/reading/changes.py": "tasks/test_overrides.py",
    "plan/reading/keys.py": "plan/reading/test_recipes.py",
    "plan/reading/overrides.py": "tasks/test_overrides.py",
    "plan/seeding/look_at.py": "plan/seeding/test_path.py",
    "plan/seeding/tables.py": "plan/seeding/test_alpine.py",
    "plan/settings/addresses.py": "plan/settings/test_settings.py",
    "plan/settings/origins.py": "plan/settings/test_settings.py",
    "plan/settings/other_machines.py": "tasks/test_publish.py",
    "plan/settings/parameter.py": "plan/settings/test_settings.py",
    "plan/settings/parameters.py": "plan/settings/test_settings.py",
    "plan/settings/resolve.py": "plan/settings/test_settings.py",
    "plan/steps/identity.py": "plan/steps/test_plan.py",
    "plan/steps/maker.py": "plan/steps/test_plan.py",
    "plan/steps/planner.py": "plan/steps/test_plan.py",
    "plan/steps/sets.py": "plan/steps/test_plan.py",
    "plan/urls.py": "cache/test_git.py",
    "plan/version.py": "tasks/test_commands.py",
    "plan/writing/build_files.py": "plan/writing/test_guess.py",
    "plan/writing/writeback.py": "tasks/test_overrides.py",
    "plan/writing/yamltext.py": "plan/writing/test_rewrite.py",
    "rootfs/archives/decompress.py": "rootfs/archives/test_unpack.py",
    "rootfs/archives/intact.py": "tasks/engine/test_trees.py",
    "rootfs/archives/licenses.py": "rootfs/inspection/test_readers.py",
    "rootfs/archives/look_inside.py": "tasks/test_recipe.py",
    "rootfs/archives/tar_stream.py": "rootfs/archives/test_unpack.py",
    "rootfs/compare/ar.py": "rootfs/compare/test_compare.py",
    "rootfs/compare/bytes.py": "rootfs/compare/test_compare.py",
    "rootfs/compare/cause.py": "rootfs/compare/test_compare.py",
    "rootfs/compare/contents.py": "rootfs/compare/test_compare.py",
    "rootfs/compare/elf.py": "rootfs/compare/test_compare.py",
    "rootfs/image/fat_names.py": "rootfs/image/test_fat.py",
    "rootfs/image/vdi.py": "rootfs/image/test_blocks.py",
    "rootfs/image/vhd.py": "rootfs/image/test_blocks.py",
    "rootfs/image/vmdk.py": "rootfs/image/test_blocks.py",
    "rootfs/image/names.py": "rootfs/image/test_sysroot.py",
    "rootfs/image/workspace.py": "rootfs/image/test_sysroot.py",
    "rootfs/inspection/attestation.py": "tasks/test_attest.py",
    "rootfs/inspection/block_readers.py": "rootfs/image/test_blocks.py",
    "rootfs/inspection/crc32c.py": "rootfs/inspection/test_readers.py",
    "rootfs/inspection/disk_file.py": "rootfs/image/test_blocks.py",
    "rootfs/inspection/ext4_format.py": "rootfs/inspection/test_readers.py",
    "rootfs/inspection/ext4_reader.py": "rootfs/inspection/test_readers.py",
    "rootfs/inspection/fat_reader.py": "rootfs/inspection/test_readers.py",
    "rootfs/inspection/gpt_reader.py": "rootfs/inspection/test_readers.py",
    "rootfs/inspection/inspection.py": "tasks/test_inspect.py",
    "rootfs/inspection/kernel_reader.py": "rootfs/inspection/test_readers.py",
    "rootfs/inspection/qcow2_reader.py": "rootfs/inspection/test_readers.py",
    "rootfs/inspection/repack.py": "tasks/test_inspect.py",
    "rootfs/inspection/root_proof.py": "tasks/test_inspect.py",
    "rootfs/inspection/window.py": "rootfs/inspection/test_readers.py",
    "rootfs/sandbox/apply_conditions.py": "rootfs/sandbox/test_conditions.py",
    "rootfs/sandbox/enter.py": "rootfs/sandbox/test_namespaces.py",
    "rootfs/sandbox/launcher.py": "tasks/engine/test_objects.py",
    "rootfs/sandbox/worker.py": "tasks/engine/test_workers.py",
    "tasks/__main__.py": "tasks/test_lost_output.py",
    "tasks/boot.py": "test_end_to_end.py",
    "tasks/check.py": "tasks/test_commands.py",
    "tasks/choose.py": "tasks/engine/records/test_contradiction.py",
    "tasks/console/console.py": "tasks/test_output.py",
    "tasks/console/echo.py": "tasks/console/test_panel.py",
    "tasks/doit_extensions.py": "tasks/test_commands.py",
    "tasks/engine/casd.py": "tasks/engine/test_objects.py",
    "tasks/engine/chosen_seed.py": "tasks/engine/seeds/test_given.py",
    "tasks/engine/doctor/health.py": "tasks/test_doctor.py",
    "tasks/engine/doctor/root_report.py": "tasks/engine/seeds/test_given.py",
    "tasks/engine/doctor/try_root.py": "tasks/engine/seeds/test_given.py",
    "tasks/engine/doctor/workers_check.py": "tasks/engine/test_workers.py",
    "tasks/engine/failures.py": "tasks/console/test_views.py",
    "tasks/engine/here.py": "tasks/engine/test_builder.py",
    "tasks/engine/image_facts.py": "tasks/test_products.py",
    "tasks/engine/no_such.py": "tasks/test_status.py",
    "tasks/engine/products/oci.py": "tasks/engine/products/test_products.py",
    "tasks/engine/products/proof.py": "tasks/engine/products/test_products.py",
    "tasks/engine/records/duration.py": "tasks/console/test_views.py",
    "tasks/engine/records/verdicts.py": "tasks/reproduce/test_verify.py",
    "tasks/engine/seeds/debian_packages.py": "tasks/engine/seeds/test_roots.py",
    "tasks/engine/shared_records.py": "tasks/test_shared_cache.py",
    "tasks/engine/somewhere.py": "tasks/engine/test_workers.py",
    "tasks/engine/taking.py": "tasks/test_publish.py",
    "tasks/engine/trust.py": "tasks/test_publish.py",
    "tasks/engine/worker_code.py": "tasks/engine/test_workers.py",
    "tasks/fsck.py": "tasks/test_damage.py",
    "tasks/listing.py": "tasks/test_commands.py",
    "tasks/log.py": "tasks/test_status.py",
    "tasks/report/facts.py": "tasks/report/test_page.py",
    "tasks/report/figures.py": "tasks/report/test_page.py",
    "tasks/report/gather.py": "tasks/report/test_report.py",
    "tasks/report/graph.py": "tasks/report/test_page.py",
    "tasks/report/head.py": "tasks/report/test_page.py",
    "tasks/report/html.py": "tasks/report/test_page.py",
    "tasks/report/sizes.py": "tasks/report/test_page.py",
    "tasks/report/tables.py": "tasks/report/test_page.py",
    "tasks/report/timeline.py": "tasks/report/test_page.py",
    "tasks/release.py": "test_end_to_end.py",
    "tasks/reporter.py": "tasks/console/test_views.py",
    "tasks/reproduce/again.py": "tasks/reproduce/test_verify.py",
    "tasks/reproduce/agreements.py": "tasks/reproduce/test_challenge.py",
    "tasks/reproduce/elsewhere.py": "tasks/reproduce/test_challenge.py",
    "tasks/reproduce/variations.py": "tasks/reproduce/test_verify.py",
    "tasks/seed.py": "tasks/engine/seeds/test_roots.py",
    "tasks/shared_check.py": "tasks/test_shared_cache.py",
    "tasks/shared_gc.py": "tasks/test_shared_cache.py",
    "tasks/show.py": "tasks/test_commands.py",
    "tasks/why.py": "tasks/test_status.py",
}


def imported(path: Path) -> Iterator[str]:
    """The modules that the file imports, by their whole names."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative imports hide where things are"
            names = [f"{node.module}.{name.name}" for name in node.names]
            yield from (name if _file(name).exists() else str(node.module) for name in names)


def _file(module: str) -> Path:
    return ROOT / f"{module.replace('.', '/')}.py"


def directory(module: str) -> str:
    """The directory of `module`: "rootfs.sandbox", or "tasks" if it lies in tasks/ itself."""
    parts = module.split(".")
    above = (".".join(parts[:count]) for count in range(len(parts), 0, -1))
    return next(name for name in above if name in DIRECTORIES)


def directories(rule: str) -> set[str]:
    """The directories that a rule names: "plan" is one, "plan.*" are all that are in plan/."""
    top = rule.removesuffix(".*")
    inside = {name for name in DIRECTORIES if f"{name}.".startswith(f"{top}.")}
    return inside if rule.endswith(".*") else {rule}


def may_import(module: str, name: str) -> bool:
    """Whether `module` may import `name`: a library, or a module of ours."""
    own, top = directory(module), name.split(".")[0]
    if top not in TOP:
        return top in STANDARD | LIBRARIES.get(own, set())
    there = directory(name)
    return there == own or any(there in directories(rule) for rule in DIRECTORIES[own])


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_run_one_way(path: Path) -> None:
    if path.name == "__init__.py":
        assert not path.read_text(), f"{path}: no code belongs here"
        return
    module = path.relative_to(ROOT).with_suffix("").as_posix().replace("/", ".")
    assert [name for name in imported(path) if not may_import(module, name)] == []


def test_the_table_of_the_directories_is_true() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text()
    rows = re.findall(r"^\| `([a-z/]+)/` \| .+ \| (.+) \|$", text, re.MULTILINE)
    assert {
        name.replace("/", "."): {*re.findall(r"[a-z.*]+", rules)} for name, rules in rows
    } == DIRECTORIES


def test_the_sandbox_needs_the_standard_library_only() -> None:
    path = ROOT / "rootfs" / "sandbox" / "namespaces.py"
    assert {name.split(".")[0] for name in imported(path)} <= set(sys.stdlib_module_names)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_modules_say_what_they_guarantee_and_stay_small(path: Path) -> None:
    text = path.read_text()
    assert len(text.splitlines()) <= LINES
    assert path.name == "__init__.py" or ast.get_docstring(ast.parse(text))


def test_a_test_mirrors_each_module_or_is_in_the_table() -> None:
    modules = {str(path.relative_to(ROOT)): path for path in MODULES if path.name != "__init__.py"}
    mirrored = {
        name
        for name, path in modules.items()
        if (ROOT / "tests" / name).with_name(f"test_{path.name}").exists()
    }
    assert modules.keys() - mirrored - TRIED_IN.keys() == set(), "nothing tries these"
    assert TRIED_IN.keys() - (modules.keys() - mirrored) == set(), "these have a test, or are gone"
    assert [test for test in TRIED_IN.values() if not (ROOT / "tests" / test).exists()] == []


@pytest.mark.parametrize(
    "command",
    [["ruff", "check", "."], ["ruff", "format", "--check", "."], ["mypy"]],
    ids=" ".join,
)
def test_the_tools_find_nothing(command: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", *command], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
