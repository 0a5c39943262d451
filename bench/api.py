"""GET, LIST, CREATE, PATCH and watch fan-out of an API server, whoever wrote it.

    python -m bench.api --server https://127.0.0.1:6443 --token TOKEN [--pods 5000]

Needs `wrk`. Two servers are compared by running it against one and then the other on the same quiet machine.
"""

import argparse
import asyncio
import os
import re
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from typing import Any

from bench.target import NAMESPACE, Row, Target, gathered

PODS = f"/api/v1/namespaces/{NAMESPACE}/pods"
CONFIGMAPS = f"/api/v1/namespaces/{NAMESPACE}/configmaps"


def pod(name: str, number: int) -> dict[str, Any]:
    """A Pod of about 2.5 kB of JSON, the size that a small Deployment's Pod has once it runs."""
    container = {
        "image": "registry.k8s.io/e2e-test-images/agnhost:2.63.0",
        "args": ["netexec", "--http-port=8080"],
        "env": [{"name": f"V{k}", "value": "v" * 20} for k in range(8)],
        "ports": [{"containerPort": 8080, "name": "http"}],
        "resources": {"requests": {"cpu": "10m", "memory": "16Mi"}, "limits": {"memory": "64Mi"}},
    }
    side = {**container, "name": "side", "ports": [{"containerPort": 8081, "name": "side"}]}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": NAMESPACE,
            "labels": {"app": "bench", "idx": str(number % 10), "tier": "web"},
            "annotations": {"note": "x" * 400},
        },
        "spec": {"schedulerName": "nobody", "containers": [{**container, "name": "web"}, side]},
    }


CREATE = """
wrk.headers["Content-Type"] = "application/json"
local n = 0
local tag = "%s"
request = function()
  n = n + 1
  local body = '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"c-' .. tag .. '-' .. n
    .. '","labels":{"a":"b"}},"data":{"k":"' .. string.rep("v", 600) .. '"}}'
  return wrk.format("POST", nil, nil, body)
end
"""
PATCH = """
wrk.headers["Content-Type"] = "application/merge-patch+json"
local n = 0
request = function()
  n = n + 1
  local body = '{"metadata":{"annotations":{"n":"%s-' .. n .. '"}}}'
  return wrk.format("PATCH", "%s/p" .. string.format("%%05d", n %% 500), nil, body)
end
"""


def wrk(target: Target, path: str, connections: int, seconds: int, script: str = "") -> tuple[float, float, float]:
    """(requests per second, 99th percentile in ms, MB per second). More than 1 % of bad answers ends it."""
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}", "--latency", "-H", "Accept: application/json"]
    if target.token:
        command += ["-H", f"Authorization: Bearer {target.token}"]
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as file:
        file.write(script)
        file.flush()
        command += ["-s", file.name] if script else []
        text = subprocess.run([*command, target.server + path], capture_output=True, text=True, check=True).stdout
    rate = float(_found(r"Requests/sec:\s+([\d.]+)", text)[0])
    late, unit = _found(r"99%\s+([\d.]+)(us|ms|s)", text)
    size, scale = _found(r"Transfer/sec:\s+([\d.]+)(KB|MB|GB|B)", text)
    bad = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
    if bad and int(bad[1]) > rate * seconds * 0.01:
        raise SystemExit(f"{path}: {bad[0]}")
    megabytes = float(size) * {"B": 1e-6, "KB": 1e-3, "MB": 1, "GB": 1e3}[scale]
    return rate, float(late) * {"us": 0.001, "ms": 1, "s": 1000}[unit], megabytes


def _found(pattern: str, text: str) -> tuple[str, ...]:
    match = re.search(pattern, text)
    if not match:
        raise SystemExit(f"wrk printed something else:\n{text}")
    return match.groups()


async def fill(target: Target, pods: int) -> Row:
    async with target.session() as session:
        await target.prepare(session)
        make = partial(target.call, session, "POST", PODS, ok=(201, 409))
        begun = time.perf_counter()
        await gathered([partial(make, pod(f"p{i:05d}", i)) for i in range(pods)], 32)
        return Row("create pods, 32 in flight", pods / (time.perf_counter() - begun), "pods/s")


