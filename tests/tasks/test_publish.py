"""Shared caches: what is published, what is taken, and what is refused."""

from __future__ import annotations

import gzip
import hashlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from cache.remote import Claim, parse
from plan.errors import BuildError
from rootfs.inspection.signature import STEPS, signature
from tasks.engine.trust import key_id, signers
from tests.tasks.dav import Dav
from tests.tasks.toy import SECONDS, Checkout, doit, make_checkout

ALL = ["bottom", "kernel", "left", "right", "top"]
ANSWER = "cat /proc/sys/kernel/random/uuid > $share/left"  # other bytes each time


@pytest.fixture
def dav(tmp_path: Path) -> Iterator[Dav]:
    (tmp_path / "served").mkdir()
    server = Dav(tmp_path / "served")
    yield server
    server.close()


@pytest.fixture
def key(tmp_path: Path) -> Path:
    return make_key(tmp_path / "key")


def make_key(path: Path) -> Path:
    command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", os.fspath(path)]
    subprocess.run(command, check=True)
    return path


@pytest.fixture
def another(tmp_path: Path, template: Path, seed: Path) -> Checkout:
    """A checkout of another user: another path, and an empty store."""
    return make_checkout(template, tmp_path / "another", cache=tmp_path / "cache2", seed=seed)


def trust(path: Path, *keys: Path) -> Path:
    """A file of allowed signers with these keys."""
    lines = [f"{key.name} {key.with_suffix('.pub').read_text()}" for key in keys]
    path.write_text("# who builds\n\n" + "".join(lines))
    return path


def published(toy: Checkout, dav: Dav, key: Path) -> str:
    done = toy.doit("publish", f"publish={dav.url}", f"key={key}")
    assert done.status == 0, done
    return done.said


def taking(toy: Checkout, dav: Dav, trusted: Path, *more: str) -> list[str]:
    return ["pkg", f"cache={dav.url}", f"trust={trusted}", *more]


def claim_file(dav: Dav, toy: Checkout, name: str, key: Path) -> Path:
    own = key_id(key.with_suffix(".pub").read_text())
    return dav.root / "steps" / str(toy.stamp(name)["step"]) / f"{own}.json"


def resign(file: Path, claim: Claim, key: Path) -> None:
    file.write_bytes(claim.text)
    file.with_name(f"{file.name}.sig").write_text(signature(claim.text, key, STEPS))


def test_another_checkout_takes_what_one_has_published(
    built: Checkout, another: Checkout, dav: Dav, key: Path, tmp_path: Path
) -> None:
    assert "steps sent: 5; there already: 0" in published(built, dav, key)
    sent = dav.asked["PUT"]
    assert (
        "steps sent: 0; there already: 5" in published(built, dav, key) and dav.asked["PUT"] == sent
    )

    done = another.doit(*taking(another, dav, trust(tmp_path / "trust", key)))
    assert done.status == 0 and not done.built, done
    assert done.said.count(f"from {dav.url}") == 5 and "seed" not in done.said, done
    assert another.artifact("top").read_bytes() == built.artifact("top").read_bytes()
    before = dav.asked["GET"]
    again = another.doit(*taking(another, dav, tmp_path / "trust"))
    assert again.status == 0 and not again.built, again
    assert dav.asked["GET"] == before, "what is here is not asked for"
    assert not list((another.cache / "sources").glob("[0-9a-f]*")), "packed files are removed"


@pytest.mark.fault(
    "two checkouts of a user take the same steps at once", "both succeed, and nothing is built"
)
def test_two_checkouts_take_at_once(
    built: Checkout, dav: Dav, key: Path, tmp_path: Path, template: Path, seed: Path
) -> None:
    published(built, dav, key)
    cache, trusted = tmp_path / "cache2", trust(tmp_path / "trust", key)
    both = [make_checkout(template, tmp_path / name, cache=cache, seed=seed) for name in "ab"]
    running = [each.start(doit(*taking(each, dav, trusted))) for each in both]
    for process in running:
        said, _ = process.communicate(timeout=SECONDS)
        assert process.returncode == 0 and "building" not in said, said


