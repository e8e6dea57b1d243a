"""The description that an image contains, and the names that derive from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from plan.model import SYSROOT_FROM_SEED
from plan.version import VERSION
from rootfs.image.names import NAME
from tasks.engine.project import Project

if TYPE_CHECKING:
    from uuid import UUID


def image_identity(project: Project) -> str:
    """The text from which all GUIDs of the image derive."""
    return f"{project.settings.set} {project.settings.arch}"


def root_uuid(project: Project) -> UUID:
    """The UUID of the image's root file system; the initramfs finds it by this UUID."""
    from rootfs.image.gpt import guid

    return guid(image_identity(project), "root file system")


def describe_image(
    project: Project, packages: Sequence[str], made: Mapping[str, str]
) -> dict[str, Any]:
    """The image's description for /etc/bq2/image.json: only facts, no time and no path.

    `packages`: the packages in it, or in the initramfs if that is packed. `made`: their artifacts.
    """
    told = [
        {
            "name": name,
            "version": project.plan.recipes[name].version,
            "license": project.plan.recipes[name].license,
            "artifact": made[name],
            **({"layer": layer.name} if (layer := project.plan.layered.get(name)) else {}),
        }
        for name in packages
    ]
    plan, more = project.plan, dict[str, Any]()
    if plan.set.root:
        more["root"] = str(root_uuid(project))
    if plan.set.phase == SYSROOT_FROM_SEED:
        # The second phase does not depend on the seed, so its image must not name the seed.
        more["seed"] = f"{project.seed.name} {project.seed.identity}"
    if overridden := [name for name in packages if name in plan.overridden]:
        more["overridden"] = overridden
    return more | {
        "name": NAME,
        "version": VERSION,
        "arch": project.settings.arch,
        "set": project.settings.set,
        "plan": plan.product_digest,
        "packages": told,
    }
