"""rootfs.sandbox.diagnosis: real logs and their causes."""

from __future__ import annotations

import pytest

from plan.model import Command
from rootfs.sandbox.diagnosis import diagnose

MAKE = Command(("make",), "/build")
CLANG = "clang: error: unknown argument: '-fno-such'\nmake[1]: *** [Makefile:3: a.o] Error 1\n"


@pytest.mark.parametrize(
    ("log", "error", "cause"),
    [
        (
            CLANG,
            "clang: error: unknown argument: '-fno-such'",
            "does not know the option -fno-such",
        ),
        (
            "find: unrecognized: -delete\nBusyBox v1.37.0 () multi-call binary.\n",
            "find: unrecognized: -delete",
            "not know the option -delete",
        ),
        (
            "a.c:1:10: fatal error: 'zlib.h' file not found\n 1 error generated.\n",
            "a.c:1:10: fatal error: 'zlib.h' file not found",
            "the header zlib.h is missing",
        ),
        (
            "./utf8.h:30:1: error: unknown type name '__BEGIN_DECLS'\n1 error generated.\n",
            "./utf8.h:30:1: error: unknown type name '__BEGIN_DECLS'",
            "the C library of GNU has __BEGIN_DECLS, and musl has not",
        ),
        (
            "a.c:1:10: fatal error: 'sys/cdefs.h' file not found\n 1 error generated.\n",
            "a.c:1:10: fatal error: 'sys/cdefs.h' file not found",
            "the C library of GNU has sys/cdefs.h, and musl has not",
        ),
        (
            "ld.lld: error: unable to find library -lyaml\n",
            "ld.lld: error: unable to find library -lyaml",
            "the library yaml is missing",
        ),
        (
            "ld.lld: error: unable to find library -lgc (install libgc)\nError: execution of "
            "command failed: host-cc -o /tmp/ecr-process.cr/macro_run -L/sysroot/usr/lib -lgc\n",
            "ld.lld: error: unable to find library -lgc (install libgc)",
            "a macro of Crystal (ECR has one) starts a program while it compiles",
        ),
        (
            "ld.lld: error: undefined symbol: inflateInit2_\n>>> referenced by a.c\n",
            "ld.lld: error: undefined symbol: inflateInit2_",
            "no linked library or object defines inflateInit2_",
        ),
        (
            f"gcc-version.sh: line 11: gcc: not found\n{CLANG}",
            "clang: error: unknown argument: '-fno-such'",
            "not know the option -fno-such",
        ),
        ("sh: line 2: bison: not found\n", "sh: line 2: bison: not found", "the program bison"),
        (
            "make: perl: No such file or directory\nmake: *** [Makefile:9: x] Error 127\n",
            "make: *** [Makefile:9: x] Error 127",
            "the program perl",
        ),
        (
            "cp: error writing 'x': No space left on device\n",
            "cp: error writing 'x': No space left on device",
            "the disk is full",
        ),
        (
            "clang: error: unable to execute command: Killed\nclang: error: frontend failed\n",
            "clang: error: unable to execute command: Killed",
            "out of memory",
        ),
        (
            "curl: (6) Could not resolve host: example.org\nerror: no download\n",
            "error: no download",
            "tried to use the network",
        ),
        (
            "patching file a.c\nHunk #1 FAILED at 1.\n1 out of 1 hunk FAILED -- saving rejects\n",
            "1 out of 1 hunk FAILED -- saving rejects",
            "a patch does not apply",
        ),
        (
            "ModuleNotFoundError: No module named 'mako'\n",
            "ModuleNotFoundError: No module named 'mako'",
            "Python or Perl module is missing: mako",
        ),
        (
            "cc -I/x a.c\na.c:3:1: error: expected ';'\nmake: *** [all] Error 2\n",
            "a.c:3:1: error: expected ';'",
            "",
        ),
        (
            "sh: Exec format error (directory /build)\n",
            "",
            "a program for another architecture",
        ),
        ("nothing of note\n", "", ""),
    ],
)
def test_logs(log: str, error: str, cause: str) -> None:
    found = diagnose(f"+ make\n{log}", [MAKE], 2)
    assert found.error == error
    assert cause in found.cause and bool(found.cause) == bool(cause) == bool(found.remedy)


def test_what_came_long_before_the_first_error_is_no_cause() -> None:
    probes = "checking for zlib... x.c: fatal error: 'no.h' file not found\n" + "checking\n" * 9
    found = diagnose(probes.replace("fatal error:", "problem:") + CLANG, [MAKE], 2)
    assert "-fno-such" in found.cause


def test_the_words_of_a_script_are_no_errors() -> None:
    script = Command(("sh", "-euc", "test || echo 'fatal: no test'\nfalse\n"), "/source")
    log = "+ sh -euc 'test || echo '\"'\"'fatal: no test'\"'\"'\nfalse\n'\n"
    assert diagnose(log, [script], 1).error == ""


def test_a_killed_program_names_the_likely_reason() -> None:
    found = diagnose("+ make\n", [MAKE], 137)
    assert "killed" in found.cause and "jobs=1" in found.remedy
