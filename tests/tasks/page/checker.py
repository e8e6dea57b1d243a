"""Parses a page like a browser, and checks the promises of a report."""

from __future__ import annotations

import re
from html.parser import HTMLParser

EMPTY = {"input", "meta"}
# What would load something, or run it. `href` is for links, which load nothing until they are used.
LOADING = {"src", "srcset", "data", "action", "poster", "xlink:href", "background", "ping"}
WITH_HREF = {"a"}


class Checked(HTMLParser):
    """A page: the text that people see, the ids, the links; fails on what must not be there."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.texts: list[str] = []
        self.titles: list[str] = []
        self.elements: list[str] = []
        self.classes: list[str] = []
        self.feed(page)
        self.close()
        self._check(page)

    @property
    def text(self) -> str:
        return "\n".join(self.texts)

    def handle_starttag(self, name: str, attributes: list[tuple[str, str | None]]) -> None:
        self.elements.append(name)
        if name not in EMPTY:
            self.open.append(name)
        for key, value in attributes:
            assert key not in LOADING and not key.startswith("on"), (name, key)
            assert key != "href" or name in WITH_HREF, (name, value)
            if key == "id":
                self.ids.append(value or "")
            elif key == "class":
                self.classes.append(value or "")
            elif key == "href":
                self.links.append(value or "")

    def handle_endtag(self, name: str) -> None:
        assert self.open.pop() == name

    def handle_data(self, data: str) -> None:
        inside = self.open[-1] if self.open else ""
        if inside == "title":
            self.titles.append(data)
        elif inside not in ("style", "script"):
            self.texts.append(data)
        else:
            assert not re.search(r"url\(|@import|https?:|fetch\(|XMLHttp", data), inside

    def _check(self, page: str) -> None:
        assert self.open == [] and page.startswith("<!DOCTYPE html>")
        assert len(self.ids) == len({*self.ids})
        inner = [link[1:] for link in self.links if link.startswith("#")]
        assert {*inner} <= {*self.ids}
        assert all(re.match(r"#|https?://", link) for link in self.links)
        assert self.elements.count("script") == 1
        assert not {"link", "img", "iframe", "object", "embed", "base", "form"} & {*self.elements}
