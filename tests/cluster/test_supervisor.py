"""The supervisor against real processes: it brings back, adopts, and stops."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from skiff.cluster.components import SUPERVISOR
from skiff.cluster.supervisor import read_pid, stop

DEADLINE_SECONDS = 10.0


def eventually(condition: Callable[[], object]) -> None:
    """Returns when the condition holds; fails after the deadline."""
    end = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        assert time.monotonic() < end, "did not come true in time"
        time.sleep(0.01)


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Path]:
    """A run directory with one process that lasts and one that lingers; what still runs at the end is stopped."""
    specs = [
        {"name": name, "argv": ["sleep", "1000"], "log": str(tmp_path / f"{name}.log"), "linger": name == "lingers"}
        for name in ("lingers", "worker")
    ]
    (tmp_path / "processes.json").write_text(json.dumps(specs))
    yield tmp_path
    for name in ("supervisor", "worker", "lingers"):
        if pid := read_pid(tmp_path / f"{name}.pid"):
            stop(pid, 1.0)


def start(run: Path) -> subprocess.Popen[bytes]:
    process = subprocess.Popen([sys.executable, "-S", "-E", SUPERVISOR, run], stdout=subprocess.DEVNULL)
    eventually(lambda: read_pid(run / "supervisor.pid") == process.pid)
    eventually(lambda: read_pid(run / "worker.pid"))
    return process


def test_a_killed_process_is_started_again(run: Path) -> None:
    supervisor = start(run)
    first = read_pid(run / "worker.pid")
    os.kill(first, signal.SIGKILL)
    eventually(lambda: read_pid(run / "worker.pid") not in (0, first))
    supervisor.terminate()
    assert supervisor.wait(DEADLINE_SECONDS) == 0


def test_a_new_supervisor_adopts_what_a_killed_one_left(run: Path) -> None:
    first = start(run)
    worker = read_pid(run / "worker.pid")
    first.kill()
    first.wait()
    second = start(run)
    assert read_pid(run / "worker.pid") == worker
    os.kill(worker, signal.SIGKILL)
    eventually(lambda: read_pid(run / "worker.pid") not in (0, worker))
    second.terminate()
    assert second.wait(DEADLINE_SECONDS) == 0


def test_stopping_leaves_only_what_lingers(run: Path) -> None:
    supervisor = start(run)
    worker = read_pid(run / "worker.pid")
    supervisor.terminate()
    assert supervisor.wait(DEADLINE_SECONDS) == 0
    assert read_pid(run / "worker.pid") == 0
    assert not Path(f"/proc/{worker}").exists()
    assert read_pid(run / "lingers.pid") != 0
    assert read_pid(run / "supervisor.pid") == 0
