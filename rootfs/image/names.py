"""The paths in an image that this project knows; rootfs/image/workspace.py says what is there."""

NAME = "bootstrap-qcow2"
WORKSPACE = "workspace"
ABOUT = "etc/bq2/image.json"
FILES = "etc/bq2/files"
REPLACED = "etc/bq2/replaced"
KERNEL = "boot/kernel.efi"
LOADER = "boot/loader.efi"
BOOT = "EFI/BOOT"  # in the ESP, with what the firmware starts
LOADED = f"{BOOT}/KERNEL.EFI"  # the kernel, if a loader starts it
PROVENANCE = "etc/bq2/provenance.json"
BILL = "etc/bq2/sbom.cdx.json"
LICENSES = "etc/bq2/licenses"
PROJECT = f"{WORKSPACE}/{NAME}"
CACHE = f"{WORKSPACE}/cache"
SOURCES = f"{CACHE}/sources"
