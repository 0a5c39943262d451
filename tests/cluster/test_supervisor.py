"""The supervisor against real processes: it brings back what dies or hangs, adopts, and stops."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from skiff.cluster.components import SUPERVISOR
from skiff.cluster.status import restarted
from skiff.cluster.supervisor import read_pid, read_restarts, stop

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


SERVER = """
import socket, sys
server = socket.socket(socket.AF_UNIX if sys.argv[1] == "unix" else socket.AF_INET)
server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
server.bind(sys.argv[2] if sys.argv[1] == "unix" else ("127.0.0.1", int(sys.argv[2])))
server.listen()
while True:
    connection, _ = server.accept()
    with connection:
        connection.recv(100)
        connection.sendall(b"HTTP/1.0 500 something is wrong\\r\\n\\r\\n")
    print("asked", flush=True)
"""


def answering(run: Path, scheme: str, patience: float) -> Path:
    """The worker answers whoever asks it; the log with a line for every question."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    where = str(run / f"{os.urandom(4).hex()}.sock") if scheme == "unix" else port
    address = f"unix:{where}" if scheme == "unix" else f"http://127.0.0.1:{where}/healthz"
    log = run / "worker.log"
    worker = {"name": "worker", "argv": [sys.executable, "-c", SERVER, scheme, where], "log": str(log)}
    (run / "processes.json").write_text(json.dumps([worker | {"health": address, "patience": patience}]))
    return log


@pytest.mark.parametrize("scheme", ["http", "unix"])
def test_a_process_that_hangs_is_started_again(run: Path, scheme: str) -> None:
    log = answering(run, scheme, patience=1.0)
    supervisor = start(run)
    first = read_pid(run / "worker.pid")
    eventually(lambda: log.read_text())
    os.kill(first, signal.SIGSTOP)
    eventually(lambda: read_pid(run / "worker.pid") not in (0, first))
    assert not Path(f"/proc/{first}").exists()
    noted = read_restarts(run / "worker.restarts")
    assert (noted["count"], noted["why"]) == (1, "it did not answer for 1 s")
    supervisor.terminate()
    assert supervisor.wait(DEADLINE_SECONDS) == 0


def test_a_process_that_answers_or_is_not_there_is_left_alone(run: Path) -> None:
    """Whatever it answers; and whoever has no address to be asked at may work all the same."""
    log = answering(run, "http", patience=2.0)
    (worker,) = json.loads((run / "processes.json").read_text())
    lingers = {"name": "lingers", "argv": ["sleep", "1000"], "log": str(run / "log"), "patience": 0.1}
    (run / "processes.json").write_text(json.dumps([worker, lingers | {"health": "http://127.0.0.1:1/healthz"}]))
    supervisor = start(run)
    eventually(lambda: read_pid(run / "lingers.pid"))
    pids = read_pid(run / "worker.pid"), read_pid(run / "lingers.pid")
    eventually(lambda: log.read_text().count("asked") >= 6)
    assert (read_pid(run / "worker.pid"), read_pid(run / "lingers.pid")) == pids
    supervisor.terminate()
    assert supervisor.wait(DEADLINE_SECONDS) == 0


@pytest.mark.parametrize(
    "last, sentence",
    [
        pytest.param({}, "", id="never"),
        pytest.param({"count": 1, "at": 100.0, "why": "it ended (status 1)"}, "node was started again 1m40s ago: it ended (status 1)", id="once"),
        pytest.param({"count": 3, "at": 195.0, "why": "it did not answer for 60 s"}, "node was started again 3 times, the last time 5s ago: it did not answer for 60 s", id="often"),
    ],
)  # fmt: skip
def test_what_status_says_of_it(last: dict[str, Any], sentence: str) -> None:
    assert restarted("node", last, 200.0) == sentence


def test_stopping_leaves_only_what_lingers(run: Path) -> None:
    supervisor = start(run)
    worker = read_pid(run / "worker.pid")
    supervisor.terminate()
    assert supervisor.wait(DEADLINE_SECONDS) == 0
    assert read_pid(run / "worker.pid") == 0
    assert not Path(f"/proc/{worker}").exists()
    assert read_pid(run / "lingers.pid") != 0
    assert read_pid(run / "supervisor.pid") == 0
