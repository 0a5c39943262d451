"""What containers and node use: /stats/summary and the Prometheus texts that metrics servers read. Source: kubelet's
stats/v1alpha1 API and the resource metrics endpoint (KEP-1916); names and labels are theirs."""

from collections.abc import Iterable, Mapping, Sequence

from skiff import env
from skiff.api.types import Obj
from skiff.client import metrics
from skiff.kubelet.parts import Parts
from skiff.kubelet.podmanager import PodManager
from skiff.kubelet.pods import timestamp
from skiff.kubelet.runtime import ContainerStats


class Rates:
    """Nano-cores from two readings of a counter of nanoseconds."""

    def __init__(self) -> None:
        self._before: dict[str, tuple[float, int, int]] = {}

    def rate(self, key: str, at: float, total: int) -> int:
        """Since the reading before; 0 for the first. The same reading again gives the same answer."""
        before = self._before.get(key)
        if before is None or at <= before[0]:
            if before is None:
                self._before[key] = (at, total, 0)
            return before[2] if before else 0
        value = max(0, int((total - before[1]) / (at - before[0])))
        self._before[key] = (at, total, value)
        return value

    def keep(self, keys: Iterable[str]) -> None:
        wanted = set(keys)
        for key in [k for k in self._before if k not in wanted]:
            del self._before[key]


def sample(name: str, labels: Mapping[str, str], value: float) -> str:
    """One line of Prometheus text."""
    shown = ",".join(f'{k}="{_escape(v)}"' for k, v in labels.items())
    return f"{name}{{{shown}}} {value:.10g}" if shown else f"{name} {value:.10g}"


