"""SPDX expressions: valid ones, invalid ones, and whether our identifiers are in SPDX's list."""

from __future__ import annotations

import json
from importlib import resources

import pytest

from plan.errors import BuildError
from plan.reading.licenses import EXCEPTIONS, LICENSES, check


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
        ("MTI", "unknown SPDX license 'MTI'", "did you mean MIT?"),
        ("mit", "unknown SPDX license 'mit'", "did you mean MIT? (add a new one to plan/"),
        ("GPL-2.0+", "unknown SPDX license 'GPL-2.0+'", "did you mean GPL-2.0-"),
        ("LGPL-2.1-or-later", "unknown SPDX license", "known: 0BSD, Apache-2.0"),
        ("BSD", "unknown SPDX license 'BSD'", "known: BSD-1-Clause, BSD-2-Clause"),
        ("GPL-2.0", "unknown SPDX license 'GPL-2.0'", "GPL-2.0-only"),
        ("Apache-2.0 WITH LLVM-exeption", "unknown SPDX exception", "LLVM-exception?"),
        ("LLVM-exception", "unknown SPDX license", ""),
        ("Apache-2.0 WITH MIT", "unknown SPDX exception 'MIT'", ""),
        ("MIT WITH LLVM-exception WITH LLVM-exception", "'WITH' is not allowed", "AND, OR"),
        ("MIT, Zlib", "unknown SPDX license 'MIT,'", ""),
        ("MIT Zlib", "'Zlib' is not allowed", "AND, OR"),
        ("MIT and Zlib", "'and' is not allowed", "AND, OR"),
        ("AND MIT", "'AND' is not allowed", ""),
        ("MIT OR", "it is not complete", ""),
        ("(MIT", "it is not complete", ""),
        ("MIT)", "a closing parenthesis has no opening one", ""),
        ("()", "')' is not allowed", ""),
        ("", "it is not complete", ""),
        ("license", "unknown SPDX license 'license'", ""),
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
    assert set(listed) >= LICENSES
    assert set(listed) >= EXCEPTIONS
