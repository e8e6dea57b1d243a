"""HTML from Python, escaped unless it was made here.

    tag("td", "<b>", class_="x") ──▶ <td class="x">&lt;b&gt;</td>

Text becomes HTML only by `tag`, so that nothing in a name, a licence or a log can become markup.
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
    """The element `name`. In the names of attributes "_" stands for "-", save at the end.

    An attribute that is None or False is left out, one that is True has no value.
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
    """`parts` one after the other, what is plain text among them escaped."""
    return Html(
        "".join(
            (part if isinstance(part, Html) else escape(part))
            if isinstance(part, str)
            else join(*part)
            for part in parts
        )
    )


def _text(value: str | float) -> str:
    """An attribute's value; of a coordinate one decimal is as fine as a screen shows."""
    return value if isinstance(value, str) else f"{value:.1f}".removesuffix(".0")
