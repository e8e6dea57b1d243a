"""Shared caches on real servers: nginx with WebDAV, and one that only serves files."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.tasks.dav import Dav
from tests.tasks.nginx import DAV, IS_HERE, LISTS, MISSING, TOKEN, Nginx
from tests.tasks.test_publish import (
    ALL,
    claim_file,
    make_key,
    published,
    taking,
    trust,
)
from tests.tasks.toy import Checkout, make_checkout

needs_nginx = pytest.mark.skipif(not IS_HERE, reason=MISSING)
OLD = time.time() - 100 * 86400


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Nginx]]:
    """Starts servers, and ends them with the test."""
    started: list[Nginx] = []

    def start(*inside: str) -> Nginx:
        started.append(Nginx(tmp_path / f"nginx{len(started)}", *inside))
        return started[-1]

    yield start
    for each in started:
        each.close()


@pytest.fixture
def key(tmp_path: Path) -> Path:
    return make_key(tmp_path / "key")


@pytest.fixture
def another(tmp_path: Path, template: Path, seed: Path) -> Checkout:
    return make_checkout(template, tmp_path / "another", cache=tmp_path / "cache2", seed=seed)


def age(path: Path) -> None:
    """Make `path` 100 days old."""
    os.utime(path, (OLD, OLD))


def told(toy: Checkout, *words: str, fails: bool = False) -> str:
    done = toy.doit("cache", *words)
    assert (done.status != 0) == fails and "Traceback" not in done.said, done
    return done.said


@needs_nginx
def test_directories_are_made_where_the_server_makes_none(
    built: Checkout, another: Checkout, serve: Callable[..., Nginx], key: Path, tmp_path: Path
) -> None:
    nginx = serve(DAV)
    nginx.url += "/below"
    assert "steps sent: 5" in published(built, nginx, key)
    done = another.doit(*taking(another, nginx, trust(tmp_path / "trust", key)))
    assert done.status == 0 and not done.built, done


@needs_nginx
@pytest.mark.fault(
    "a shared cache that wants a header, which only `local.yaml` or the environment may give",
    "it is sent to that host only, and shown nowhere; on a command line it is refused",
)
def test_a_header_with_credentials(
    built: Checkout, serve: Callable[..., Nginx], key: Path, tmp_path: Path
) -> None:
    nginx = serve(TOKEN, DAV)
    words = ("publish", f"publish={nginx.url}", f"key={key}")
    done = built.doit(*words)
    assert done.status != 0 and "HTTP 401" in done.said, done
    done = built.doit(*words, "headers=127.0.0.1 Authorization: Bearer s3cret")
    assert done.status != 0 and "put it into local.yaml" in done.said, done
    local = built.root / "local.yaml"
    local.write_text("headers: 127.0.0.1:1 Authorization Bearer s3cret\n")
    done = built.doit(*words)
    assert "headers cannot be this" in done.said and "s3cret" not in done.said, done
    local.write_text("headers: 'example.org Authorization: Bearer s3cret'\n")
    done = built.doit(*words)
    assert done.status != 0 and "HTTP 401" in done.said, "another host's header"
    # A password in .netrc for the same host does not replace it.
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password other\n")
    local.write_text(f"headers: |\n  127.0.0.1:{nginx.port} Authorization: Bearer s3cret\n")
    done = built.doit(*words, NETRC=os.fspath(netrc))
    assert done.status == 0 and "steps sent: 5" in done.said, done
    shown = built.doit("settings").said
    assert "s3cret" not in shown and "(secret)" in shown
    kept = [path for path in (built.root / "work").rglob("*") if path.is_file()]
    assert not [path for path in kept if b"s3cret" in path.read_bytes()]


SPOILED = {
    "unsigned": "unsigned",
    "forged": "unsigned",
    "another step": "damaged",
    "cut": "damaged",
    "gone": "damaged",
    "source": "damaged",
}


def spoil(cache: Dav | Nginx, toy: Checkout, key: Path, how: str) -> None:
    """Damage one record, artifact or source of what `toy` published."""
    record = claim_file(cache, toy, "left", key)
    artifact = max((cache.root / "artifacts").iterdir(), key=lambda path: path.stat().st_size)
    if how == "unsigned":
        record.with_name(f"{record.name}.sig").unlink()
    elif how == "forged":
        record.write_text(record.read_text().replace('"cpu": ', '"cpu": 1'))
    elif how == "another step":
        record.write_bytes(claim_file(cache, toy, "right", key).read_bytes())
    elif how == "cut":
        artifact.write_bytes(artifact.read_bytes()[:-20])
    elif how == "gone":
        artifact.unlink()
    else:
        (cache.root / "sources").mkdir(exist_ok=True)
        (cache.root / "sources" / hashlib.sha256(b"a").hexdigest()).write_bytes(b"b")


@needs_nginx
@pytest.mark.fault(
    "damage in a shared cache: a record without or with a forged signature or of another step, a "
    "cut or missing artifact, a source with other bytes",
    "`doit cache check` names each, and fails",
)
@pytest.mark.parametrize("how", SPOILED)
def test_check_finds(
    built: Checkout, serve: Callable[..., Nginx], key: Path, tmp_path: Path, how: str
) -> None:
    nginx = serve(DAV, LISTS)
    published(built, nginx, key)
    words = ("check", f"cache={nginx.url}", f"trust={trust(tmp_path / 'trust', key)}")
    assert "5 records of 5 steps (5 of key)" in (said := told(built, *words)), said
    assert "5 artifacts and 0 sources are read: 0 faults" in said, said
    spoil(nginx, built, key, how)
    said = told(built, *words, fails=True)
    assert SPOILED[how] in said and "1 fault\n" in said, said


@needs_nginx
def test_check_finds_builders_that_disagree(
    built: Checkout, another: Checkout, serve: Callable[..., Nginx], key: Path, tmp_path: Path
) -> None:
    nginx, other = serve(DAV, LISTS), make_key(tmp_path / "other")
    for toy, own in ((built, key), (another, other)):
        toy.recipe("left", "cat /proc/sys/kernel/random/uuid > $share/left", "bottom")
        assert toy.doit("pkg").status == 0
        published(toy, nginx, own)
    both = trust(tmp_path / "trust", key, other)
    said = told(built, "check", f"cache={nginx.url}", f"trust={both}", fails=True)
    assert "contradicted" in said and "key has " in said and "other has " in said, said
    said = told(built, "check", f"cache={nginx.url}", fails=True)
    assert "which trust= does not name" in said and "contradicted" in said, said


@pytest.mark.fault(
    "`cache check` and `cache gc` of a server that lists no files",
    "check reads what belongs to this plan, and says so; gc says what the server needs",
)
def test_a_server_that_lists_nothing(
    built: Checkout, another: Checkout, key: Path, tmp_path: Path
) -> None:
    (tmp_path / "served").mkdir()
    dav = Dav(tmp_path / "served")
    try:
        published(built, dav, key)
        words = (f"cache={dav.url}", f"trust={trust(tmp_path / 'trust', key)}")
        said = told(another, "check", *words)
        assert "5 records of 5 steps" in said and "the server lists no files" in said, said
        spoil(dav, built, key, "cut")
        assert "damaged" in told(another, "check", *words, fails=True)
        said = told(another, "gc", *words, fails=True)
        assert "does not list or remove files: HTTP 501" in said and "dav_methods" in said, said
    finally:
        dav.close()


@needs_nginx
def test_gc_removes_what_is_old_and_unnamed(
    built: Checkout, another: Checkout, serve: Callable[..., Nginx], key: Path, tmp_path: Path
) -> None:
    nginx = serve(DAV, LISTS)
    published(built, nginx, key)
    old, kept = claim_file(nginx, built, "top", key), claim_file(nginx, built, "left", key)
    source = nginx.root / "sources" / hashlib.sha256(b"a").hexdigest()
    source.parent.mkdir()
    source.write_bytes(b"a")
    stranger = nginx.root / "artifacts" / "notes.txt"
    stranger.write_text("not ours")
    words = ("gc", f"cache={nginx.url}")
    assert "steps          0 not used" in told(another, *words), "young, though nobody names it"
    for path in nginx.root.rglob("*"):
        age(path)
    age(nginx.root)
    before = {*nginx.root.rglob("*")}
    # The plan of `another` names all steps but one: that of `top` is another one there.
    assert another.doit(*taking(another, nginx, trust(tmp_path / "trust", key))).status == 0
    another.recipe("top", "echo other > $share/top", "left", "right")
    another.builds("top", "kernel")
    said = told(another, *words, "dry=1", "keep=1")
    assert {*nginx.root.rglob("*")} == before and "steps          2 not used" in said, said
    told(another, *words, "keep=1", "days=101")
    assert {*nginx.root.rglob("*")} == before
    told(another, *words, "keep=1")
    assert not old.exists() and not old.parent.exists() and not source.exists()
    assert kept.exists() and stranger.exists()
    assert len([*(nginx.root / "artifacts").glob("*.gz")]) == 3
    said = told(built, "check", f"cache={nginx.url}", f"trust={tmp_path / 'trust'}")
    assert "3 artifacts and 0 sources are read: 0 faults" in said, said


@needs_nginx
@pytest.mark.fault(
    "`cache gc` where the server forbids DELETE, or answers a page",
    "one error that says what the server needs; nothing is removed",
)
def test_gc_without_leave(
    built: Checkout, another: Checkout, serve: Callable[..., Nginx], key: Path
) -> None:
    nginx = serve("dav_methods PUT MKCOL;", LISTS)
    published(built, nginx, key)
    for path in nginx.root.rglob("*"):
        age(path)
    before = {*nginx.root.rglob("*")}
    said = told(another, "gc", f"cache={nginx.url}", fails=True)
    assert "HTTP 405" in said and "dav_methods PUT DELETE MKCOL" in said, said
    assert {*nginx.root.rglob("*")} == before


@needs_nginx
def test_what_was_taken_is_built_again_and_signed(
    built: Checkout, another: Checkout, serve: Callable[..., Nginx], key: Path, tmp_path: Path
) -> None:
    nginx, own = serve(DAV, LISTS), make_key(tmp_path / "own")
    published(built, nginx, key)
    trusted = trust(tmp_path / "trust", key)
    assert another.doit(*taking(another, nginx, trusted)).status == 0
    from_it = (f"cache={nginx.url}", f"trust={trusted}")
    words = ("verify", *from_it, "variations=path", f"publish={nginx.url}", f"key={own}")
    done = another.doit(*words, "sample=2")
    assert done.status == 0 and "built again yet: 5; built again now: 2" in done.said, done
    assert "2 of 2 identical" in done.said and "steps sent: 2" in done.said, done
    done = another.doit(*words, "sample=all")
    assert "built again yet: 3; built again now: 3" in done.said, done
    assert "steps sent: 3" in done.said and "image" not in done.said, done
    assert "of own" in told(another, "check", from_it[0], f"trust={trust(trusted, key, own)}")
    done = another.doit(*words, "sample=1")
    assert "built again yet: 0" in done.said and "steps sent: 0" in done.said, done


@needs_nginx
@pytest.mark.fault(
    "a trusted builder's artifact that a build here does not give again",
    "`doit verify sample=all` shows the difference, fails, and signs only what is the same",
)
def test_a_builder_who_lied_is_found(
    built: Checkout, another: Checkout, serve: Callable[..., Nginx], key: Path, tmp_path: Path
) -> None:
    nginx = serve(DAV, LISTS)
    for toy in (built, another):
        toy.recipe("left", "cat /proc/sys/kernel/random/uuid > $share/left", "bottom")
    assert built.doit("pkg").status == 0
    published(built, nginx, key)
    words = (f"cache={nginx.url}", f"trust={trust(tmp_path / 'trust', key)}", "variations=path")
    sending = (f"publish={nginx.url}", f"key={make_key(tmp_path / 'own')}")
    done = another.doit("verify", "sample=all", *words, *sending)
    assert done.status == 1 and "usr/share/left" in done.said, done
    assert "4 of 5 identical" in done.said and "steps sent: 4" in done.said, done


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "cache check"),
        (["chekc"], "check"),
        (["check"], "cache check cache=URL"),
        (["gc", "cache=http://127.0.0.1:9", "days=soon"], "whole number of days"),
        (["check", "cache=http://127.0.0.1:9"], "Connection refused"),
    ],
)
@pytest.mark.fault(
    "`cache` without a verb or a cache, with a misspelt verb, or of a server that is down",
    "one error with the remedy",
)
def test_bad_words(built: Checkout, words: list[str], said: str) -> None:
    assert said in told(built, *words, fails=True)


def test_a_sample_without_a_key_is_refused_before_it_is_built(built: Checkout) -> None:
    done = built.doit("verify", "sample=all", "publish=http://127.0.0.1:9")
    assert done.status != 0 and "no key is named" in done.said and ALL[0] not in done.said, done
