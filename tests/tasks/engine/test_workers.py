"""Steps on a real Remote Execution server with real workers: the bits, and every way to fail."""

from __future__ import annotations

import io
import os
import re
import shutil
import signal
import zipfile
from pathlib import Path

import pytest

from plan.model import SYSROOT_FROM_SEED
from tasks.engine.worker_code import code
from tests.nobody import open_directory
from tests.tasks.casd import HOST, PLATFORM, Serve, missing, programs, serve
from tests.tasks.test_parts import kept, part
from tests.tasks.toy import ROOT, SECONDS, Checkout, doit, make_checkout, processes, until

__all__ = ["programs", "serve"]
pytestmark = pytest.mark.namespace
ALL = ["bottom", "kernel", "left", "right", "top"]
NOWHERE = "grpc://127.0.0.1:9"
LONG = f"sleep {1000 + os.getpid()}"  # of this process, and of no other beside it


@pytest.fixture
def another(tmp_path: Path, template: Path, seed: Path) -> Checkout:
    return make_checkout(template, tmp_path / "another", cache=tmp_path / "cache2", seed=seed)


def there(said: str) -> list[str]:
    """The packages that were built on a worker."""
    return sorted(re.findall(r"^pkg:(\S+) +building \S+ on a worker", said, re.MULTILINE))


def here(said: str) -> list[str]:
    """The packages that were built on this machine."""
    return sorted(re.findall(r"^pkg:(\S+) +building \S+(?! on a worker)$", said, re.MULTILINE))


def test_a_worker_gives_the_bytes_of_a_build_here(
    built: Checkout, toy: Checkout, serve: Serve
) -> None:
    casd = serve()
    done = toy.doit("pkg", *casd.words)
    assert done.status == 0 and there(done.said) == ALL and not here(done.said), done
    for name in ALL:
        assert toy.stamp(name) == built.stamp(name), name
        assert toy.artifact(name).read_bytes() == built.artifact(name).read_bytes()
    again = toy.doit("pkg", *casd.words)
    assert again.status == 0 and not again.built, again
    kept = [path for path in (casd.directory / "kept").rglob("*") if path.name == "bottom"]
    assert kept, "the worker keeps the trees"


def test_the_result_of_another_checkout_is_there_unless_it_is_forgotten(
    toy: Checkout, another: Checkout, serve: Serve
) -> None:
    casd = serve()
    for each in (toy, another):
        each.recipe("left", "cat /proc/sys/kernel/random/uuid > $share/left", "bottom")
        assert each.doit("pkg:left", *casd.words).status == 0
    assert toy.stamp("left") == another.stamp("left"), "one of them built it"
    assert another.doit("forget", "pkg:left").status == 0
    done = another.doit("pkg:left", *casd.words)
    assert done.status != 0 and "CONTRADICTED" in done.said and there(done.said) == ["left"], done


@pytest.mark.fault(
    "a recipe with a file that is laid into its source, or a wheel; and `remote=`",
    "a worker builds it as this machine does",
)
def test_sources_on_a_worker(toy: Checkout, serve: Serve) -> None:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as wheel:
        wheel.writestr("thing/__init__.py", "one = 1\n")
    sources = kept(toy, "thing-1-py3-none-any.whl", made.getvalue(), "exclude: [x]")
    sources += kept(toy, "part.tar.gz", part(), "into: lib/part")
    script = "cat thing/__init__.py lib/part/own > $share/thing"
    toy.recipe("thing", script, sources=f"\n{sources}".rstrip())
    casd = serve()
    done = toy.doit("pkg:thing", "with=thing", *casd.words)
    assert done.status == 0 and "thing" in there(done.said) and not here(done.said), done
    assert toy.tree("thing", "usr/share/thing").read_text() == "one = 1\np\n"


@pytest.mark.fault("edits in a build's source that are in no patch, and `remote=`", "they are kept")
def test_edits_are_kept(toy: Checkout, serve: Serve) -> None:
    casd = serve()
    edits = toy.root / "work" / "build" / "sysroot-from-seed" / "bottom" / "edits"
    edits.mkdir(parents=True)
    (edits / "mine").touch()
    done = toy.doit("pkg:bottom", *casd.words)
    assert done.status == 0 and there(done.said) == ["bottom"], done
    beside = edits.parent.with_name("bottom.edits")
    assert f"edits that are in no patch are kept in {beside}" in done.said
    assert (beside / "mine").exists()


