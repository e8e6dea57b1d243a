"""rootfs/sandbox/started.py: the processes that end with a run."""

from __future__ import annotations

import subprocess
import threading
from typing import Any

import pytest

from rootfs.sandbox import started


def test_what_runs_is_killed() -> None:
    with started.started(["sleep", "1000"]) as process:
        started.stop_all()
        assert process.wait(20) < 0
    with started.started(["sleep", "1000"]) as process:
        pass
    assert process.returncode is not None and process.returncode < 0


@pytest.mark.fault(
    "Ctrl-C at the moment at which a process is started",
    "the run ends: it does not wait for itself",
)
def test_a_signal_while_a_process_is_started(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its handler runs in the thread that starts the process, and stops all processes."""

    def interrupted(*_: Any, **__: Any) -> None:
        started.stop_all()
        raise OSError("interrupted")

    def start() -> None:
        with pytest.raises(OSError, match="interrupted"), started.started(["true"]):
            pass

    monkeypatch.setattr(subprocess, "Popen", interrupted)
    thread = threading.Thread(target=start, daemon=True)
    thread.start()
    thread.join(20)
    assert not thread.is_alive()