def _escape(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def family(name: str, kind: str, help: str, samples: Sequence[str]) -> str:
    return "\n".join([f"# HELP {name} {help}", f"# TYPE {name} {kind}", *samples]) + "\n"


class Stats:
    def __init__(self, *, pods: PodManager, parts: Parts):
        self._pods = pods
        self._parts = parts
        self._rates = Rates()

    async def _containers(self) -> dict[str, list[ContainerStats]]:
        """By pod uid."""
        found: dict[str, list[ContainerStats]] = {}
        for s in await self._parts.runtime.stats():
            found.setdefault(s.pod_uid, []).append(s)
        self._rates.keep([s.id for of_pod in found.values() for s in of_pod] + ["node"])
        return found

    async def summary(self) -> Obj:
        by_pod = await self._containers()
        usage = await self._parts.host.usage()
        now = env.epoch()
        fs = {
            "time": timestamp(now),
            "availableBytes": usage.disk_available,
            "capacityBytes": usage.disk_capacity,
            "usedBytes": usage.disk_capacity - usage.disk_available,
            "inodesFree": usage.inodes_free,
            "inodes": usage.inodes,
        }
        working = usage.memory_capacity - usage.memory_available
        node = {
            "nodeName": self._parts.node_name,
            "startTime": timestamp(now),
            "cpu": self._cpu("node", now, usage.cpu_ns),
            "memory": {"time": timestamp(now), "availableBytes": usage.memory_available, "workingSetBytes": working},
            "fs": fs,
            "runtime": {"imageFs": fs},
        }
        pods = [self._pod(p, by_pod.get(p["metadata"]["uid"], [])) for p in self._pods.pods()]
        return {"node": node, "pods": [p for p in pods if p["containers"]]}

    def _cpu(self, key: str, at: float, total: int) -> Obj:
        return {
            "time": timestamp(at),
            "usageNanoCores": self._rates.rate(key, at, total),
            "usageCoreNanoSeconds": total,
        }

    def _pod(self, pod: Obj, stats: Sequence[ContainerStats]) -> Obj:
        meta = pod["metadata"]
        running = [s for s in stats if s.time]
        containers: list[Obj] = [
            {
                "name": s.name,
                "startTime": (pod.get("status") or {}).get("startTime"),
                "cpu": self._cpu(s.id, s.time, s.cpu_ns),
                "memory": {
                    "time": timestamp(s.time),
                    "usageBytes": s.memory_usage,
                    "workingSetBytes": s.memory_working_set,
                    "rssBytes": s.memory_rss,
                },
                "rootfs": {"time": timestamp(s.time), "usedBytes": s.fs_used, "inodesUsed": s.fs_inodes},
            }
            for s in running
        ]
        at = max((s.time for s in running), default=0.0)
        return {
            "podRef": {"name": meta["name"], "namespace": meta.get("namespace", "default"), "uid": meta["uid"]},
            "startTime": (pod.get("status") or {}).get("startTime"),
            "containers": containers,
            "cpu": {
                "time": timestamp(at),
                "usageNanoCores": sum(c["cpu"]["usageNanoCores"] for c in containers),
                "usageCoreNanoSeconds": sum(s.cpu_ns for s in running),
            },
            "memory": {
                "time": timestamp(at),
                "usageBytes": sum(s.memory_usage for s in running),
                "workingSetBytes": sum(s.memory_working_set for s in running),
                "rssBytes": sum(s.memory_rss for s in running),
            },
        }

    async def _labelled(self) -> list[tuple[Obj, ContainerStats, dict[str, str]]]:
        """Running containers with their pod and labels."""
        by_pod = await self._containers()
        return [
            (
                p,
                s,
                {
                    "container": s.name,
                    "namespace": p["metadata"].get("namespace", "default"),
                    "pod": p["metadata"]["name"],
                },
            )
            for p in self._pods.pods()
            for s in by_pod.get(p["metadata"]["uid"], [])
            if s.time
        ]

    async def resource(self) -> str:
        """/metrics/resource"""
        found = await self._labelled()
        usage = await self._parts.host.usage()
        working = usage.memory_capacity - usage.memory_available
        cpu, memory = "Cumulative cpu time consumed by the ", "Current working set of the "
        return "".join(
            [
                family("container_cpu_usage_seconds_total", "counter", cpu + "container in core-seconds",
                       [sample("container_cpu_usage_seconds_total", n, s.cpu_ns / 1e9) for _, s, n in found]),
                family("container_memory_working_set_bytes", "gauge", memory + "container in bytes",
                       [sample("container_memory_working_set_bytes", n, s.memory_working_set) for _, s, n in found]),
                family("node_cpu_usage_seconds_total", "counter", cpu + "node in core-seconds",
                       [sample("node_cpu_usage_seconds_total", {}, usage.cpu_ns / 1e9)]),
                family("node_memory_working_set_bytes", "gauge", memory + "node in bytes",
                       [sample("node_memory_working_set_bytes", {}, working)]),
            ]
        )  # fmt: skip

    async def cadvisor(self) -> str:
        """/metrics/cadvisor: the names that dashboards use most."""
        found = [(s, {**n, "id": s.id, "image": "", "name": s.id}) for _, s, n in await self._labelled()]
        kinds: Sequence[tuple[str, str, str]] = (
            ("container_cpu_usage_seconds_total", "counter", "Cumulative cpu time consumed in seconds."),
            ("container_memory_usage_bytes", "gauge", "Current memory usage in bytes, including all memory."),
            ("container_memory_working_set_bytes", "gauge", "Current working set in bytes."),
            ("container_memory_rss", "gauge", "Size of RSS in bytes."),
            (
                "container_fs_usage_bytes",
                "gauge",
                "Number of bytes that are consumed by the container on this filesystem.",
            ),
        )

        def value(name: str, s: ContainerStats) -> float:
            values = (s.cpu_ns / 1e9, s.memory_usage, s.memory_working_set, s.memory_rss, s.fs_used)
            return dict(zip((k[0] for k in kinds), values, strict=True))[name]

        return "".join(family(n, k, h, [sample(n, labels, value(n, s)) for s, labels in found]) for n, k, h in kinds)

    async def own(self) -> str:
        """/metrics: about the kubelet itself."""
        running = sum(len(self._parts.cache.get(u).running) for u in self._parts.cache.uids())
        node = {"node": self._parts.node_name}
        own = family(
            "kubelet_node_name", "gauge", "The node's name. The count is always 1.", [sample("kubelet_node_name", node, 1)]
        ) + family(
            "kubelet_running_pods", "gauge", "Number of pods that have a running pod sandbox",
            [sample("kubelet_running_pods", {}, len(self._pods.workers))],
        ) + family(
            "kubelet_running_containers", "gauge", "Number of containers currently running",
            [sample("kubelet_running_containers", {"container_state": "running"}, running)],
        )  # fmt: skip
        return own + metrics.text()