@pytest.mark.fault(
    "a step that fails on a worker", "its card, its log and its status, as for a build here"
)
def test_a_step_that_fails(toy: Checkout, serve: Serve) -> None:
    casd = serve()
    toy.recipe("left", "echo 'left.c:3: error: no such thing'\nexit 7", "bottom")
    done = toy.doit("pkg:left", *casd.words)
    assert done.status == 1 and "left.c:3: error: no such thing" in done.said, done
    assert "status 7" in done.said and not here(done.said), done
    assert "no such thing" in toy.doit("log", "pkg:left").said
    toy.recipe("left", "echo right > $share/left", "bottom")
    assert toy.doit("pkg:left", *casd.words).status == 0


@pytest.mark.fault(
    "a Remote Execution server that is killed while it executes",
    "it is asked again, then everything is built here; one line says so",
)
def test_a_server_that_goes_away(built: Checkout, toy: Checkout, serve: Serve) -> None:
    casd = serve()
    toy.recipe("right", "sleep 4; cat /sysroot/usr/share/bottom > $share/right", "bottom")
    running = toy.start(doit("pkg", *casd.words))
    until(lambda: "right" in there(_log(toy)), "the start of right")
    casd.kill()
    said, _ = running.communicate(timeout=SECONDS)
    assert running.returncode == 0, said
    assert said.count("everything is built here") == 1 and "right" in here(said), said
    for name in ("left", "top"):
        assert toy.artifact(name).read_bytes() == built.artifact(name).read_bytes()


def _log(toy: Checkout) -> str:
    """What the run has told so far, from its events."""
    file = toy.root / "work" / "events.jsonl"
    text = file.read_text() if file.exists() else ""
    steps = re.findall(r'"event": "start".*?"step": "[\w-]+:(\w+)".*?"worker": true', text)
    return "".join(f"pkg:{name} building 1 on a worker\n" for name in steps)


@pytest.mark.fault(
    "Ctrl-C while a worker builds", "the execution is cancelled there, and nothing is built here"
)
def test_an_interruption_cancels(toy: Checkout, serve: Serve) -> None:
    casd = serve()
    toy.recipe("bottom", LONG)
    running = toy.start(doit("pkg", *casd.words))
    until(lambda: bool(processes(LONG)), "the step on the worker")
    running.send_signal(signal.SIGINT)
    said, _ = running.communicate(timeout=SECONDS)
    assert running.returncode == 130 and not here(said) and "Traceback" not in said, said
    until(lambda: not processes(LONG), "the end of the step on the worker")


def test_what_is_told_of_a_step_on_a_worker(toy: Checkout, serve: Serve) -> None:
    casd = serve()
    toy.recipe("bottom", f"{LONG} || true; echo 'what the worker says'; exit 3")
    running = toy.start(doit("pkg", *casd.words))
    until(lambda: bool(_sleeping()), "the step on the worker")
    assert "sysroot-from-seed:bottom on a worker, for " in toy.doit("status").said
    away = "no log of pkg:bottom yet: a worker builds it"
    assert away in toy.doit("log", "pkg:bottom").said
    followed = toy.start(doit("log", "-f", "pkg:bottom"))
    assert followed.stdout and away in followed.stdout.readline()
    for process in _sleeping():
        os.kill(process, signal.SIGKILL)
    said, _ = followed.communicate(timeout=SECONDS)
    assert "\nwhat the worker says\n" in said
    running.communicate(timeout=SECONDS)
    assert running.returncode == 1


def _sleeping() -> list[int]:
    """The processes that only wait until they are killed, without the shells around them."""
    return [number for number, line in processes(LONG).items() if line == f"{LONG} "]


BAD_PYTHON = """\
#!/bin/sh
/usr/bin/python3 "$@" || exit
{spoil}
"""


