"""Quality of service and the Linux numbers that follow from requests and limits. Pure.

Source: Kubernetes docs, "Pod Quality of Service Classes"; cgroup arithmetic as upstream's (pkg/kubelet/cm/helpers_linux).
"""

from collections.abc import Mapping, Sequence
from typing import Literal

from skiff.api import podresources, quantity
from skiff.api.types import Obj
from skiff.kubelet.pods import containers, init_containers, is_sidecar
from skiff.kubelet.runtime import Resources

Amounts = dict[str, int]
"""Resource name → milli-units for cpu, whole units for everything else."""

PERIOD_US = 100_000
MIN_SHARES = 2
MAX_SHARES = 262_144


def amounts(listed: Mapping[str, str] | None) -> Amounts:
    return {k: quantity.milli(v) if k == "cpu" else quantity.value(v) for k, v in (listed or {}).items()}


def qos_class(pod: Obj) -> str:
    """Guaranteed, Burstable or BestEffort: the API server's answer if it gave one (it never changes), else computed."""
    given = (pod.get("status") or {}).get("qosClass")
    return str(given) if given else podresources.qos_class(pod)


def pod_amounts(pod: Obj, which: Literal["requests", "limits"]) -> Amounts:
    """What the whole pod asks for or may use."""
    found = podresources.pod_requests(pod) if which == "requests" else podresources.pod_limits(pod)
    return {k: q.milli if k == "cpu" else q.value for k, q in found.items()}


def _of(spec: Obj, which: str) -> Amounts:
    return amounts((spec.get("resources") or {}).get(which))


def cpu_shares(milli: int) -> int:
    return max(MIN_SHARES, min(MAX_SHARES, milli * 1024 // 1000)) if milli else MIN_SHARES


def cpu_quota(milli: int) -> int:
    """Microseconds per PERIOD_US; 0 for no limit; never below 1 ms."""
    return max(milli * PERIOD_US // 1000, 1000) if milli else 0


def container_resources(pod: Obj, container: Obj, memory_capacity: int) -> Resources:
    requests, limits = _of(container, "requests"), _of(container, "limits")
    milli = requests.get("cpu", limits.get("cpu", 0))
    return Resources(
        cpu_shares=cpu_shares(milli),
        cpu_quota=cpu_quota(limits.get("cpu", 0)),
        cpu_period=PERIOD_US,
        memory_limit=limits.get("memory", 0),
        oom_score_adj=oom_score_adj(pod, container, memory_capacity),
    )


def oom_score_adj(pod: Obj, container: Obj, memory_capacity: int) -> int:
    """Guaranteed and node-critical pods are killed last, best-effort ones first."""
    if pod["spec"].get("priority", 0) >= 2_000_001_000:
        return -997
    kind = qos_class(pod)
    if kind == "Guaranteed":
        return -997
    if kind == "BestEffort":
        return 1000
    request = _of(container, "requests").get("memory", 0)
    score = 1000 - (1000 * request) // max(memory_capacity, 1)
    return max(3, min(score, 999))


def pod_cgroup(pod: Obj) -> Resources:
    """The limits of the pod's own cgroup: limits only if every container has one."""
    limits = pod_amounts(pod, "limits")
    specs = containers(pod) + [c for c in init_containers(pod) if is_sidecar(c)]
    whole = _of(pod["spec"], "limits")
    bounded = {r for r in ("cpu", "memory") if r in whole or all(_of(c, "limits").get(r) for c in specs)}
    return Resources(
        cpu_shares=cpu_shares(pod_amounts(pod, "requests").get("cpu", 0)),
        cpu_quota=cpu_quota(limits["cpu"]) if "cpu" in bounded else 0,
        cpu_period=PERIOD_US,
        memory_limit=limits["memory"] if "memory" in bounded else 0,
    )


def class_cgroups(root: str, pods: Sequence[Obj]) -> list[tuple[str, Resources]]:
    """The cgroups above those of the pods, (path, limits): together, Burstable pods get what they ask for and BestEffort
    ones what is left, beside each Guaranteed pod. Source: upstream's qos_container_manager_linux."""
    burstable = [p for p in pods if qos_class(p) == "Burstable"]
    milli = sum(pod_amounts(p, "requests").get("cpu", 0) for p in burstable)
    return [
        (f"{root}/burstable", Resources(cpu_shares=cpu_shares(milli), cpu_period=PERIOD_US)),
        (f"{root}/besteffort", Resources(cpu_shares=MIN_SHARES, cpu_period=PERIOD_US)),
    ]


def cgroup_path(root: str, pod: Obj) -> str:
    """`<root>/burstable/pod<uid>`; Guaranteed pods live directly below the root."""
    kind = qos_class(pod).lower()
    middle = "" if kind == "guaranteed" else f"/{kind}"
    return f"{root}{middle}/pod{pod['metadata']['uid']}"
