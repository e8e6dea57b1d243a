"""Gets sources by their hash: from the user's cache, or from the first URL with the right file.

    in the cache? ──yes──▶ its path
      └─ no ──▶ offline? ──yes──▶ BuildError with all missing sources
                  └─ no ──▶ threads, a file each: lock ──▶ URLs in turn ──▶ verified, kept
                                                             └─ all fail ──▶ FetchFailed at the end

A file in `sources/` was verified when it was fetched. Later its size is checked each time, and its
hash with `verify`. If one source fails, the others are still fetched.
"""

from __future__ import annotations

import hashlib
import os
import queue
import threading
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from cache import download, git, paths, wheels
from cache.failures import failures, has_answered
from cache.partial import Partial, disk_error, locked
from cache.places import AnotherFile, Candidate, UrlFailed, known_archives, resolve
from cache.progress import Progress, Silent
from cache.remote import source_url
from cache.web import Web
from plan.errors import BuildError
from plan.model import Source

_ROUNDS = 3  # over the URLs that may work a moment later
_TICK = 0.1  # seconds between two checks of the threads
_THREAD = "fetch"
_FAREWELL = 0.3  # seconds for stopped threads to end by themselves


_NETWORK = "check the network, or name a Debian archive with mirror=URL; received data is kept"


class FetchFailed(BuildError):
    """Some sources could not be fetched. `reasons`: sha256 → URL → why that URL failed.

    others: sha256 → URL → what it has, for the URLs that have another file.
    answered: whether a server answered that it does not have a file, or has another one.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        reasons: Mapping[str, Mapping[str, str]],
        remedies: Iterable[str] = (),
        others: Mapping[str, Mapping[str, str]] | None = None,
    ) -> None:
        lines = [f"{len(sources)} of the sources could not be fetched"]
        lines += failures({source.sha256: title(source) for source in sources}, reasons)
        self.reasons, self.others = reasons, others or {}
        self.answered = bool(others) or any(
            has_answered(why) for urls in reasons.values() for why in urls.values()
        )
        network = [] if reasons.keys() <= self.others.keys() else [_NETWORK]
        super().__init__("\n".join(lines), hint="\n  ".join([*remedies, *network]))


def cached(source: Source, cache: Path | None = None) -> Path | None:
    """The source's file if `cache` has it with the right size; the content is not read."""
    path = paths.source(source.sha256, cache)
    try:
        return path if path.stat().st_size == source.size or not source.size else None
    except OSError:
        return None


def fetch(
    sources: Sequence[Source],
    *,
    offline: bool = False,
    mirror: str = "",
    shared: Sequence[str] = (),
    jobs: int = 4,
    verify: bool = False,
    progress: Progress | None = None,
    web: Web | None = None,
    apt_root: Path = Path("/"),
    cache: Path | None = None,
) -> dict[str, Path]:
    """The path of each source's file by sha256. Sources that the cache lacks are fetched.

    offline: open no connection. mirror: URL of a Debian archive to try before those of apt's
    configuration below `apt_root`; snapshot.debian.org is tried last. shared: URLs of shared
    caches (cache/remote.py), which are asked first.
    jobs: files at a time. verify: hash the files in the cache; a damaged file is removed and
    fetched again. web: shares knowledge of dead hosts, and the stop signal, between calls.
    cache: the cache directory; default is that of the environment.

    Raises FetchFailed after all other sources are fetched, with each URL and its reason.
    Raises BuildError for other errors (offline, disk, a bad URL or mirror).
    """
    wanted = {source.sha256: source for source in sources}
    missing = [source for source in wanted.values() if not present(source, cache, verify=verify)]
    if missing and offline:
        raise BuildError(
            "offline, and the cache lacks" + "".join(f"\n  {title(source)}" for source in missing),
            where=str((cache or paths.root()) / "sources"),
            hint="run it once without offline=1",
        )
    if missing:
        archives = known_archives(mirror, apt_root)
        resolved = [
            (
                source,
                resolve(
                    [*(source_url(url, source.sha256) for url in shared), *source.urls],
                    archives=archives,
                    snapshot=source.snapshot,
                ),
            )
            for source in missing
        ]
        web = web or Web()
        run = _Run(web, progress or Silent(), cache)
        reasons = run.all(resolved, jobs)
        if reasons:
            failed = [source for source in missing if source.sha256 in reasons]
            raise FetchFailed(failed, reasons, web.remedies, run.others)
    return {sha256: paths.source(sha256, cache) for sha256 in wanted}


def title(source: Source) -> str:
    """`source` in messages: its file, hash and size."""
    size = f"{source.size} bytes" if source.size else "of unknown size"
    return f"{source.file} (sha256 {source.sha256}, {size})"


