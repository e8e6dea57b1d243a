"""The YAML library, imported without compiling its patterns.

libyaml needs none of them, and one takes as long to compile as all recipes take to read. A pattern
is compiled when it is used first: the library's Python reader uses them.
"""

from __future__ import annotations

import re
import sys
from functools import cached_property
from typing import Any

_compile = re.compile


class _Late:
    """Stands for the pattern `re.compile(*given)`."""

    def __init__(self, *given: Any) -> None:
        self._given = given

    @cached_property
    def _pattern(self) -> re.Pattern[Any]:
        return _compile(*self._given)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._pattern, name)


def library() -> Any:
    """The module `yaml`."""
    if "yaml" not in sys.modules:
        re.compile = _Late  # type: ignore[assignment]
        try:
            import yaml  # noqa: F401
        finally:
            re.compile = _compile
    return sys.modules["yaml"]
