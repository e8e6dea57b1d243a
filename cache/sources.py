"""Sources by their hash: from the user's cache, or from the first place that gives the right file.

    in the cache? ──yes──▶ its path
      └─ no ──▶ offline? ──yes──▶ BuildError with all that is missing
                  └─ no ──▶ threads, a file each: lock ──▶ places in turn ──▶ verified, kept
                                                             └─ all fail ──▶ FetchFailed at the end

A file under `sources/` always was verified when it came; later its size is checked each time, and
its hash when asked to. A source that fails does not keep the others from being fetched.
"""

from __future__ import annotations

import hashlib
import os
import queue
import threading
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from cache import download, paths, wheels
from cache.partial import Partial, disk_error, locked
from cache.places import Candidate, PlaceFailed, known_archives, resolve
from cache.progress import Progress, Silent
from cache.web import Web
from plan.errors import BuildError
from plan.model import Source

_ROUNDS = 3  # over the places that may do better a moment later
_TICK = 0.1  # seconds between two looks at what the threads have done
_THREAD = "fetch"
_FAREWELL = 0.3  # seconds that stopped threads get to end by themselves


_NETWORK = (
    "check the network, or give a Debian archive with mirror=URL; what has come so far is kept"
)


class FetchFailed(BuildError):
    """Some sources could not be had. `reasons`: sha256 → place → why that place failed."""

    def __init__(
        self,
        sources: Sequence[Source],
        reasons: Mapping[str, Mapping[str, str]],
        remedies: Iterable[str] = (),
    ) -> None:
        lines = [f"{len(sources)} of the sources could not be fetched"]
        for source in sources:
            lines.append(f"  {title(source)}")
            lines += [f"    {place}: {why}" for place, why in reasons[source.sha256].items()]
        super().__init__(
            "\n".join(lines),
            hint="\n  ".join([*remedies, _NETWORK]),
        )
        self.reasons = reasons


def cached(source: Source) -> Path | None:
    """The source's file if the cache has it in the right size, without reading it."""
    path = paths.source(source.sha256)
    try:
        return path if path.stat().st_size == source.size or not source.size else None
    except OSError:
        return None


def fetch(
    sources: Sequence[Source],
    *,
    offline: bool = False,
    mirror: str = "",
    snapshot: str = "",
    jobs: int = 4,
    verify: bool = False,
    progress: Progress | None = None,
    web: Web | None = None,
    apt_root: Path = Path("/"),
) -> dict[str, Path]:
    """The path of each source's file by sha256, fetched first where the cache has it not.

    offline: open no connection. mirror: URL of a Debian archive that comes before those of apt's
    configuration below `apt_root`. snapshot: timestamp of snapshot.debian.org that comes last.
    jobs: files at a time. verify: read and hash what the cache has; a damaged file is removed and
    fetched again. web: to share knowledge of dead hosts, or to stop, across several calls.

    Raises FetchFailed when sources could not be had, with every place and its reason, after all
    others were fetched; BuildError for everything else (offline, disk, a bad place or mirror).
    """
    wanted = {source.sha256: source for source in sources}
    missing = [source for source in wanted.values() if not present(source, verify=verify)]
    if missing and offline:
        raise BuildError(
            "offline, and the cache lacks" + "".join(f"\n  {title(source)}" for source in missing),
            where=str(paths.root() / "sources"),
            hint="run once without offline=1",
        )
    if missing:
        archives = known_archives(mirror, apt_root)
        resolved = [
            (source, resolve(source.places, archives=archives, snapshot=snapshot))
            for source in missing
        ]
        web = web or Web()
        reasons = _Run(web, progress or Silent()).all(resolved, jobs)
        if reasons:
            failed = [source for source in missing if source.sha256 in reasons]
            raise FetchFailed(failed, reasons, web.remedies)
    return {sha256: paths.source(sha256) for sha256 in wanted}


def title(source: Source) -> str:
    """What a person reads of `source`: its file, hash and size."""
    size = f"{source.size} bytes" if source.size else "of unknown size"
    return f"{source.file} (sha256 {source.sha256}, {size})"


def present(source: Source, *, verify: bool) -> bool:
    """Whether the cache has the source; a damaged file is removed. Raises BuildError.

    verify: read it all, and not just its size.
    """
    path = paths.source(source.sha256)
    try:
        with path.open("rb") as file:
            state = os.fstat(file.fileno())
            good = (state.st_size == source.size or not source.size) and not (
                verify and hashlib.file_digest(file, "sha256").hexdigest() != source.sha256
            )
        # Another process may have seen the damage too, and brought the right file meanwhile.
        if not good and os.path.samestat(state, path.stat()):
            path.unlink()
        return good
    except FileNotFoundError:
        return False
    except OSError as error:
        raise disk_error(error, path) from error


