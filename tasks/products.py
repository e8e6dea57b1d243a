"""sysroot, image: what the packages are built for.

    artifacts ──┬─▶ sysroot   output/bootstrap-qcow2-<set>-<arch>.tar
                └─▶ image     output/bootstrap-qcow2-<set>-<arch>.qcow2

A product is up to date when the file is the one written last, from the same inputs. What it was
made from is kept in `work/stamps/products/`, and the hashes of its parts in `work/stamps/proofs/`:
what tasks/proof.py writes beside it tells them.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from plan.errors import BuildError
from plan.overrides import load_overrides
from plan.plan import sha256_of
from rootfs.files import file_sha256, remove_tree, remove_unfinished, replacing
from rootfs.gpt import LINUX_FILESYSTEM
from rootfs.workspace import PROVENANCE
from tasks import proof
from tasks.console import speaking, standing
from tasks.describe import describe_image, image_identity, root_uuid
from tasks.project import ROOT, project
from tasks.proof import Attestation
from tasks.stamps import artifacts, product_artifacts
from tasks.trees import tree_of

# Raise it when the same inputs give another file.
FORMAT = 2

# The work directory of the project in a product: the default.
WORK = "work"

# This project, as it stands in a checkout and in the image.
OWN_FILES = (
    *(".ci", ".gitattributes", ".gitignore", "LICENSE", "README.md", "bq2", "cache", "completions"),
    *("docs", "dodo.py", "plan", "pyproject.toml", "requirements.txt", "requirements-dev.txt"),
    *("rootfs", "tasks", "tests"),
)


def task_sysroot() -> dict[str, Any]:
    """the composed tree, with sources, plan and this project, as a reproducible tarball"""
    return _task(sysroot, "tarball", list(project.plan.product))


def task_image() -> dict[str, Any]:
    """the QCOW2 image, which boots by an EFI executable"""
    plan = project.plan
    if "kernel" not in plan.product:
        return {"actions": [(speaking(_no_kernel),)]}
    if not plan.set.root:
        return _task(image, "image", ["kernel"])
    task = _task(image, "image", list(plan.product))
    needed = (*task["task_dep"], *(step.task for step in plan.image_tools))
    return task | {"task_dep": list(dict.fromkeys(needed))}


def _no_kernel() -> None:
    raise BuildError(
        f"the set {project.plan.set.name} holds no kernel, so there is no image of it",
        hint="doit sysroot gives its tarball; doit image set=base an image",
    )


# Writes the file and returns the sha256 of what can be told apart in it, by name.
Write = Callable[[Path], Mapping[str, str]]


class Product:
    """A file made of artifacts, and what it was made of."""

    def __init__(self, suffix: str, inputs: Callable[[], Mapping[str, Any]], write: Write) -> None:
        settings = project.settings
        self.file = settings.output(f"bootstrap-qcow2-{settings.set}-{settings.arch}.{suffix}")
        self.inputs, self.write = inputs, write
        name = f"{sha256_of(str(self.file))}.json"
        self.stamp_file = project.workdir / "stamps" / "products" / name
        self.parts_file = project.workdir / "stamps" / "proofs" / name

    def stands(self) -> bool:
        """Whether the file is there, untouched, and made of what its inputs are now."""
        try:
            return bool(json.loads(self.stamp_file.read_text()) == self._stamp())
        except (OSError, ValueError, KeyError):
            return False

    def make(self) -> None:
        """Write the file. Raises BuildError."""
        start = time.monotonic()
        remove_unfinished(self.file)
        parts = self.write(self.file)
        took = time.monotonic() - start
        whole = file_sha256(self.file)
        with replacing(self.parts_file) as file:
            file.write(json.dumps({self.file.name: whole, **parts}).encode())
        with replacing(self.stamp_file) as file:
            file.write(json.dumps(self._stamp()).encode())
        size = self.file.stat().st_size
        project.events.emit("product", file=str(self.file), size=size, seconds=round(took, 1))

    def parts(self) -> dict[str, str]:
        """The sha256 of the file, first, and of its parts, as `make` left them.

        Raises OSError, ValueError where that is not known.
        """
        return dict(json.loads(self.parts_file.read_text()))

    def forget(self) -> None:
        """Make the next run write the file again."""
        self.stamp_file.unlink(missing_ok=True)

    def made_of(self) -> str:
        """The hash of its inputs as they stand. Raises KeyError while one of them is missing."""
        return sha256_of([FORMAT, self.inputs()])

    def _stamp(self) -> list[Any]:
        status = self.file.stat()
        return [str(self.file), self.made_of(), status.st_size, status.st_mtime_ns]


def _task(product: Product, kind: str, packages: list[str]) -> dict[str, Any]:
    def attestation() -> Attestation:
        # An image that is all initramfs holds nothing of this project.
        inside = kind == "tarball" or project.plan.set.root
        own = sha256_of(_hashed([*own_files(), *override_files()])) if inside else None
        return Attestation(project, kind, product.file, packages, product.parts(), own)

    def stands() -> bool:
        try:
            return product.stands() and attestation().stands()
        except (OSError, ValueError):
            return False

    def make() -> None:
        if not product.stands() or not product.parts_file.exists():
            product.make()
        attestation().write()

    return {
        "task_dep": [project.plan.product[name].task for name in packages],
        "uptodate": [standing(stands)],
        "actions": [(speaking(make),)],
    }


def _image_inputs() -> Mapping[str, Any]:
    kernel = {"kernel": product_artifacts(project)["kernel"], "arch": project.settings.arch}
    if not project.plan.set.root:
        return kernel
    tools = artifacts(project, project.plan.image_tools)
    return kernel | {"root": _system_inputs(), "tools": tools}


def _write_image(out: Path) -> dict[str, str]:
    from rootfs.image import RawPartition, write_image

    root = [RawPartition(_root(), LINUX_FILESYSTEM, "root")] if project.plan.set.root else []
    kernel = tree_of(project, project.plan.product["kernel"]) / "boot" / "kernel.efi"
    parts = {f"EFI/BOOT/{project.plan.arch.efi}": _sha256(kernel.read_bytes())}
    if root:
        parts |= _provenance(project.workdir / "root" / "workspace")
    write_image(
        out,
        efi_executable=kernel,
        efi_name=project.plan.arch.efi,
        identity=image_identity(project),
        partitions=root,
    )
    remove_tree(project.workdir / "root")
    return parts


def _provenance(layer: Path) -> dict[str, str]:
    """The part of a product that tells of all others."""
    return {f"/{PROVENANCE}": _sha256((layer / PROVENANCE).read_bytes())}


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _hashed(files: Sequence[tuple[str, bytes, bool]]) -> list[list[Any]]:
    return [[name, _sha256(content), executable] for name, content, executable in files]


def _root() -> Path:
    """The root file system of the image, made anew."""
    from rootfs.ext4 import write_ext4

    return write_ext4(
        project.workdir / "root",
        layers=list(trees().values()),
        tools=[tree_of(project, step) for step in project.plan.image_tools] or [project.seed.tree],
        leave=project.plan.set.leave,
        workspace=workspace(),
        uuid=root_uuid(project),
        overlay=project.overlay,
    )


def _system_inputs() -> Mapping[str, Any]:
    """All that the tree of packages and workspace is made of."""
    return {
        "artifacts": product_artifacts(project),
        "leave": project.plan.set.leave,
        "plan": project.plan.product_digest,
        "sources": project.settings.sources,
        "project": _hashed([*own_files(), *override_files()]),
        # The seed too, where the product names it: another may give the same artifacts.
        "provenance": proof.statement(project),
    }


def _write_sysroot(out: Path) -> dict[str, str]:
    from rootfs.sysroot import write_sysroot

    scratch = project.workdir / "workspace"

    write_sysroot(
        out,
        layers=list(trees().values()),
        leave=project.plan.set.leave,
        workspace=workspace(),
        scratch=scratch,
    )
    return _provenance(scratch)


def trees() -> dict[str, Path]:
    """The tree of each package of the product, in build order."""
    return {name: tree_of(project, step) for name, step in project.plan.product.items()}


def workspace() -> Any:
    """What the system gets besides its packages (rootfs.workspace.Workspace)."""
    from rootfs.workspace import Workspace

    sources = project.plan.product_sources if project.settings.sources else []
    return Workspace(
        own=[*own_files(), *override_files(), ("local.yaml", _local(), False)],
        plan=project.plan.product_json(),
        image=describe_image(project, list(project.plan.product), product_artifacts(project)),
        packages=trees(),
        sources=[project.fetched(source) for source in sources],
        proof=proof.texts(project),
        provenance=proof.statement(project),
    )


def _local() -> bytes:
    """The settings of this project inside the product: it is about the product itself."""
    lines = ["# This system, as it was built.", f"set: {project.settings.set}"]
    if project.settings.added:
        lines.append(f"with: {','.join(project.settings.added)}")
    return "\n".join([*lines, ""]).encode()


def own_files() -> list[tuple[str, bytes, bool]]:
    """Path, content and whether it is executable of each file of this project, sorted.

    What a bundle adds to them (`tasks.bundle`) is not the project's.
    """
    found = []
    for name in OWN_FILES:
        top = ROOT / name
        for path in [top] if top.is_file() else sorted(top.rglob("*")):
            if path.is_file() and not _is_made(path):
                executable = bool(path.stat().st_mode & 0o100)
                found.append((path.relative_to(ROOT).as_posix(), path.read_bytes(), executable))
    return sorted(found)


def _is_made(path: Path) -> bool:
    return "__pycache__" in path.parts or path.name.endswith(".drift.json")


def override_files() -> list[tuple[str, bytes, bool]]:
    """The same of the overrides: in the product they are those of its own work directory."""
    top = project.workdir
    files = load_overrides(project.data / "recipes", project.overrides).files
    return [(f"{WORK}/{file.relative_to(top)}", file.read_bytes(), False) for file in files]


sysroot = Product("tar", _system_inputs, _write_sysroot)
image = Product("qcow2", _image_inputs, _write_image)
