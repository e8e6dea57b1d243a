"""The bill of materials of a product, as CycloneDX 1.6 (https://cyclonedx.org/docs/1.6/json/).

    plan ──▶ components: name, version, license, purl, sources with their hashes ─┐
             dependencies: what each links to or reads                        ├─▶ one JSON
    known artifacts ──▶ the hash of each package's artifact ─────────────────────┘

The same plan and artifacts give the same text: its time is SOURCE_DATE_EPOCH, its serial number
derives from the digest of the product's steps, and all lists are sorted.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any
from urllib.parse import quote

from plan.compiling.toolchain import SOURCE_DATE
from plan.model import Source, Step
from plan.steps.plan import Plan
from plan.urls import GIT

PROJECT = "bootstrap-qcow2"
_WHEEL = "wheel:"


def sbom(
    plan: Plan, artifacts: Mapping[str, str], sizes: Mapping[str, int] = MappingProxyType({})
) -> str:
    """The text of the bill of materials of the product of `plan`.

    `artifacts`: the sha256 of each package's artifact, if it is known. `sizes`: the bytes of its
    files in the image.
    """
    steps = [step for _, step in sorted(plan.product.items())]
    serial = uuid.uuid5(uuid.NAMESPACE_URL, f"urn:sha256:{plan.product_digest}")
    bill = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": serial.urn,
        "version": 1,
        "metadata": _metadata(plan),
        "components": [
            _component(plan, step, artifacts.get(step.name), sizes.get(step.name)) for step in steps
        ],
        "dependencies": _dependencies(plan, steps),
    }
    return json.dumps(bill, indent=2) + "\n"


def product_name(plan: Plan) -> str:
    """The name of the product of `plan`; it is also the file name without its suffix."""
    return f"{plan.title}-{plan.arch.name}"


def purl(step: Step) -> str:
    """The package URL of the package that `step` builds: with its upstream file, if it has one.

    https://github.com/package-url/purl-spec: qualifiers sorted, values percent-encoded.
    """
    qualifiers = {}
    if step.sources:
        first = step.sources[0]
        qualifiers["checksum"] = f"sha256:{first.sha256}"
        if urls := [place for place in first.urls if "://" in place]:
            qualifiers["vcs_url" if GIT.fullmatch(urls[0]) else "download_url"] = urls[0]
    query = "&".join(f"{key}={quote(value, safe='/:')}" for key, value in qualifiers.items())
    name, version = quote(step.name, safe=""), quote(step.version, safe="")
    return f"pkg:generic/{name}@{version}" + (f"?{query}" if query else "")


def _metadata(plan: Plan) -> dict[str, Any]:
    return {
        "timestamp": SOURCE_DATE,
        "lifecycles": [{"phase": "build"}],
        "tools": {"components": [{"type": "application", "name": PROJECT}]},
        "component": {
            "type": "operating-system",
            "bom-ref": product_name(plan),
            "name": product_name(plan),
            "version": plan.product_digest,
            "description": "the image, or the root file system, that holds all components",
        },
        "properties": [
            _property("arch", plan.arch.name),
            *(_property("layer", f"{layer.name} {layer.sha256}") for layer in plan.layers),
            _property("phase", plan.set.phase),
            _property("plan", plan.product_digest),
            _property("set", plan.set.name),
        ],
    }


def _property(name: str, value: str) -> dict[str, str]:
    return {"name": f"{PROJECT}:{name}", "value": value}


def _component(plan: Plan, step: Step, artifact: str | None, size: int | None) -> dict[str, Any]:
    recipe = plan.recipes[step.name]
    hashes = {"hashes": [_sha256(artifact)]} if artifact else {}
    found = {
        # The specification recommends this type if no other is known to be right.
        "type": "library",
        "bom-ref": step.name,
        "name": step.name,
        "version": step.version,
        "description": recipe.description,
        **hashes,
        "licenses": [{"expression": recipe.license}],
        "purl": purl(step),
    }
    wheels = [
        _wheel(step, source, place) for source, place in _places(step) if place.startswith(_WHEEL)
    ]
    references = [_reference(source, place) for source, place in _places(step)]
    layer = plan.layered.get(step.name)
    told = [_property("layer", f"{layer.name} {layer.sha256}")] if layer else []
    told += [] if size is None else [_property("bytes-in-image", str(size))]
    more = {"externalReferences": references, "components": wheels, "properties": told}
    return found | {key: value for key, value in more.items() if value}


def _places(step: Step) -> list[tuple[Source, str]]:
    return [(source, place) for source in step.sources for place in source.urls]


def _wheel(step: Step, source: Source, place: str) -> dict[str, Any]:
    """A prebuilt Python package inside the artifact of `step`."""
    name, _, version = place.removeprefix(_WHEEL).partition("==")
    return {
        "type": "library",
        "bom-ref": f"{step.name}/{name}",
        "name": name,
        "version": version,
        "hashes": [_sha256(source.sha256)],
        "purl": f"pkg:pypi/{quote(name.lower(), safe='')}@{quote(version, safe='')}",
    }


def _reference(source: Source, place: str) -> dict[str, Any]:
    """One URL of one source, as the recipe has it: "debian:pool/…" is a URI, too."""
    return {
        "type": "vcs" if GIT.fullmatch(place) else "source-distribution",
        "url": place,
        "comment": source.file,
        "hashes": [_sha256(source.sha256)],
    }


def _sha256(content: str) -> dict[str, str]:
    return {"alg": "SHA-256", "content": content}


def _dependencies(plan: Plan, steps: Iterable[Step]) -> list[dict[str, Any]]:
    """The product depends on the set's packages, and each package on its dependencies."""
    needs = {product_name(plan): plan.set.packages}
    for step in steps:
        packed = step.initramfs.packages if step.initramfs else ()
        needs[step.name] = (*plan.recipes[step.name].depends, *packed)
    return [{"ref": ref, "dependsOn": sorted({*names})} for ref, names in needs.items()]
