"""Guesses a recipe from a source: for `doit recipe new`. A person checks the result.

file name ──▶ version          license texts ──▶ license
names in it, its build files ──plan/writing/build_files.py──▶ style, options, depends, tools
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from plan.model import Source
from plan.writing.build_files import depends, libraries, options, style_of, tools
from plan.writing.yamltext import key_lines

GUESSED = ("license", "description", "depends", "tools", "options", "build")

_VERSION = re.compile(
    r"(?:.*[-_]|\A)v?(\d[\w.+]*?)(?:[.+](?:dfsg|orig|ds)[\d.+]*)*\.(?:tar(?:\.\w+)?|tgz)\Z"
)
_WHEEL = re.compile(r"[^-]+-([^-]+)-.*\.whl\Z")
# The first that a text matches is its license.
_LICENSES = {
    "Apache-2.0": r"Apache License\s+Version 2\.0",
    "MPL-2.0": r"Mozilla Public License,? Version 2\.0",
    "LGPL-3.0-or-later": r"GNU LESSER GENERAL PUBLIC LICENSE\s+Version 3",
    "LicenseRef-LGPL-2.1": r"GNU LESSER GENERAL PUBLIC LICENSE\s+Version 2\.1",
    "GPL-3.0-or-later": r"GNU GENERAL PUBLIC LICENSE\s+Version 3",
    "GPL-2.0-or-later": r"GNU GENERAL PUBLIC LICENSE\s+Version 2",
    "BSD-3-Clause": r"Redistribution and use in source.*(?:Neither the name|endorse or promote)",
    "BSD-2-Clause": r"Redistribution and use in source",
    "MIT": r"Permission is hereby granted, free of charge",
    "ISC": r"Permission to use, copy, modify, and(?:/or)? distribute",
    "Zlib": r"This software is provided 'as-is'",
}
_UNKNOWN = """\
echo "how {name} is built is not known: write it here"
exit 1
"""


def version(file: str) -> str:
    """The version in the name of a tarball or wheel, or "0"."""
    found = _VERSION.search(file) or _WHEEL.match(file)
    return found[1] if found else "0"


def license_of(texts: Iterable[str], name: str) -> str:
    """The SPDX identifiers of the license texts, or a name of its own for the package `name`."""
    found = dict.fromkeys(
        identifier for text in texts for identifier in [_identifier(text)] if identifier
    )
    return " AND ".join(found) or f"LicenseRef-{re.sub('[^A-Za-z0-9.-]', '-', name)}"


def _identifier(text: str) -> str:
    found = (name for name, at in _LICENSES.items() if re.search(at, text, re.DOTALL))
    return next(found, "")


def recipe(
    name: str,
    source: Source,
    names: Collection[str],
    texts: Mapping[str, str],
    licenses: Iterable[str],
    release: str = "",
) -> str:
    """The text of a recipe for the package `name`.

    names: the files in the source, below its top directory. texts: those of READ that it has.
    licenses: its license texts. release: its version, if the name of the file does not say it.
    """
    style = style_of(source.file, names)
    entry = {
        "sha256": source.sha256,
        "size": str(source.size),
        "file": source.file,
        "urls": [*source.urls],
        **({"snapshot": source.snapshot} if source.snapshot else {}),
    }
    generators, given = tools(names), options(style, texts)
    values: Mapping[str, Any] = {
        "name": name,
        "version": release or version(source.file),
        "license": license_of(licenses, name),
        "description": f"what {name} is for",
        "sources": [entry],
        "depends": depends(style, names, texts),
        **({"tools": generators} if generators else {}),
        "style": style,
        **({"options": given} if given else {}),
        **({"build": _UNKNOWN.format(name=name)} if style == "script" else {}),
    }
    text = '# The lines with "check" are guesses of `recipe new`.\n'
    if looked := libraries(texts):
        text += (
            f"# Its build looks for: {', '.join(looked)}. What it shall use goes to `depends`.\n"
        )
    for key, value in values.items():
        first, *more = key_lines(key, value, 0)
        text += f"{first.rstrip()} # check\n" if key in GUESSED else first
        text += "".join(more)
    return text
