"""Strict YAML: plain data only, no duplicate keys, and every value knows its line.

    file ──parse──▶ events with marks ──check──▶ Table (a dict that can say "file:line" of a key)

Aliases, tags and merge keys are refused: people read the recipes, and must see all of their
meaning. That also prevents "anchor bombs". Very large and very deep files are refused too: libyaml
would crash the process at a depth of about ten thousand.
"""

from __future__ import annotations

import re
import stat
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from plan.errors import BuildError, nearest

_LARGEST = 1 << 20  # bytes
_DEEPEST = 20  # lists and mappings inside each other
_TEXT = "tag:yaml.org,2002:str"
_SPECIAL = {"<<": "tag:yaml.org,2002:merge", "=": "tag:yaml.org,2002:value"}
PLAIN_TAGS = {
    _TEXT,
    "tag:yaml.org,2002:int",
    "tag:yaml.org,2002:bool",
    "tag:yaml.org,2002:null",
    "tag:yaml.org,2002:float",
    "tag:yaml.org,2002:timestamp",
}
TRUTH = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}

# Keys of version 0.1, and what they are called since.
RENAMED = {
    "folders": "directories",
    "leave": "exclude",
    "licence": "license",
    "places": "urls",
    "why": "description",
}


class Table(dict[str, Any]):
    """A YAML mapping that remembers its file and the line of each key."""

    def __init__(self, file: str, line: int) -> None:
        super().__init__()
        self.file = file
        self.line = line
        self.lines: dict[str, int] = {}
        self.elsewhere: dict[str, str] = {}
        """The "file:line" of each key whose value came from another file."""

    def where(self, *keys: str) -> str:
        """ "file:line" of the last of `keys`, or of the table itself.

        If several keys conflict, it is the line of the key that came from another file.
        """
        for key in keys:
            if key in self.elsewhere:
                return self.elsewhere[key]
        return f"{self.file}:{self.lines.get(keys[-1], self.line) if keys else self.line}"

    def copied(self) -> Table:
        """The same table, to be changed by `put`."""
        copy = Table(self.file, self.line)
        copy.update(self)
        copy.lines, copy.elsewhere = dict(self.lines), dict(self.elsewhere)
        return copy

    def put(self, key: str, value: Any, where: str) -> None:
        """Set `key` to `value`, which is at `where` in another file."""
        self[key] = value
        self.elsewhere[key] = where

    def expect(self, kinds: Mapping[str, type], required: Iterable[str] = ()) -> None:
        """Check the keys against `kinds` (key → str, bool, int, float, list or dict).

        A scalar is text unless `kinds` says otherwise, so `version: 1.10` stays "1.10".
        Raises BuildError with file, line and the nearest valid key.
        """
        for key, value in self.items():
            kind = kinds.get(key)
            if kind is None:
                new = RENAMED.get(key)
                hint = f"its name is {new} now" if new in kinds else nearest(key, kinds)
                raise BuildError(f"unknown key {key!r}", where=self.where(key), hint=hint)
            if kind in (bool, int, float) and isinstance(value, str):
                value = self[key] = self._number_or_truth(key, value, kind)
            if not isinstance(value, kind):
                raise BuildError(
                    f"{key!r} must be a {kind_name(kind)}, not {kind_name(type(value))}",
                    where=self.where(key),
                )
        for key in required:
            if key not in self:
                raise BuildError(f"the key {key!r} is missing", where=self.where())

    def _number_or_truth(self, key: str, text: str, kind: type) -> bool | float:
        try:
            return TRUTH[text.lower()] if kind is bool else kind(text)
        except (KeyError, ValueError):
            raise BuildError(
                f"{key!r} must be a {kind_name(kind)}, not {text!r}", where=self.where(key)
            ) from None

    def texts(self, key: str) -> tuple[str, ...]:
        """The list of plain texts under `key`, empty if the key is not there."""
        value = self.get(key, [])
        if not all(isinstance(item, str) for item in value):
            raise BuildError(f"{key!r} must be a list of plain values", where=self.where(key))
        return tuple(value)

    def mapping(self, key: str) -> dict[str, str]:
        """The mapping of plain texts under `key`, empty if the key is not there."""
        if key not in self:
            return {}
        entries: Table = self[key]
        entries.expect(dict.fromkeys(entries, str))
        return dict(entries)


def kind_name(kind: type) -> str:
    """What people call a value of this type."""
    names = {
        str: "text",
        bool: "yes or no",
        int: "whole number",
        float: "number",
        list: "list",
        Table: "mapping",
        dict: "mapping",
    }
    return names.get(kind, kind.__name__)


def top_keys(path: Path) -> tuple[str, ...]:
    """The names at the top of the file `path`, read without YAML: completion must be fast."""
    text = _text(path, str(path), errors="replace")  # load() says that it is not UTF-8
    return tuple(re.findall(r"""^["']?([\w.-]+)["']?[ \t]*:""", text, re.MULTILINE))


