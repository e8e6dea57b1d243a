"""The version of this project, for image.json, the provenance and `--version`."""

VERSION = "0.2"
