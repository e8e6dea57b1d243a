"""Reaches a machine over ssh, and lets it do one step of an update (steps.sh).

    Way ──ssh──▶ "set -- STEP ARGUMENT…" + steps.sh ──▶ lines "KIND WORDS" ──▶ Answer

A machine whose system is in memory makes its own key anew at each start. So the key of a machine is
kept in a file, and is taken anew only after a restart that this side asked for: then the machine
must know the token of that restart, which only those hear who may enter it.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from dataclasses import dataclass
from pathlib import Path

from plan.errors import BuildError

STEPS = Path(__file__).with_name("steps.sh")
# Names of the machine that runs push: whatever listens at its ports belongs to it.
LOOPBACK = ("localhost", "127.0.0.1", "::1")
ANSWER_S = 15  # for a connection; an emulated machine needs some seconds
STEP_S = 600.0
OPTIONS = (
    *("BatchMode=yes", "ControlPath=none", "LogLevel=ERROR", f"ConnectTimeout={ANSWER_S}"),
    *("ServerAliveInterval=10", "ServerAliveCountMax=3"),
)
# What ssh tries by itself, but not beside a key that it is given (ssh_config(5), IdentityFile).
USUAL_KEYS = ("id_rsa", "id_ecdsa", "id_ecdsa_sk", "id_ed25519", "id_ed25519_sk")
# What OpenSSH says of a key's file: others may read it, or it is none, or it cannot be read.
_UNUSABLE = re.compile(r"^(Permissions 0\d+ for .* are too open|Load key .*)", re.MULTILINE)
_PRINT = re.compile(r"SHA256:[A-Za-z0-9+/]+")


class Silent(BuildError):
    """The machine cannot be reached now; later it may be."""


class Late(Silent):
    """The machine is there, and what was asked of it takes too long."""


@dataclass(frozen=True)
class Answer:
    """What a step said. lines: (kind, words) in order."""

    lines: tuple[tuple[str, str], ...]

    @classmethod
    def of(cls, text: str) -> Answer:
        """The answer that a machine printed as `text`."""
        pairs = (line.partition(" ") for line in text.splitlines())
        return cls(tuple((kind, words) for kind, _, words in pairs))

    def all(self, kind: str) -> list[str]:
        """The words of each line of this kind."""
        return [words for name, words in self.lines if name == kind]

    def first(self, kind: str) -> str:
        """The words of the first line of this kind, or ""."""
        return next(iter(self.all(kind)), "")


@dataclass(frozen=True)
class Way:
    """How a machine is reached.

    host: its name or address, also one of ssh_config(5). port: None: what ssh takes. keys: files of
    private keys to try besides the person's. alone: only these. known: the file that keeps the
    machine's own key; None: it is not checked.
    """

    host: str
    port: int | None = None
    keys: tuple[Path, ...] = ()
    alone: bool = False
    known: Path | None = None

    def step(self, step: str, *words: str, data: bytes = b"", seconds: float = STEP_S) -> Answer:
        """Let the machine do `step` with `words`; `data` is its standard input.

        Raises Silent if the machine cannot be reached, and BuildError with the machine's reason.
        """
        text = f"set -- {shlex.join([step, *words])}\n{STEPS.read_text()}"
        done = self.run(text, data=data, seconds=seconds)
        answer = Answer.of(done.stdout.decode(errors="replace"))
        if why := answer.first("fail"):
            raise Refused(self.host, why, answer)
        # A machine that starts again may end the connection first.
        if done.returncode and not answer.all("again"):
            raise self._failed(done)
        return answer

    def run(
        self, command: str, *, data: bytes = b"", seconds: float = STEP_S
    ) -> subprocess.CompletedProcess[bytes]:
        """`command` in a shell of the machine. Raises Late if it takes longer than `seconds`."""
        try:
            return subprocess.run(
                self._argv(command), input=data, capture_output=True, timeout=seconds, check=False
            )
        except FileNotFoundError:
            hint = "install OpenSSH's client (Debian: openssh-client)"
            raise BuildError("ssh is missing", hint=hint) from None
        except subprocess.TimeoutExpired:
            raise Late(f"no answer within {seconds:g} s", where=self.host) from None

    def forget(self) -> None:
        """Take the machine's own key anew: the machine starts again."""
        if self.known:
            self.known.unlink(missing_ok=True)

    def _argv(self, command: str) -> list[str]:
        argv = ["ssh", "-l", "root"]
        argv += ["-p", str(self.port)] if self.port else []
        options = [*OPTIONS, *(f"IdentityFile={_quoted(key)}" for key in self.keys)]
        if self.alone:
            options.append("IdentitiesOnly=yes")
        elif self.keys:
            options += [f"IdentityFile=~/.ssh/{name}" for name in USUAL_KEYS]
        if self.known:
            self.known.parent.mkdir(parents=True, exist_ok=True)
            known = f"UserKnownHostsFile={_quoted(self.known)}"
            options += ["StrictHostKeyChecking=accept-new", known]
            options += [f"GlobalKnownHostsFile={os.devnull}", "HashKnownHosts=no"]
        else:
            # The quickest exchange of keys: no other host hears it.
            options += ["StrictHostKeyChecking=no", f"UserKnownHostsFile={os.devnull}"]
            options += ["KexAlgorithms=curve25519-sha256"]
        for option in options:
            argv += ["-o", option]
        return [*argv, "--", self.host, command]

    def _failed(self, done: subprocess.CompletedProcess[bytes]) -> BuildError:
        """Why ssh, or the shell in the machine, failed."""
        said = done.stderr.decode(errors="replace").strip()
        last = said.splitlines()[-1] if said else f"ssh ended with the status {done.returncode}"
        if done.returncode != 255:
            return BuildError(f"the step failed there: {last}", where=self.host, hint=said or None)
        if found := _UNUSABLE.search(said):
            hint = (
                "key=FILE is a private key that only you may read (chmod 600), without a passphrase"
                "\n  or known to ssh-agent"
            )
            return BuildError(f"ssh cannot use the key: {found[0]}", where=self.host, hint=hint)
        if "Permission denied" in said:
            hint = "key=FILE is the private key; docs/machine.md says how a machine gets keys"
            return BuildError("it does not let this key in", where=self.host, hint=hint)
        if "HOST IDENTIFICATION HAS CHANGED" in said or "Host key verification failed" in said:
            shown = print_[0] if (print_ := _PRINT.search(said)) else "the same key"
            hint = (
                "set=base makes a new key at each start. If the machine's own console shows\n"
                f"  {shown}, remove the file {self.known}, and push again"
            )
            return BuildError("it has another key than last time", where=self.host, hint=hint)
        hint = (
            "is it on, is its address right, and does its console say that ssh is open?\n"
            "  Without a key of yours nothing listens there (docs/machine.md)"
        )
        return Silent(f"it cannot be reached: {last}", where=self.host, hint=hint)


