"""bundle: made on the command line, then used by a user who has only the file."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from cache.bundle import PLAN, README
from tests.cache.loopback import DATA, Site
from tests.rootfs.tools import tool
from tests.tasks.test_fetch import PLAIN, with_sources
from tests.tasks.toy import ROOT, Checkout

pytestmark = pytest.mark.namespace

NAME = "bootstrap-qcow2-base-x86_64.bundle.tar"
DIGEST = hashlib.sha256(DATA).hexdigest()
WHEEL = b"no wheel at all"


@pytest.fixture
def site() -> Iterator[Site]:
    made = Site()
    yield made
    made.close()


def fetchable(toy: Checkout, site: Site) -> Checkout:
    """`bottom` has two sources, and the seed is a tarball that has to be fetched."""
    with_sources(toy, PLAIN, site.url("good"))
    tarball = toy.root / "seed.tar"
    tool("tar", "-cf", tarball, "-C", toy.seed, ".")
    data = tarball.read_bytes()
    _cached(toy, data)
    toy.alpine(hashlib.sha256(data).hexdigest(), len(data), "https://x.test/seed")
    tarball.unlink()
    toy.variables["BQ2_SEED"] = "alpine"
    return toy


def _cached(toy: Checkout, data: bytes) -> None:
    (toy.cache / "sources").mkdir(parents=True, exist_ok=True)
    (toy.cache / "sources" / hashlib.sha256(data).hexdigest()).write_bytes(data)


def with_toy_wheel(toy: Checkout) -> Checkout:
    """What a bundle takes for the libraries is a file that the cache has."""
    _cached(toy, WHEEL)
    digest = hashlib.sha256(WHEEL).hexdigest()
    entry = f"{{sha256: {digest}, size: {len(WHEEL)}, file: x.whl, urls: ['wheel:x==1']}}"
    text = f"any: [{entry}]\nx86_64: []\naarch64: []\n"
    (toy.root / "plan" / "wheels.yaml").write_text(text)
    return toy


def bundled(toy: Checkout) -> Path:
    done = toy.doit("bundle")
    assert done.status == 0, done
    assert toy.doit("bundle").said == "bundle is up to date\n"
    assert toy.doit("forget", "bundle").status == 0 and NAME in toy.doit("bundle").said
    return toy.root / "output" / NAME


def test_whoever_has_only_the_bundle_builds_the_same_image(
    toy: Checkout, site: Site, tmp_path: Path
) -> None:
    """With the real wheels and ./bq2, in a network namespace without a network."""
    fetchable(toy, site)
    for name in ("bq2", "requirements.txt"):
        shutil.copy(ROOT / name, toy.root / name)
    bundle = bundled(toy)
    assert toy.doit("image").status == 0
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    shutil.move(bundle, elsewhere / NAME)
    tool("tar", "-xf", NAME, "bootstrap-qcow2", cwd=elsewhere)
    connections = site.connections
    away = Checkout(elsewhere / "bootstrap-qcow2", elsewhere / "cache", toy.seed)
    alone = ["env", "-u", "BQ2_SEED", "-u", "BQ2_SET", "unshare", "--map-root-user", "--net"]
    done = away.run([*alone, "./bq2", "image", f"bundle=../{NAME}"])
    assert done.status == 0, done
    image = "output/bootstrap-qcow2-base-x86_64.qcow2"
    assert (away.root / image).read_bytes() == (toy.root / image).read_bytes()
    assert site.connections == connections
    # And a checkout that has no wheels takes them out of the bundle.
    shutil.rmtree(away.root / ".venv")
    shutil.rmtree(away.root / "wheels")
    done = away.run([*alone, "./bq2", "pkg", f"bundle=../{NAME}"])
    assert done.status == 0 and done.built == [], done


def test_the_same_inputs_give_the_same_bundle(toy: Checkout, site: Site, tmp_path: Path) -> None:
    first = bundled(with_toy_wheel(fetchable(toy, site)))
    with tarfile.open(first) as tar:
        names = tar.getnames()
        assert names[:2] == ["README.txt", "plan.json"]
        assert {f"sources/{DIGEST}", "bootstrap-qcow2/wheels/x.whl"} < {*names}
        assert all((member.uid, member.uname) == (0, "") for member in tar)
        local = tar.extractfile("bootstrap-qcow2/local.yaml")
        assert local and local.read().decode().endswith("set: base\narch: x86_64\nseed: alpine\n")
    tool("tar", "-xf", first, "-C", tmp_path, "bootstrap-qcow2")
    again = Checkout(tmp_path / "bootstrap-qcow2", toy.cache, toy.seed, toy.variables)
    done = again.doit("bundle", "jobs=1", f"output={tmp_path}/other.tar", TZ="Asia/Tokyo")
    assert done.status == 0, done
    assert (tmp_path / "other.tar").read_bytes() == first.read_bytes()


@pytest.mark.fault(
    "a bundle of a build with overrides", "it has them: whoever builds from it gets the same plan"
)
def test_overrides_travel(toy: Checkout, tmp_path: Path) -> None:
    work = toy.root / "work"
    work.mkdir()
    (work / "overrides.yaml").write_text("left:\n  environment: {MINE: '1'}\n")
    assert with_toy_wheel(toy).doit("bundle").status == 0
    tool("tar", "-xf", toy.root / "output" / NAME, "-C", tmp_path, "bootstrap-qcow2", "plan.json")
    there = Checkout(tmp_path / "bootstrap-qcow2", toy.cache, toy.seed, toy.variables)
    plan = json.loads((tmp_path / "plan.json").read_text())
    assert plan["digest"] == there.project().plan.digest == toy.project().plan.digest


def test_what_a_seed_of_the_users_own_means_is_said(toy: Checkout) -> None:
    done = with_toy_wheel(toy).doit("bundle")
    assert done.status == 0 and "give it with seed=PATH" in done.said
    with tarfile.open(toy.root / "output" / "bootstrap-qcow2-base-x86_64.bundle.tar") as tar:
        readme = tar.extractfile(tar.getmembers()[0])
        assert readme and b"./bq2 image bundle=../FILE seed=PATH\n" in readme.read()


def test_a_damaged_source_does_not_get_into_a_bundle(toy: Checkout, site: Site) -> None:
    with_toy_wheel(fetchable(toy, site))
    assert toy.doit("fetch").status == 0
    source = toy.cache / "sources" / DIGEST
    source.chmod(0o644)
    source.write_bytes(DATA[:-1] + b"!")
    with tarfile.open(bundled(toy)) as tar:
        member = tar.extractfile(f"sources/{DIGEST}")
        assert member and member.read() == DATA


@pytest.mark.parametrize(
    ("damage", "messages"),
    [
        ("cut", ["missing or damaged", "data (sha256", "the bundle is cut off: copy it again"]),
        ("flipped", ["1 files of the bundle", "data (sha256", ": damaged"]),
        ("other", ["1 files of the bundle", "new (sha256", ": missing", "set=base"]),
        ("no plan", ["is not a bundle of this project"]),
        ("deep plan", ["is not a bundle of this project"]),
    ],
)
def test_bad_bundles(
    toy: Checkout, site: Site, tmp_path: Path, damage: str, messages: list[str]
) -> None:
    bundle = bundled(with_toy_wheel(fetchable(toy, site)))
    with tarfile.open(bundle) as tar:
        at = tar.getmember(f"sources/{DIGEST}").offset_data
    with bundle.open("r+b") as file:
        if damage == "cut":
            file.truncate(at + 1000)
        elif damage == "flipped":
            file.seek(at + 1000)
            file.write(b"!!")
        elif damage == "no plan":
            file.seek(512)  # after the header of the first member
            file.write(bytes(9999))
    if damage == "deep plan":
        with tarfile.open(bundle, "w") as tar:
            for name in (README, PLAN):
                member = tarfile.TarInfo(name)
                member.size = 100_000
                tar.addfile(member, io.BytesIO(b"[" * member.size))
    if damage == "other":
        digest = "9" * 64
        entry = f"{{sha256: {digest}, size: 7, file: new, urls: ['https://x.test/']}}"
        toy.recipe("left", "echo > $share/left", "bottom", sources=f"[{entry}]")
    toy.cache = tmp_path / "empty"
    done = toy.doit("image", f"bundle={bundle}")
    assert done.status != 0 and done.built == [] and "Traceback" not in done.said, done
    assert done.said.count(" FAILED") == 1, done
    assert all(message in done.said for message in messages), done.said


def test_a_bundle_that_is_not_there(toy: Checkout) -> None:
    done = toy.doit("image", "bundle=nowhere.tar")
    assert done.status != 0 and done.said.count("ERROR: ") == 1
    assert "bundle cannot be 'nowhere.tar'" in done.said and "an existing file" in done.said
