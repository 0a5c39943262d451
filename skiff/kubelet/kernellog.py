"""Whom the kernel has killed for want of memory, as its log says.

A runtime watches a container's memory from a moment after its start on and never learns of what died before; and cgroup v1
counts kills only in the cgroup itself, which is gone with the container. The log has each kill before the process ends,
so who asks about an end gets an answer at once. Source: Linux, Documentation/ABI/testing/dev-kmsg, mm/oom_kill.c.
"""

import contextlib
import os
import re
from collections import deque

DEVICE = "/dev/kmsg"
RECORD_BYTES = 8192
REMEMBERED = 512
_CGROUP = re.compile(rb"oom-kill:.*task_memcg=([^,\s]+)")
_PROCESS = re.compile(rb"Killed process (\d+) \(")


class KernelLog:
    """Reads what is new whenever it is asked. Without the device (in some containers) it knows of nobody."""

    def __init__(self, device: str = DEVICE):
        self._device = device
        self._fd = -1
        self._cgroups: deque[str] = deque(maxlen=REMEMBERED)
        self._processes: deque[int] = deque(maxlen=REMEMBERED)

    def killed(self, container_id: str, pid: int = 0) -> bool:
        """Whether a process of the container was killed, or this one: the kernel names the cgroups of the first ten kills in
        five seconds, but every process."""
        self._read()
        return pid in self._processes or any(container_id in path for path in self._cgroups)

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _read(self) -> None:
        with contextlib.suppress(OSError):
            if self._fd < 0:
                self._fd = os.open(self._device, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            while records := self._next():
                for line in records.splitlines():
                    self._take(line)

    def _next(self) -> bytes:
        """The next record; b"" or BlockingIOError at the end."""
        while True:
            try:
                return os.read(self._fd, RECORD_BYTES)
            except BrokenPipeError:
                continue  # some were overwritten before we came; the next read goes on with the oldest that is left

    def _take(self, line: bytes) -> None:
        if found := _CGROUP.search(line):
            self._cgroups.append(found[1].decode(errors="replace"))
        elif found := _PROCESS.search(line):
            self._processes.append(int(found[1]))