@pytest.mark.fault(
    "a shared cache without `trust=`", "nothing is taken from it, and one line says so"
)
def test_nothing_is_taken_without_trust(
    built: Checkout, another: Checkout, dav: Dav, key: Path
) -> None:
    published(built, dav, key)
    done = another.builds(*ALL, words=("pkg", f"cache={dav.url}"))
    assert done.said.count("no builder is trusted") == 1 and not dav.asked["GET"] > 40


@pytest.mark.fault(
    "a record in a shared cache: unsigned, signed by another key or for another step, forged, no "
    "JSON, too large",
    "it is passed over, the step is built here, and `why` says the reason",
)
@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        ("unsigned", "its signature is not"),
        ("stranger", "its signature is not"),
        ("edited", "its signature is not"),
        ("other step", "it is the record of another step"),
        ("no json", "its signature is not"),
        ("huge", "has more than"),
        ("signed rubbish", "it is no record of a step"),
    ],
)
def test_a_record_that_is_not_believed(
    built: Checkout, another: Checkout, dav: Dav, key: Path, tmp_path: Path, spoil: str, reason: str
) -> None:
    published(built, dav, key)
    file = claim_file(dav, built, "bottom", key)
    signed = file.with_name(f"{file.name}.sig")
    claim = parse(file.read_bytes())
    if spoil == "unsigned":
        signed.unlink()
    elif spoil == "stranger":
        resign(file, claim, make_key(tmp_path / "stranger"))
    elif spoil == "edited":
        file.write_bytes(replace(claim, seconds=0.5).text)
    elif spoil == "other step":
        other = claim_file(dav, built, "left", key)
        shutil.copy(other, file)
        shutil.copy(other.with_name(f"{other.name}.sig"), signed)
    elif spoil == "no json":
        file.write_text("<html>")
    elif spoil == "huge":
        file.write_bytes(b" " * 100_000)
    else:
        file.write_bytes(b'{"format": 1, "step": 3}')
        signed.write_text(signature(file.read_bytes(), key, STEPS))

    words = taking(another, dav, trust(tmp_path / "trust", key))
    done = another.builds("bottom", words=words)
    assert "is not taken from a shared cache" in done.said
    # As the line says it: without cache= and trust=, after the build.
    said = another.doit("why", "pkg:bottom").said
    assert f"when it was built or taken: {dav.url}: the record of key" in said, said
    assert reason in said, said
    another.doit("forget", "pkg:bottom")
    assert "when it was" not in another.doit("why", "pkg:bottom").said


@pytest.mark.fault(
    "an artifact in a shared cache: cut, larger, another's, gone, not packed",
    "it is passed over, and the step is built here",
)
@pytest.mark.parametrize("spoil", ["cut", "larger", "another", "gone", "rubbish", "bomb"])
def test_an_artifact_that_is_not_what_the_record_says(
    built: Checkout, another: Checkout, dav: Dav, key: Path, tmp_path: Path, spoil: str
) -> None:
    published(built, dav, key)
    file = claim_file(dav, built, "bottom", key)
    claim = parse(file.read_bytes())
    packed = dav.root / "artifacts" / f"{claim.packed}.tar.gz"
    whole = packed.read_bytes()
    if spoil == "gone":
        packed.unlink()
    elif spoil in ("rubbish", "bomb", "another"):
        import hashlib

        text = {
            "rubbish": b"no gzip",
            "bomb": gzip.compress(bytes(50_000_000)),
            "another": gzip.compress(b"x" * claim.size),
        }[spoil]
        made = replace(claim, packed=hashlib.sha256(text).hexdigest(), packed_size=len(text))
        resign(file, made, key)
        (dav.root / "artifacts" / f"{made.packed}.tar.gz").write_bytes(text)
    else:
        packed.write_bytes(whole[:-9] if spoil == "cut" else whole + b"more")
    done = another.builds("bottom", words=taking(another, dav, trust(tmp_path / "trust", key)))
    assert "is not taken from a shared cache" in done.said
    assert another.artifact("bottom").read_bytes() == built.artifact("bottom").read_bytes()