def require_names(path: Path) -> None:
    """Raise BuildError, with file and line, for a key at the top that `top_keys` does not see.

    YAML is read only where a line looks so.
    """
    text = _text(path, str(path), errors="replace")
    seen, plain = top_keys(path), r"""[\s#]|["']?[\w.-]+["']?[ \t]*:"""
    if seen and all(re.match(plain, line) for line in text.splitlines() if line):
        return
    table = load(path)
    for key in table:
        if re.fullmatch(r"[\w.-]+", key) and key not in seen:
            hint = "write it at the beginning of a line, without braces"
            raise BuildError(f"the name {key!r} is not found", where=table.where(key), hint=hint)
        if key not in seen:
            hint = "a name has letters, digits, '.', '_' and '-'"
            raise BuildError(f"{key!r} cannot be a name", where=table.where(key), hint=hint)


def load(path: Path, *, shown_as: str | None = None) -> Table:
    """Read the mapping in the YAML file `path`. Scalars come back as text.

    `shown_as` names the file in messages (default: the path itself).
    Raises BuildError with file and line for anything but a plain mapping.
    """
    import yaml

    file = shown_as or str(path)
    text = _text(path, file)
    # libyaml's scanner is ten times as fast as the Python one; both give the same events.
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        value = _Document(yaml, loader(text), file).value()
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f"{file}:{mark.line + 1}" if mark else file
        raise BuildError(
            f"broken YAML: {getattr(error, 'problem', None) or error}", where=place
        ) from error
    if not isinstance(value, Table):
        raise BuildError("must contain a mapping (key: value)", where=f"{file}:1")
    return value


def _text(path: Path, file: str, *, errors: str = "strict") -> str:
    """The text of the file `path`, which messages call `file`, without a byte order mark.

    Raises BuildError, also for what would never end: a FIFO, a device.
    """
    try:
        status = path.stat()
        if not (stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode)):
            raise BuildError("this is no plain file", where=file)
        if status.st_size > _LARGEST:
            raise BuildError(f"is larger than {_LARGEST >> 20} MiB", where=file)
        return path.read_text(encoding="utf-8", errors=errors).removeprefix("\ufeff")
    except OSError as error:
        raise BuildError(f"cannot be read: {error.strerror}", where=file) from error
    except UnicodeDecodeError as error:
        raise BuildError(f"is not UTF-8: {error.reason}", where=file) from error


class _Document:
    """Makes plain values of the events that libyaml finds in a text, and refuses all others."""

    def __init__(self, yaml: Any, loader: Any, file: str) -> None:
        self.file, self.next = file, loader.get_event
        self.scalar, self.alias = yaml.ScalarEvent, yaml.AliasEvent
        self.sequence, self.mapping = yaml.SequenceStartEvent, yaml.MappingStartEvent
        self.ends = (yaml.SequenceEndEvent, yaml.MappingEndEvent)
        self.stream_end = yaml.StreamEndEvent

    def value(self) -> Any:
        """The only document; an empty table if there is none. Raises BuildError, YAMLError."""
        self.next()
        if isinstance(self.next(), self.stream_end):
            return Table(self.file, 1)
        value = self._value(self.next(), 1)
        self.next()
        if not isinstance(end := self.next(), self.stream_end):
            raise self._error("broken YAML: but found another document", end)
        return value

    def _error(self, message: str, event: Any) -> BuildError:
        return BuildError(message, where=f"{self.file}:{event.start_mark.line + 1}")

    def _value(self, event: Any, depth: int) -> Any:
        if isinstance(event, self.scalar):
            if (tag := _tag(event)) not in PLAIN_TAGS:
                raise self._error(f"the tag {tag!r} is not allowed", event)
            if "\0" in event.value:  # no path, argument or variable can have it
                raise self._error("broken YAML: a zero byte in a text", event)
            return event.value
        if isinstance(event, self.alias):
            raise self._error("aliases (*) are not allowed", event)
        if depth > _DEEPEST:
            raise self._error(f"lists and mappings nest more than {_DEEPEST} deep", event)
        if isinstance(event, self.sequence):
            return [self._value(each, depth + 1) for each in self._inside()]
        table = Table(self.file, event.start_mark.line + 1)
        for key in self._inside():
            self._check_key(key, table)
            table.lines[key.value] = key.start_mark.line + 1
            table[key.value] = self._value(self.next(), depth + 1)
        return table

    def _inside(self) -> Iterator[Any]:
        """The events up to the end of the current list or mapping, as far as nobody took them."""
        while not isinstance(event := self.next(), self.ends):
            yield event

    def _check_key(self, key: Any, table: Table) -> None:
        if isinstance(key, self.alias):
            raise self._error("aliases (*) are not allowed", key)
        if not isinstance(key, self.scalar) or _tag(key) == "tag:yaml.org,2002:merge":
            raise self._error("a key must be plain text", key)
        if key.value in table:
            first = table.lines[key.value]
            raise self._error(f"duplicate key {key.value!r} (first in line {first})", key)


def _tag(event: Any) -> str:
    """The tag of a scalar. Without one, only plain `<<` and `=` are no plain data."""
    if event.tag is not None and event.tag != "!":
        return str(event.tag)
    return _SPECIAL.get(event.value, _TEXT) if event.implicit[0] else _TEXT
