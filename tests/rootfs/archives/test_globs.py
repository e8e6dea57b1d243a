from __future__ import annotations

import pytest

from rootfs.archives.globs import compiled


@pytest.mark.parametrize(
    ("glob", "yes", "no"),
    [
        ("docs", ["docs", "docs/a/b"], ["docs2", "a/docs"]),
        ("docs/", ["docs/a"], ["docsa"]),
        ("*.txt", ["a.txt"], ["a/b.txt", "atxt"]),
        ("**/*.txt", ["a.txt", "x/y/b.txt"], ["a.txt2"]),
        ("a/**/z", ["a/z", "a/b/c/z", "a/b/z/below"], ["b/a/z"]),
        ("a/**", ["a/b", "a/b/c"], ["a", "b/a/c"]),
        ("l?b[0-9]", ["lib3", "lob0/x"], ["libx", "l/b3"]),
        ("x[!a]", ["xb"], ["xa"]),
        ("a+b(c)", ["a+b(c)"], ["aab(c)"]),
        ("x[z-a]", ["x[z-a]"], ["xz", "xa"]),
        ("x[!]", ["x[!]"], ["xa"]),
    ],
)
def test_globs(glob: str, yes: list[str], no: list[str]) -> None:
    pattern = compiled([glob])
    assert pattern
    assert [bool(pattern.match(name.encode())) for name in yes + no] == [True] * len(yes) + [
        False
    ] * len(no)
