"""cache/git.py: real repositories, by path, from a bundle file and from a plain web server."""

from __future__ import annotations

import hashlib
import os
import subprocess
import tarfile
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from cache.git import archive, fetched, split
from cache.places import UrlFailed, resolve
from cache.sources import FetchFailed, fetch
from cache.unknown import fetch_unknown
from cache.web import Patience, Web
from plan.model import Source
from rootfs.archives.unpack import unpack
from tests.cache.loopback import Site

fault = pytest.mark.fault
WHO = {"GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a", "GIT_COMMITTER_NAME": "a"}
WHO |= {"GIT_COMMITTER_EMAIL": "a", "GIT_CONFIG_GLOBAL": "/dev/null"}


def git(*words: str, at: Path, when: str = "2001-01-01T00:00:00Z") -> str:
    """What git says; commits have the time `when`."""
    dates = {"GIT_AUTHOR_DATE": when, "GIT_COMMITTER_DATE": when}
    argv = ["git", "-C", str(at), *words]
    environment = {**os.environ, **WHO, **dates}
    return subprocess.run(
        argv, check=True, capture_output=True, text=True, env=environment
    ).stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with a program, a link, a file that git would expand, and a later commit."""
    place = tmp_path / "thing"
    (place / "bin").mkdir(parents=True)
    git("init", "--quiet", "--initial-branch=main", at=place)
    (place / "bin" / "run").write_text("#!/bin/sh\n")
    (place / "bin" / "run").chmod(0o755)
    (place / ".gitattributes").write_text("version export-subst\nbin export-ignore\n")
    (place / "version").write_text("$Format:%H$\n")
    (place / "größe").write_text("x" * 700)
    (place / "link").symlink_to("bin/run")
    git("add", ".", at=place)
    git("commit", "--quiet", "-m", "one", at=place)
    git("tag", "v1", at=place)
    (place / "version").write_text("2\n")
    git("commit", "--quiet", "-a", "-m", "two", at=place)
    return place


def pinned(url: str) -> Source:
    """The source at `url`, as `recipe new` pins it in another user's cache."""
    return fetch_unknown(url)


def got(source: Source, cache: Path, **settings: bool) -> Path:
    calm = Web(Patience(connect=5, read=5, pause=0.01))
    return fetch([source], cache=cache, web=calm, apt_root=Path("/nonexistent"), **settings)[
        source.sha256
    ]


def test_a_commit_is_its_tree(repository: Path, tmp_path: Path) -> None:
    first = git("rev-parse", "v1", at=repository)
    source = pinned(f"git+file://{repository}@{first}")
    path = got(source, tmp_path / "other")
    assert hashlib.sha256(path.read_bytes()).hexdigest() == source.sha256
    assert source.file == f"thing-{first[:12]}.tar" and source.size == path.stat().st_size
    unpack(path, tmp_path / "tree", strip=1)
    tree = tmp_path / "tree"
    assert (tree / "version").read_text() == "$Format:%H$\n", "nothing of the commit is in it"
    assert os.access(tree / "bin" / "run", os.X_OK) and not os.access(tree / "größe", os.X_OK)
    assert (tree / "größe").read_text() == "x" * 700
    assert (tree / "link").readlink() == Path("bin/run")
    # It stays in the cache: neither the repository nor a connection is needed.
    repository.rename(tmp_path / "gone")
    assert got(source, tmp_path / "other", offline=True) == path


def test_the_same_tree_of_another_commit_is_the_same_source(
    repository: Path, tmp_path: Path
) -> None:
    first = git("rev-parse", "v1", at=repository)
    git("checkout", "--quiet", "v1", at=repository)
    git("commit", "--quiet", "--amend", "-m", "again", at=repository, when="2020-02-02T00:00:00Z")
    other = git("rev-parse", "HEAD", at=repository)
    assert other != first
    one, two = (pinned(f"git+file://{repository}@{commit}") for commit in (first, other))
    assert one.sha256 == two.sha256


