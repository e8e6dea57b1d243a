"""The failures of many downloads as text: a host that does not answer is named once, not per file.

sha256 → URL → reason ──▶ hosts without an answer, then each file with its other URLs
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping


def has_answered(reason: str) -> bool:
    """Whether a URL that failed for `reason` was answered by its server: it denied the file."""
    return reason.startswith("HTTP 4") and not reason.startswith("HTTP 407")


def failures(titles: Mapping[str, str], reasons: Mapping[str, Mapping[str, str]]) -> list[str]:
    """The lines for the files `titles` (sha256 → file); reasons: sha256 → URL → why it failed."""
    silent = _silent_hosts(reasons)
    lines = [f"  {host}: {why}" for host, why in silent.items()]
    for sha256, title in titles.items():
        lines.append(f"  {title}")
        for url, why in reasons[sha256].items():
            if _host(url) not in silent:
                lines.append(f"    {url}: {why}")
    return lines


def _silent_hosts(reasons: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    """The hosts that gave several files no answer, with the reason, the same for all."""
    whys: dict[str, dict[str, str]] = {}
    files: Counter[str] = Counter()
    for urls in reasons.values():
        files.update({_host(url) for url in urls})
        for url, why in urls.items():
            whys.setdefault(_host(url), {})[url] = why
    found = {}
    for host, of_urls in whys.items():
        # A host that is not asked again quotes the first reason.
        first = min(of_urls.values(), key=len)
        same = all(first in why for why in of_urls.values())
        if host and files[host] > 1 and same and not has_answered(first):
            found[host] = first
    return found


def _host(url: str) -> str:
    """scheme://host of `url`; "" if it has none."""
    return "/".join(url.split("/")[:3]) if "://" in url else ""
