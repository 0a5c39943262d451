"""The condition DisruptionTarget: written on a pod before a controller deletes it for reasons that are not the pod's own,
so that its owner (a Job, for example) can tell the two apart."""

from skiff import env
from skiff.api.gvr import PODS
from skiff.api.meta import get_condition, name, namespace, uid
from skiff.api.types import Obj
from skiff.client.rest import Client
from skiff.controllers.common.meta import generation
from skiff.controllers.common.times import timestamp


def disruption_target(pod: Obj, reason: str, message: str, now: float) -> Obj | None:
    """The condition to write; None if the pod has it."""
    found = get_condition(pod, "DisruptionTarget")
    wanted = {"type": "DisruptionTarget", "status": "True", "reason": reason, "message": message}
    if found is not None and all(found.get(k) == v for k, v in wanted.items()):
        return None
    same = found is not None and found.get("status") == "True"
    since = found["lastTransitionTime"] if found is not None and same else timestamp(now)
    made = {**wanted, "lastTransitionTime": since}
    if generation(pod):
        made["observedGeneration"] = generation(pod)
    return made


async def mark_disrupted(client: Client, pod: Obj, reason: str, message: str, *, phase: str = "") -> None:
    """phase: also set the pod's phase (Failed, for one that nobody will end any more). reason "": only the phase."""
    condition = disruption_target(pod, reason, message, env.epoch()) if reason else None
    status: Obj = {"conditions": [condition]} if condition else {}
    if phase:
        status["phase"] = phase
    if status:
        patch = {"metadata": {"uid": uid(pod)}, "status": status}
        await client.patch(PODS, name(pod), patch, namespace(pod), type="strategic", subresource="status")
