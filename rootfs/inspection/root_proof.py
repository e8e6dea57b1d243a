"""Compares the root file system of an image with the provenance inside it.

    /etc/bq2/provenance.json ──subject──┬─▶ packages: each, packed again, must be its artifact
                                        └─▶ files: each must have the stated hash and mode
                           └─sources──────▶ /workspace/cache/sources/<sha256>
    any other file ───────────────────────▶ an error

Each check is a function that returns its result, or raises BuildError with the difference. These
checks prove that the parts belong together. Only the provenance file beside the image proves that
it is the right provenance (rootfs/inspection/inspection.py).
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from typing import Any, TypeVar

from plan.documents.provenance import PREDICATE, STATEMENT
from plan.errors import BuildError
from plan.steps.plan import deed, deeds_digest
from rootfs.image.names import ABOUT, BILL, FILES, PROVENANCE, REPLACED, SOURCES, WORKSPACE
from rootfs.inspection.ext4_format import ROOT
from rootfs.inspection.ext4_reader import Ext4, Inode
from rootfs.inspection.repack import artifact_digest, file_digest
from rootfs.inspection.window import View

PLAN = f"{WORKSPACE}/plan.json"
KIND = (STATEMENT, PREDICATE)
T = TypeVar("T")
Named = tuple[str, Callable[[], str]]
SHOWN = 5  # differences that one check reports


class Root:
    """A root file system with its provenance; reads all file names first. Raises BuildError."""

    def __init__(self, view: View) -> None:
        self.fs = Ext4(view)
        self.files: dict[bytes, Inode] = dict(self.fs.walk())

    def checks(self) -> Iterator[Named]:
        """(name, function) of each check. The image itself names the packages."""
        yield "root file system", self.sound
        yield "provenance", self.agrees
        for name in self._names():
            yield f"package {name}", lambda name=name: self.package(name)  # type: ignore[misc]
        yield "files of the workspace", self.told_files
        yield "sources", self.sources
        yield "nothing else", self.nothing_else

    def _names(self) -> list[str]:
        try:
            return [*self.image_artifacts()]
        except BuildError:
            return []  # the check "provenance" reports the error

    def content(self, path: str) -> bytes:
        """The content of a file. Raises BuildError if it is missing."""
        inode = self._file(os.fsencode(path))
        if not stat.S_ISREG(inode.mode):
            raise BuildError("is not a regular file", where=f"/{path}")
        return self.fs.content(inode)

    def document(self, path: str) -> Any:
        """The content of a file as JSON."""
        return parsed(self.content(path), f"/{path}")

    def image_artifacts(self) -> dict[str, str]:
        """The artifact of each package, from image.json."""
        return artifacts_of(self.document(ABOUT), f"/{ABOUT}")

    def sound(self) -> str:
        """Check what artifacts do not store: checksums, owners, attributes, link counts."""
        if not self.fs.summed:
            raise BuildError("its metadata has no checksums")
        self.fs.check()
        names: dict[int, int] = {}
        top = self.fs.inode(ROOT)
        if stat.S_IMODE(top.mode) != 0o755:
            raise BuildError(f"has the mode {stat.S_IMODE(top.mode):o}, not 755", where="/")
        for path, inode in (b"", top), *self.files.items():
            if inode.owner != (0, 0) or inode.has_attributes:
                raise BuildError("is not owned by 0:0, or has attributes", where=_shown(path))
            if inode.mode & (stat.S_ISUID | stat.S_ISGID):
                raise BuildError("has the setuid or setgid bit", where=_shown(path))
            if not stat.S_ISDIR(inode.mode):
                names[inode.number] = names.get(inode.number, 0) + 1
                if names[inode.number] > inode.links:
                    raise BuildError("has more names than its link count", where=_shown(path))
        return f"{len(self.files)} files, all checksums right, all owned by 0:0"

    def agrees(self) -> str:
        """Check that provenance, bill of materials, image.json and plan.json agree."""
        told = self.image_artifacts()
        if {name: each for name, each in self._subject.items() if name[:1] != "/"} != told:
            raise BuildError("names other artifacts than image.json", where=f"/{PROVENANCE}")
        if _listed(self.document(BILL), f"/{BILL}") != told:
            raise BuildError("names other artifacts than image.json", where=f"/{BILL}")
        if (self.provenance.get("_type"), self.provenance.get("predicateType")) != KIND:
            raise BuildError("is not a provenance of the known form", where=f"/{PROVENANCE}")
        self._same_plan()
        return f"{len(told)} artifacts; bill of materials, image.json and plan.json agree"

    def _same_plan(self) -> None:
        plan, image = self.document(PLAN), self.document(ABOUT)

        def derived() -> list[Any]:
            steps = {step["name"]: hashlib.sha256(deed(step)).hexdigest() for step in plan["steps"]}
            sources = {each["sha256"]: each["file"] for s in plan["steps"] for each in s["sources"]}
            digest = deeds_digest(plan["steps"])
            return [plan["set"], plan["arch"], digest, image["plan"], steps, sources]

        def said() -> list[Any]:
            definition = self.provenance["predicate"]["buildDefinition"]
            external, internal = definition["externalParameters"], definition["internalParameters"]
            digest = internal["plan"]
            return [external["set"], external["arch"], digest, digest, internal["steps"], sources]

        sources = self._sources()
        if _read(said, f"/{PROVENANCE}") != _read(derived, f"/{PLAN}"):
            raise BuildError(f"has another plan than /{PLAN}", where=f"/{PROVENANCE}")

    def package(self, name: str) -> str:
        """Check that the package's files, packed again, give its artifact."""
        kept = os.fsencode(f"{REPLACED}/{name}/")
        # A file that another package replaced is kept in /etc/bq2/replaced.
        files = [
            (path, self.files.get(kept + path) or self._file(path)) for path in self._paths(name)
        ]
        made = artifact_digest(self.fs, files)
        if made != (wanted := self.image_artifacts()[name]):
            raise BuildError(f"its files give {made[:12]}, not {wanted[:12]}", where=name)
        return f"identical {wanted[:12]}"

    def told_files(self) -> str:
        """Check the hash and the mode of each file that the provenance names."""
        differing = []
        told = {name: each for name, each in self._rows.items() if name[:1] == "/"}
        for name, row in told.items():
            inode = self.files.get(os.fsencode(name[1:]))
            mode = 0o755 if row.get("annotations", {}).get("executable") else 0o644
            if inode is None:
                differing.append(f"{name} is missing")
            elif inode.mode != stat.S_IFREG | mode:
                differing.append(f"{name} has another mode")
            elif file_digest(self.fs, inode) != self._subject[name]:
                differing.append(f"{name} differs")
        return _all_or(f"{len(told)} identical", differing)

    def sources(self) -> str:
        """Check that each source has the hash in its name and is in the provenance."""
        wanted, found, differing = self._sources(), set[str](), []
        for path in self._below(SOURCES):
            name = os.fsdecode(path.rpartition(b"/")[2])
            found.add(name)
            if name not in wanted:
                differing.append(f"{name[:12]} is not a source of this system")
            elif file_digest(self.fs, self.files[path]) != name:
                differing.append(f"{wanted[name]} ({name[:12]}) differs")
        if found:
            differing += [f"{wanted[name]} is missing" for name in sorted(wanted.keys() - found)]
        inside = f"{len(found)} identical" if found else "none inside (sources=no)"
        return _all_or(inside, differing)

    def nothing_else(self) -> str:
        """Check that every file belongs to a package, to the provenance or to the sources."""
        known = {os.fsencode(name[1:]) for name in self._subject if name[:1] == "/"}
        known |= {os.fsencode(PROVENANCE), b"lost+found"}
        known |= {*self._below(SOURCES), os.fsencode(SOURCES)}
        for name in self.image_artifacts():
            own = self._paths(name)
            known |= {*own, *(os.fsencode(f"{REPLACED}/{name}/") + path for path in own)}
        # The parents of known files are known too.
        known |= {above for path in [*known] for above in _above(path)}
        more = [
            f"{_shown(path)} belongs to no package" for path in sorted(self.files.keys() - known)
        ]
        return _all_or("every file belongs to a package or to the provenance", more)

    # --- the documents ---------------------------------------------------------------------

    @cached_property
    def provenance(self) -> Any:
        return self.document(PROVENANCE)

    @cached_property
    def _rows(self) -> dict[str, Any]:
        return {str(row["name"]): row for row in subject_of(self.provenance, f"/{PROVENANCE}")}

    @cached_property
    def _subject(self) -> dict[str, str]:
        return {name: row["digest"]["sha256"] for name, row in self._rows.items()}

    def _sources(self) -> dict[str, str]:
        rows = dependencies_of(self.provenance, f"/{PROVENANCE}")
        kinds = ((row, row.get("annotations", {}).get("kind")) for row in rows)
        return {
            row["digest"]["sha256"]: str(row["name"]) for row, kind in kinds if kind == "source"
        }

    def _paths(self, name: str) -> list[bytes]:
        return self.content(f"{FILES}/{name}").split(b"\n")[:-1]

    def _file(self, path: bytes) -> Inode:
        if path not in self.files:
            raise BuildError("is missing", where=_shown(path))
        return self.files[path]

    def _below(self, directory: str) -> Iterator[bytes]:
        start = os.fsencode(directory) + b"/"
        return (path for path in sorted(self.files) if path.startswith(start))


