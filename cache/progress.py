"""Shows the progress of fetching: a bar on a terminal, plain lines elsewhere, or nothing.

    fetch ──begin──▶ (add | done | note) … ──end──▶

All calls come from the thread that called `fetch`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TextIO

if TYPE_CHECKING:
    from tqdm import tqdm


class Progress(Protocol):
    """The events of `cache.sources.fetch`."""

    def begin(self, files: int, size: int) -> None:
        """Fetching of `files` files with `size` bytes in total begins."""

    def add(self, size: int) -> None:
        """`size` more bytes have arrived; negative if wrong ones were discarded."""

    def done(self, file: str, size: int, origin: str) -> None:
        """The file is verified and kept; its last bytes came from `origin`."""

    def note(self, text: str) -> None:
        """A message for the user, one line."""

    def end(self) -> None:
        """Fetching has ended, with or without errors."""


class Silent:
    """Shows nothing."""

    def begin(self, files: int, size: int) -> None:
        pass

    def add(self, size: int) -> None:
        pass

    def done(self, file: str, size: int, origin: str) -> None:
        pass

    def note(self, text: str) -> None:
        pass

    def end(self) -> None:
        pass


class Lines(Silent):
    """One line for each finished file and for each note."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._files = 0
        self._done = 0

    def begin(self, files: int, size: int) -> None:
        self._files = files

    def done(self, file: str, size: int, origin: str) -> None:
        self._done += 1
        self.note(f"[{self._done}/{self._files}] {file} ({size / 1e6:.1f} MB) from {origin}")

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

    def done(self, file: str, size: int, origin: str) -> None:
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
    """A bar if `stream` is a terminal, else lines."""
    return Bar(stream) if stream.isatty() else Lines(stream)
