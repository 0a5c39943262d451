"""Objects as controllers see them in their caches: with status, uid and times. Times are seconds after NOON."""

from typing import Any

from skiff.api.times import format_time
from skiff.api.types import Obj

NOON = 1767268800.0
"""2026-01-01T12:00:00Z"""


def at(seconds: float) -> str:
    return format_time(NOON + seconds)


def meta(name: str, namespace: str = "default", *, created: float = 0, **more: Any) -> Obj:
    found = {"name": name, "uid": f"uid-{name}", "creationTimestamp": at(created), "resourceVersion": "1", **more}
    return {**found, "namespace": namespace} if namespace else found


def owner(kind: str, name: str, api_version: str = "apps/v1", **more: Any) -> Obj:
    return {"apiVersion": api_version, "kind": kind, "name": name, "uid": f"uid-{name}", **more}


def controlled_by(kind: str, name: str) -> list[Obj]:
    return [owner(kind, name, controller=True, blockOwnerDeletion=True)]


def pod(
    name: str,
    *,
    node: str = "n1",
    phase: str = "Running",
    ready: float | None = None,
    ips: tuple[str, ...] = (),
    spec: Obj | None = None,
    **metadata: Any,
) -> Obj:
    """ready: since when; None: it is not."""
    condition = {"type": "Ready", "status": "True" if ready is not None else "False"}
    if ready is not None:
        condition["lastTransitionTime"] = at(ready)
    status: Obj = {"phase": phase, "conditions": [condition]}
    if ips:
        status |= {"podIP": ips[0], "podIPs": [{"ip": ip} for ip in ips]}
    found = {"nodeName": node, "containers": [{"name": "c"}], **(spec or {})}
    if not node:
        del found["nodeName"]
    return {"metadata": meta(name, **metadata), "spec": found, "status": status}


def replica_set(
    name: str,
    replicas: int,
    *,
    available: int | None = None,
    image: str = "a",
    annotations: dict[str, str] | None = None,
    status: Obj | None = None,
    **metadata: Any,
) -> Obj:
    """available: by default all of them."""
    have = replicas if available is None else available
    return {
        "metadata": meta(name, generation=1, annotations=annotations or {}, **metadata),
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": "web", "pod-template-hash": name}},
            "template": template(image, **{"pod-template-hash": name}),
        },
        "status": status or {"replicas": replicas, "availableReplicas": have, "observedGeneration": 1},
    }


def template(image: str = "a", **labels: str) -> Obj:
    return {"metadata": {"labels": {"app": "web", **labels}}, "spec": {"containers": [{"name": "c", "image": image}]}}


def deployment(
    replicas: int = 10,
    *,
    surge: int | str = "25%",
    unavailable: int | str = "25%",
    image: str = "a",
    status: Obj | None = None,
    annotations: dict[str, str] | None = None,
    **spec: Any,
) -> Obj:
    rolling = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": surge, "maxUnavailable": unavailable}}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": meta("web", generation=1, annotations=annotations or {}),
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": "web"}},
            "strategy": rolling,
            "template": template(image),
            **spec,
        },
        "status": status or {},
    }


def node(name: str = "n1", *, ready: str | None = "True", taints: list[Obj] | None = None, **metadata: Any) -> Obj:
    """ready: the condition's status; None: it has never reported."""
    conditions = []
    if ready is not None:
        conditions = [{"type": "Ready", "status": ready, "lastHeartbeatTime": at(0), "lastTransitionTime": at(0)}]
    return {
        "metadata": meta(name, "", **metadata),
        "spec": {"taints": taints} if taints else {},
        "status": {"conditions": conditions},
    }


def service(
    name: str = "web", *, ports: list[Obj] | None = None, labels: dict[str, str] | None = None, **spec: Any
) -> Obj:
    found = ports if ports is not None else [{"name": "http", "port": 80, "targetPort": 8080, "protocol": "TCP"}]
    fixed = {"clusterIP": "10.96.0.7", "ipFamilies": ["IPv4"], "selector": {"app": "web"}, "ports": found}
    return {"metadata": meta(name, labels=labels or {}), "spec": {**fixed, **spec}}
