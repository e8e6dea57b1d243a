"""The products: sysroot and image; `tasks.engine.products.oci` has a third.

    artifacts ──┬─▶ sysroot   output/bootstrap-qcow2-<set>-<arch>.tar
                └─▶ image     output/bootstrap-qcow2-<set>-<arch>.<format>

A product is up to date if its file is the one written last, from the same inputs. Its inputs are in
`work/stamps/products/`. The hashes of its parts are in `work/stamps/proofs/`;
tasks/engine/products/proof.py writes them beside the product.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from plan.outputs import replacing, target, write_file
from plan.own_files import OWN_FILES
from plan.reading.app_section import DIRECTORY
from plan.reading.data import FOLDERS
from plan.reading.folder import listed
from plan.reading.layer import Layer
from plan.settings.parameters import FORMATS
from plan.steps.plan import sha256_of
from plan.typed import typed
from plan.writing.yamltext import key_lines
from rootfs.archives.files import file_sha256, remove_tree, remove_unfinished
from rootfs.image.names import KERNEL, PROVENANCE
from tasks.engine.builder import tree_of
from tasks.engine.image_facts import describe_image, image_identity, root_uuid
from tasks.engine.products import proof
from tasks.engine.project import Project
from tasks.engine.stamps import artifacts, product_artifacts

if TYPE_CHECKING:
    from rootfs.archives.pack import Sink
    from rootfs.image.workspace import Workspace

# Raise it when the same inputs give a different file.
FORMAT = 2

# The project's work directory in a product: the default.
WORK = "work"
# The layers' directories in a product, below this project's.
LAYERS = "layers"

# Writes the file and returns the sha256 of its parts, by name.
Write = Callable[[Project, Path], Mapping[str, str]]
# The inputs of the file.
Inputs = Callable[[Project], Mapping[str, Any]]


class Product:
    """A file made of artifacts, and its inputs."""

    def __init__(self, project: Project, suffix: str, inputs: Inputs, write: Write) -> None:
        settings = project.settings
        self.project = project
        self.file = settings.output(f"{project.plan.title}-{settings.arch}.{suffix}")
        self.inputs, self.write = inputs, write
        name = f"{sha256_of(str(self.file))}.json"
        self.stamp_file = project.workdir / "stamps" / "products" / name
        self.parts_file = project.workdir / "stamps" / "proofs" / name

    def is_up_to_date(self) -> bool:
        """Whether the file exists, is unchanged, and was made from the current inputs."""
        try:
            return bool(json.loads(self.stamp_file.read_text()) == self._stamp(self.made_of()))
        except (OSError, ValueError, KeyError):
            return False

    def make(self) -> None:
        """Write the file. Raises BuildError."""
        start, made_of = time.monotonic(), self.made_of()  # a file may be edited meanwhile
        remove_unfinished(target(self.file))
        parts = self.write(self.project, self.file)
        took = time.monotonic() - start
        whole = file_sha256(self.file)
        write_file(self.parts_file, json.dumps({self.file.name: whole, **parts}))
        write_file(self.stamp_file, json.dumps(self._stamp(made_of)))
        size = self.file.stat().st_size
        self.project.events.emit("product", file=str(self.file), size=size, seconds=round(took, 1))

    def parts(self) -> dict[str, str]:
        """The sha256 of the file, first, and of its parts, as `make` stored them.

        Empty if they are not known.
        """
        try:
            return dict(json.loads(self.parts_file.read_text()))
        except (OSError, ValueError, TypeError):
            return {}

    def forget(self) -> None:
        """Make the next run write the file again."""
        self.stamp_file.unlink(missing_ok=True)

    def made_of(self) -> str:
        """The hash of its current inputs. Raises KeyError if one of them is missing."""
        return sha256_of([FORMAT, self.inputs(self.project)])

    def _stamp(self, made_of: str) -> list[Any]:
        status = self.file.stat()
        return [str(self.file), made_of, status.st_size, status.st_mtime_ns]


def sysroot(project: Project) -> Product:
    """The composed tree, with sources, plan and this project, as a tarball."""
    return Product(project, "tar", system_inputs, _write_sysroot)


def image(project: Project) -> Product:
    """The image of a disk, in the format of the settings."""
    return Product(project, project.settings.format, _image_inputs, _write_image)


def own_hash(project: Project) -> str:
    """The hash of all files of this project in a product."""
    return sha256_of(hashed(all_own_files(project)))


def _image_inputs(project: Project) -> Mapping[str, Any]:
    plan = project.plan
    made = product_artifacts(project)
    kernel = {"kernel": made[plan.set.kernel], "arch": plan.arch.name}
    if plan.set.loader:
        kernel |= {"loader": made[plan.set.loader]}
    if project.settings.format != "qcow2":
        kernel |= {"format": project.settings.format}
    if not plan.set.root:
        return kernel
    tools = artifacts(project, plan.image_tools)
    return kernel | {"root": system_inputs(project), "tools": tools}


def _write_image(project: Project, out: Path) -> dict[str, str]:
    from rootfs.image.assemble import RawPartition, esp_files, write_image
    from rootfs.image.gpt import LINUX_FILESYSTEM

    plan = project.plan
    root = [RawPartition(_root(project), LINUX_FILESYSTEM, "root")] if plan.set.root else []
    kernel = tree_of(project, plan.product[plan.set.kernel]) / KERNEL
    name = plan.set.loader
    loader = tree_of(project, plan.product[name]) if name else None
    files = esp_files(kernel, plan.arch.efi, loader)
    parts = {path: file_sha256(file) for path, file in files.items()}
    if root:
        parts |= _provenance(project.workdir / "root" / "workspace")
    write_image(
        out,
        efi_executable=kernel,
        efi_name=plan.arch.efi,
        identity=image_identity(project),
        partitions=root,
        loader=loader,
        form=project.settings.format,
    )
    remove_tree(project.workdir / "root")
    return parts


def _provenance(layer: Path) -> dict[str, str]:
    """provenance.json: the hashes of all other parts."""
    return {f"/{PROVENANCE}": _sha256((layer / PROVENANCE).read_bytes())}


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def hashed(files: Iterable[tuple[str, bytes, bool]]) -> list[list[str | bool]]:
    """Path, sha256 of the content, and executability of each of `files`."""
    return [[name, _sha256(content), executable] for name, content, executable in files]


def _root(project: Project) -> Path:
    """The root file system of the image, newly composed."""
    from rootfs.image.ext4 import write_ext4

    return write_ext4(
        project.workdir / "root",
        layers=list(trees(project).values()),
        tools=[tree_of(project, step) for step in project.plan.image_tools] or [project.seed.tree],
        exclude=project.plan.set.exclude,
        workspace=workspace(project),
        uuid=root_uuid(project),
        overlay=project.overlay,
    )


def system_inputs(project: Project) -> Mapping[str, Any]:
    """The inputs of the tree with packages and workspace."""
    return {
        "artifacts": product_artifacts(project),
        "exclude": project.plan.set.exclude,
        "plan": project.plan.product_digest,
        "sources": project.settings.sources,
        "project": hashed(all_own_files(project)),
        "local": _local(project).decode(),
        # Include the seed if the product names it: another seed may give the same artifacts.
        "provenance": proof.statement(project),
    }


def _write_sysroot(project: Project, out: Path) -> dict[str, str]:
    with replacing(out) as file:
        return write_tarball(project, file, "workspace")


def write_tarball(project: Project, out: Sink, scratch_name: str) -> dict[str, str]:
    """Write the composed tree to `out`; return the sha256 of its parts.

    scratch_name: a directory of the work directory that no other product uses.
    """
    from rootfs.image.sysroot import write_sysroot

    scratch = project.workdir / scratch_name
    write_sysroot(
        out,
        layers=list(trees(project).values()),
        exclude=project.plan.set.exclude,
        workspace=workspace(project),
        scratch=scratch,
    )
    return _provenance(scratch)


def image_command(project: Project) -> str:
    """The command that makes the image of this run, as the person would type it."""
    form = project.settings.format
    return typed("image" if form == FORMATS[0] else f"image format={form}")


def trees(project: Project) -> dict[str, Path]:
    """The tree of each package of the product, in build order."""
    return {name: tree_of(project, step) for name, step in project.plan.product.items()}


def workspace(project: Project) -> Workspace:
    """The system's files outside of packages."""
    from rootfs.image.workspace import Workspace

    sources = project.plan.product_sources if project.settings.sources else []
    return Workspace(
        own=[*all_own_files(project), ("local.yaml", _local(project), False)],
        plan=project.plan.product_json(),
        image=describe_image(project, list(project.plan.product), product_artifacts(project)),
        packages=trees(project),
        sources=[project.fetched(source) for source in sources],
        proof=proof.texts(project),
        provenance=proof.statement(project),
    )


