"""Builds steps on the workers of remote=: a step is an Action of the Remote Execution API.

    seed, artifacts, sources, recipe ─┐
    the code of the sandbox ──────────┼─▶ input root ─▶ Action ─▶ worker ─▶ artifact, log
    job.json: the step ───────────────┘                                      │
                                     packed again here: the same hash? ◀── unpacked

What comes back must be what this project would have packed. Its hash does not
say whether the worker really built it (docs/scale.md). If the server does not answer, one line says
so, and the rest is built here.
"""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO
from urllib.parse import urlsplit

from cache import outward
from cache.merkle import Blob, digest, input_root, of_bytes, of_file, of_message
from cache.reapi import Server, ServerFailed, protocol
from plan.errors import BuildError
from plan.model import Step
from plan.outputs import unfinished, write_file
from rootfs.archives.files import fresh_directory
from rootfs.archives.pack import Hashing, finish, pack
from rootfs.archives.unpack import unpack
from rootfs.sandbox.enter import LOG_LIMIT, Result
from rootfs.sandbox.started import also_stop
from rootfs.sandbox.step import StepFailed, pack_tree
from rootfs.sandbox.worker import ARTIFACT, BLOBS, JOB, LOG, RECIPE, REPORT, START
from tasks.engine.builder import Builder
from tasks.engine.project import Project
from tasks.engine.somewhere import Built
from tasks.engine.stamps import Stamp
from tasks.engine.worker_code import code

if TYPE_CHECKING:
    from rootfs.sandbox.step import Packed

PATH = "/usr/local/bin:/usr/bin:/bin"
_SPARE = 900  # seconds that a worker has beside the step: for its trees
_LARGEST = 64 << 30  # bytes of an artifact
_REPORT = 1 << 20  # bytes


def platform_of(pairs: Iterable[tuple[str, str]]) -> Any:
    """The message Platform with the properties `pairs`, which the API wants sorted."""
    platform = protocol.Platform()
    for name, value in sorted(pairs):
        platform.properties.add(name=name, value=value)
    return platform


