"""The system as an OCI image, and the images of several architectures as one.

    artifacts ─▶ the tarball of `sysroot`, as a layer ─▶ output/bootstrap-qcow2-<set>-<arch>.oci.tar
    these files of several architectures ──────────────▶ output/bootstrap-qcow2-<set>.oci.tar

What is joined was written before: nothing is built for it, and each file has its own provenance.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from plan.errors import BuildError
from plan.typed import typed
from plan.version import VERSION
from rootfs.image.names import NAME
from tasks.engine.products.products import Product, system_inputs, write_tarball
from tasks.engine.project import Project

if TYPE_CHECKING:
    from rootfs.archives.pack import Sink


def oci(project: Project) -> Product:
    """The tarball of `sysroot` as an OCI image of one architecture."""
    return Product(project, "oci.tar", _inputs, _write)


def _inputs(project: Project) -> Mapping[str, Any]:
    return {"oci": project.plan.arch.oci, **system_inputs(project)}


def _write(project: Project, out: Path) -> dict[str, str]:
    from rootfs.image.oci import write_oci

    parts = dict[str, str]()

    def layer(sink: Sink) -> None:
        parts.update(write_tarball(project, sink, "oci"))

    title = "org.opencontainers.image.{}"
    made = write_oci(
        out,
        layer,
        architecture=project.plan.arch.oci,
        name=_name(project),
        labels={title.format("title"): NAME, title.format("version"): VERSION},
    )
    return made | parts


def joined(project: Project) -> Path:
    """The file of the joined image."""
    return project.settings.output(f"{_name(project)}.oci.tar")


def join(project: Project) -> None:
    """Write the joined image. Raises BuildError if the image of an architecture is missing."""
    from rootfs.image import oci

    parts = to_join(project)
    for arch, file in parts.items():
        if not file.exists():
            hint = f"{typed(f'oci arch={arch}')} makes it"
            raise BuildError("there is no such OCI image", where=str(file), hint=hint)
    oci.join(joined(project), [*parts.values()], name=_name(project))


def to_join(project: Project) -> dict[str, Path]:
    """The file of each architecture that `archs=` names, at its usual place."""
    output = project.settings.root / "output"
    archs = sorted({*project.settings.archs})
    return {arch: output / f"{_name(project)}-{arch}.oci.tar" for arch in archs}


def _name(project: Project) -> str:
    return project.plan.title
