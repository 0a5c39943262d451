"""Metrics that every process has, in Prometheus' text form: process_* from /proc, rest_client_* of its transports,
workqueue_* of its controllers' queues, and those of the components that it runs (`sources`)."""

import os
import re
import resource
from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from skiff import env
from skiff.api.version import VERSION

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

requests: dict[tuple[str, str, str], int] = {}
"""(code or "<error>", method, host) → how many requests this process has sent."""

_started = env.epoch()


@dataclass(slots=True)
class Histogram:
    """What was observed in all, and how often by bucket (the last one is +Inf)."""

    bounds: Sequence[float]
    total: float = 0.0
    buckets: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.buckets = [0] * (len(self.bounds) + 1)

    def observe(self, value: float) -> None:
        self.total += value
        self.buckets[bisect_left(self.bounds, value)] += 1

    def lines(self, name: str, labels: str) -> list[str]:
        found, count = [], 0
        for bound, n in zip((*(f"{b:g}" for b in self.bounds), "+Inf"), self.buckets, strict=True):
            count += n
            found.append(f'{name}_bucket{{{labels}{"," if labels else ""}le="{bound}"}} {count}')
        shown = f"{{{labels}}}" if labels else ""
        return [*found, f"{name}_sum{shown} {self.total:.6f}", f"{name}_count{shown} {count}"]


class Rows:
    """Lines of several metrics, gathered by metric whatever the order in which they come."""

    def __init__(self, prefix: str):
        self._prefix = prefix
        self._rows: dict[tuple[str, str], list[str]] = {}

    def add(self, name: str, kind: str, labels: str, value: object) -> None:
        shown = f"{{{labels}}}" if labels else ""
        self._rows.setdefault((name, kind), []).append(f"{self._prefix}{name}{shown} {value}")

    def histogram(self, name: str, labels: str, observed: Histogram) -> None:
        found = self._rows.setdefault((name, "histogram"), [])
        found += observed.lines(f"{self._prefix}{name}", labels)

    def lines(self) -> list[str]:
        rows = self._rows.items()
        return [line for (name, kind), found in rows for line in (f"# TYPE {self._prefix}{name} {kind}", *found)]


LATENCIES = (0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 60.0)
latencies: dict[tuple[str, str], Histogram] = {}
"""(host, method) → how long answers took."""

WORK = (1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 0.1, 1.0, 10.0)


@dataclass(slots=True)
class QueueMetrics:
    """Of one work queue. depth: how many keys are ready; working: since when keys are being worked on."""

    depth: Callable[[], int]
    working: dict[str, float] = field(default_factory=dict)
    adds: int = 0
    retries: int = 0
    waited: Histogram = field(default_factory=lambda: Histogram(WORK))
    worked: Histogram = field(default_factory=lambda: Histogram(WORK))


queues: dict[str, QueueMetrics] = {}
"""By the queue's name."""


sources: dict[str, Callable[[], list[str]]] = {}
"""By component: its lines."""

_BUILD = ("major", "minor", "gitVersion", "gitCommit", "gitTreeState", "buildDate", "goVersion", "compiler", "platform")
"""Those of /version that the build's metric has."""


def powers(first: float, factor: float, count: int) -> tuple[float, ...]:
    """The bounds of a histogram, each so many times the one before."""
    return tuple(first * factor**i for i in range(count))


def count_request(code: str, method: str, host: str, seconds: float = 0.0) -> None:
    key = (code, method, host)
    requests[key] = requests.get(key, 0) + 1
    times = latencies.get((host, method)) or latencies.setdefault((host, method), Histogram(LATENCIES))
    times.observe(seconds)


def text() -> str:
    """All of it, as it is served."""
    return "\n".join(render()) + "\n"


def render() -> list[str]:
    """Lines, without an end of line."""
    lines = [*_build(), *_process(), *_rest_client(), *_work_queues()]
    return [*lines, *(line for source in sources.values() for line in source())]


def _build() -> list[str]:
    labels = ",".join(f'{re.sub("[A-Z]", lambda m: f"_{m[0].lower()}", name)}="{VERSION[name]}"' for name in _BUILD)
    return ["# TYPE kubernetes_build_info gauge", f"kubernetes_build_info{{{labels}}} 1"]


def _process() -> list[str]:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    virtual, resident = (int(n) * resource.getpagesize() for n in Path("/proc/self/statm").read_text().split()[:2])
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    values = (
        ("process_cpu_seconds_total", "counter", f"{usage.ru_utime + usage.ru_stime:.3f}"),
        ("process_max_fds", "gauge", str(limit)),
        ("process_open_fds", "gauge", str(len(os.listdir("/proc/self/fd")))),
        ("process_resident_memory_bytes", "gauge", str(resident)),
        ("process_start_time_seconds", "gauge", f"{_started:.3f}"),
        ("process_virtual_memory_bytes", "gauge", str(virtual)),
    )
    return [line for name, kind, value in values for line in (f"# TYPE {name} {kind}", f"{name} {value}")]


def _rest_client() -> list[str]:
    if not requests:
        return []
    found = [
        f'rest_client_requests_total{{code="{code}",host="{host}",method="{method}"}} {count}'
        for (code, method, host), count in sorted(requests.items())
    ]
    lines = ["# TYPE rest_client_requests_total counter", *found]
    lines.append("# TYPE rest_client_request_duration_seconds histogram")
    for (host, method), times in sorted(latencies.items()):
        lines += times.lines("rest_client_request_duration_seconds", f'host="{host}",verb="{method}"')
    return lines


def _work_queues() -> list[str]:
    rows = Rows("workqueue_")
    for name, queue in sorted(queues.items()):
        labels, now = f'name="{name}"', env.epoch()
        ages = [now - since for since in queue.working.values()]
        rows.add("adds_total", "counter", labels, queue.adds)
        rows.add("depth", "gauge", labels, queue.depth())
        rows.add("retries_total", "counter", labels, queue.retries)
        rows.add("longest_running_processor_seconds", "gauge", labels, f"{max(ages, default=0):.6f}")
        rows.add("unfinished_work_seconds", "gauge", labels, f"{sum(ages):.6f}")
        rows.histogram("queue_duration_seconds", labels, queue.waited)
        rows.histogram("work_duration_seconds", labels, queue.worked)
    return rows.lines()