class _Run:
    """The threads of one call of `fetch`, and what they share."""

    def __init__(self, web: Web, progress: Progress) -> None:
        self._web = web
        self._progress = progress
        self._folder = paths.folder("sources")
        self._partials = paths.folder("sources/partial")
        self._lock = threading.Lock()
        self._received = 0
        self._news: queue.SimpleQueue[tuple[Source, str | Exception]] = queue.SimpleQueue()

    def all(
        self, resolved: Sequence[tuple[Source, tuple[Candidate, ...]]], jobs: int
    ) -> dict[str, Mapping[str, str]]:
        """Fetch all, and say what failed: sha256 → place → reason.

        The largest go first, so that no thread is left alone with a long one at the end.
        """
        import requests  # noqa: F401  # once, before the threads would wait for each other

        todo: queue.SimpleQueue[tuple[Source, tuple[Candidate, ...]]] = queue.SimpleQueue()
        for item in sorted(resolved, key=lambda item: -item[0].size):
            todo.put(item)
        # Daemons: a thread that hangs in a read must not hold up the end of the program.
        threads = [
            threading.Thread(target=self._work, args=(todo,), name=_THREAD, daemon=True)
            for _ in range(max(1, min(jobs, len(resolved))))
        ]
        self._progress.begin(len(resolved), sum(source.size for source, _ in resolved))
        try:
            for thread in threads:
                thread.start()
            return self._watch(len(resolved))
        except BaseException:
            self._web.stop.set()
            for thread in threads:
                thread.join(_FAREWELL / len(threads))
            raise
        finally:
            self._show_received()
            self._progress.end()

    def _watch(self, left: int) -> dict[str, Mapping[str, str]]:
        """Follow the threads until each of the `left` sources has come or failed."""
        reasons: dict[str, Mapping[str, str]] = {}
        while left:
            if self._web.stop.is_set():
                raise BuildError("fetching was stopped", hint="run again to go on")
            self._show_received()
            try:
                source, outcome = self._news.get(timeout=_TICK)
            except queue.Empty:
                continue
            left -= 1
            if isinstance(outcome, str):
                self._progress.done(source.file, source.size, outcome)
            elif isinstance(outcome, _AllFailed):
                reasons[source.sha256] = outcome.reasons
            elif not isinstance(outcome, download.Stopped):
                raise outcome
        return reasons

    def _show_received(self) -> None:
        with self._lock:
            received, self._received = self._received, 0
        if received:
            self._progress.add(received)
        for text in self._web.news():
            self._progress.note(text)

    def _count(self, size: int) -> None:
        with self._lock:
            self._received += size

    def _work(self, todo: queue.SimpleQueue[tuple[Source, tuple[Candidate, ...]]]) -> None:
        while not self._web.stop.is_set():
            try:
                source, candidates = todo.get_nowait()
            except queue.Empty:
                return
            try:
                self._news.put((source, self._one(source, candidates)))
            except OSError as error:
                self._news.put((source, disk_error(error, self._partials / source.sha256)))
            except Exception as error:
                self._news.put((source, error))

    def _one(self, source: Source, candidates: Sequence[Candidate]) -> str:
        """Bring one source into the cache; returns the place that gave it."""
        final = self._folder / source.sha256
        with locked(
            self._partials / source.sha256,
            source.sha256,
            source.size,
            count=self._count,
            wait=self._wait,
        ) as partial:
            if cached(source):
                partial.empty()
                self._count(source.size)
                return "another run"
            place = "an earlier run"
            if not partial.complete():
                place = str(self._ask(source, candidates, partial))
            partial.keep(final)
            return place

    def _wait(self) -> None:
        if self._web.stop.wait(_TICK):
            raise download.Stopped

    def _ask(self, source: Source, candidates: Sequence[Candidate], partial: Partial) -> Candidate:
        """Ask the candidates in turn, and again those that may do better, until one delivers."""
        reasons = {str(candidate): "was not asked" for candidate in candidates}
        for round_ in range(1, _ROUNDS + 1):
            again: list[Candidate] = []
            for candidate in candidates:
                try:
                    self._ask_one(source, candidate, partial)
                    return candidate
                except PlaceFailed as error:
                    reasons[str(candidate)] = error.reason
                    if error.again:
                        again.append(candidate)
            if not again or round_ == _ROUNDS:
                break
            if self._web.stop.wait(self._web.patience.pause * round_):
                raise download.Stopped
            candidates = again
        raise _AllFailed(reasons)

    def _ask_one(self, source: Source, candidate: Candidate, partial: Partial) -> None:
        if candidate.kind == "url":
            download.download(self._web, candidate.address, partial)
        elif candidate.kind == "wheel":
            wheels.download(candidate.address, source.file, partial, stop=self._web.stop)
        else:
            raise PlaceFailed("apt names no Debian archive here, and no mirror is set")


class _AllFailed(Exception):
    def __init__(self, reasons: Mapping[str, str]) -> None:
        super().__init__()
        self.reasons = reasons
