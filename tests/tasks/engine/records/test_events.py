"""tasks.engine.records.events: writing events, and reading damaged files of them."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest

from tasks.engine.records import events
from tasks.engine.records.events import Events, read, runs


def test_events_of_two_runs_are_kept_apart(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    for number in range(2):
        run = Events(path)
        run.emit("note", text="before a run there are none")
        run.begin(command=[str(number)])
        run._run = f"run {number}"  # two runs of one process in one second
        run.emit("over", status=number)
    found, broken = read(path)
    assert broken == 0
    assert [event["event"] for event in found] == ["run", "over"] * 2
    last = [*runs(found)][-1]
    assert last[-1]["status"] == 1 and last[-1]["run"] == "run 1"


@pytest.mark.parametrize(
    "line", [b"{", b"[]", b'"x"', b"3", b'{"event": "x"}', b"\xff\xfe", b"null", b'{"time": 1}']
)
def test_a_line_that_cannot_be_read_is_counted_and_left_out(tmp_path: Path, line: bytes) -> None:
    path = tmp_path / "events.jsonl"
    run = Events(path)
    run.begin()
    path.write_bytes(path.read_bytes() + line)  # as a run leaves it that is killed while it writes
    after = Events(path)
    after.begin()
    after.emit("note", text="ü")
    found, broken = read(path)
    assert broken == 1 and [event["event"] for event in found] == ["run", "run", "note"]


def test_what_hears_of_an_event_hears_what_is_written(tmp_path: Path) -> None:
    heard: list[events.Event] = []
    run = Events(tmp_path / "events.jsonl")
    run.listeners.append(heard.append)
    run.begin(jobs=2)
    run.emit("note", text="x")
    assert heard == read(run.path)[0] and heard[0]["jobs"] == 2


def test_a_large_file_is_put_aside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "LIMIT", 10)
    path = tmp_path / "events.jsonl"
    for _ in range(2):
        Events(path).begin()
    assert len(read(path)[0]) == 1 and (tmp_path / "events.old.jsonl").exists()


def test_a_place_that_cannot_be_written_stops_nothing(tmp_path: Path) -> None:
    run = Events(tmp_path / "no" / "events.jsonl")
    run.begin()
    run.emit("note", text="x")
    full = Events(Path("/dev/full"))
    full.begin()
    full.emit("note", text="x")
    assert read(tmp_path / "no" / "events.jsonl") == ([], 0)


def test_the_format_is_one_object_a_line(tmp_path: Path) -> None:
    run = Events(tmp_path / "events.jsonl")
    run.begin(command=["a\nb"])
    (line,) = run.path.read_text().splitlines()
    assert json.loads(line)["command"] == ["a\nb"]


def test_a_signal_while_an_event_is_told_may_emit_another(tmp_path: Path) -> None:
    """Its handler runs in the thread that tells the event, and progress=json makes it emit one."""
    run = Events(tmp_path / "events.jsonl")
    run.begin()

    def interrupted(event: events.Event) -> None:
        if event["event"] == "product":
            run.emit("note", text="interrupted")

    run.listeners.append(interrupted)
    thread = threading.Thread(target=run.emit, args=("product",), daemon=True)
    thread.start()
    thread.join(20)
    assert not thread.is_alive(), "it waits for itself"
    assert [event["event"] for event in read(run.path)[0]] == ["run", "product", "note"]