def reads(target: Target, pods: int) -> Iterator[Row]:
    rate, late, _ = wrk(target, f"{PODS}/p00001", 16, 5)
    yield Row("GET one pod, 16 connections", rate, "requests/s")
    yield Row("GET one pod, 99th percentile", late, "ms")
    rate, _, megabytes = wrk(target, f"{PODS}?resourceVersion=0", 4, 8)
    yield Row(f"LIST {pods} pods from cache, 4 connections", rate * pods, "objects/s")
    yield Row(f"LIST {pods} pods from cache, bytes", megabytes, "MB/s")
    yield Row("LIST consistent page, limit=500", wrk(target, f"{PODS}?limit=500", 4, 6)[0], "pages/s")
    selected = f"{PODS}?labelSelector=idx%3D3&resourceVersion=0"
    yield Row("LIST by a selector that matches 10 %", wrk(target, selected, 4, 6)[0], "requests/s")


def writes(target: Target) -> Iterator[Row]:
    tag = os.urandom(4).hex()
    yield Row("merge PATCH of pods, 16 connections", wrk(target, PODS, 16, 6, PATCH % (tag, PODS))[0], "patches/s")
    for connections in (1, 16, 64):
        script = CREATE % f"{tag}{connections}"
        rate, late, _ = wrk(target, CONFIGMAPS, connections, 6, script)
        yield Row(f"CREATE config map, {connections} connections", rate, "creates/s")
        yield Row(f"CREATE config map, {connections} connections, 99th percentile", late, "ms")


class FanOut:
    """Many watchers of one selection; each write carries the time at which it was sent."""

    def __init__(self, target: Target, watchers: int, writes: int):
        self.target, self.watchers, self.writes = target, watchers, writes
        self.latencies: list[float] = []
        self.done = asyncio.Event()

    async def run(self) -> list[Row]:
        async with self.target.session(limit=0) as session:
            ready = [asyncio.Event() for _ in range(self.watchers)]
            tasks = [asyncio.create_task(self._watch(session, event)) for event in ready]
            await asyncio.gather(*(event.wait() for event in ready))
            begun = time.perf_counter()
            tag = os.urandom(4).hex()
            await gathered([partial(self._write, session, f"w-{tag}-{i}") for i in range(self.writes)], 8)
            async with asyncio.timeout(120):
                await self.done.wait()
            took = time.perf_counter() - begun
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        late = sorted(self.latencies)
        name = f"watch, {self.watchers} watchers x {self.writes} writes"
        return [
            Row(f"{name}, delivered", len(late) / took, "events/s"),
            Row(f"{name}, median write to event", statistics.median(late) * 1e3, "ms"),
            Row(f"{name}, 99th percentile", late[int(len(late) * 0.99)] * 1e3, "ms"),
        ]

    async def _watch(self, session: Any, ready: asyncio.Event) -> None:
        url = f"{self.target.server}{CONFIGMAPS}?watch=1&labelSelector=bench%3Dwatch&timeoutSeconds=300"
        async with session.get(url) as answer:
            ready.set()
            async for line in answer.content:
                now = time.perf_counter()
                sent = re.search(rb'"t":"([\d.]+)"', line)
                if sent and b'"ADDED"' in line[:40]:
                    self.latencies.append(now - float(sent[1]))
                    if len(self.latencies) >= self.watchers * self.writes:
                        self.done.set()

    async def _write(self, session: Any, name: str) -> None:
        metadata = {"name": name, "labels": {"bench": "watch"}}
        data = {"t": repr(time.perf_counter()), "pad": "x" * 800}
        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}
        await self.target.call(session, "POST", CONFIGMAPS, body)


def measure(target: Target, pods: int) -> Iterator[Row]:
    """All rows, each as soon as it is known."""
    yield asyncio.run(fill(target, pods))
    yield from reads(target, pods)
    yield from writes(target)
    yield from asyncio.run(FanOut(target, 200, 400).run())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--server", required=True)
    parser.add_argument("--token", default="")
    parser.add_argument("--pods", type=int, default=5000)
    args = parser.parse_args()
    for row in measure(Target(args.server, args.token), args.pods):
        print(f"{row.name:55s} {row.value:12.1f} {row.unit}", flush=True)


if __name__ == "__main__":
    main()
