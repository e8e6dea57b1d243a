"""Shows how fetching goes: a bar on a terminal, plain lines elsewhere, or nothing at all.

    fetch ──begin──▶ (add | done | note) … ──end──▶

All calls come from the one thread that called `fetch`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TextIO

if TYPE_CHECKING:
    from tqdm import tqdm


class Progress(Protocol):
    """What `cache.sources.fetch` tells about its course."""

    def begin(self, files: int, size: int) -> None:
        """So many files of so many bytes in all are going to be fetched."""

    def add(self, size: int) -> None:
        """So many bytes more are there; negative when wrong ones were thrown away."""

    def done(self, file: str, size: int, place: str) -> None:
        """The file has been verified and kept; `place` gave the last of it."""

    def note(self, text: str) -> None:
        """Something a person may want to know, in one line."""

    def end(self) -> None:
        """Nothing more comes, whether or not all went well."""


class Silent:
    """Shows nothing."""

    def begin(self, files: int, size: int) -> None:
        pass

    def add(self, size: int) -> None:
        pass

    def done(self, file: str, size: int, place: str) -> None:
        pass

    def note(self, text: str) -> None:
        pass

    def end(self) -> None:
        pass


class Lines(Silent):
    """One line for each file that is kept, and for each note."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._files = 0
        self._done = 0

    def begin(self, files: int, size: int) -> None:
        self._files = files

    def done(self, file: str, size: int, place: str) -> None:
        self._done += 1
        self.note(f"[{self._done}/{self._files}] {file} ({size / 1e6:.1f} MB) from {place}")

    def note(self, text: str) -> None:
        self._stream.write(f"{text}\n")
        self._stream.flush()


class Bar(Silent):
    """One tqdm bar over the bytes of all files; notes go above it."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._files = 0
        self._done = 0
        self._bar: tqdm[Any] | None = None

    def begin(self, files: int, size: int) -> None:
        from tqdm import tqdm

        self._files = files
        self._bar = tqdm(
            total=size, unit="B", unit_scale=True, file=self._stream, dynamic_ncols=True
        )
        self._describe()

    def add(self, size: int) -> None:
        if self._bar is not None:
            self._bar.update(size)

    def done(self, file: str, size: int, place: str) -> None:
        self._done += 1
        self._describe()

    def note(self, text: str) -> None:
        if self._bar is not None:
            self._bar.write(text, file=self._stream)

    def end(self) -> None:
        if self._bar is not None:
            self._bar.close()

    def _describe(self) -> None:
        if self._bar is not None:
            self._bar.set_description(f"fetched {self._done}/{self._files}")


def choose(stream: TextIO) -> Progress:
    """A bar when `stream` is a terminal, lines otherwise."""
    return Bar(stream) if stream.isatty() else Lines(stream)
