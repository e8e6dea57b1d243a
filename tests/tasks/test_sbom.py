"""sbom, licenses: checked against the published schema and the built packages."""

from __future__ import annotations

import hashlib
import json
from importlib import resources
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from jsonschema import Draft7Validator, FormatChecker
from packageurl import PackageURL
from referencing import Registry, Resource

from plan.documents.sbom import sbom
from plan.steps.planner import make_plan
from tests.tasks.toy import SCRIPTS, Checkout

DATA = Path(__file__).parents[2] / "plan"
SOURCE = f"""\
[{{sha256: {"ab" * 32}, size: 3, file: top-1.tar,
  urls: ["debian:pool/main/b/b/b_1.orig.tar.gz", "https://x.test/a+b/top-1.tar?x=1&y=%C3%BC"]}}]"""


def schema(name: str) -> Any:
    """A schema as the CycloneDX project publishes it."""
    directory = resources.files("cyclonedx.schema").joinpath("_res")
    return json.loads(directory.joinpath(f"{name}.SNAPSHOT.schema.json").read_text())


def check(bill: Any) -> None:
    """Fail unless `bill` is CycloneDX 1.6, and each reference in it leads somewhere."""
    bom = schema("bom-1.6")
    others = {name: schema(name) for name in ("spdx", "jsf-0.82")}
    registry: Registry[Any] = Registry().with_resources(
        (each["$id"], Resource.from_contents(each)) for each in (bom, *others.values())
    )
    validator = Draft7Validator(bom, registry=registry, format_checker=FormatChecker())
    assert [error.message for error in validator.iter_errors(bill)] == []
    refs = [bill["metadata"]["component"]["bom-ref"]]
    for component in bill["components"]:
        refs += [component["bom-ref"], *(c["bom-ref"] for c in component.get("components", []))]
        for each in (component, *component.get("components", [])):
            parsed = PackageURL.from_string(each["purl"])
            assert (parsed.version, parsed.to_string()) == (each["version"], each["purl"])
    assert len(refs) == len({*refs})
    for row in bill["dependencies"]:
        assert {row["ref"], *row["dependsOn"]} <= {*refs}
        assert row["dependsOn"] == sorted({*row["dependsOn"]})


def written(checkout: Checkout, *words: str) -> Any:
    """The bill of materials that doit writes."""
    done = checkout.doit("sbom", *words)
    assert done.status == 0, done
    path = checkout.root / "output" / "bootstrap-qcow2-base-x86_64.cdx.json"
    assert f"{path}: {len(SCRIPTS)} packages, " in done.said, done
    return json.loads(path.read_text())


@pytest.mark.parametrize("name", ["base", "full"])
def test_the_bills_of_our_own_sets(name: str) -> None:
    plan = make_plan(DATA, set_name=name, arch_name="x86_64")
    text = sbom(plan, dict.fromkeys(plan.product, "cd" * 32))
    assert text == sbom(plan, dict.fromkeys(reversed([*plan.product]), "cd" * 32))
    bill = json.loads(text)
    check(bill)
    components = {component["name"]: component for component in bill["components"]}
    assert {*components} == {*plan.product} and [*components] == sorted(components)
    musl = components["musl"]
    assert musl["licenses"] == [{"expression": "MIT"}]
    url = PackageURL.from_string(musl["purl"]).qualifiers
    (source,) = plan.recipes["musl"].sources
    assert url == {"checksum": f"sha256:{source.sha256}", "download_url": source.urls[0]}
    graph = {row["ref"]: row["dependsOn"] for row in bill["dependencies"]}
    assert graph["musl"] == ["compiler-rt", "linux-headers"]
    assert graph[f"bootstrap-qcow2-{name}-x86_64"] == sorted(plan.set.packages)
    assert "busybox" in graph["kernel"], "the initramfs is in it"
    if name == "full":
        wheels = {each["purl"] for each in components["python-packages"]["components"]}
        assert "pkg:pypi/doit@0.37.0" in wheels and len(wheels) == 7