@pytest.mark.fault(
    "a shared cache that is down, answers with a page, or cuts connections",
    "one line for the server, and everything is built here",
)
@pytest.mark.parametrize("fault", ["down", "page", "cut"])
def test_a_server_that_fails(
    built: Checkout, another: Checkout, dav: Dav, key: Path, tmp_path: Path, fault: str
) -> None:
    published(built, dav, key)
    if fault == "down":
        dav.close()
    elif fault == "page":
        dav.page = b"<!DOCTYPE html><html>Please log in</html>"
    else:
        dav.cut = 10
    done = another.builds(*ALL, words=taking(another, dav, trust(tmp_path / "trust", key)))
    if fault == "down":
        assert done.said.count("is not asked again") == 1, done


@pytest.mark.fault(
    "two trusted builders disagree about a step",
    "it is contradicted: both artifacts and the first difference are shown, and nothing uses it",
)
def test_builders_that_disagree(
    built: Checkout, another: Checkout, dav: Dav, key: Path, tmp_path: Path
) -> None:
    other = make_key(tmp_path / "other")
    for checkout, signing in ((built, key), (another, other)):
        checkout.recipe("left", ANSWER, "bottom")
        checkout.builds(*(["left", "top", "kernel"] if checkout is built else ALL))
        published(checkout, dav, signing)
    shutil.rmtree(another.cache / "steps")
    shutil.rmtree(another.root / "work")
    both = trust(tmp_path / "trust", key, other)
    done = another.doit(*taking(another, dav, both, "agree=2"))
    assert done.status != 0 and "CONTRADICTED: 2 builds of one step" in done.said, done
    assert "usr/share/left" in done.said, "the first difference is named"
    assert not done.built


@pytest.mark.fault(
    "a trusted builder's record differs from the build made here",
    "the step is contradicted, and both artifacts are kept",
)
def test_a_build_here_is_compared_with_the_claims(
    built: Checkout, another: Checkout, dav: Dav, key: Path, tmp_path: Path
) -> None:
    for checkout in (built, another):
        checkout.recipe("left", ANSWER, "bottom")
    built.builds("left", "top", "kernel")
    published(built, dav, key)
    words = taking(another, dav, trust(tmp_path / "trust", key), "agree=2")
    done = another.doit(*words)
    assert done.status != 0 and "CONTRADICTED" in done.said, done
    assert set(done.built) == {"bottom", "left", "right"}, "what agrees goes on"


@pytest.mark.fault("`agree=2`, and one builder with two keys signed both records", "it counts once")
def test_agreement_of_two_is_a_build_here_and_a_claim(
    built: Checkout, another: Checkout, dav: Dav, key: Path, tmp_path: Path
) -> None:
    published(built, dav, key)
    words = taking(another, dav, trust(tmp_path / "trust", key), "agree=2")
    another.builds(*ALL, words=words)
    second = make_key(tmp_path / "second")
    assert "steps sent: 5" in published(another, dav, second)
    shutil.rmtree(another.cache)
    shutil.rmtree(another.root / "work")
    both = trust(tmp_path / "trust", key, second)
    done = another.doit(*taking(another, dav, both, "agree=2"))
    assert done.status == 0 and not done.built, done
    shutil.rmtree(another.cache)
    shutil.rmtree(another.root / "work")
    both.write_text(both.read_text().replace("second ", f"{key.name} "))
    another.builds(*ALL, words=taking(another, dav, both, "agree=2"))


def test_what_was_taken_is_published_only_after_it_was_verified(
    built: Checkout, another: Checkout, dav: Dav, key: Path, tmp_path: Path
) -> None:
    published(built, dav, key)
    another.builds(words=taking(another, dav, trust(tmp_path / "trust", key)))
    own = make_key(tmp_path / "own")
    assert "steps sent: 0; there already: 0" in published(another, dav, own)
    done = another.doit("verify", "packages=bottom", "variations=path")
    assert done.status == 0, done
    assert "steps sent: 1" in published(another, dav, own)


