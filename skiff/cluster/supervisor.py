"""The parent of a cluster's processes: starts them, brings back what dies or hangs, stops them in order.

Standard library only and no event loop: it must stay small and must not fail. One file per process in `run/`
(`<name>.pid`: pid and start time) lets a new supervisor adopt what an earlier one left running, so killing the
supervisor stops nothing, and `skiff up` puts another one in place.

    python -m skiff.cluster.supervisor <run directory>

reads `processes.json` in that directory: a list of {name, argv, log, linger, health, patience}, in the order of starting.
`linger`: not stopped with the others on SIGTERM (containerd, which whoever takes the cluster down still needs). `health`: where
the process answers, `https://…` or `http://…`, or `unix:…` for a socket that speaks HTTP/2. `patience`: seconds after which a
process that takes questions and answers none is killed, and so started again.

What was started again, when, how often and why stands in `<name>.restarts`, for `skiff status`.
"""

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

BACKOFF_SECONDS = (0.0, 0.2, 0.5, 1.0, 2.0, 5.0)
STEADY_SECONDS = 10.0
"""A process that has run this long is started again without delay when it ends."""
STOP_SECONDS = 8.0
PATIENCE_SECONDS = 60.0
"""A busy machine may keep a process from answering for long; nothing that works is silent for a minute."""
ASKS = 4
"""How often a process is asked, and has its time to answer, before patience ends."""
HTTP2 = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0"
"""How a client begins, with empty settings; the server says its own at once."""


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
    _write(path, f"{pid} {start_time(pid)}")


def _write(path: Path, text: str) -> None:
    """All of it or nothing."""
    temporary = path.with_suffix(f".{os.getpid()}")  # `up` and the supervisor may write the same file at the same time
    temporary.write_text(text)
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


def answers(health: str, seconds: float) -> bool:
    """Whether a process gives any answer in that time. False only for one that hangs: its connections are still taken, by
    the kernel. One that cannot be connected to is not there yet, or could not have its address; it is left alone. Who
    expects TLS is asked in plain text, too: it closes the connection, which it can do only while it works, and the
    supervisor does without the megabytes of OpenSSL."""
    url = urlsplit(health)
    try:
        with _connected(url.path if url.scheme == "unix" else (url.hostname, url.port), seconds) as s:
            s.sendall(HTTP2 if url.scheme == "unix" else f"GET {url.path} HTTP/1.0\r\n\r\n".encode())
            s.recv(1)
    except (TimeoutError, BlockingIOError):  # a unix socket does not wait when too many wait already
        return False
    except OSError:
        return True
    return True


def _connected(address: Any, seconds: float) -> socket.socket:
    s = socket.socket(socket.AF_UNIX if isinstance(address, str) else socket.AF_INET)
    try:
        s.settimeout(seconds)
        s.connect(address)
    except BaseException:
        s.close()
        raise
    return s


class Child:
    """One supervised process, started by us or adopted."""

    def __init__(self, run: Path, spec: dict):
        self.name: str = spec["name"]
        self.argv: list[str] = spec["argv"]
        self.log: str = spec["log"]
        self.linger: bool = spec.get("linger", False)
        self.health: str = spec.get("health", "")
        self.patience: float = spec.get("patience", PATIENCE_SECONDS)
        self.hangs = False
        self.pid_file = run / f"{self.name}.pid"
        self.restarts = run / f"{self.name}.restarts"
        self.pid = 0
        self.fd = -1
        self.process: subprocess.Popen | None = None
        self.failures = 0
        self.started = 0.0
        self.due = 0.0

    def adopt_or_start(self) -> None:
        pid = read_pid(self.pid_file)
        if not pid:
            self.restarts.unlink(missing_ok=True)
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
        why = f"it did not answer for {self.patience:g} s" if self.hangs else f"it ended (status {status})"
        self.hangs = False
        say(f"{self.name} starts again in {self.due - now:.1f} s: {why}")
        self._note(why)

    def kill(self) -> None:
        """What hangs hears no SIGTERM; and every process may be killed at any time."""
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self.fd, signal.SIGKILL)

    def ask(self, tell: int) -> None:
        """Asks again and again, in a thread of its own; sets `hangs` and writes to `tell` when patience has ended."""
        silent, asked, pause, due = 0, 0, self.patience / ASKS, time.monotonic()
        while True:
            due = max(due + pause, time.monotonic())
            time.sleep(max(0.0, due - time.monotonic()))
            if self.pid != asked:
                silent, asked = 0, self.pid
            silent = 0 if answers(self.health, pause) else silent + 1
            if silent >= ASKS and self.pid == asked:
                silent, self.hangs = 0, True
                os.write(tell, b"\0")

    def _note(self, why: str) -> None:
        count = read_restarts(self.restarts).get("count", 0) + 1
        _write(self.restarts, json.dumps({"count": count, "at": time.time(), "why": why}))

    def _watch(self, pid: int) -> None:
        self.pid, self.fd, self.started = pid, os.pidfd_open(pid), time.monotonic()

    @staticmethod
    def _command_line(pid: int) -> list[str]:
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")[:-1]


def read_restarts(path: Path) -> dict[str, Any]:
    """count, at (epoch seconds) and why, of the last time; {} if there was none."""
    try:
        found: dict[str, Any] = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return found


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
    hung_read, hung_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    for child in children:
        child.adopt_or_start()
        if child.health:
            threading.Thread(target=child.ask, args=(hung_write,), daemon=True).start()
    while not _wait(children, wake_read, hung_read):
        pass
    for child in reversed(children):
        if not child.linger and child.pid:
            stop(child.pid)
            child.pid_file.unlink(missing_ok=True)
    (run / "supervisor.pid").unlink(missing_ok=True)


def _wait(children: list[Child], wake: int, hung: int) -> bool:
    """One round: wait for an end, a hang, a due start or a signal. True: a signal asks us to stop."""
    poll = select.poll()
    poll.register(wake, select.POLLIN)
    poll.register(hung, select.POLLIN)
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
    if hung in ready:
        os.read(hung, 64)
        for child in children:
            if child.hangs and child.fd >= 0:
                child.kill()
    for child in children:
        if child.fd < 0 and child.due <= now:
            child.start()
    return False


if __name__ == "__main__":
    supervise(Path(sys.argv[1]))
