"""Does things side by side, in threads that never delay the end of this process.

    submit, map ──▶ waiting ──▶ threads ──▶ results

At Ctrl-C nothing more is begun, and what is on its way is left: a transfer may take minutes. The
threads of concurrent.futures would do all that waits before the process could end.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from queue import SimpleQueue
from types import TracebackType
from typing import Any, Self, TypeVar

_Thing = TypeVar("_Thing")
_Made = TypeVar("_Made")


class SideBySide:
    """Does `at_once` things at once; a context manager.

    Its end waits for what was begun, and after an error nothing more is begun.
    """

    def __init__(self, at_once: int) -> None:
        self._waiting: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._is_over = False
        self._threads = [threading.Thread(target=self._work, daemon=True) for _ in range(at_once)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self._is_over = error is not None
        for _thread in self._threads:
            self._waiting.put(None)
        if kind is None or issubclass(kind, Exception):
            for thread in self._threads:
                thread.join()

    def submit(self, do: Callable[..., _Made], *given: Any) -> Future[_Made]:
        """Have a thread call `do` with what is `given`."""
        made = Future[_Made]()

        def work() -> None:
            try:
                made.set_result(do(*given))
            except BaseException as error:
                made.set_exception(error)

        self._waiting.put(work)
        return made

    def map(self, do: Callable[[_Thing], _Made], things: Iterable[_Thing]) -> Iterator[_Made]:
        """The result of `do` for each of `things`, in their order. Raises what it raised first."""
        made = [self.submit(do, each) for each in things]
        return (each.result() for each in made)

    def _work(self) -> None:
        while (work := self._waiting.get()) is not None:
            if not self._is_over:
                work()