def parsed(content: bytes, where: str) -> Any:
    """A JSON document. Raises BuildError, with `where`, if it is not JSON."""
    try:
        return json.loads(content)
    except (ValueError, RecursionError) as error:
        raise BuildError(f"is not JSON: {error}", where=where) from error


def artifacts_of(image: Any, where: str) -> dict[str, str]:
    """The artifact of each package in an image.json. Raises BuildError."""
    return _read(
        lambda: {str(each["name"]): str(each["artifact"]) for each in image["packages"]}, where
    )


def subject_of(statement: Any, where: str) -> list[dict[str, Any]]:
    """The subject of a statement: rows with a name and a sha256. Raises BuildError."""
    rows = _read(lambda: [*statement["subject"]], where)
    _read(lambda: [(row["name"], row["digest"]["sha256"]) for row in rows], where)
    return rows


def dependencies_of(statement: Any, where: str) -> list[dict[str, Any]]:
    """The resolved dependencies of a statement, rows like the subject's. Raises BuildError."""
    rows = _read(
        lambda: [*statement["predicate"]["buildDefinition"]["resolvedDependencies"]], where
    )
    _read(lambda: [(row["name"], row["digest"]["sha256"]) for row in rows], where)
    return rows


def _listed(bill: Any, where: str) -> dict[str, str]:
    return _read(
        lambda: {str(each["name"]): each["hashes"][0]["content"] for each in bill["components"]},
        where,
    )


def _read(get: Callable[[], T], where: str) -> T:
    try:
        return get()
    except (KeyError, TypeError, IndexError, AttributeError) as error:
        raise BuildError("has an unexpected form: a key is missing", where=where) from error


def _all_or(good: str, differing: list[str]) -> str:
    if differing:
        more = [f"and {len(differing) - SHOWN} more"] if len(differing) > SHOWN else []
        raise BuildError("; ".join([*differing[:SHOWN], *more]))
    return good


def _above(path: bytes) -> Iterable[bytes]:
    while path := path.rpartition(b"/")[0]:
        yield path


def _shown(path: bytes) -> str:
    return f"/{os.fsdecode(path)}"
