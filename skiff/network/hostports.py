"""Which ports of the node lead to which pods: the hostPorts of the pods that run here. Pure."""

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass

from skiff.api.types import Obj


@dataclass(frozen=True, slots=True, order=True)
class HostPort:
    """host_ip "": every address of the node. protocol: tcp, udp, sctp."""

    protocol: str
    port: int
    host_ip: str
    pod_ip: str
    pod_port: int


def slim_pod(pod: Obj) -> Obj | None:
    """For the informer: what is needed of a pod with host ports, nothing of any other."""
    spec = pod.get("spec", {})
    containers = [
        {"ports": [p for p in c.get("ports") or [] if p.get("hostPort")], "restartPolicy": c.get("restartPolicy")}
        for c in [*spec.get("containers", []), *(spec.get("initContainers") or [])]
    ]
    if spec.get("hostNetwork") or not any(c["ports"] for c in containers):
        return None
    status = pod.get("status", {})
    meta = {k: pod["metadata"].get(k) for k in ("name", "namespace", "resourceVersion", "uid", "creationTimestamp")}
    return {
        "metadata": meta,
        "spec": {"containers": containers},
        "status": {"phase": status.get("phase"), "podIP": status.get("podIP")},
    }


def host_ports(pods: Iterable[Obj]) -> list[HostPort]:
    """Sorted, each (address, protocol, port) once. Of two pods that claim one, which the scheduler prevents, the one that
    was created later has it: the other is on its way out."""
    found: dict[tuple[str, str, int], HostPort] = {}
    for pod in sorted(pods, key=lambda p: (p["metadata"].get("creationTimestamp") or "", p["metadata"]["name"])):
        ip = pod["status"].get("podIP")
        if not ip or pod["status"].get("phase") in ("Succeeded", "Failed") or _version(ip) != 4:
            continue
        for container in pod["spec"]["containers"]:
            for port in container["ports"]:
                mapped = _host_port(port, ip)
                if mapped is not None:
                    found[(mapped.host_ip, mapped.protocol, mapped.port)] = mapped
    return sorted(found.values())


def _host_port(port: Obj, pod_ip: str) -> HostPort | None:
    host_ip = port.get("hostIP") or ""
    if host_ip == "0.0.0.0":
        host_ip = ""
    if host_ip and _version(host_ip) != 4:
        return None
    return HostPort(port.get("protocol", "TCP").lower(), port["hostPort"], host_ip, pod_ip, port["containerPort"])


def _version(ip: str) -> int:
    try:
        return ipaddress.ip_address(ip).version
    except ValueError:
        return 0
