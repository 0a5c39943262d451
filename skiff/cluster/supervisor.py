"""The parent of a cluster's processes: starts them, brings back what dies, stops them in order.

Standard library only and no event loop: it must stay small and must not fail. One file per process in `run/`
(`<name>.pid`: pid and start time) lets a new supervisor adopt what an earlier one left running, so killing the
supervisor stops nothing, and `skiff up` puts another one in place.

    python -m skiff.cluster.supervisor <run directory>

reads `processes.json` in that directory: a list of {name, argv, log, linger}, in the order of starting. `linger`: not
stopped with the others on SIGTERM (containerd, which whoever takes the cluster down still needs).
"""

import json
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

BACKOFF_SECONDS = (0.0, 0.2, 0.5, 1.0, 2.0, 5.0)
STEADY_SECONDS = 10.0
"""A process that has run this long is started again without delay when it ends."""
STOP_SECONDS = 8.0


def start_time(pid: int) -> str:
    """The kernel's start time of a process in clock ticks, as text; "" when it is gone or a zombie."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return ""
    state, *rest = stat.rpartition(")")[2].split()
    return "" if state in "ZX" else rest[18]


def read_pid(path: Path) -> int:
    """The pid in a pid file if that very process still runs, else 0."""
    try:
        pid, started = path.read_text().split()
        return int(pid) if start_time(int(pid)) == started else 0
    except (OSError, ValueError):
        return 0


def write_pid(path: Path, pid: int) -> None:
    temporary = path.with_suffix(f".{os.getpid()}")  # `up` and the supervisor may write the same file at the same time
    temporary.write_text(f"{pid} {start_time(pid)}")
    os.replace(temporary, path)


def stop(pid: int, seconds: float = STOP_SECONDS) -> None:
    """SIGTERM, then SIGKILL when it has not ended in time. Returns when the process is gone."""
    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        for sig, wait in ((signal.SIGTERM, seconds), (signal.SIGKILL, 5.0)):
            signal.pidfd_send_signal(fd, sig)
            if select.select([fd], [], [], wait)[0]:
                return
    except ProcessLookupError:
        return
    finally:
        os.close(fd)


class Child:
    """One supervised process, started by us or adopted."""

    def __init__(self, run: Path, spec: dict):
        self.name: str = spec["name"]
        self.argv: list[str] = spec["argv"]
        self.log: str = spec["log"]
        self.linger: bool = spec.get("linger", False)
        self.pid_file = run / f"{self.name}.pid"
        self.pid = 0
        self.fd = -1
        self.process: subprocess.Popen | None = None
        self.failures = 0
        self.started = 0.0
        self.due = 0.0

    def adopt_or_start(self) -> None:
        pid = read_pid(self.pid_file)
        if not pid:
            self.start()
            return
        if self._command_line(pid) != self.argv:
            stop(pid)
            self.start()
            return
        self._watch(pid)

    def start(self) -> None:
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                self.argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        self._watch(self.process.pid)
        write_pid(self.pid_file, self.pid)

    def ended(self, now: float) -> None:
        """Its pidfd became readable: reap it, and say when to start it again."""
        os.close(self.fd)
        status = self.process.wait() if self.process else None
        self.fd, self.pid, self.process = -1, 0, None
        self.failures = 0 if now - self.started >= STEADY_SECONDS else self.failures + 1
        self.due = now + BACKOFF_SECONDS[min(self.failures, len(BACKOFF_SECONDS) - 1)]
        say(f"{self.name} ended (status {status}), starts again in {self.due - now:.1f} s")

    def _watch(self, pid: int) -> None:
        self.pid, self.fd, self.started = pid, os.pidfd_open(pid), time.monotonic()

    @staticmethod
    def _command_line(pid: int) -> list[str]:
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")[:-1]


def say(message: str) -> None:
    print(time.strftime("%Y-%m-%dT%H:%M:%S"), message, flush=True)


def supervise(run: Path) -> None:
    """Until SIGTERM or SIGINT; then stops all that do not linger, the last started first."""
    write_pid(run / "supervisor.pid", os.getpid())
    wake_read, wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.set_wakeup_fd(wake_write)
    for sig in (signal.SIGTERM, signal.SIGINT):
        signal.signal(sig, lambda *_: None)
    children = [Child(run, spec) for spec in json.loads((run / "processes.json").read_text())]
    for child in children:
        child.adopt_or_start()
    while not _wait(children, wake_read):
        pass
    for child in reversed(children):
        if not child.linger and child.pid:
            stop(child.pid)
            child.pid_file.unlink(missing_ok=True)
    (run / "supervisor.pid").unlink(missing_ok=True)


def _wait(children: list[Child], wake: int) -> bool:
    """One round: wait for an end, a due start or a signal. True: a signal asks us to stop."""
    poll = select.poll()
    poll.register(wake, select.POLLIN)
    running = {c.fd: c for c in children if c.fd >= 0}
    for fd in running:
        poll.register(fd, select.POLLIN)
    waiting = [c for c in children if c.fd < 0]
    now = time.monotonic()
    delay = None if not waiting else max(0.0, min(c.due for c in waiting) - now) * 1000
    ready = [fd for fd, _ in poll.poll(delay)]
    now = time.monotonic()
    for fd in ready:
        if fd in running:
            running[fd].ended(now)
    if wake in ready:
        return True
    for child in children:
        if child.fd < 0 and child.due <= now:
            child.start()
    return False


if __name__ == "__main__":
    supervise(Path(sys.argv[1]))
