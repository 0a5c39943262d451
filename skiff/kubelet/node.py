"""The Node object as a kubelet makes it, and its status. Pure.

Source: API reference, Node; conditions' reasons and messages are upstream's.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from skiff.api import quantity
from skiff.api.types import Obj
from skiff.kubelet.host import Machine
from skiff.kubelet.options import VERSION, Options
from skiff.kubelet.pods import timestamp
from skiff.kubelet.runtime import Image, RuntimeInfo

NODE_STATUS_IMAGES = 50


@dataclass(frozen=True, slots=True)
class Health:
    """What the conditions follow from. problem: why pods cannot run, "" if they can."""

    memory_pressure: bool = False
    disk_pressure: bool = False
    pid_pressure: bool = False
    problem: str = ""


def capacity(machine: Machine, options: Options) -> dict[str, str]:
    out = {
        "cpu": str(machine.cpu),
        "memory": _bytes(machine.memory),
        "ephemeral-storage": _bytes(machine.disk),
        "pods": str(options.max_pods),
        "hugepages-2Mi": "0",
        "hugepages-1Gi": "0",
    }
    out |= {k: str(v) for k, v in machine.hugepages.items()}
    return out | dict(options.extra_capacity)


def allocatable(machine: Machine, options: Options) -> dict[str, str]:
    """Capacity less what is reserved, and less the hard eviction thresholds of memory and disk."""
    out = capacity(machine, options)
    reserved = {k: quantity.parse(v) for k, v in options.system_reserved.items()}
    memory = machine.memory - threshold(options.memory_available_hard, machine.memory)
    disk = machine.disk - threshold(options.disk_available_hard, machine.disk)
    if "memory" not in options.extra_capacity:
        out["memory"] = _bytes(memory)
    if "ephemeral-storage" not in options.extra_capacity:
        out["ephemeral-storage"] = str(disk)
    for name, amount in reserved.items():
        if name in out:
            out[name] = str(quantity.parse(out[name]) - amount)
    return out


def _bytes(amount: int) -> str:
    """Whole KiB in canonical text, as the API server keeps it."""
    return str(quantity.from_value(amount // 1024 * 1024, quantity.BINARY_SI))


def threshold(text: str, capacity: int) -> int:
    """`100Mi` or `10%` of the capacity, in bytes (or inodes)."""
    if text.endswith("%"):
        return int(capacity * float(text[:-1]) / 100)
    return quantity.value(text)


def labels(machine: Machine, node_name: str, options: Options) -> dict[str, str]:
    return {
        "beta.kubernetes.io/arch": machine.architecture,
        "beta.kubernetes.io/os": "linux",
        "kubernetes.io/arch": machine.architecture,
        "kubernetes.io/hostname": node_name,
        "kubernetes.io/os": "linux",
        **options.node_labels,
    }


def node_object(machine: Machine, node_name: str, options: Options) -> Obj:
    """What is registered; the status is written after it."""
    spec: Obj = {}
    if options.provider_id:
        spec["providerID"] = options.provider_id
    if options.node_taints:
        spec["taints"] = [dict(t) for t in options.node_taints]
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": node_name,
            "labels": labels(machine, node_name, options),
            "annotations": {"volumes.kubernetes.io/controller-managed-attach-detach": "true"},
        },
        "spec": spec,
    }


def node_status(
    machine: Machine,
    node_name: str,
    node_ips: Sequence[str],
    options: Options,
    *,
    info: RuntimeInfo,
    images: Sequence[Image],
    health: Health,
    before: Sequence[Obj],
    now: float,
) -> Obj:
    """before: the conditions until now; a transition time changes only with its status."""
    addresses = [{"type": "InternalIP", "address": ip} for ip in node_ips]
    return {
        "capacity": capacity(machine, options),
        "allocatable": allocatable(machine, options),
        "conditions": conditions(health, before, now),
        "addresses": [*addresses, {"type": "Hostname", "address": node_name}],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": options.port}},
        "nodeInfo": {
            "machineID": machine.machine_id,
            "systemUUID": machine.system_uuid,
            "bootID": machine.boot_id,
            "kernelVersion": machine.kernel,
            "osImage": machine.os_image,
            "containerRuntimeVersion": f"{info.name}://{info.version}",
            "kubeletVersion": VERSION,
            "kubeProxyVersion": "",
            "operatingSystem": "linux",
            "architecture": machine.architecture,
        },
        "images": image_list(images),
        "runtimeHandlers": [{"name": "", "features": {"recursiveReadOnlyMounts": False, "userNamespaces": False}}],
    }


def image_list(images: Sequence[Image]) -> list[Obj]:
    """The largest first."""
    shown = [
        {"names": [*i.digests, *i.tags][:5], "sizeBytes": i.size} for i in sorted(images, key=lambda i: (-i.size, i.id))
    ]
    return [i for i in shown if i["names"]][:NODE_STATUS_IMAGES]


_CONDITIONS = (
    ("MemoryPressure", "memory_pressure", ("KubeletHasInsufficientMemory", "kubelet has insufficient memory available"),
     ("KubeletHasSufficientMemory", "kubelet has sufficient memory available")),
    ("DiskPressure", "disk_pressure", ("KubeletHasDiskPressure", "kubelet has disk pressure"),
     ("KubeletHasNoDiskPressure", "kubelet has no disk pressure")),
    ("PIDPressure", "pid_pressure", ("KubeletHasInsufficientPID", "kubelet has insufficient PID available"),
     ("KubeletHasSufficientPID", "kubelet has sufficient PID available")),
)  # fmt: skip


def conditions(health: Health, before: Sequence[Obj], now: float) -> list[Obj]:
    """Those of others (NetworkUnavailable) are kept as they are; Ready comes last."""
    out = []
    for type, attribute, bad, good in _CONDITIONS:
        on = bool(getattr(health, attribute))
        out.append(_condition(type, "True" if on else "False", *(bad if on else good), before, now))
    if health.problem:
        out.append(_condition("Ready", "False", "KubeletNotReady", health.problem, before, now))
    else:
        out.append(_condition("Ready", "True", "KubeletReady", "kubelet is posting ready status", before, now))
    own = {c["type"] for c in out}
    return [c for c in before if c["type"] not in own] + out


def _condition(type: str, status: str, reason: str, message: str, before: Sequence[Obj], now: float) -> Obj:
    old = next((c for c in before if c["type"] == type), None)
    same = old is not None and old["status"] == status
    return {
        "type": type,
        "status": status,
        "lastHeartbeatTime": timestamp(now),
        "lastTransitionTime": old["lastTransitionTime"] if same and old else timestamp(now),
        "reason": reason,
        "message": message,
    }


WRITTEN = ("capacity", "allocatable", "addresses", "daemonEndpoints", "nodeInfo", "images", "runtimeHandlers")


def differs(old: Obj, new: Obj) -> bool:
    """Whether a status is worth writing: heartbeats alone are not."""
    return _settled(old) != _settled(new)


def _settled(status: Obj) -> Mapping[str, object]:
    listed = [{k: v for k, v in c.items() if k != "lastHeartbeatTime"} for c in status.get("conditions") or []]
    kept = {k: status.get(k) or None for k in WRITTEN}
    return {**kept, "conditions": sorted(listed, key=lambda c: str(c["type"]))}
