"""cache/apt.py: both styles of apt's configuration, and the archives found."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from pathlib import Path

import pytest

from cache.apt import Archive, archives

MAIN = Archive("http://deb.example.org/debian", security=False)
SECURITY = Archive("http://deb.example.org/debian-security", security=True)
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"


def configure(root: Path, files: dict[str, str]) -> tuple[Archive, ...]:
    for name, text in files.items():
        path = root / "etc/apt" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return archives(root)


ONE_LINE = {
    "deb http://deb.example.org/debian trixie main": [MAIN],
    "deb http://deb.example.org/debian/ trixie main contrib non-free-firmware": [MAIN],
    "deb-src\thttp://deb.example.org/debian   trixie-updates\tmain # why": [MAIN],
    "  deb [arch=amd64 signed-by=/x.gpg] http://deb.example.org/debian trixie main": [MAIN],
    "deb [ arch=amd64 trusted=yes ] http://deb.example.org/debian trixie main": [MAIN],
    "deb http://deb.example.org/debian-security trixie-security main": [SECURITY],
    "deb http://deb.example.org/debian-security buster/updates main": [SECURITY],
    f"deb [signed-by={KEYRING}] https://files.example.org/proxy/1 sid main": [
        Archive("https://files.example.org/proxy/1", security=False)
    ],
    "# deb http://deb.example.org/debian trixie main": [],
    "deb http://deb.example.org/ubuntu noble main universe": [],
    "deb https://product.example.org/debian trixie stable": [],
    "deb https://product.example.org/debian stable-trixie main": [],
    "deb https://product.example.org/debian trixie/product/7.0 main": [],
    "deb https://product.example.org/packages stable main": [],
    "deb http://deb.example.org/debian ./": [],
    "deb http://deb.example.org/debian": [],
    "deb cdrom:[Debian_13]/ trixie main": [],
    "deb file:/srv/debian trixie main": [],
    "debug http://deb.example.org/debian trixie main": [],
    "deb [ http://deb.example.org/debian trixie main": [],
}


@pytest.mark.parametrize("line", ONE_LINE)
def test_one_line_style(tmp_path: Path, line: str) -> None:
    assert list(configure(tmp_path, {"sources.list": line + "\n"})) == ONE_LINE[line]


@pytest.mark.fault("a directory sources.list.d that cannot be listed", "the other files count")
def test_a_directory_that_cannot_be_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def closed(path: Path) -> Iterator[Path]:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    (tmp_path / "etc/apt/sources.list.d").mkdir(parents=True)
    monkeypatch.setattr(Path, "iterdir", closed)
    text = "deb http://deb.example.org/debian trixie main\n"
    assert configure(tmp_path, {"sources.list": text}) == (MAIN,)


def deb822(**fields: str) -> str:
    names = {name.replace("_", "-"): value for name, value in fields.items()}
    return "".join(f"{name}: {value}\n" for name, value in names.items())


GOOD = deb822(Types="deb", URIs="http://deb.example.org/debian", Suites="trixie", Components="main")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (GOOD, [MAIN]),
        (GOOD.lower(), [MAIN]),
        (GOOD + "Enabled: yes\n", [MAIN]),
        (GOOD + "Enabled: no\n", []),
        (GOOD + "Enabled: FALSE\n", []),
        (GOOD + "Enabled: 0\n\n" + GOOD.replace("trixie", "trixie-updates"), [MAIN]),
        ("# a comment\n" + GOOD.replace("Suites", "# another\nSuites"), [MAIN]),
        (GOOD.replace("Suites: trixie", "Suites:\n trixie\n\ttrixie-updates"), [MAIN]),
        (GOOD.replace("\n", "\r\n"), [MAIN]),
        (
            GOOD.replace("debian\n", "debian http://b.example.org/debian\n"),
            [MAIN, Archive("http://b.example.org/debian", security=False)],
        ),
        (
            deb822(
                URIs="http://a.example.org/x", Suites="sid", Components="main", Signed_By=KEYRING
            ),
            [Archive("http://a.example.org/x", security=False)],
        ),
        (GOOD + "Signed-By:\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n mDMEZ\n", [MAIN]),
        ("\n\n \n" + GOOD + "\n\n", [MAIN]),
        (" a line that continues nothing\nno field\n", []),
        ("", []),
    ],
)
def test_deb822_style(tmp_path: Path, text: str, expected: list[Archive]) -> None:
    found = configure(tmp_path, {"sources.list.d/debian.sources": text})
    assert list(found) == expected


def test_all_files_in_order_and_each_archive_once(tmp_path: Path) -> None:
    line = "deb http://{}.example.org/debian trixie main\n"
    found = configure(
        tmp_path,
        {
            "sources.list": line.format("one"),
            "sources.list.d/b.sources": GOOD.replace("deb.", "three."),
            "sources.list.d/a.list": line.format("two") + line.format("one"),
            "sources.list.d/c.list.disabled": line.format("four"),
        },
    )
    assert [archive.url.split(".")[0] for archive in found] == [
        "http://one",
        "http://two",
        "http://three",
    ]


def test_a_list_of_mirrors_is_followed(tmp_path: Path) -> None:
    """Debian's cloud images are set up so."""
    found = configure(
        tmp_path,
        {
            "sources.list.d/debian.sources": GOOD.replace(
                "http://deb.example.org/debian", "mirror+file:///etc/apt/mirrors/debian.list"
            ),
            "mirrors/debian.list": "# near\nhttp://deb.example.org/debian\tpriority:1\n\n"
            "https://b.example.org/debian\n",
        },
    )
    assert found == (MAIN, Archive("https://b.example.org/debian", security=False))


def test_a_machine_without_apt_has_none(tmp_path: Path) -> None:
    assert archives(tmp_path) == ()


def test_an_unreadable_file_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "etc/apt/sources.list.d/x.list").mkdir(parents=True)
    (tmp_path / "etc/apt/sources.list.d/y.list").write_bytes(b"\xff\xfe\n")
    assert configure(tmp_path, {"sources.list.d/z.sources": GOOD}) == (MAIN,)