@pytest.mark.fault(
    "`publish` to a server that refuses, is full, or goes away",
    "one error with the reason; what was sent stays, and the next run continues",
)
@pytest.mark.parametrize(("fault", "said"), [("denied", "HTTP 401"), ("cut", "cut connection")])
def test_publishing_that_fails(built: Checkout, dav: Dav, key: Path, fault: str, said: str) -> None:
    if fault == "denied":
        dav.user = "me:secret"
    else:
        dav.cut = 400
    done = built.doit("publish", f"publish={dav.url}", f"key={key}")
    assert done.status != 0 and said in done.said and "Traceback" not in done.said, done
    dav.user, dav.cut = "", None
    assert "steps sent: " in published(built, dav, key)


def test_the_password_of_a_server_comes_from_netrc(
    built: Checkout, dav: Dav, key: Path, tmp_path: Path
) -> None:
    dav.user = "me:secret"
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password secret\n")
    netrc.chmod(0o600)
    words = ("publish", f"publish={dav.url}", f"key={key}")
    done = built.doit(*words, NETRC=os.fspath(netrc))
    assert done.status == 0 and "secret" not in done.said, done


@pytest.mark.fault(
    "`publish` without URL or key, with a key that is none; a password in a URL; a bad `trust=`",
    "one error that says what is missing, before anything is sent",
)
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["publish"], "no shared cache is named"),
        (["publish", "publish=http://127.0.0.1:9"], "no key is named"),
        (["publish", "publish=http://127.0.0.1:9", "key=LICENSE"], "this file is no SSH key"),
        (["pkg", "cache=http://me:secret@127.0.0.1:9"], "~/.netrc"),
        (["pkg", "cache=ftp://x"], "http(s)://HOST/PATH"),
        (["pkg", "cache=http://127.0.0.1:9", "trust=LICENSE"], "has no public key"),
        (["pkg", "agree=0"], "whole number"),
    ],
)
def test_bad_words(built: Checkout, words: list[str], said: str) -> None:
    done = built.doit(*words)
    assert done.status != 0 and said in done.said and "Traceback" not in done.said, done


def test_a_source_comes_from_the_shared_cache(tmp_path: Path, dav: Dav) -> None:
    import hashlib

    from cache.sources import fetch
    from plan.model import Source

    data = b"a source"
    sha256 = hashlib.sha256(data).hexdigest()
    (dav.root / "sources").mkdir()
    (dav.root / "sources" / sha256).write_bytes(data)
    source = Source(sha256, len(data), "s.tar", ("http://127.0.0.1:9/s.tar",))
    found = fetch([source], shared=[dav.url], cache=tmp_path / "own")
    assert found[sha256].read_bytes() == data


@pytest.mark.fault("`publish` where nothing of the plan is built", "an error, not zero steps sent")
def test_nothing_to_publish(toy: Checkout, dav: Dav, key: Path) -> None:
    done = toy.doit("publish", f"publish={dav.url}", f"key={key}")
    assert done.status != 0 and "there is nothing to publish" in done.said, done


@pytest.mark.fault("`publish` with a damaged source in the cache", "one error; it is not sent")
def test_a_damaged_source_is_not_published(built: Checkout, dav: Dav, key: Path) -> None:
    data = b"a source"
    sha256 = hashlib.sha256(data).hexdigest()
    source = f"{{sha256: {sha256}, size: {len(data)}, file: s.txt, urls: ['https://x.test/']}}"
    built.recipe("extra", "true", sources=f"[{source}]")
    file = built.cache / "sources" / sha256
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(b"A source")
    done = built.doit("publish", f"publish={dav.url}", f"key={key}", "with=extra")
    assert done.status != 0 and f"{file}: is damaged" in done.said, done
    assert not (dav.root / "sources" / sha256).exists()
    assert "steps not built here, or taken and not verified: 2; they are not" in done.said


def test_the_lines_of_allowed_signers(tmp_path: Path, key: Path) -> None:
    public = key.with_suffix(".pub").read_text().strip()
    file = tmp_path / "trust"
    file.write_text(f'# people\na@b,c namespaces="x y",valid-before="20990101" {public} note\n\n')
    (found,) = signers(file)
    assert found.name == "a@b" and found.key == key_id(public)
    file.write_text(f'carol\t{public}\n"alice bob,dave" {public}\n')
    assert [each.name for each in signers(file)] == ["carol", "alice bob"]
    file.write_text("a@b no-key\n")
    with pytest.raises(BuildError, match="has no public key"):
        signers(file)
