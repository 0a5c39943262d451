"""What the scheduler writes besides bindings: why a pod waits, nominations, evictions."""

from skiff import env
from skiff.api.errors import StatusError, is_not_found
from skiff.api.gvr import PODS
from skiff.api.times import format_time
from skiff.api.types import Obj
from skiff.client.rest import Client
from skiff.scheduler.podinfo import PodInfo


def condition(pod: PodInfo, type: str, status: str, reason: str, message: str) -> Obj | None:
    """The pod's condition with these contents; None: it has it. The transition time stays while the status does."""
    old = next((c for c in (pod.obj.get("status") or {}).get("conditions") or () if c["type"] == type), None)
    wanted = {"type": type, "status": status, "reason": reason, "message": message}
    if old is not None and all(old.get(k) == v for k, v in wanted.items()):
        return None
    same = old is not None and old.get("status") == status
    changed = old.get("lastTransitionTime") if old is not None and same else None
    found: Obj = {**wanted, "lastTransitionTime": changed or format_time(env.now())}
    if generation := pod.obj["metadata"].get("generation"):
        found["observedGeneration"] = generation
    return found


async def report(client: Client, pod: PodInfo, reason: str, message: str, nominated: str | None) -> None:
    """The PodScheduled condition and, unless None, the nominated node; nothing if nothing changes."""
    status: Obj = {}
    found = condition(pod, "PodScheduled", "False", reason, message)
    if found is not None:
        status["conditions"] = [found]
    if nominated is not None and nominated != pod.nominated:
        status["nominatedNodeName"] = nominated or None
    if status:
        await _patch_status(client, pod, status)


async def clear_nomination(client: Client, pod: PodInfo) -> None:
    await _patch_status(client, pod, {"nominatedNodeName": None})


async def evict(client: Client, pod: PodInfo, victim: PodInfo) -> bool:
    """Deletes a victim, having said on it why; False: it was gone already."""
    message = f"{pod.scheduler_name}: preempting to accommodate a higher priority pod"
    found = condition(victim, "DisruptionTarget", "True", "PreemptionByScheduler", message)
    try:
        if found is not None:
            await _patch_status(client, victim, {"conditions": [found]})
        await client.delete(PODS, victim.name, victim.namespace, uid=victim.uid)
    except StatusError as e:
        if is_not_found(e):
            return False
        raise
    return True


async def _patch_status(client: Client, pod: PodInfo, status: Obj) -> None:
    patch = {"metadata": {"uid": pod.uid}, "status": status}
    await client.patch(PODS, pod.name, patch, pod.namespace, type="strategic", subresource="status")
