"""The pins of recipes, and file names and URLs that contain the version."""

from __future__ import annotations

from pathlib import Path

import pytest

from plan.reading.data import Data, load_data
from plan.reading.recipes import load_recipes
from plan.writing.pins import Tarball, owners, pin, renamed, tarball, why_unpinned

PLAN = Path(__file__).parents[3] / "plan"


def of_version(version: str, ending: str = ".tar.gz") -> Tarball:
    found = tarball(f"pool/main/x/x/x_{version}.orig{ending}", 1, "0")
    assert found
    return found


@pytest.mark.parametrize(
    ("path", "package", "version"),
    [
        ("pool/main/libg/libgc/libgc_8.2.2.orig.tar.gz", "libgc", "8.2.2"),
        ("pool/updates/main/o/openssl/openssl_3.5.7.orig.tar.gz", "openssl", "3.5.7"),
        ("pool/main/p/python3.13/python3.13_3.13.5.orig.tar.xz", "python3.13", "3.13.5"),
    ],
)
def test_a_tarball_is_known_by_its_path(path: str, package: str, version: str) -> None:
    found = tarball(path, 7, "ab")
    assert found and (found.package, found.version, found.size) == (package, version, 7)
    assert found.path == path.replace("pool/updates/", "pool/")


@pytest.mark.parametrize(
    "path",
    [
        "pool/main/p/perl/perl_5.40.1.orig-regen-configure.tar.xz",
        "pool/main/p/perl/perl_5.40.1-6.debian.tar.xz",
        "pool/main/p/perl/perl_5.40.1-6.dsc",
        "pool/main/p/perl/perl_5.40.1.orig.tar.xz.asc",
        "pool/main/p/perl/other_5.40.1.orig.tar.xz",
    ],
)
def test_other_files_are_no_upstream_tarballs(path: str) -> None:
    assert tarball(path, 1, "0") is None


@pytest.mark.parametrize(
    ("old", "new", "name", "after"),
    [
        ("1.2.3", "1.3.0", "v1.2.3/gc-1.2.3.tar.gz", "v1.3.0/gc-1.3.0.tar.xz"),
        ("1.2.3", "1.3.0", "R_1_2_3.tar.gz", "R_1_3_0.tar.xz"),
        ("1.2.3", "1.3.0", "11.2.3/1.2.3.4/1.2.30/x.zip", "11.2.3/1.2.3.4/1.2.30/x.zip"),
        ("2", "2.2", "http://127.0.0.1:2222/x-2.tar.gz", "http://127.0.0.1:2222/x-2.2.tar.xz"),
        ("2.1.12-stable", "2.1.13-stable", "libevent-2.1.12-stable", "libevent-2.1.13-stable"),
    ],
)
def test_names_follow_the_version(old: str, new: str, name: str, after: str) -> None:
    assert renamed(name, of_version(old), of_version(new, ".tar.xz")) == after


def test_the_pins_of_our_own_recipes() -> None:
    """All that have one source have it in Debian too, under the recipe's version but for one."""
    recipes, owner = load_recipes(Data(PLAN)), owners(Data(PLAN))
    assert {name: of for name, of in owner.items() if name != of} == {
        **dict.fromkeys(("kernel", "linux-headers"), "linux"),
        **dict.fromkeys(("compiler-rt", "libcxx", "libunwind"), "llvm"),
        "musl-headers": "musl",
        **{name: name[5:] for name in owner if name.startswith("seed-") and name[5:] in owner},
    }
    reasons = {name: why_unpinned(each) for name, each in recipes.items() if not pin(each)}
    assert reasons == {
        **dict.fromkeys(
            ("about", "base-files", "fossil-service", "init", "loader", "seed-libc", "seed-unwind"),
            "no source",
        ),
        **dict.fromkeys(("autoconf", "automake", "crystal", "shards"), "2 sources"),
        "meson": "no debian URL",
        "python-packages": "8 sources",
    }
    versions = {name: found.version for name, each in recipes.items() if (found := pin(each))}
    differing = {name for name, version in versions.items() if version != recipes[name].version}
    assert differing == {"sqlite"}


@pytest.mark.fault(
    "`outdated` or `bump` with a layer that has a tree, or with app=",
    "these packages have no pin, and that is said; no traceback",
)
def test_what_no_recipe_file_has_owns_its_source(tmp_path: Path) -> None:
    layer = tmp_path / "mine"
    (layer / "files").mkdir(parents=True)
    (layer / "files" / "note").write_text("laid over the root")
    data = load_data(PLAN, [layer])
    recipes, owner = load_recipes(data), owners(data)
    assert owner.keys() == recipes.keys() and owner["mine-files"] == "mine-files"
    assert pin(recipes["mine-files"]) is None
    assert why_unpinned(recipes["mine-files"]) == "no source"