def test_a_commit_is_told_as_one(toy: Checkout) -> None:
    place = f"git+https://x.test/a.git@{'1' * 40}"
    source = f"[{{sha256: {'ab' * 32}, size: 0, file: a.tar, urls: ['{place}']}}]"
    toy.recipe("top", "true", "left", "right", sources=source)
    bill = written(toy)
    check(bill)
    (found,) = (component for component in bill["components"] if component["name"] == "top")
    (reference,) = found["externalReferences"]
    assert (reference["type"], reference["url"]) == ("vcs", place)
    assert PackageURL.from_string(found["purl"]).qualifiers["vcs_url"] == place


def test_the_bill_before_and_after_the_build(toy: Checkout) -> None:
    toy.recipe("top", "echo > $share/top", "left", "right", sources=SOURCE)
    bill = written(toy)
    check(bill)
    assert not any("hashes" in component for component in bill["components"])
    by_name = {component["name"]: component for component in bill["components"]}
    references = by_name["top"]["externalReferences"]
    assert references[0]["url"] == "debian:pool/main/b/b/b_1.orig.tar.gz"
    assert references[0]["hashes"] == [{"alg": "SHA-256", "content": "ab" * 32}]
    found = PackageURL.from_string(by_name["top"]["purl"]).qualifiers
    assert found == {"checksum": f"sha256:{'ab' * 32}", "download_url": references[1]["url"]}
    assert "externalReferences" not in by_name["bottom"]
    assert UUID(bill["serialNumber"]).version == 5
    other = json.loads(json.dumps(bill))
    toy.edit("plan/recipes/left.yaml", "echo left", "echo other")
    assert written(toy)["serialNumber"] != other["serialNumber"]


def test_the_bill_has_the_hashes_of_what_stands(built: Checkout) -> None:
    def hashes(bill: Any) -> dict[str, str]:
        check(bill)
        found = {each["name"]: each.get("hashes", []) for each in bill["components"]}
        return {name: row[0]["content"] for name, row in found.items() if row}

    bill = written(built)
    (bottom,) = (each for each in bill["components"] if each["name"] == "bottom")
    assert bottom["properties"] == [{"name": "bootstrap-qcow2:bytes-in-image", "value": "7"}]
    artifacts = {name: built.artifact(name).read_bytes() for name in SCRIPTS}
    digests = {name: hashlib.sha256(data).hexdigest() for name, data in artifacts.items()}
    assert hashes(bill) == digests
    # A time, a path or a user would show.
    text = json.dumps(bill)
    assert bill["metadata"]["timestamp"] == "2025-01-01T00:00:00Z"
    assert str(built.root) not in text and str(built.cache) not in text
    assert written(built) == bill
    # Of what a changed recipe gave before, nothing is told, nor of what depends on it.
    built.edit("plan/recipes/left.yaml", "echo left", "echo other")
    assert hashes(written(built)) == {name: digests[name] for name in ("bottom", "right")}


def test_output_names_the_file(toy: Checkout) -> None:
    done = toy.doit("sbom", "output=other.json")
    assert done.status == 0 and (toy.root / "other.json").exists(), done
    assert not (toy.root / "output").exists()


def test_the_licenses_are_a_table(toy: Checkout) -> None:
    toy.edit("plan/recipes/left.yaml", "license: MIT", "license: Zlib OR MIT")
    done = toy.doit("licenses")
    assert done.status == 0
    assert done.said.splitlines() == [
        "MIT",
        "    bottom, kernel, right, top",
        "Zlib OR MIT",
        "    left",
        "5 packages, 2 license expressions",
    ]


def test_an_unknown_license_is_an_error_before_any_task(toy: Checkout) -> None:
    toy.edit("plan/recipes/left.yaml", "license: MIT", "license: MIT OR Zlb")
    done = toy.doit("list")
    assert done.status != 0 and "Traceback" not in done.said
    assert "plan/recipes/left.yaml:3: unknown SPDX license 'Zlb'" in done.said, done
    assert "did you mean Zlib?" in done.said
