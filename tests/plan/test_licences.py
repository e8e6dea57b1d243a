"""SPDX expressions: what is one, what is not, and whether our words are SPDX's."""

from __future__ import annotations

import json
from importlib import resources

import pytest

from plan.errors import BuildError
from plan.licences import EXCEPTIONS, LICENCES, check


@pytest.mark.parametrize(
    "expression",
    [
        "MIT",
        "Apache-2.0 WITH LLVM-exception",
        "MIT OR GPL-2.0-only WITH Linux-syscall-note AND Zlib",
        "(MIT)",
        "((MIT OR ISC) AND (Zlib))",
    ],
)
def test_valid_expressions(expression: str) -> None:
    check(expression, "x:1")


@pytest.mark.parametrize(
    ("expression", "message", "hint"),
    [
        ("MTI", "unknown SPDX licence 'MTI'", "did you mean MIT?"),
        ("mit", "unknown SPDX licence 'mit'", "plan/licences.py"),
        ("GPL-2.0", "unknown SPDX licence 'GPL-2.0'", "GPL-2.0-only"),
        ("Apache-2.0 WITH LLVM-exeption", "unknown SPDX exception", "LLVM-exception?"),
        ("LLVM-exception", "unknown SPDX licence", ""),
        ("Apache-2.0 WITH MIT", "unknown SPDX exception 'MIT'", ""),
        ("MIT WITH LLVM-exception WITH LLVM-exception", "'WITH' cannot stand", "AND, OR"),
        ("MIT, Zlib", "unknown SPDX licence 'MIT,'", ""),
        ("MIT Zlib", "'Zlib' cannot stand", "AND, OR"),
        ("MIT and Zlib", "'and' cannot stand", "AND, OR"),
        ("AND MIT", "'AND' cannot stand", ""),
        ("MIT OR", "its end is missing", ""),
        ("(MIT", "its end is missing", ""),
        ("MIT)", "closed that is not open", ""),
        ("()", "')' cannot stand", ""),
        ("", "its end is missing", ""),
        ("licence", "unknown SPDX licence 'licence'", ""),
    ],
)
def test_what_is_none(expression: str, message: str, hint: str) -> None:
    with pytest.raises(BuildError) as caught:
        check(expression, "plan/recipes/x.yaml:3")
    assert message in caught.value.message and hint in str(caught.value.hint)
    assert caught.value.where == "plan/recipes/x.yaml:3"


def test_the_words_are_those_of_the_spdx_list() -> None:
    schemas = resources.files("cyclonedx.schema").joinpath("_res")
    listed = json.loads(schemas.joinpath("spdx.SNAPSHOT.schema.json").read_text())["enum"]
    assert set(listed) >= LICENCES
    assert set(listed) >= EXCEPTIONS
