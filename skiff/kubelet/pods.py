"""Small questions about a pod object that several modules ask. Pure; pods are dicts as the API gives them."""

import hashlib
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from skiff.api.types import Obj
from skiff.kubelet.runtime import ContainerKind

MIRROR = "kubernetes.io/config.mirror"
SOURCE = "kubernetes.io/config.source"
HASH = "kubernetes.io/config.hash"


def uid_of(pod: Obj) -> str:
    """The uid under which the runtime knows the pod (a static pod's own, which its mirror carries as annotation)."""
    return str(pod["metadata"].get("uid", ""))


def full_name(pod: Obj) -> str:
    """As upstream's messages name a pod: `name_namespace(uid)`."""
    meta = pod["metadata"]
    return f"{meta['name']}_{meta.get('namespace', 'default')}({meta.get('uid', '')})"


def is_static(pod: Obj) -> bool:
    return (pod["metadata"].get("annotations") or {}).get(SOURCE, "api") != "api"


def is_mirror(pod: Obj) -> bool:
    return MIRROR in (pod["metadata"].get("annotations") or {})


def is_host_network(pod: Obj) -> bool:
    return bool(pod["spec"].get("hostNetwork"))


def init_containers(pod: Obj) -> list[Obj]:
    return pod["spec"].get("initContainers") or []


def containers(pod: Obj) -> list[Obj]:
    return pod["spec"].get("containers") or []


def ephemeral_containers(pod: Obj) -> list[Obj]:
    return pod["spec"].get("ephemeralContainers") or []


def every_container(pod: Obj) -> Iterator[tuple[ContainerKind, Obj]]:
    """Init containers (with sidecars), containers, ephemeral containers."""
    for c in init_containers(pod):
        yield ("sidecar" if is_sidecar(c) else "init"), c
    for c in containers(pod):
        yield "container", c
    for c in ephemeral_containers(pod):
        yield "ephemeral", c


def find_container(pod: Obj, name: str) -> Obj | None:
    return next((c for _, c in every_container(pod) if c["name"] == name), None)


def is_sidecar(container: Obj) -> bool:
    """An init container that keeps running. (For other containers restartPolicy means something else.)"""
    return bool(container.get("restartPolicy") == "Always")


def field_path(pod: Obj, name: str) -> str:
    """Of a container, as in an event's involvedObject: `spec.containers{web}`."""
    for list_name in ("initContainers", "containers", "ephemeralContainers"):
        if any(c["name"] == name for c in pod["spec"].get(list_name) or []):
            return f"spec.{list_name}{{{name}}}"
    return ""


def container_hash(container: Obj) -> str:
    """Changes when the running container must be replaced: upstream picks name and image."""
    text = json.dumps([container["name"], container.get("image", "")])
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def policy_of(pod: Obj, container: Obj) -> str:
    """Always, OnFailure or Never: the container's own restartPolicy, else the pod's."""
    return str(container.get("restartPolicy") or pod["spec"].get("restartPolicy", "Always"))


def should_restart(pod: Obj, container: Obj, exit_code: int) -> bool:
    """Whether a container that ended with exit_code is to be run again. Source: KEP-5307 for the rules."""
    for rule in container.get("restartPolicyRules") or []:
        codes = rule.get("exitCodes") or {}
        inside = exit_code in (codes.get("values") or [])
        if codes.get("operator") in ("In", "NotIn") and inside == (codes["operator"] == "In"):
            return bool(rule.get("action") == "Restart")
    policy = policy_of(pod, container)
    return policy == "Always" or (policy == "OnFailure" and exit_code != 0)


def is_terminal(status: Obj | None) -> bool:
    return (status or {}).get("phase") in ("Succeeded", "Failed")


def grace_seconds(pod: Obj) -> int:
    """How long the pod's containers get to end."""
    grace = pod["metadata"].get("deletionGracePeriodSeconds")
    if grace is None:
        grace = pod["spec"].get("terminationGracePeriodSeconds")
    return 30 if grace is None else max(int(grace), 0)


def timestamp(seconds: float) -> str | None:
    """Epoch seconds as metav1.Time; None for "never"."""
    return datetime.fromtimestamp(int(seconds), UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if seconds else None


def micro_timestamp(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def parse_time(text: Any) -> float:
    """Epoch seconds of a metav1.Time, 0.0 for none or nonsense."""
    try:
        return datetime.fromisoformat(str(text)).timestamp() if text else 0.0
    except ValueError:
        return 0.0


def go_duration(seconds: float) -> str:
    """As Go prints a duration: 10s, 1m20s, 1.5s, 250ms."""
    if 0 < seconds < 1:
        return f"{round(seconds * 1000, 3):g}ms"
    whole = int(seconds)
    rest = f"{seconds - whole + whole % 60:.9f}".rstrip("0").rstrip(".")
    hours, minutes = divmod(whole // 60, 60)
    if hours:
        return f"{hours}h{minutes}m{rest}s"
    return f"{minutes}m{rest}s" if minutes else f"{rest}s"
