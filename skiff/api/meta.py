"""Reading and writing what every object has: labels, owners, finalizers, conditions; and what a pod's status says.

Readers tolerate missing parts and never change the object. Writers work in place on an object that is the caller's own.
Times are passed in as RFC 3339 text. Resource sums and QoS are in podresources.py.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from skiff.api.types import GVR, Labels, Obj

_MISSING: dict[str, Any] = {}


def get(obj: Any, *path: str | int, default: Any = None) -> Any:
    """The value at a path of keys and list indices, `default` if any step is missing or null."""
    for step in path:
        if isinstance(obj, dict):
            obj = obj.get(step)
        elif isinstance(obj, list) and isinstance(step, int) and -len(obj) <= step < len(obj):
            obj = obj[step]
        else:
            return default
        if obj is None:
            return default
    return obj


def metadata(obj: Obj) -> Mapping[str, Any]:
    return obj.get("metadata") or _MISSING


def name(obj: Obj) -> str:
    return metadata(obj).get("name") or ""


def namespace(obj: Obj) -> str:
    return metadata(obj).get("namespace") or ""


def uid(obj: Obj) -> str:
    return metadata(obj).get("uid") or ""


def labels(obj: Obj) -> Labels:
    return metadata(obj).get("labels") or _MISSING


def annotations(obj: Obj) -> Labels:
    return metadata(obj).get("annotations") or _MISSING


def is_being_deleted(obj: Obj) -> bool:
    return bool(metadata(obj).get("deletionTimestamp"))


def set_label(obj: Obj, key: str, value: str) -> None:
    obj["metadata"]["labels"] = {**labels(obj), key: value}


def set_annotation(obj: Obj, key: str, value: str) -> None:
    obj["metadata"]["annotations"] = {**annotations(obj), key: value}


# --- finalizers


def finalizers(obj: Obj) -> list[str]:
    return metadata(obj).get("finalizers") or []


def add_finalizer(obj: Obj, finalizer: str) -> bool:
    """False if it was there already."""
    if finalizer in finalizers(obj):
        return False
    obj["metadata"]["finalizers"] = [*finalizers(obj), finalizer]
    return True


def remove_finalizer(obj: Obj, finalizer: str) -> bool:
    """False if it was not there. The field goes with its last element."""
    if finalizer not in finalizers(obj):
        return False
    obj["metadata"]["finalizers"] = [f for f in finalizers(obj) if f != finalizer]
    if not obj["metadata"]["finalizers"]:
        del obj["metadata"]["finalizers"]
    return True


# --- owners


def owner_references(obj: Obj) -> list[Obj]:
    return metadata(obj).get("ownerReferences") or []


def controller_of(obj: Obj) -> Obj | None:
    """The owner reference with `controller: true`."""
    return next((r for r in owner_references(obj) if r.get("controller")), None)


def is_controlled_by(obj: Obj, owner: Obj) -> bool:
    """By uid: an owner that was deleted and made again under its name does not count."""
    reference = controller_of(obj)
    return reference is not None and reference.get("uid") == uid(owner)


def new_owner_ref(owner: Obj, gvr: GVR | None = None) -> Obj:
    """A plain owner reference. `gvr` for owners that do not carry apiVersion and kind, as items of a list."""
    return {
        "apiVersion": gvr.api_version if gvr else owner["apiVersion"],
        "kind": gvr.kind if gvr else owner["kind"],
        "name": name(owner),
        "uid": uid(owner),
    }


def new_controller_ref(owner: Obj, gvr: GVR | None = None) -> Obj:
    """The owner reference that makes `owner` the one controller of an object."""
    return {**new_owner_ref(owner, gvr), "controller": True, "blockOwnerDeletion": True}


def object_reference(obj: Obj, gvr: GVR | None = None) -> Obj:
    """An ObjectReference to it, as events carry."""
    reference = {
        "kind": gvr.kind if gvr else obj.get("kind", ""),
        "namespace": namespace(obj),
        "name": name(obj),
        "uid": uid(obj),
        "apiVersion": gvr.api_version if gvr else obj.get("apiVersion", ""),
        "resourceVersion": metadata(obj).get("resourceVersion") or "",
    }
    return {k: v for k, v in reference.items() if v}


# --- conditions


def find_condition(conditions: Iterable[Obj] | None, type: str) -> Obj | None:
    return next((c for c in conditions or () if c.get("type") == type), None)


def get_condition(obj: Obj, type: str) -> Obj | None:
    """From `status.conditions`."""
    return find_condition((obj.get("status") or _MISSING).get("conditions"), type)


def is_condition_true(obj: Obj, type: str) -> bool:
    condition = get_condition(obj, type)
    return condition is not None and condition.get("status") == "True"


def set_condition(
    obj: Obj, type: str, status: str, *, now: str, reason: str = "", message: str = "", **extra: Any
) -> bool:
    """Put the condition into `status.conditions`, in place, keeping its position; True if that changed anything.

    lastTransitionTime becomes `now` only when the status changes. `extra` fields (lastUpdateTime, lastProbeTime,
    observedGeneration, ...) are set as given, but a difference only in lastUpdateTime, lastProbeTime or
    lastHeartbeatTime is written without counting as a change.
    """
    conditions = obj.setdefault("status", {}).setdefault("conditions", [])
    old = find_condition(conditions, type)
    new = {"type": type, "status": status, **extra}
    same_status = old is not None and old.get("status") == status
    new["lastTransitionTime"] = (old or {}).get("lastTransitionTime") if same_status else now
    if reason:
        new["reason"] = reason
    if message:
        new["message"] = message
    if old is None:
        conditions.append(new)
        return True
    changed = _lasting(old) != _lasting(new)
    old.clear()
    old.update(new)
    return changed


def _lasting(condition: Obj) -> Obj:
    passing = ("lastUpdateTime", "lastProbeTime", "lastHeartbeatTime")
    return {k: v for k, v in condition.items() if k not in passing and v is not None}


def remove_condition(obj: Obj, type: str) -> bool:
    """False if there was none."""
    status = obj.get("status") or _MISSING
    if find_condition(status.get("conditions"), type) is None:
        return False
    status["conditions"] = [c for c in status["conditions"] if c.get("type") != type]
    return True


# --- pods


def pod_phase(pod: Obj) -> str:
    return (pod.get("status") or _MISSING).get("phase") or ""


def is_pod_ready(pod: Obj) -> bool:
    return is_condition_true(pod, "Ready")


def is_pod_terminal(pod: Obj) -> bool:
    """Succeeded or Failed: no container will run again."""
    return pod_phase(pod) in ("Succeeded", "Failed")


def is_pod_active(pod: Obj) -> bool:
    """Neither finished nor being deleted: what a controller counts."""
    return not is_pod_terminal(pod) and not is_being_deleted(pod)


def is_pod_terminating(pod: Obj) -> bool:
    return not is_pod_terminal(pod) and is_being_deleted(pod)


def is_pod_available(pod: Obj, min_ready_seconds: int, now: float) -> bool:
    """Ready for at least that long; `now` in seconds since the epoch."""
    ready = get_condition(pod, "Ready")
    if ready is None or ready.get("status") != "True":
        return False
    since = ready.get("lastTransitionTime")
    return min_ready_seconds == 0 or bool(since and _epoch(since) + min_ready_seconds <= now)


def _epoch(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def all_containers(pod_spec: Obj) -> list[Obj]:
    """Init, ordinary and ephemeral containers, in this order."""
    kinds = ("initContainers", "containers", "ephemeralContainers")
    return [c for kind in kinds for c in pod_spec.get(kind) or ()]


def is_sidecar(init_container: Obj) -> bool:
    """An init container that keeps running beside the others."""
    return init_container.get("restartPolicy") == "Always"


def is_mirror_pod(pod: Obj) -> bool:
    return "kubernetes.io/config.mirror" in annotations(pod)
