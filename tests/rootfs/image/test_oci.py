"""rootfs.image.oci: skopeo and umoci read the images, and crun runs what umoci unpacks.

The tests of a tool are skipped where it is not installed.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import pytest

from plan.errors import BuildError
from rootfs.archives import pack
from rootfs.image.oci import join, write_oci
from tests.rootfs.tools import make_tree, tool

BUSYBOX = Path("/bin/busybox")  # Debian's busybox-static
NAME = "thing"


def image(directory: Path, architecture: str = "amd64", text: bytes = b"hello\n") -> Path:
    """An image of one architecture, with busybox and a file."""
    tree = make_tree(directory / architecture, {"etc/text": text, "usr/bin/busybox": b""})
    shutil.copy(BUSYBOX, tree / "usr" / "bin" / "busybox")
    for path, target in {
        "bin": "usr/bin",
        "usr/bin/sh": "busybox",
        "usr/bin/cat": "busybox",
    }.items():
        (tree / path).symlink_to(target)
    for name in ("proc", "dev", "sys"):
        (tree / name).mkdir()

    def layer(out: pack.Sink) -> None:
        pack.pack([tree], out)
        pack.finish(out)

    out = directory / f"{architecture}.oci.tar"
    write_oci(out, layer, architecture=architecture, name=NAME, labels={"what": "a test"})
    return out


def needs(program: str) -> None:
    if shutil.which(program, path=f"{os.environ['PATH']}:/usr/sbin:/sbin") is None:
        pytest.skip(f"{program} is not installed")


def blobs(path: Path) -> dict[str, bytes]:
    with tarfile.open(path) as tar:
        read = {member.name: tar.extractfile(member) for member in tar}
        return {name: file.read() for name, file in read.items() if file}


def document(found: dict[str, bytes], descriptor: dict[str, Any]) -> Any:
    content = found[f"blobs/{descriptor['digest'].replace(':', '/')}"]
    assert len(content) == descriptor["size"]
    return json.loads(content)


def test_the_layout(tmp_path: Path) -> None:
    path = image(tmp_path)
    found = blobs(path)
    assert json.loads(found["oci-layout"]) == {"imageLayoutVersion": "1.0.0"}
    for name, content in found.items():
        if name.startswith("blobs/"):
            assert name == f"blobs/sha256/{hashlib.sha256(content).hexdigest()}"
    (told,) = json.loads(found["index.json"])["manifests"]
    manifest = document(found, told)
    config = document(found, manifest["config"])
    (layer,) = manifest["layers"]
    assert config["rootfs"]["diff_ids"] == [layer["digest"]]
    assert config["architecture"] == told["platform"]["architecture"] == "amd64"
    # Nothing depends on the moment: the same tree gives the same bytes.
    content = path.read_bytes()
    shutil.rmtree(tmp_path / "amd64")
    os.environ["SOURCE_DATE_EPOCH"] = "7"
    try:
        assert image(tmp_path).read_bytes() == content
    finally:
        del os.environ["SOURCE_DATE_EPOCH"]


def test_skopeo_reads_and_copies_it(tmp_path: Path) -> None:
    needs("skopeo")
    path = image(tmp_path)
    told = json.loads(tool("skopeo", "inspect", f"oci-archive:{path}"))
    assert (told["Architecture"], told["Os"]) == ("amd64", "linux")
    assert told["Labels"] == {"what": "a test"} and told["Created"] == "2025-01-01T00:00:00Z"
    # It reads every blob, and keeps the digest of the manifest: that is what a registry names it.
    copied = tmp_path / "copied"
    tool(
        "skopeo",
        "--insecure-policy",
        "copy",
        "--preserve-digests",
        f"oci-archive:{path}",
        f"dir:{copied}",
    )
    (told,) = json.loads(blobs(path)["index.json"])["manifests"]
    manifest = (copied / "manifest.json").read_bytes()
    assert f"sha256:{hashlib.sha256(manifest).hexdigest()}" == told["digest"]


def test_several_architectures_in_one(tmp_path: Path) -> None:
    images = [image(tmp_path, name, name.encode()) for name in ("amd64", "arm64")]
    path = tmp_path / "all.oci.tar"
    join(path, images, name=NAME)
    found = blobs(path)
    (told,) = json.loads(found["index.json"])["manifests"]
    index = document(found, told)
    assert [each["platform"]["architecture"] for each in index["manifests"]] == ["amd64", "arm64"]
    for one in images:
        own = {name for name in blobs(one) if name.startswith("blobs/")}
        assert own < {*found}
    needs("skopeo")
    for name in ("amd64", "arm64"):
        told = json.loads(tool("skopeo", "--override-arch", name, "inspect", f"oci-archive:{path}"))
        assert told["Architecture"] == name


@pytest.mark.fault("a file to join is no OCI image, is cut off or changed", "one error names it")
def test_what_cannot_be_joined(tmp_path: Path) -> None:
    good = image(tmp_path)
    content = good.read_bytes()
    bad = tmp_path / "bad.tar"
    out = tmp_path / "all.oci.tar"
    changed = content.replace(b"hello\n", b"jello\n")
    (tmp_path / "blobs/sha256/a").mkdir(parents=True)
    tool("tar", "-cf", bad, "-C", tmp_path, "blobs")
    no_file = bad.read_bytes()
    for damaged in (b"", b"no tar", content[:5000], content[:-40000], changed, no_file):
        bad.write_bytes(damaged)
        with pytest.raises(BuildError, match=r"bad\.tar: is not an OCI image"):
            join(out, [good, bad], name=NAME)
        assert not out.exists()


@pytest.mark.namespace
def test_crun_runs_it(tmp_path: Path) -> None:
    if os.getuid():
        pytest.skip("crun maps groups, which only root may do without newgidmap")
    needs("umoci")
    needs("crun")
    layout, bundle = tmp_path / "layout", tmp_path / "bundle"
    layout.mkdir()
    tool("tar", "-x", "-f", image(tmp_path), "-C", layout)
    tool("umoci", "unpack", "--rootless", "--image", f"{layout}:{NAME}", bundle)
    config = json.loads((bundle / "config.json").read_text())
    assert config["process"]["args"] == ["/bin/sh"] and "PATH=/usr/bin" in config["process"]["env"]
    config["process"] |= {"terminal": False, "args": ["cat", "/etc/text"]}
    (bundle / "config.json").write_text(json.dumps(config))
    # No group of processes is made for it; and crun 1.8 refuses a machine that has both kinds.
    hidden = 'mount -t tmpfs none /sys/fs/cgroup && exec "$@"'
    inside = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", hidden, "sh"]
    run = ["crun", f"--root={tmp_path}/state", "--cgroup-manager=disabled", "run", "-b", bundle]
    command = [*inside, *run, f"bq2-{os.getpid()}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "hello\n"), done.stderr
