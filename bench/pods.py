"""How fast pods start and are replaced on a real cluster, seen through its API only.

create → Ready one pod at a time, a Deployment of 3 (apply → all Ready), deletion of one → its replacement Ready, and a
burst. The image must be on the node.
"""

import asyncio
import json
import os
import statistics
import time
from typing import Any

from bench.target import NAMESPACE, Row, Target

BASE = f"/api/v1/namespaces/{NAMESPACE}/pods"
DEPLOYMENTS = f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments"
DEADLINE_SECONDS = 180


class PodBench:
    """Watches the namespace's pods and notes when each was first Ready and when it was gone."""

    def __init__(self, target: Target, image: str):
        self.target, self.image = target, image
        self.ready: dict[str, float] = {}
        self.gone: dict[str, float] = {}
        self.labels: dict[str, str] = {}
        self.changed = asyncio.Event()

    async def run(self, single: int = 10, deployments: int = 10, burst: int = 30) -> list[Row]:
        async with self.target.session(limit=0) as self.session:
            await self.target.prepare(self.session)
            version = (await self.target.call(self.session, "GET", BASE))["metadata"]["resourceVersion"]
            watch = asyncio.create_task(self._watch(version))
            try:
                rows = await self._singles(single)
                rows += await self._deployments(deployments)
                rows += await self._burst(burst)
            finally:
                watch.cancel()
                await asyncio.gather(watch, return_exceptions=True)
        return rows

    async def _singles(self, count: int) -> list[Row]:
        starts, stops = [], []
        for i in range(count):
            name = f"one-{os.urandom(3).hex()}-{i}"
            starts.append(await self._timed(self._create(name), lambda n=name: n in self.ready))
            stops.append(await self._timed(self._delete(name), lambda n=name: n in self.gone))
        return [
            Row("pod, create to Ready, median", statistics.median(starts), "s"),
            Row("pod, create to Ready, slowest", max(starts), "s"),
            Row("pod, delete to gone, median", statistics.median(stops), "s"),
        ]

    async def _deployments(self, count: int) -> list[Row]:
        starts, heals = [], []
        for i in range(count):
            name = f"web-{os.urandom(3).hex()}-{i}"
            starts.append(await self._timed(self._deploy(name), lambda n=name: len(self._alive(n)) == 3))
            victim = self._alive(name)[0]
            healed = lambda n=name, v=victim: len(set(self._alive(n)) - {v}) == 3  # noqa: E731
            heals.append(await self._timed(self._delete(victim), healed))
            await self.target.call(self.session, "DELETE", f"{DEPLOYMENTS}/{name}?propagationPolicy=Background")
            await self._until(lambda n=name: not self._alive(n))
        return [
            Row("Deployment of 3, apply to all Ready, median", statistics.median(starts), "s"),
            Row("Deployment of 3, apply to all Ready, slowest", max(starts), "s"),
            Row("pod deleted to replacement Ready, median", statistics.median(heals), "s"),
            Row("pod deleted to replacement Ready, slowest", max(heals), "s"),
        ]

    async def _burst(self, count: int) -> list[Row]:
        names = [f"burst-{os.urandom(3).hex()}-{i}" for i in range(count)]
        started = await self._timed(
            asyncio.gather(*(self._create(n) for n in names)), lambda: all(n in self.ready for n in names)
        )
        stopped = await self._timed(
            asyncio.gather(*(self._delete(n) for n in names)), lambda: all(n in self.gone for n in names)
        )
        return [
            Row(f"burst of {count} pods, all Ready", started, "s"),
            Row(f"burst of {count} pods, all gone", stopped, "s"),
        ]

    async def _timed(self, action: Any, condition: Any) -> float:
        """Seconds from before the action until the condition was seen to hold."""
        begun = time.perf_counter()
        await action
        await self._until(condition)
        return time.perf_counter() - begun

    async def _until(self, condition: Any) -> None:
        async with asyncio.timeout(DEADLINE_SECONDS):
            while not condition():
                self.changed.clear()
                await self.changed.wait()

    def _alive(self, app: str) -> list[str]:
        return [n for n, label in self.labels.items() if label == app and n in self.ready and n not in self.gone]

    def _spec(self) -> dict[str, Any]:
        requests = {"requests": {"cpu": "1m"}}
        web = {"name": "c", "image": self.image, "command": ["sleep", "100000"], "resources": requests}
        return {"terminationGracePeriodSeconds": 1, "containers": [web]}

    async def _create(self, name: str) -> None:
        body = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": self._spec()}
        await self.target.call(self.session, "POST", BASE, body)

    async def _delete(self, name: str) -> None:
        await self.target.call(self.session, "DELETE", f"{BASE}/{name}")

    async def _deploy(self, name: str) -> None:
        labels = {"app": name}
        template = {"metadata": {"labels": labels}, "spec": self._spec()}
        spec = {"replicas": 3, "selector": {"matchLabels": labels}, "template": template}
        body = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": spec}
        await self.target.call(self.session, "POST", DEPLOYMENTS, body)

    async def _watch(self, version: str) -> None:
        url = f"{self.target.server}{BASE}?watch=1&resourceVersion={version}"
        async with self.session.get(url) as answer:
            async for line in answer.content:
                now, event = time.perf_counter(), json.loads(line)
                pod = event["object"]
                name = pod["metadata"]["name"]
                self.labels[name] = pod["metadata"].get("labels", {}).get("app", "")
                conditions = pod.get("status", {}).get("conditions", [])
                if event["type"] == "DELETED":
                    self.gone.setdefault(name, now)
                elif any(c["type"] == "Ready" and c["status"] == "True" for c in conditions):
                    self.ready.setdefault(name, now)
                self.changed.set()
