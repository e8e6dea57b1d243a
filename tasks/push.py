"""push: updates a machine that runs, over ssh, with what the next image would start."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from plan.errors import BuildError
from plan.typed import typed
from rootfs.archives.files import file_sha256
from rootfs.image.names import KERNEL, LOADER, STARTER
from tasks.actions import DoitTask, speaking
from tasks.boot import ENTRANCE
from tasks.console.console import say
from tasks.engine.builder import ensure, tree_of
from tasks.engine.project import Project
from tasks.release import let_others_build

if TYPE_CHECKING:
    from rootfs.push.push import Next
    from rootfs.push.reach import Way


def task_push(project: Project) -> DoitTask:
    """update a running machine with the new image: to=HOST; kept if it comes up

    push                      to the machine that boot started here
    push to=HOST              to any machine of this project, as root, by ssh
    push app=DIR to=localhost port=2222   the program after a change of a line
    push to=HOST run=about    keeps it only if that command succeeds there too
    push to=HOST wait=60      gives the machine a minute to come up
    """
    plan = project.plan
    boots = [name for name in (plan.set.kernel, plan.set.loader) if name in plan.product]
    return {
        "task_dep": [plan.product[name].task for name in boots],
        "actions": [(speaking(_push), [project])],
    }


def before_push(project: Project, _words: Sequence[str]) -> None:
    """Raise BuildError if the set cannot be pushed, or the machine cannot take it."""
    from rootfs.push.facts import facts, fitting

    _require_fit(project)
    way = _way(project)
    fitting(facts(way.step("look"), way.host), project.settings.arch, way.host)


def _push(project: Project) -> None:
    from rootfs.push.push import push

    _require_fit(project)
    way, new = _way(project), _next(project)
    # The rest takes a minute or more: let other runs build meanwhile.
    let_others_build(project)
    kept = push(way, new, say, wait_s=project.settings.wait)
    say(
        f"{way.host}: runs the new image, and keeps it" if kept else f"{way.host}: has this already"
    )


def _require_fit(project: Project) -> None:
    plan = project.plan
    if plan.set.root:
        raise BuildError(
            f"set={plan.set.name} has its system on a root partition, which is not replaced while "
            "it runs",
            where="set=",
            hint="push updates machines whose whole system is in the kernel: set=base, app=DIR",
        )
    if plan.set.kernel not in plan.product:
        hint = f"{typed('push set=base')} has one"
        raise BuildError(f"the set {plan.set.name} has no kernel", where="set=", hint=hint)
    if not plan.set.loader:
        raise BuildError(
            "only a machine with the loader can try an image and go back",
            where="loader=",
            hint=f"{typed('push loader=crystal')}; the machine's first image needs it too",
        )


def _way(project: Project) -> Way:
    """The way to the machine: that of to=, or the one that boot started. Raises BuildError."""
    from rootfs.push.reach import LOOPBACK, Way
    from rootfs.vm.entrance import entrance

    asked = project.settings
    own = project.workdir / ENTRANCE / "key"
    given = (asked.key,) if asked.key else ()
    if not asked.to:
        running = entrance(project.workdir / ENTRANCE)
        if running is None:
            raise BuildError(
                "no machine runs here that boot started",
                where="to=",
                hint="to=HOST names another one",
            )
        port = asked.port or running.port
        return Way(LOOPBACK[1], port, given or (running.key,), alone=True)
    keys = given or ((own,) if own.exists() else ())
    name = f"{asked.to}-{asked.port or 22}"
    known = None if asked.to in LOOPBACK else project.workdir / "push" / name
    return Way(asked.to, asked.port, keys, alone=bool(given), known=known)


def _next(project: Project) -> Next:
    """What is brought. It is made again if it is gone from the store."""
    from rootfs.push.facts import Parts
    from rootfs.push.push import Next

    plan, app = project.plan, project.data.app
    steps = [plan.product[name] for name in (plan.set.kernel, plan.set.loader)]
    ensure(project, steps)
    kernel, programs = (tree_of(project, step) for step in steps)
    loader = programs / LOADER
    return Next(
        arch=plan.arch.name,
        loader=loader,
        kernel=kernel / KERNEL,
        parts=Parts(file_sha256(loader), file_sha256(kernel / KERNEL)),
        starter=file_sha256(programs / STARTER),
        service=app.name if app else "",
        ports=tuple(there for _, there in app.ports) if app else (),
        command=project.settings.run,
        command_s=project.settings.command_limit if project.settings.run else None,
    )
