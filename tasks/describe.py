"""What an image says of itself, and the names that derive from what it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from plan.model import SYSROOT_FROM_SEED
from rootfs.gpt import guid
from rootfs.workspace import NAME
from tasks.project import Project


def image_identity(project: Project) -> str:
    """What all GUIDs of the image derive from."""
    return f"{project.settings.set} {project.settings.arch}"


def root_uuid(project: Project) -> UUID:
    """The UUID of the image's root file system, by which its initramfs finds it."""
    return guid(image_identity(project), "root file system")


def describe_image(
    project: Project, packages: Sequence[str], made: Mapping[str, str]
) -> dict[str, Any]:
    """What an image says about itself in /etc/bq2/image.json: facts only, no time and no place.

    `packages`: those that are in it, or in the initramfs for what is packed there. `made`: the
    artifact of each.
    """
    told = [
        {
            "name": name,
            "version": project.plan.recipes[name].version,
            "licence": project.plan.recipes[name].licence,
            "artifact": made[name],
        }
        for name in packages
    ]
    plan, more = project.plan, dict[str, Any]()
    if plan.set.root:
        more["root"] = str(root_uuid(project))
    if plan.set.phase == SYSROOT_FROM_SEED:
        # What comes of the second phase does not depend on the seed, and shall not name it.
        more["seed"] = f"{project.seed.name} {project.seed.identity}"
    if overridden := [name for name in packages if name in plan.overridden]:
        more["overridden"] = overridden
    return more | {
        "name": NAME,
        "arch": project.settings.arch,
        "set": project.settings.set,
        "plan": plan.product_digest,
        "packages": told,
    }