@pytest.fixture
def plain_web(repository: Path, tmp_path: Path) -> Iterator[str]:
    """The URL of the repository on a web server that knows nothing of git."""
    bare = tmp_path / "served" / "thing.git"
    git("clone", "--quiet", "--bare", str(repository), str(bare), at=tmp_path)
    git("update-server-info", at=bare)
    handler = partial(SimpleHTTPRequestHandler, directory=str(bare.parent))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as made:
        threading.Thread(target=made.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{made.server_address[1]}/thing.git"
        made.shutdown()


def test_a_mirror_and_a_bundle_give_the_same(
    repository: Path, plain_web: str, tmp_path: Path
) -> None:
    first = git("rev-parse", "v1", at=repository)
    bundle = tmp_path / "thing.bundle"
    git("bundle", "create", "--quiet", str(bundle), "--all", at=repository)
    source = pinned(f"git+file://{repository}@{first}")
    repository.rename(tmp_path / "gone")
    for number, place in enumerate((f"git+file://{bundle}", f"git+{plain_web}")):
        urls = (f"git+file://{repository}@{first}", f"{place}@{first}")
        mirrored = Source(source.sha256, source.size, source.file, urls)
        assert got(mirrored, tmp_path / f"cache-{number}").stat().st_size == source.size


def test_a_repository_that_lacks_a_file_gives_nothing(repository: Path) -> None:
    blob = git("rev-parse", "HEAD:version", at=repository)
    (repository / ".git" / "objects" / blob[:2] / blob[2:]).unlink()
    url = f"git+file://{repository}@{git('rev-parse', 'HEAD', at=repository)}"
    with pytest.raises(UrlFailed, match="lacks the content of version"):
        list(archive(repository / ".git", url))


@fault(
    "a git source: no repository, no such commit, another tree, no git",
    "it is not used; the message has git's reason for each URL",
)
@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("moved", "does not appear to be a git repository"),
        ("commit", "it has no commit 1111111111111111111111111111111111111111"),
        ("tree", "another tree: its sha256 is "),
        ("git", "git is not installed on this machine"),
    ],
)
def test_what_is_not_the_commit(
    repository: Path, tmp_path: Path, change: str, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = git("rev-parse", "v1", at=repository)
    source = pinned(f"git+file://{repository}@{commit}")
    if change == "moved":
        repository.rename(tmp_path / "gone")
    if change == "commit":
        source = Source(source.sha256, 0, "x.tar", (source.urls[0].replace(commit, "1" * 40),))
    if change == "tree":
        later = git("rev-parse", "main", at=repository)
        source = Source(source.sha256, 0, "x.tar", (source.urls[0].replace(commit, later),))
    if change == "git":
        monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(FetchFailed) as caught:
        got(source, tmp_path / "other")
    assert reason in str(caught.value)
    assert not list((tmp_path / "other" / "sources" / "partial").glob("*")), "nothing is left"


@fault("a git server that takes the request and does not answer", "git's reason, after a minute")
def test_a_silent_server(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_HTTP_LOW_SPEED_TIME", "2")  # of the person's, instead of the minute
    stop = threading.Event()
    late = threading.Timer(40, stop.set)
    late.start()
    try:
        with pytest.raises(UrlFailed, match="git: "):
            fetched(f"git+{site.url('hangs')}@{'1' * 40}", tmp_path / "bare", stop)
    finally:
        late.cancel()


def test_a_submodule_is_an_empty_directory(repository: Path, tmp_path: Path) -> None:
    commit = git("rev-parse", "v1", at=repository)
    git("update-index", "--add", "--cacheinfo", f"160000,{commit},lib/db", at=repository)
    git("commit", "--quiet", "-m", "three", at=repository)
    url = f"git+file://{repository}@{git('rev-parse', 'HEAD', at=repository)}"
    fetched(url, tmp_path / "bare", threading.Event())
    (tmp_path / "x.tar").write_bytes(b"".join(archive(tmp_path / "bare", url)))
    with tarfile.open(tmp_path / "x.tar") as tar:
        assert tar.getmember("tree/lib/db").isdir()


def test_variables_of_another_repository_do_not_matter(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = git("rev-parse", "v1", at=repository)
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "nowhere"))
    assert pinned(f"git+file://{repository}@{commit}").size


@pytest.mark.parametrize(
    "url", ["git+https://x.test/a.git@main", "git+ext::sh -c x@" + "1" * 40, "git+https://x.test/a"]
)
def test_a_branch_is_no_commit(url: str) -> None:
    assert split(url) is None


def test_the_place_of_a_commit() -> None:
    url = f"git+https://me@x.test/a.git@{'1' * 40}"
    (found,) = resolve([url])
    assert (found.kind, found.address) == ("git", url)
    assert str(found) == f"git+https://x.test/a.git@{'1' * 40}"
    assert split(url) == ("https://me@x.test/a.git", "1" * 40)


@fault(
    "git's own settings for ssh (core.sshCommand, GIT_SSH); a program that asks for passwords",
    "the settings are used; nobody is asked",
)
@pytest.mark.parametrize("how", ["core.sshCommand", "GIT_SSH"])
def test_the_ssh_of_a_persons_settings(
    tmp_path: Path, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ssh = tmp_path / "my-ssh"
    ssh.write_text(f"#!/bin/sh\necho called > {tmp_path}/called\nexit 1\n")
    ssh.chmod(0o755)
    config = tmp_path / "gitconfig"
    config.write_text(f"[core]\n\tsshCommand = {ssh}\n" if how != "GIT_SSH" else "")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(config))
    if how == "GIT_SSH":
        monkeypatch.setenv("GIT_SSH", str(ssh))
    with pytest.raises(UrlFailed, match="git: "):
        fetched(f"git+ssh://nowhere.invalid/x@{'1' * 40}", tmp_path / "bare", threading.Event())
    assert (tmp_path / "called").exists()


def test_nobody_is_asked(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asking = tmp_path / "askpass"
    asking.write_text(f'#!/bin/sh\necho "$1" >> {tmp_path}/asked\necho me\n')
    asking.chmod(0o755)
    for name in ("SSH_ASKPASS", "GIT_ASKPASS"):
        monkeypatch.setenv(name, str(asking))
    with pytest.raises(UrlFailed, match="git: "):
        fetched(f"git+{site.url('locked')}@{'1' * 40}", tmp_path / "bare", threading.Event())
    assert not (tmp_path / "asked").exists()