def _local(project: Project) -> bytes:
    """The local.yaml of the project in the product: it selects the product's own set."""
    lines = ["# This system, as it was built.", f"set: {project.settings.set}"]
    if project.settings.added:
        lines.append(f"with: {','.join(project.settings.added)}")
    lines += lines_outside(project)
    return "\n".join([*lines, ""]).encode()


def all_own_files(project: Project) -> list[tuple[str, bytes, bool]]:
    """`own_files`, `outside_files` and those of the overrides, at their paths in the product."""
    return [*own_files(project.root), *outside_files(project), *override_files(project)]


def outside_files(project: Project) -> list[tuple[str, bytes, bool]]:
    """The same for what is outside of the checkout: the layers, and folders that are sources."""
    return [*layer_files(project), *_folder_files(project)]


def own_files(root: Path) -> list[tuple[str, bytes, bool]]:
    """Path, content and whether it is executable of each file of the project at `root`, sorted.

    The files that a bundle adds (`tasks.bundle`) are not included.
    """
    found = []
    for name in OWN_FILES:
        top = root / name
        for path in [top] if top.is_file() else sorted(top.rglob("*")):
            if path.is_file() and not _is_made(path):
                executable = bool(path.stat().st_mode & 0o100)
                found.append((path.relative_to(root).as_posix(), path.read_bytes(), executable))
    return sorted(found)


