"""sysroot, image, oci: the tasks for the products (tasks/engine/products/products.py)."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from doit.task import clean_targets

from plan.errors import BuildError
from plan.model import Step
from plan.typed import typed
from tasks.actions import DoitTask, speaking, up_to_date
from tasks.console.console import say
from tasks.engine.builder import ensure
from tasks.engine.products import proof
from tasks.engine.products.oci import join, joined, oci, to_join
from tasks.engine.products.products import Product, image, own_hash, sysroot
from tasks.engine.products.proof import ARTIFACTS, ATTESTATION, PROVENANCE, Attestation, beside
from tasks.engine.project import Project
from tasks.engine.stamps import Stamp

# Command → the product that it writes.
PRODUCTS: Mapping[str, Callable[[Project], Product]] = {
    "sysroot": sysroot,
    "image": image,
    "oci": oci,
}


def of_the_set(project: Project) -> Mapping[str, Callable[[Project], Product]]:
    """Those of PRODUCTS that can be made of the set: without a kernel it has no image."""
    plan = project.plan
    has_image = plan.set.kernel in plan.product
    return {name: make for name, make in PRODUCTS.items() if name != "image" or has_image}


def task_sysroot(project: Project) -> DoitTask:
    """write the system as a reproducible tarball, with sources and plan

    sysroot
    sysroot sources=no
    """
    return _task(project, sysroot(project), "tarball", list(project.plan.product))


def task_image(project: Project) -> DoitTask:
    """write the QCOW2 image, which boots as an EFI executable; format=raw, vmdk, vdi, vhd

    image set=base            minutes: musl, busybox and a kernel in one file
    image                     90 minutes on two cores: the system that builds itself
    image loader=crystal      with a program that checks the kernel, and starts it
    image app=DIR             with the program of a Crystal project, as a service
    image format=vdi          for VirtualBox; vmdk: VMware; vhd: Azure; raw: USB
    """
    plan = project.plan
    if plan.set.kernel not in plan.product:
        return {"actions": [(speaking(_no_kernel), [project])]}
    if not plan.set.root:
        boots = [name for name in (plan.set.kernel, plan.set.loader) if name]
        return _task(project, image(project), "image", boots)
    return _task(project, image(project), "image", list(plan.product), plan.image_tools)


def task_oci(project: Project) -> DoitTask:
    """write the system as an OCI image, for containers; archs=a,b joins architectures

    oci sources=no
    oci archs=x86_64,aarch64  one file of the images that oci wrote for each
    """
    if project.settings.archs:
        return _joined(project)
    return _task(project, oci(project), "oci", list(project.plan.product))


def _joined(project: Project) -> DoitTask:
    """The task that joins the OCI images of several architectures; it builds nothing."""
    return {
        "file_dep": [project.shown(file) for file in to_join(project).values() if file.exists()],
        "targets": [project.shown(joined(project))],
        "actions": [(speaking(join), [project])],
        "clean": True,
    }


def _no_kernel(project: Project) -> None:
    raise BuildError(
        f"the set {project.plan.set.name} has no kernel, so it has no image",
        hint=f"{typed('sysroot')} makes its tarball; {typed('image set=base')} makes an image",
    )


def _task(
    project: Project, product: Product, kind: str, packages: list[str], tools: Sequence[Step] = ()
) -> DoitTask:
    def attestation() -> Attestation:
        # An image with only an initramfs does not contain this project.
        inside = kind != "image" or project.plan.set.root
        own = own_hash(project) if inside else None
        return Attestation(project, kind, product.file, packages, product.parts(), own)

    def has_its_product() -> bool:
        return product.is_up_to_date() and bool(product.parts())

    def is_up_to_date() -> bool:
        try:
            return has_its_product() and attestation().is_up_to_date()
        except (OSError, ValueError):
            return False

    def make() -> None:
        ensure(project, [*proof.closure(project, packages), *tools])
        if has_its_product():
            say(f"{product.file}: only its provenance is written again")
        else:
            product.make()
        if signed := attestation().write():
            again = typed("sign key=FILE")
            say(f"{signed}: removed: it signed another provenance; {again} makes another")

    made_of = [*(project.plan.product[name] for name in packages), *tools]
    steps = list(dict.fromkeys(made_of))
    return {
        # doit also derives these from the files, but `doit forget -s` needs them here.
        "task_dep": [step.task for step in steps],
        # Where a product holds this project too, `is_up_to_date` looks at that.
        "file_dep": [project.shown(Stamp(project, step).target) for step in steps],
        # With output= it is the file of the product that is asked for, and no other's.
        "targets": [] if project.settings.values["output"] else [project.shown(product.file)],
        "uptodate": [up_to_date(is_up_to_date)],
        "actions": [(speaking(make),)],
        "clean": [clean_targets, (_clean_beside, [project, product.file])],
    }


def _clean_beside(project: Project, file: Path, dryrun: bool) -> None:
    """Remove what proves the product `file`, as doit removes that. dryrun: only say so."""
    from rootfs.archives.files import remove_tree
    from rootfs.inspection.signature import signature_file

    told = beside(file, PROVENANCE)
    proofs = (told, signature_file(told), beside(file, ARTIFACTS), beside(file, ATTESTATION))
    for path in () if project.settings.values["output"] else filter(os.path.lexists, proofs):
        print(f"removing {project.shown(path)}")
        if not dryrun:
            remove_tree(path)
