"""Evicts pods from nodes with NoExecute taints: those that do not tolerate one at once, others when their time is up.

The time runs from when the taint is first seen, as upstream's; a taint that goes in time is forgiven. Works per pod.
Source: upstream pkg/controller/tainteviction.
"""

from collections.abc import Iterable

from skiff import env
from skiff.api.errors import StatusError, is_not_found
from skiff.api.gvr import NODES, PODS
from skiff.api.meta import is_being_deleted, name, namespace, uid
from skiff.api.types import Obj
from skiff.client.controller import Key, Recorder, Watch, key_of, split_key
from skiff.client.informer import Change, Informers
from skiff.client.rest import Client
from skiff.controllers.common import indexes
from skiff.controllers.common.disruption import mark_disrupted
from skiff.controllers.common.meta import spec
from skiff.controllers.common.taints import matching_tolerations, toleration_seconds, with_effect

REASON = "DeletionByTaintManager"
MESSAGE = "Taint manager: deleting due to NoExecute taint"


def seconds_allowed(pod: Obj, taints: Iterable[Obj]) -> float | None:
    """How long the pod may stay on a node with these NoExecute taints; None: forever."""
    taints = list(taints)
    if not taints:
        return None
    used = matching_tolerations(taints, spec(pod).get("tolerations") or ())
    return 0.0 if used is None else toleration_seconds(used)


class TaintEvictionController:
    name = "taint-eviction-controller"
    workers = 8

    def __init__(self, *, client: Client, informers: Informers, recorder: Recorder):
        self._client = client
        self._recorder = recorder
        self._nodes = informers.get(NODES)
        self._pods = indexes.pods_by_node(informers)
        self._due: dict[Key, tuple[str, float]] = {}

    def watches(self) -> list[Watch]:
        return [Watch(NODES, self._node_changed), Watch(PODS, self._pod_changed)]

    def _node_changed(self, change: Change) -> Iterable[Key]:
        before, after = (with_effect(node, "NoExecute") if node else [] for node in (change.old, change.new))
        if before == after or change.new is None:
            return []
        return [key_of(pod) for pod in indexes.on_node(self._pods, name(change.object))]

    def _pod_changed(self, change: Change) -> Iterable[Key]:
        if change.old and change.new and _facts(change.old) == _facts(change.new):
            return []
        return [key_of(change.object)]

    async def reconcile(self, key: Key) -> float | None:
        pod = self._pods.get(*split_key(key))
        if pod is None:
            self._due.pop(key, None)
            return None
        node = self._nodes.get("", str(spec(pod).get("nodeName") or ""))
        allowed = None if node is None else seconds_allowed(pod, with_effect(node, "NoExecute"))
        if allowed is None:
            self._forgive(key, pod)
            return None
        now = env.epoch()
        known = self._due.get(key)
        if allowed and known is not None and known[0] == uid(pod):
            due = known[1]
        else:
            due = now + allowed
        if due > now:
            self._due[key] = (uid(pod), due)
            return due - now
        self._due.pop(key, None)
        if not is_being_deleted(pod):
            await self._evict(pod)
        return None

    def _forgive(self, key: Key, pod: Obj) -> None:
        if self._due.pop(key, None) is not None:
            self._recorder.event(pod, "Normal", "TaintManagerEviction", f"Cancelling deletion of Pod {key}")

    async def _evict(self, pod: Obj) -> None:
        text = f"Marking for deletion Pod {key_of(pod)}"
        self._recorder.event(pod, "Normal", "TaintManagerEviction", text)
        try:
            await mark_disrupted(self._client, pod, REASON, MESSAGE)
            await self._client.delete(PODS, name(pod), namespace(pod), uid=uid(pod))
        except StatusError as err:
            if not is_not_found(err):
                raise


def _facts(pod: Obj) -> tuple[object, ...]:
    return uid(pod), spec(pod).get("nodeName"), spec(pod).get("tolerations")