def _is_made(path: Path) -> bool:
    return "__pycache__" in path.parts or path.name.endswith(".drift.json")


def layer_files(project: Project) -> list[tuple[str, bytes, bool]]:
    """The same for the layers: each is in `layers/NAME` of the project in a product."""
    return [
        (f"{LAYERS}/{layer.name}/{name}", (layer.path / name).read_bytes(), executable)
        for layer in _layers(project)
        for name, executable in layer.content
    ]


def _folder_files(project: Project) -> list[tuple[str, bytes, bool]]:
    """The same for the folders that are sources: each is in `folders/NAME-OF-THE-RECIPE`."""
    found = list[tuple[str, bytes, bool]]()
    for recipe in project.plan.recipes.values():
        for name in listed(Path(recipe.folder)) if recipe.folder else ():
            path = Path(recipe.folder, name)
            runs = bool(path.stat().st_mode & 0o100)
            found.append((f"{FOLDERS}/{recipe.name}/{name}", path.read_bytes(), runs))
    return found


def lines_outside(project: Project) -> list[str]:
    """The lines of local.yaml that name `outside_files` for the project in a product."""
    layers = ",".join(f"{LAYERS}/{layer.name}" for layer in _layers(project))
    lines = [f"layer: {layers}"] if layers else []
    if project.settings.loader or project.data.app:  # an app brings the loader, unless told
        lines.append(f"loader: {project.settings.values['loader']}")
    if app := project.data.app:
        directory = f"{FOLDERS}/{app.name}"
        section = {DIRECTORY: directory, **app.checkout} if app.checkout else directory
        lines += "".join(key_lines("app", section, 0)).rstrip("\n").split("\n")
    return lines


def _layers(project: Project) -> list[Layer]:
    """The layers. That of an app travels with its folder."""
    return [layer for layer in project.data.layers if layer.path != project.settings.app]


def override_files(project: Project) -> list[tuple[str, bytes, bool]]:
    """The same for the overrides: in the product they are in its own work directory."""
    top = project.workdir
    files = project.plan.override_files
    return [(f"{WORK}/{file.relative_to(top)}", file.read_bytes(), False) for file in files]
