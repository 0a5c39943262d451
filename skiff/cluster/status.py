"""`skiff status`: which processes run, what they weigh, and what the API says of nodes and pods."""

import asyncio
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.table import Table

from skiff.api.errors import StatusError
from skiff.api.gvr import NODES, PODS
from skiff.cluster.access import admin_client
from skiff.cluster.components import PROCESSES
from skiff.cluster.layout import Layout
from skiff.cluster.problem import EXIT_FAILED, no_cluster
from skiff.cluster.progress import console
from skiff.cluster.supervisor import read_pid, read_restarts, start_time
from skiff.cluster.up import is_ready

SUPERVISED = ("containerd", *PROCESSES)
NAMES = ("supervisor", *SUPERVISED)


@dataclass(frozen=True, slots=True)
class Process:
    """pid 0: it does not run. resident: MB of memory."""

    name: str
    pid: int
    resident: float
    uptime_seconds: float


def processes(layout: Layout) -> list[Process]:
    """The cluster's processes, whether they run or not."""
    return [_process(name, read_pid(layout.run / f"{name}.pid")) for name in NAMES]


def status(layout: Layout) -> int:
    """Prints the state; 0 when all is well."""
    if layout.load_settings() is None:
        raise no_cluster(layout.root)
    found = processes(layout)
    table = Table("PROCESS", "PID", "MEMORY", "UP", box=None, pad_edge=False, header_style="bold")
    for p in found:
        up = [str(p.pid), f"{p.resident:.0f} MB", _duration(p.uptime_seconds)] if p.pid else ["[red]stopped[/]", "", ""]
        table.add_row(p.name, *up)
    console.print(table)
    for name in SUPERVISED:
        if line := restarted(name, read_restarts(layout.run / f"{name}.restarts"), time.time()):
            console.print(line, soft_wrap=True)
    well = all(p.pid for p in found)
    if any(p.name == "apiserver" and p.pid for p in found):
        well = asyncio.run(_print_cluster(layout)) and well
    if not any(p.pid for p in found):
        console.print("The cluster is stopped; skiff up continues from what it kept.")
    console.print(f"kubeconfig: {layout.admin_conf}    logs: {layout.logs}", soft_wrap=True)
    return 0 if well else EXIT_FAILED


async def _print_cluster(layout: Layout) -> bool:
    client = admin_client(layout)
    try:
        nodes = (await client.list(NODES)).items
        pods = (await client.list(PODS)).items
    except (ConnectionError, StatusError) as err:
        console.print(f"[red]The API server does not answer: {err}[/]")
        return False
    finally:
        await client.transport.close()
    ready = [n["metadata"]["name"] for n in nodes if is_ready(n)]
    running = sum(p.get("status", {}).get("phase") == "Running" for p in pods)
    console.print(f"nodes: {len(ready)} of {len(nodes)} ready    pods: {running} of {len(pods)} running")
    return len(ready) == len(nodes) > 0


def restarted(name: str, last: dict[str, Any], now: float) -> str:
    """A sentence about a process that the supervisor has started again; "" for none."""
    if not last:
        return ""
    count = last["count"]
    times = "was started again" + (f" {count} times, the last time" if count > 1 else "")
    return f"{name} {times} {_duration(now - last['at'])} ago: {last['why']}"


def _process(name: str, pid: int) -> Process:
    if not pid:
        return Process(name, 0, 0.0, 0.0)
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    started = int(start_time(pid) or 0) / 100
    return Process(name, pid, pages * 4096 / 1e6, time.clock_gettime(time.CLOCK_BOOTTIME) - started)


def _duration(seconds: float) -> str:
    minutes, s = divmod(int(seconds), 60)
    hours, m = divmod(minutes, 60)
    return f"{hours}h{m}m" if hours else f"{m}m{s}s" if m else f"{s}s"