def _quoted(path: Path) -> str:
    """`path` for an option of ssh_config(5): a space ends a file there, and "%" begins a token."""
    return '"' + os.fspath(path).replace("%", "%%") + '"'


class Refused(BuildError):
    """The machine could not do a step. why: its words. answer: what it said before."""

    def __init__(self, host: str, why: str, answer: Answer) -> None:
        self.why, self.answer = why.split(), answer
        kind, *words = self.why or [""]
        message, hint = _REASONS.get(kind, ("", None))
        # It may be any machine: its words need not be those of our steps.
        if not message or message.count("{}") > len(words):
            message, hint, words = "the step failed there: {}", None, [why]
        super().__init__(message.format(*words), where=host, hint=hint)


_REASONS: dict[str, tuple[str, str | None]] = {
    "foreign": (
        "it is no machine of bootstrap-qcow2: it has no /etc/bq2/image.json",
        "to= names a machine that runs an image of this project",
    ),
    "busy": (
        "another update of it runs, or its EFI system partition is in use",
        "wait for it, or unmount /run/push there",
    ),
    "unreadable": (
        "its EFI system partition {} cannot be mounted for writing",
        "unmount it there, if it is mounted; `dmesg` there says more",
    ),
    "readonly": (
        "its EFI system partition takes no writing",
        "the disk must be writable: a machine on a CD cannot be updated",
    ),
    "full": (
        "its EFI system partition is too full: {} KiB are free, {} are needed",
        "remove other files there (mount it and look), or write the image to its disk anew",
    ),
    "copy": (
        "the new parts could not be written there; it starts as before",
        "push again; if it stays so, look at the disk there (dmesg)",
    ),
    "kept": (
        "its places changed meanwhile: another update was kept",
        "push again",
    ),
    "changed": (
        "it started again meanwhile, or another update came between; nothing is kept",
        "push again",
    ),
}
