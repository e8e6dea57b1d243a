"""The parameters of what other machines do: shared caches and remote execution (docs/scale.md), and
the machine that an update goes to (docs/machine.md)."""

from __future__ import annotations

from plan import checks
from plan.settings import addresses
from plan.settings.parameter import Parameter, constant

OF_OTHER_MACHINES = (
    Parameter(
        "cache", constant(""), addresses.urls, "shared caches to take finished steps from: URL,…"
    ),
    Parameter(
        "trust",
        constant(""),
        checks.file,
        "the builders whose steps are taken: a file of ssh-keygen's form allowed_signers",
        placed=checks.placed,
    ),
    Parameter(
        "agree", constant("1"), checks.count, "how many builders must name the same artifact"
    ),
    Parameter(
        "publish",
        constant(""),
        addresses.one_url,
        "the shared cache that publish writes to, and verify with sample=: URL",
        of=("publish", "verify"),
    ),
    Parameter(
        "headers",
        constant(""),
        addresses.headers,
        "lines HOST NAME: VALUE: a header that only this host gets, for example Authorization",
        secret=True,
    ),
    Parameter(
        "days",
        constant("90"),
        checks.age,
        "cache gc keeps what was sent to the shared cache in so many days",
        of=("cache",),
    ),
    Parameter(
        "sample",
        constant(""),
        checks.sample,
        "verify builds so many steps again that were taken from a shared cache: a number, or all",
        of=("verify",),
    ),
    Parameter(
        "remote",
        constant(""),
        addresses.endpoint,
        "a server of the Remote Execution API, whose workers build steps: grpc(s)://HOST:PORT",
    ),
    Parameter("instance", constant(""), addresses.instance, "the instance of remote="),
    Parameter(
        "platform",
        constant(""),
        addresses.properties,
        "what a worker of remote= must be: KEY=VALUE,…",
    ),
    Parameter(
        "objects",
        constant(""),
        checks.packages,
        "packages that are built here, but compiled by the workers of remote=: NAME,…",
    ),
    Parameter(
        "client_certificate",
        constant(""),
        checks.file,
        "a file with a key and its certificate (PEM), which remote= asks for",
        placed=checks.placed,
    ),
    Parameter(
        "to",
        constant(""),
        addresses.host,
        "the machine that push updates, by ssh (default: the one that boot started here)",
        of=("push",),
    ),
    Parameter(
        "port", constant(""), addresses.port, "the port of its SSH server, if not 22", of=("push",)
    ),
    Parameter(
        "wait",
        constant("180"),
        checks.seconds,
        "how many seconds push waits until the machine is up again",
        of=("push",),
    ),
)
