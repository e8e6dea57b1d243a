"""Imports late what doit imports early and a run rarely needs: a tenth of a short run's time.

with standing_in("pdb"): import doit ──▶ doit's `pdb` is a stand-in
pdb.Pdb(…) later                     ──▶ imports the real module, and calls its Pdb
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from types import ModuleType
from typing import Any


class _StandIn(ModuleType):
    """A module of functions: each imports the real module when it is called."""

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name.startswith("__"):
            raise AttributeError(name)  # the import system looks for some of these

        def call(*words: Any, **named: Any) -> Any:
            return getattr(import_module(self.__name__), name)(*words, **named)

        return call


@contextmanager
def standing_in(*modules: str) -> Iterator[None]:
    """What is imported inside gets stand-ins for those of `modules` that are not imported yet."""
    absent = [name for name in modules if name not in sys.modules]
    sys.modules.update({name: _StandIn(name) for name in absent})
    try:
        yield
    finally:
        for name in absent:
            del sys.modules[name]
