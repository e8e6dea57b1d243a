"""Installs a pure Python package without an installer: the program that the style `python` runs.

    unpacked wheel ───────────── all files ──────────────┐
    source ── packages: the arguments, or what is found ─┼─▶ site-packages of the target's Python
    its metadata (pyproject.toml, or the wheel's) ───────┴─▶ NAME.dist-info, programs in /usr/bin

The forms are those of the packaging specifications: pyproject.toml (PEP 621), entry points, wheels
(PEP 427). What is written has no times and no paths of the build.
"""

from __future__ import annotations

INSTALL = r"""
import configparser, pathlib, shutil, sys, tomllib

here, dest = pathlib.Path(), pathlib.Path("/dest/usr")
(python,) = pathlib.Path("/sysroot/usr/lib").glob("python3.*")
site = dest / "lib" / python.name / "site-packages"
wheels = list(here.glob("*.dist-info"))
if wheels:
    found = [path for path in here.iterdir() if path.suffix != ".data"]
    if apart := [*here.glob("*.data/*")]:
        sys.exit(f"error: {apart[0]} is not installed: the style script can do that")
    points = configparser.ConfigParser(delimiters="=", interpolation=None)
    points.optionxform = str  # not in lower case
    points.read(wheels[0] / "entry_points.txt")
    scripts = dict(points["console_scripts"]) if "console_scripts" in points else {}
else:
    project = tomllib.loads((here / "pyproject.toml").read_text()).get("project", {})
    name = project.get("name", NAME).lower().replace("-", "_").replace(".", "_")
    scripts = project.get("scripts", {})
    likely = [top / each for top in (here / "src", here) for each in (name, name + ".py")]
    found = [here / each for each in sys.argv[1:]] or [path for path in likely if path.exists()][:1]
    if not found:
        sys.exit(f"error: no package {name} here: name its directories in `options`")
    info = site / f"{name}-{VERSION}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {VERSION}\n")
    lines = [f"{script} = {point}\n" for script, point in scripts.items()]
    (info / "entry_points.txt").write_text("[console_scripts]\n" + "".join(lines))
site.mkdir(parents=True, exist_ok=True)
for path in found:
    if path.is_dir():
        shutil.copytree(path, site / path.name, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        shutil.copy(path, site)
if compiled := [str(path) for path in site.rglob("*") if path.suffix in (".so", ".pyx", ".c")]:
    sys.exit(f"error: this is not pure Python: {compiled[0]}")
for script, point in scripts.items():
    module, _, function = point.partition(":")
    function = function.partition("[")[0].strip()
    (dest / "bin").mkdir(exist_ok=True)
    file = dest / "bin" / script
    top = function.partition(".")[0]
    file.write_text(
        f"#!/usr/bin/python3\nimport sys\nfrom {module.strip()} import {top}\n"
        f"sys.exit({function}())\n"
    )
    file.chmod(0o755)
"""


def install(name: str, version: str) -> str:
    """The program that installs the package `name`; its arguments are the packages to install."""
    return f"NAME, VERSION = {name!r}, {version!r}\n{INSTALL.lstrip()}"
