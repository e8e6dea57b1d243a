"""bootstrap-qcow2: a Linux system from upstream source, as a tarball and as a bootable image.

doit image     the QCOW2 image           doit sysroot   the tarball
doit boot      start the image           doit shell     a shell where the builds run
doit list      all that can be done      doit settings  the parameters of a run

seed ─▶ pkg:<name> in the order of the plan ─┬─▶ sysroot
                                             └─▶ image ─▶ boot
"""

import sys

from tasks import hooks
from tasks.bundle import task_bundle
from tasks.challenge import task_challenge
from tasks.check import task_bench, task_test
from tasks.choose import task_choose
from tasks.doctor import task_doctor
from tasks.fsck import task_fsck
from tasks.gc import task_gc
from tasks.inspect import task_inspect, task_sign
from tasks.log import task_log
from tasks.machine import task_boot
from tasks.overrides import task_overrides
from tasks.packages import task_pkg
from tasks.patch import task_patch
from tasks.pins import task_bump, task_outdated
from tasks.products import task_image, task_sysroot
from tasks.project import project
from tasks.reference import task_reference
from tasks.regenerate import task_regenerate
from tasks.report import task_report
from tasks.reporter import Reporter
from tasks.sbom import task_licences, task_sbom
from tasks.seed import task_lock, task_seed
from tasks.shell import task_shell
from tasks.show import task_plan, task_settings
from tasks.sources import task_fetch
from tasks.status import task_status
from tasks.verify import task_verify
from tasks.why import task_why

project.workdir.mkdir(parents=True, exist_ok=True)
hooks.install([name.removeprefix("task_") for name in dir() if name.startswith("task_")])

DOIT_CONFIG = {
    "default_tasks": ["image"],
    "verbosity": 2,
    "reporter": Reporter,
    # Threads: other processes do the work. One failure does not stop the independent branches.
    # Who holds the terminal must be the main thread, for only there signals can be handled.
    "num_process": 0 if {"boot", "shell"} & set(sys.argv) else min(project.settings.jobs, 2),
    "par_type": "thread",
    "continue": True,
    # doit's own state is never read: the stamps and the store say what stands, every time. What is
    # not on disk cannot be locked by another run, broken by a power cut or in the way when full.
    "backend": "sqlite3",
    "dep_file": ":memory:",
}

__all__ = [
    "DOIT_CONFIG",
    "task_bench",
    "task_boot",
    "task_bump",
    "task_bundle",
    "task_challenge",
    "task_choose",
    "task_doctor",
    "task_fetch",
    "task_fsck",
    "task_gc",
    "task_image",
    "task_inspect",
    "task_licences",
    "task_lock",
    "task_log",
    "task_outdated",
    "task_overrides",
    "task_patch",
    "task_pkg",
    "task_plan",
    "task_reference",
    "task_regenerate",
    "task_report",
    "task_sbom",
    "task_seed",
    "task_settings",
    "task_shell",
    "task_sign",
    "task_status",
    "task_sysroot",
    "task_test",
    "task_verify",
    "task_why",
]
