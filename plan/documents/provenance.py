"""The provenance of a product, as in-toto Statements with SLSA's provenance predicate.

    https://github.com/in-toto/attestation/blob/main/spec/v1/statement.md
    https://slsa.dev/spec/v1.0/provenance

    of_system    the product's own provenance, inside it: /etc/bq2/provenance.json
    of_product   the file beside the product: also the seed, and every step with its id
    of_step      one artifact: the inputs and the result of its step

The same inputs give the same text: no time except SOURCE_DATE_EPOCH, no path, no machine. The
second phase's artifacts are the same for every seed. So `of_system` has no step ids and no hashes
of tools: those differ from seed to seed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from plan.compiling.toolchain import SOURCE_DATE_EPOCH
from plan.model import SYSROOT_FROM_SEED, Source, Step
from plan.steps.plan import Plan, deed
from plan.version import VERSION

STATEMENT = "https://in-toto.io/Statement/v1"
PREDICATE = "https://slsa.dev/provenance/v1"
# Our own names; a URN does not point to a host.
BUILD = "urn:bootstrap-qcow2:{}:v1"
BUILDER = "urn:bootstrap-qcow2:sandbox:v1"

Resource = dict[str, Any]


def resource(name: str, sha256: str, /, **annotations: Any) -> Resource:
    """A ResourceDescriptor; empty `annotations` are omitted."""
    found: Resource = {"name": name, "digest": {"sha256": sha256}}
    told = {key: value for key, value in annotations.items() if value}
    return found | ({"annotations": told} if told else {})


def text_of(statement: Mapping[str, Any]) -> str:
    """The text of a statement; equal statements give equal texts."""
    return json.dumps(statement, indent=1, sort_keys=True) + "\n"


def of_system(
    plan: Plan, artifacts: Mapping[str, str], *, seed: Mapping[str, Any], added: Sequence[str]
) -> dict[str, Any]:
    """The provenance of the product of `plan`, to be stored inside it.

    The code that adds other files to the product adds them to the subject.
    artifacts: by package. seed: its description; only a product of the first phase names it.
    added: the parameter `with`.
    """
    first = plan.set.phase == SYSROOT_FROM_SEED
    inside = {
        "plan": plan.product_digest,
        "steps": {
            name: hashlib.sha256(deed(step)).hexdigest() for name, step in plan.product.items()
        },
    }
    return _statement(
        "system",
        [resource(name, sha256) for name, sha256 in sorted(artifacts.items())],
        external=_external(plan, added),
        internal=inside | ({"overridden": [*plan.overridden]} if plan.overridden else {}),
        dependencies=[
            *([_seed(seed)] if first else []),
            *_sources(plan.product_sources),
        ],
    )


def of_product(
    plan: Plan,
    kind: str,
    subject: Iterable[Resource],
    *,
    seed: Mapping[str, Any],
    packages: Iterable[Source],
    added: Sequence[str],
    made: Mapping[str, Mapping[str, Any]],
    project: str | None,
    byproducts: Sequence[Resource],
) -> dict[str, Any]:
    """The provenance to be stored beside a product of the kind `kind` ("image", "tarball").

    subject: the files it describes. packages: the packages of the seed. made: by task, the `step`
    (its id), the `artifact` and the runs that `verified` it. project: the hash of this project's
    files, if the product contains them.
    """
    digests = {"plan": plan.digest, "product": plan.product_digest}
    steps = [
        resource(task, each["artifact"], step=each["step"], verified=each["verified"])
        for task, each in sorted(made.items())
    ]
    return _statement(
        kind,
        subject,
        external=_external(plan, added),
        internal=digests | ({"project": project} if project else {}),
        dependencies=[_seed(seed), *_sources(packages), *_sources(plan.sources), *steps],
        byproducts=byproducts,
    )


def of_step(step: Step, inputs: Mapping[str, Any], made: Mapping[str, Any]) -> dict[str, Any]:
    """The provenance of the artifact of `step`.

    inputs: the data whose hash is the step id, with the tools by name. made: as in `of_product`.
    """
    tools = [resource(f"{SYSROOT_FROM_SEED}:{name}", sha256) for name, sha256 in inputs["tools"]]
    depends = [resource(f"{step.phase}:{name}", sha256) for name, sha256 in inputs["depends"]]
    # The build root is the seed, or a hash of the tools, which are listed one by one.
    root = [resource("build root", inputs["build_root"])]
    return _statement(
        "step",
        [resource(step.task, made["artifact"], step=made["step"], verified=made["verified"])],
        external={"package": step.name, "phase": step.phase, "version": step.version},
        internal={
            "commands": [[*command.argv] for command in step.commands],
            "environment": dict(step.environment),
        },
        dependencies=[*root, *tools, *depends, *_sources(step.sources)],
    )


def _external(plan: Plan, added: Sequence[str]) -> dict[str, Any]:
    told: dict[str, Any] = {"arch": plan.arch.name, "set": plan.set.name, "with": [*added]}
    told |= {"loader": plan.set.loader} if plan.set.loader else {}
    told |= {"build": plan.machines.build.name} if plan.machines.crossed else {}
    told |= {"app": plan.app} if plan.app else {}
    told |= {"app_section": {**plan.app_section}} if plan.app_section else {}
    return told | ({"layers": _layers(plan)} if plan.layers else {})


def _layers(plan: Plan) -> list[Resource]:
    """Each layer with the hash of its files, and the packages whose recipes it has."""
    of = {name: layer.name for name, layer in plan.layered.items() if name in plan.product}
    return [
        resource(each.name, each.sha256, packages=[n for n, own in of.items() if own == each.name])
        for each in plan.layers
    ]


def _seed(seed: Mapping[str, Any]) -> Resource:
    more = {key: value for key, value in seed.items() if key != "identity"}
    return resource("seed", seed["identity"], **more)


def _sources(sources: Iterable[Source]) -> list[Resource]:
    found = {each.sha256: each for each in sources}
    rows = sorted(found.values(), key=lambda each: (each.file, each.sha256))
    return [
        resource(each.file, each.sha256, kind="source", urls=[*each.urls], size=each.size)
        for each in rows
    ]


def _statement(
    kind: str,
    subject: Iterable[Resource],
    *,
    external: Mapping[str, Any],
    internal: Mapping[str, Any],
    dependencies: Sequence[Resource],
    byproducts: Sequence[Resource] = (),
) -> dict[str, Any]:
    builder = {"id": BUILDER, "version": {"bootstrap-qcow2": VERSION}}
    details: dict[str, Any] = {"builder": builder}
    if byproducts:
        details["byproducts"] = [*byproducts]
    return {
        "_type": STATEMENT,
        "subject": [*subject],
        "predicateType": PREDICATE,
        "predicate": {
            "buildDefinition": {
                "buildType": BUILD.format(kind),
                "externalParameters": external,
                "internalParameters": {"SOURCE_DATE_EPOCH": SOURCE_DATE_EPOCH, **internal},
                "resolvedDependencies": [*dependencies],
            },
            "runDetails": details,
        },
    }