def present(source: Source, cache: Path | None = None, *, verify: bool) -> bool:
    """Whether `cache` has the source; a damaged file is removed. Raises BuildError.

    verify: check the hash too, not only the size.
    """
    path = paths.source(source.sha256, cache)
    try:
        with path.open("rb") as file:
            state = os.fstat(file.fileno())
            good = (state.st_size == source.size or not source.size) and not (
                verify and hashlib.file_digest(file, "sha256").hexdigest() != source.sha256
            )
        # Another process may have replaced the damaged file in the meantime.
        if not good and os.path.samestat(state, path.stat()):
            path.unlink()
        return good
    except FileNotFoundError:
        return False
    except OSError as error:
        raise disk_error(error, path) from error


class _Run:
    """The threads of one call of `fetch`, and their shared state."""

    def __init__(self, web: Web, progress: Progress, cache: Path | None) -> None:
        self._web = web
        self._progress = progress
        self._cache = cache
        self._directory = paths.directory("sources", cache)
        self._partials = paths.directory("sources/partial", cache)
        self._lock = threading.Lock()
        self._received = 0
        self.others: dict[str, Mapping[str, str]] = {}
        self._news: queue.SimpleQueue[tuple[Source, str | Exception]] = queue.SimpleQueue()

    def all(
        self, resolved: Sequence[tuple[Source, tuple[Candidate, ...]]], jobs: int
    ) -> dict[str, Mapping[str, str]]:
        """Fetch all sources; return those that failed: sha256 → URL → reason.

        The largest files come first, so that no long download is left at the end.
        """
        import requests  # noqa: F401  # once, before the threads would wait for each other

        todo: queue.SimpleQueue[tuple[Source, tuple[Candidate, ...]]] = queue.SimpleQueue()
        for item in sorted(resolved, key=lambda item: -item[0].size):
            todo.put(item)
        # Daemons: a thread that hangs in a read must not delay the end of the program.
        threads = [
            threading.Thread(target=self._work, args=(todo,), name=_THREAD, daemon=True)
            for _ in range(max(1, min(jobs, len(resolved))))
        ]
        self._progress.begin(len(resolved), sum(source.size for source, _ in resolved))
        try:
            for thread in threads:
                thread.start()
            return self._watch(len(resolved))
        except BaseException as error:
            # The error of a single file is no reason not to get another one by this Web.
            if len(threads) > 1 or not isinstance(error, Exception):
                self._web.stop.set()
            for thread in threads:
                thread.join(_FAREWELL / len(threads))
            raise
        finally:
            self._show_received()
            self._progress.end()

    def _watch(self, left: int) -> dict[str, Mapping[str, str]]:
        """Wait until each of the `left` sources is fetched or has failed."""
        reasons: dict[str, Mapping[str, str]] = {}
        while left:
            if self._web.stop.is_set():
                raise BuildError("fetching was stopped", hint="run it again to continue")
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
                if outcome.others:
                    self.others[source.sha256] = outcome.others
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
        """Fetch one source into the cache; return the URL that it came from."""
        final = self._directory / source.sha256
        with locked(
            self._partials / source.sha256,
            source.sha256,
            source.size,
            count=self._count,
            wait=self._wait,
        ) as partial:
            if cached(source, self._cache):
                partial.empty()
                self._count(source.size)
                return "another run"
            origin = "an earlier run"
            if not partial.complete():
                origin = str(self._ask(source, candidates, partial))
            partial.keep(final)
            return origin

    def _wait(self) -> None:
        if self._web.stop.wait(_TICK):
            raise download.Stopped

    def _ask(self, source: Source, candidates: Sequence[Candidate], partial: Partial) -> Candidate:
        """Try the candidates in turn, and some again, until one gives the file."""
        reasons = {str(candidate): "was not tried" for candidate in candidates}
        others: dict[str, str] = {}
        for round_ in range(1, _ROUNDS + 1):
            again: list[Candidate] = []
            for candidate in candidates:
                try:
                    self._ask_one(source, candidate, partial)
                    return candidate
                except UrlFailed as error:
                    reasons[str(candidate)] = error.reason
                    if isinstance(error, AnotherFile):
                        others[str(candidate)] = error.reason
                    if error.again:
                        again.append(candidate)
            if not again or round_ == _ROUNDS:
                break
            if self._web.stop.wait(self._web.patience.pause * round_):
                raise download.Stopped
            candidates = again
        raise _AllFailed(reasons, others)

    def _ask_one(self, source: Source, candidate: Candidate, partial: Partial) -> None:
        if candidate.kind == "url":
            download.download(self._web, candidate.address, partial)
        elif candidate.kind == "wheel":
            wheels.download(candidate.address, source.file, partial, stop=self._web.stop)
        elif candidate.kind == "git":
            git.download(candidate.address, partial, stop=self._web.stop)
        else:
            raise UrlFailed("apt has no Debian archive here, and mirror= is not set")


class _AllFailed(Exception):
    def __init__(self, reasons: Mapping[str, str], others: Mapping[str, str]) -> None:
        super().__init__()
        self.reasons, self.others = reasons, others
