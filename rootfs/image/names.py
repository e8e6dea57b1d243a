"""The paths in an image that this project knows; rootfs/image/workspace.py says what is there."""

NAME = "bootstrap-qcow2"
WORKSPACE = "workspace"
ABOUT = "etc/bq2/image.json"
FILES = "etc/bq2/files"
REPLACED = "etc/bq2/replaced"
KERNEL = "boot/kernel.efi"
STARTER = "boot/starter.efi"
LOADER = "boot/loader.efi"
STATE = "boot/state"
BOOT = "EFI/BOOT"  # in the ESP, with what the firmware starts
# With a loader, the ESP has two places, and a sector that says which one is started. The image
# as it is built has the first (plan/recipes/loader/starter.cr).
CHOICE = "BQ2/STATE"
CHECKED_BY = "BQ2/A/LOADER.EFI"
LOADED = "BQ2/A/KERNEL.EFI"
PROVENANCE = "etc/bq2/provenance.json"
BILL = "etc/bq2/sbom.cdx.json"
LICENSES = "etc/bq2/licenses"
PROJECT = f"{WORKSPACE}/{NAME}"
CACHE = f"{WORKSPACE}/cache"
SOURCES = f"{CACHE}/sources"
