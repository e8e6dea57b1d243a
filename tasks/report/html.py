"""Makes HTML in Python; all text is escaped.

    tag("td", "<b>", class_="x") ──▶ <td class="x">&lt;b&gt;</td>

Only `tag` makes HTML, so no name, license or log can contain markup.
"""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

EMPTY = frozenset({"input", "meta"})

Attribute = str | float | bool | None


class Html(str):
    """A piece of HTML."""

    __slots__ = ()


def tag(name: str, /, *inside: str | Iterable[str], **attributes: Attribute) -> Html:
    """The element `name`. "_" in attribute names becomes "-", except at the end.

    An attribute that is None or False is omitted; True gives an attribute without a value.
    """
    words = [name]
    for key, value in attributes.items():
        if value is None or value is False:
            continue
        key = key.rstrip("_").replace("_", "-")
        words.append(key if value is True else f'{key}="{escape(_text(value))}"')
    start = f"<{' '.join(words)}>"
    return Html(start if name in EMPTY else f"{start}{join(*inside)}</{name}>")


def join(*parts: str | Iterable[str]) -> Html:
    """`parts` in a row; plain text is escaped."""
    return Html(
        "".join(
            (part if isinstance(part, Html) else escape(part))
            if isinstance(part, str)
            else join(*part)
            for part in parts
        )
    )


def _text(value: str | float) -> str:
    """An attribute's value; numbers have one decimal, which is enough for a screen."""
    return value if isinstance(value, str) else f"{value:.1f}".removesuffix(".0")