class Workers:
    """The workers behind remote=, for one run. All methods are safe in any thread."""

    def __init__(self, project: Project, *, patience: float = 600.0, pause: float = 1.0) -> None:
        settings = project.settings
        where = urlsplit(settings.remote)
        trusted = outward.certificates() if where.scheme == "grpcs" else None
        identity = settings.client_certificate
        self.project, self.url = project, settings.remote
        self.server = Server(
            settings.remote,
            instance=settings.instance,
            headers=settings.headers.get(where.netloc.lower()),
            certificates=Path(trusted).read_bytes() if trusted else None,
            identity=identity.read_bytes() if identity else None,
            patience=patience,
            pause=pause,
        )
        also_stop(self.server.stop)
        self._code = {name: of_file(project.root / name) for name in code(project.root)}
        self._is_gone = False
        self._lock = threading.Lock()

    def build(self, builder: Builder, wanted: str) -> Built | None:
        """The result of the step on a worker; None if it must be built here.

        Raises StepFailed if the step itself fails there.
        """
        if self._is_gone:
            return None
        builder.say_start(wanted, worker=True)
        try:
            outputs = self.run(self._files(builder), fresh=builder.stamp.forgotten.exists())
            report = self.report(outputs)
            # Not before: if no worker can build it, an interrupted build here continues.
            builder.set_edits_aside()
            fresh_directory(builder.directory)
            return self._built(builder, report, outputs)
        except ServerFailed as error:
            self.tell(builder.step, error)
            return None

    def run(self, files: Mapping[str, Blob], *, fresh: bool) -> dict[str, Any]:
        """Run the job with the input `files` on a worker. Returns the message Digest of each of its
        outputs. Raises ServerFailed.
        """
        root, blobs = input_root({**self._code, **files}, protocol)
        result = self.act(self._command(), root, blobs.values(), fresh=fresh)
        outputs = {each.path: each.digest for each in result.output_files}
        if REPORT not in outputs:
            said = (result.stderr_raw or result.stdout_raw).decode(errors="replace").strip()
            last = said.splitlines()[-1] if said else f"status {result.exit_code}"
            raise ServerFailed(f"the worker cannot run steps: {last}", gone=True)
        return outputs

    def report(self, outputs: Mapping[str, Any]) -> dict[str, Any]:
        """The worker's report among `outputs`. Raises ServerFailed."""
        file = io.BytesIO()
        self.server.download(outputs[REPORT], file, limit=_REPORT)
        try:
            return dict(json.loads(file.getvalue()))
        except (ValueError, TypeError, RecursionError) as error:
            raise ServerFailed(f"the worker's report cannot be read: {error}") from error

    def act(
        self, command: Any, root: Blob, blobs: Iterable[Blob], *, fresh: bool, kept: bool = True
    ) -> Any:
        """Run the message Command `command` in the directory `root`, which needs `blobs`.

        fresh: no result of before is taken. kept: the server may keep the result.
        Returns the message ActionResult. Raises ServerFailed.
        """
        asked = of_message(command)
        action = protocol.Action(
            command_digest=digest(asked, protocol),
            input_root_digest=digest(root, protocol),
            platform=command.platform,
            do_not_cache=not kept,
        )
        if limit := self.project.settings.timeout:
            action.timeout.seconds = int(limit) + _SPARE
        acting = of_message(action)
        self.server.upload([*blobs, asked, acting])
        return self.server.execute(acting, fresh=fresh)

    def _command(self) -> Any:
        outputs = sorted((ARTIFACT, LOG, REPORT))
        command = protocol.Command(
            arguments=["python3", "-I", "-S", "-B", "-c", START],
            output_files=outputs,  # before version 2.1 of the API
            output_paths=outputs,
            platform=platform_of(self.project.settings.platform),
        )
        command.environment_variables.add(name="PATH", value=PATH)
        return command

    def _files(self, builder: Builder) -> dict[str, Blob]:
        """The job of the step, and what it needs beside the code."""
        project, step = self.project, builder.step
        tools = [self._artifact(each) for each in project.plan.tools(step)]
        seed = [self._seed] if step.is_on_seed else []
        root = [*seed, *tools]
        sysroot = [self._artifact(project.plan.phases[step.phase][name]) for name in step.depends]
        sources = [of_file(project.fetched(each), each.sha256) for each in step.sources]
        files = {each.file: each.sha256 for each in step.sources[1:]}
        if step.initramfs:
            sources.append(of_file(builder.initramfs()))
            files["initramfs.cpio"] = sources[-1].sha256
        job = {
            "step": asdict(step),
            "build_root": [each.sha256 for each in root],
            "sysroot": [each.sha256 for each in sysroot],
            "files": files,
            "seconds": project.settings.timeout,
        }
        recipe = project.recipe_files(step.name, [path for path, _ in step.files])
        return {
            JOB: of_bytes(json.dumps(job, sort_keys=True).encode()),
            **{f"{BLOBS}/{each.sha256}": each for each in (*root, *sysroot, *sources)},
            **{f"{RECIPE}/{path}": of_file(file) for path, file in recipe.items()},
        }

    def _artifact(self, step: Step) -> Blob:
        sha256 = Stamp(self.project, step).require().artifact
        return of_file(self.project.store.artifact(sha256), sha256)

    @property
    def _seed(self) -> Blob:
        """The seed's tree, packed. Its hash is kept; it is packed again only to be sent."""
        seed = self.project.seed
        kept = self.project.workdir / "remote" / f"seed-{seed.identity}.json"
        with self._lock:
            try:
                sha256, size = json.loads(kept.read_text())
            except (OSError, ValueError):
                sha256, size = _packed(seed.tree)
                write_file(kept, json.dumps([sha256, size]))

        @contextmanager
        def sent() -> Iterator[BinaryIO]:
            with unfinished(kept).open("w+b") as file:
                Path(file.name).unlink()
                _packed(seed.tree, file)
                file.seek(0)
                yield file

        return Blob(sha256, size, sent)

    def _built(
        self, builder: Builder, report: Mapping[str, Any], outputs: Mapping[str, Any]
    ) -> Built:
        log = builder.directory / "log"
        if LOG in outputs:
            with log.open("wb") as file:
                self.server.download(outputs[LOG], file, limit=LOG_LIMIT)
        try:
            failed = report.get("failed")
            command = None if failed is None else builder.step.commands[failed]
            told = report.get("results", ()) if command is None else [report["result"]]
            results = [Result(**each) for each in told]
        except (LookupError, TypeError) as error:
            raise ServerFailed(f"the worker's report cannot be read: {error!r}") from error
        if command:
            raise StepFailed(builder.step, command, results[0], log)
        if not results or "artifact" not in report or ARTIFACT not in outputs:
            raise ServerFailed(f"the worker: {report.get('where')}: {report.get('message')}")
        packed = self._packed_here(builder, outputs[ARTIFACT])
        return Built(packed, results)

    def _packed_here(self, builder: Builder, wanted: Any) -> Packed:
        """The artifact with this digest, unpacked and packed again. Raises ServerFailed."""
        scratch, tree = self.project.store.scratch(), builder.directory / "new-dest"
        file = unfinished(builder.directory / "artifact")
        try:
            with file.open("w+b") as out:
                self.server.download(wanted, out, limit=_LARGEST)
            unpack(file, tree)
            packed = pack_tree(tree, builder.step.name, scratch)
        except BuildError as error:
            raise ServerFailed(f"the worker's artifact {error.message}") from error
        finally:
            file.unlink(missing_ok=True)
        if packed.sha256 != wanted.hash:
            packed.file.unlink()
            raise ServerFailed("the worker's artifact is not one that this project packs")
        return packed

    @property
    def is_gone(self) -> bool:
        """Whether the server is not asked again in this run."""
        return self._is_gone

    def tell(self, step: Step, error: ServerFailed) -> None:
        """Tell that a step is built here; of a server that is gone only once."""
        with self._lock:
            told, self._is_gone = self._is_gone, self._is_gone or error.gone
        if self.server.is_stopped:
            raise BuildError("interrupted", where=step.task)
        if not told:
            what = "everything is" if error.gone else f"{step.task} is"
            self.project.events.emit("note", text=f"{self.url}: {error}: {what} built here")


def _packed(tree: Path, file: BinaryIO | None = None) -> tuple[str, int]:
    """Pack `tree` into `file`, if there is one. Returns sha256 and size."""
    out = Hashing(file)
    pack([tree], out)
    finish(out)
    return out.sha256.hexdigest(), out.size
