"""Metrics that every process has, in Prometheus' text form: process_* from /proc, and rest_client_* of its transports."""

import os
import resource
from pathlib import Path

from skiff import env

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

requests: dict[tuple[str, str, str], int] = {}
"""(code or "<error>", method, host) → how many requests this process has sent."""

_started = env.epoch()


def count_request(code: str, method: str, host: str) -> None:
    key = (code, method, host)
    requests[key] = requests.get(key, 0) + 1


def render() -> list[str]:
    """Lines, without an end of line."""
    return [*_process(), *_rest_client()]


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
    return ["# TYPE rest_client_requests_total counter", *found]
