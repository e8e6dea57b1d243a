"""The check `remote` of `doit doctor`: what a worker of remote= has, by an Action that it runs."""

from __future__ import annotations

from tasks.engine.doctor.health import FAIL, OK, WARN, Finding
from tasks.engine.project import Project

_LEAST = 20 << 30  # bytes of disk: trees of a set, and one build
_PYTHON = "a worker needs Python 3.11 or newer as python3 in /usr/local/bin, /usr/bin or /bin"


def remote(project: Project) -> Finding:
    """Run an Action without a step on a worker, and say what it reports."""
    workers = project.workers
    if workers is None:
        return Finding(OK, "no worker is asked (offline=1)")
    from cache.merkle import of_bytes
    from cache.reapi import ServerFailed
    from rootfs.sandbox.worker import JOB

    url = project.settings.remote
    try:
        outputs = workers.run({JOB: of_bytes(b'{"step": null}')}, fresh=True)
        facts = workers.report(outputs)
    except ServerFailed as error:
        return Finding(FAIL, f"{url}: {error}", _PYTHON if "worker" in str(error) else "")
    if "message" in facts:
        return Finding(FAIL, f"a worker has no sandbox: {facts['message']}", facts["hint"] or "")
    told = (
        f"a worker has Python {facts['python']}, {facts['processors']} processors, "
        f"{facts['memory'] / 1e9:.1f} GB of memory, {facts['disk'] / 1e9:.0f} GB of disk"
    )
    lacks = {
        "it has no overlays, which is slower": not facts["overlay"],
        "it keeps no trees between steps, which is much slower: give it a /var/tmp that stays": (
            not facts["keeps"]
        ),
        f"it has less than {_LEAST >> 30} GiB of free disk": facts["disk"] < _LEAST,
    }
    found = [text for text, is_so in lacks.items() if is_so]
    return Finding(WARN if found else OK, told, "\n".join(found))
