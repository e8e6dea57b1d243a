"""Updates a machine that runs, so that a power cut at any moment leaves one that boots.

    look ─▶ copy to the place that no start takes ─▶ read it again ─▶ mark: try it once ─▶ restart
                                                                                             │
    each further start takes it ◀─ keep: one sector ◀─ is it well? ◀─ it is up, with our token
                                                             └ no: restart, with the old one

Until "keep", each start but the marked one takes what was kept before. The starter removes the mark
before it starts what is tried (plan/recipes/loader/starter.cr).
"""

from __future__ import annotations

import io
import secrets
import tarfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from plan.errors import BuildError
from plan.typed import MORE_TIME, typed
from rootfs.push.facts import KERNEL, LOADER, Esp, Parts, facts, fitting, hashes, places_of
from rootfs.push.reach import STEP_S, Late, Refused, Silent, Way

# Seconds between two questions, and for what comes after the answer: whether it is well.
PAUSE_S, SPARE_S = 1.0, 120


@dataclass(frozen=True)
class Next:
    """What is brought: the files of the image, their hashes, and how the machine says it is well.

    service, ports: of the app, or "". command: of the person; it must succeed there, or "".
    command_s: the seconds that it may take, if the person says so.
    """

    arch: str
    loader: Path
    kernel: Path
    parts: Parts
    starter: str
    service: str = ""
    ports: tuple[int, ...] = ()
    command: str = ""
    command_s: float | None = None

    @property
    def size(self) -> int:
        return self.loader.stat().st_size + self.kernel.stat().st_size


def push(way: Way, new: Next, say: Callable[[str], None], *, wait_s: int) -> bool:
    """Bring `new` to the machine that `way` leads to, and keep it if it is well.

    say: gets a line at each stage. wait_s: seconds until it must be up again.
    Returns False if the machine has it already. Raises BuildError if it is not kept: then the next
    start, or the one that is under way, has the old one.
    """
    found = facts(way.step("look"), way.host)
    esp = fitting(found, new.arch, way.host)
    if esp.started != "-" and esp.places.get(esp.started) == new.parts:
        if esp.started == esp.kept:
            _nothing_pending(way, esp)
            return False
        say(f"{way.host} runs this already, and it was not kept yet")
        _keep(way, new, esp.device, esp.started, esp.token, say)
        return True
    if new.starter != esp.starter:
        say(f"{way.host}: the first program of its disk is another version; it stays")
    if esp.places.get(esp.next) != new.parts:
        say(f"{way.host}: {new.size / 1e6:.1f} MB to the place {esp.next}")
        _copy(way, new, esp)
    token = secrets.token_hex(16)
    say(f"{way.host}: starts again, with the place {esp.next}, once")
    watch_s = min(wait_s + SPARE_S + int(new.command_s or 0), 9999)
    known = way.known and way.known.with_name(f"{way.known.name}.new")
    way.step("mark", esp.device, esp.next, f"{watch_s:04d}", token)
    device = _await(replace(way, known=known), esp, found.boot, token, wait_s)
    if way.known and known:
        known.replace(way.known)
    _keep(way, new, device, esp.next, token, say)
    return True


def _nothing_pending(way: Way, esp: Esp) -> None:
    """Remove the mark that an update left which did not come to its restart."""
    if esp.tried != "-":
        way.step("unmark", esp.device)


def _copy(way: Way, new: Next, esp: Esp) -> None:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, file in ((LOADER, new.loader), (KERNEL, new.kernel)):
            about = tarfile.TarInfo(name)
            about.size, about.mode = file.stat().st_size, 0o700
            with file.open("rb") as content:
                tar.addfile(about, content)
    needed = str(new.size // 1024 + 64)
    answer = way.step("copy", esp.device, esp.next, needed, data=data.getvalue())
    if places_of(hashes(answer)).get(esp.next) != new.parts:
        raise BuildError(
            "the new image was not written correctly there; the machine goes on with the old one",
            where=way.host,
            hint="push again; if it stays so, its disk is damaged",
        )


def _await(way: Way, esp: Esp, boot: str, token: str, wait_s: int) -> str:
    """Wait until the machine is up again with what is tried; return the name of its ESP now.

    Raises BuildError if it does not come up.
    """
    end = time.monotonic() + wait_s
    why = ""
    while (left := end - time.monotonic()) > 0:
        time.sleep(PAUSE_S)
        way.forget()
        try:
            found = facts(way.step("look", seconds=max(left, 5)), way.host)
        except BuildError as error:
            why = error.message
            continue
        ours = [each for each in found.esps if each.token == token]
        if found.boot == boot or not ours:
            why = "it did not go down" if found.boot == boot else "another machine answers"
            continue
        if ours[0].started == esp.next and ours[0].tried == "-":
            return ours[0].device
        raise _went_back(way, ours[0])
    raise BuildError(
        f"it is not up with the new image within {wait_s} s ({why or 'no answer'})",
        where=way.host,
        hint="its next start has the old one: switch it off and on, if it does not start again by "
        "itself.\n  wait=SECONDS waits longer; its console says how far it came",
    )


def _went_back(way: Way, esp: Esp) -> BuildError:
    if esp.tried != "-":
        _nothing_pending(way, esp)
        return BuildError(
            "it started again without a look at the new image: it starts from another disk",
            where=way.host,
            hint=f"its firmware must start the disk of {esp.device}",
        )
    return BuildError(
        "the new image did not come up; the machine is back with the old one",
        where=way.host,
        hint=f"its console says why, also here: {typed('boot')}",
    )


def _keep(
    way: Way, new: Next, device: str, place: str, token: str, say: Callable[[str], None]
) -> None:
    """Keep what runs if it is well; otherwise start the old one again."""
    try:
        _ask_if_well(way, new)
    except Silent:
        raise
    except BuildError as error:
        say(f"{way.host}: starts again, with the old image")
        with suppress(BuildError):
            way.step("again")
        raise error
    way.step("keep", device, place, token)


def _ask_if_well(way: Way, new: Next) -> None:
    if new.service:
        try:
            way.step("well", new.service, *map(str, new.ports))
        except Refused as error:
            raise _unwell(way, new.service, error) from None
    if new.command:
        try:
            done = way.run(new.command, seconds=new.command_s or STEP_S)
        except Late:
            raise BuildError(
                f"the command of run= did not end there within {new.command_s or STEP_S:g} s; the "
                "new image is not kept",
                where=way.host,
                hint=MORE_TIME,
            ) from None
        if done.returncode:
            said = (done.stdout + done.stderr).decode(errors="replace").strip()
            raise BuildError(
                f"the command of run= ended there with the status {done.returncode}; the new image "
                "is not kept",
                where=way.host,
                hint=said or None,
            )


def _unwell(way: Way, service: str, error: Refused) -> BuildError:
    match error.why:
        case ["silent", port, *_]:
            what = f"{service} listens on no port {port}"
        case ["down", *_]:
            what = f"{service} does not stay up"
        case _:
            return error
    lines = "\n".join(f"    {line}" for line in error.answer.all("log"))
    return BuildError(
        f"{what}; the new image is not kept",
        where=way.host,
        hint=f"its log ends with:\n{lines}" if lines else None,
    )