@pytest.mark.fault(
    "a worker whose artifact is cut, longer, no archive, or packed in another way; or whose report "
    "is not readable",
    "it is not taken, one line says so, and the step is built here",
)
@pytest.mark.parametrize(
    "spoil",
    [
        "echo more >> out/artifact.tar",
        "head -c 700 out/artifact.tar > out/cut; mv out/cut out/artifact.tar",
        "echo rubbish > out/artifact.tar",
        "mkdir x; tar -xf out/artifact.tar -C x; tar -cf out/artifact.tar -C x .",
        "rm out/artifact.tar",
        "echo '{' > out/report.json",
        "echo '[]' > out/report.json",
        r"head -c 100000 /dev/zero | tr '\0' '[' > out/report.json",
        """echo '{"failed": 99}' > out/report.json""",
        """echo '{"artifact": "", "results": [1]}' > out/report.json""",
        """sed -i 's/"results": .*/"results": []}/' out/report.json""",
    ],
)
def test_a_worker_that_gives_wrong_bytes(
    built: Checkout, toy: Checkout, serve: Serve, tmp_path: Path, spoil: str
) -> None:
    with open_directory() as directory:
        (directory / "python3").write_text(BAD_PYTHON.format(spoil=spoil))
        (directory / "python3").chmod(0o755)
        directory.chmod(0o755)
        casd = serve((*HOST, f"{directory}:/usr/local/bin"))
        done = toy.doit("pkg:bottom", *casd.words)
    assert done.status == 0 and there(done.said) == here(done.said) == ["bottom"], done
    assert done.said.count("sysroot-from-seed:bottom is built here") == 1, done
    assert toy.artifact("bottom").read_bytes() == built.artifact("bottom").read_bytes()


@pytest.mark.fault(
    "a worker without Python", "`doit doctor remote=…` says so; everything is built here"
)
def test_a_worker_that_lacks_python(toy: Checkout, serve: Serve) -> None:
    casd = serve(())
    done = toy.doit("pkg", *casd.words)
    assert done.status == 0 and here(done.said) == ALL, done
    assert done.said.count("the worker cannot run steps") == 1, done
    told = toy.doit("doctor", *casd.words)
    assert told.status == 1 and re.search(r"FAIL +remote +.*cannot run steps", told.said), told


def test_doctor_says_what_a_worker_has(toy: Checkout, serve: Serve) -> None:
    told = toy.doit("doctor", *serve().words)
    assert re.search(r"(ok|warn) +remote +.*Python 3", told.said), told
    assert "remote" not in toy.doit("doctor", "offline=1").said


@pytest.mark.fault(
    "`remote=` that is no address, or of a server that is not there; libraries that are missing",
    "one error with the remedy, or one line, and everything is built here",
)
def test_a_server_that_is_not_there(toy: Checkout, tmp_path: Path) -> None:
    if lacking := missing():
        pytest.skip(lacking)
    done = toy.doit("pkg", f"remote={NOWHERE}", PLATFORM)
    assert done.status == 0 and here(done.said) == ALL, done
    assert done.said.count("everything is built here") == 1, done
    for word, said in (
        ("remote=http://x:1", "grpc://HOST:PORT"),
        ("platform=x", "KEY=VALUE"),
        ("instance=a/blobs", "a name like main"),
    ):
        done = toy.doit("pkg", word)
        assert done.status != 0 and said in done.said, done
    assert toy.doit("forget", "pkg:bottom").status == 0
    (tmp_path / "grpc.py").write_text("raise ImportError('grpc is not here')\n")
    done = toy.doit("pkg", "remote=grpc://127.0.0.1:9", PYTHONPATH=str(tmp_path))
    assert done.status != 0 and "./bq2 installs them" in done.said, done
    assert "Traceback" not in done.said, done


def test_the_code_for_workers_needs_the_standard_library_only(tmp_path: Path) -> None:
    """It starts from a copy of just these files, by a Python without packages."""
    import subprocess
    import sys

    for name in code(ROOT):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    start = "import sys; sys.path.insert(0, '.'); import rootfs.sandbox.worker"
    command = [sys.executable, "-I", "-S", "-B", "-c", start]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "rootfs/sandbox/namespaces.py" in code(ROOT)
    assert not [name for name in code(ROOT) if name.startswith(("tasks", "cache"))]


def test_a_step_goes_to_a_worker_whole(toy: Checkout) -> None:
    import json
    from dataclasses import asdict

    from rootfs.sandbox.worker import step_of

    project = toy.project()
    for step in project.plan.phases[SYSROOT_FROM_SEED].values():
        made = step_of(json.loads(json.dumps(asdict(step))))
        assert asdict(made) | {"initramfs": None} == asdict(step) | {"initramfs": None}
