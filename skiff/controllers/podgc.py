"""Pods that nobody will ever end: on nodes that are gone, on nodes declared out of service, never scheduled but deleted,
and finished ones beyond a number. Looks at all pods every 20 seconds. Source: upstream pkg/controller/podgc.
"""

import asyncio
import logging
from collections.abc import Iterable
from dataclasses import dataclass

from skiff import env
from skiff.api.errors import StatusError, is_not_found
from skiff.api.gvr import NODES, PODS
from skiff.api.meta import is_being_deleted, is_condition_true, is_pod_terminal, name, namespace, pod_phase
from skiff.api.types import Obj
from skiff.client.informer import Informers
from skiff.client.rest import Client
from skiff.controllers.common.disruption import mark_disrupted
from skiff.controllers.common.meta import spec, status
from skiff.controllers.common.pods import node_name
from skiff.controllers.common.taints import OUT_OF_SERVICE

log = logging.getLogger(__name__)

PERIOD_S = 20.0
QUARANTINE_S = 40.0
THRESHOLD = 12500
ORPHANED = ("DeletionByPodGC", "PodGC: node no longer exists")


@dataclass(frozen=True, slots=True)
class Plan:
    """remove: pods to delete by force. orphaned: those whose node may be gone; the server is asked first."""

    remove: tuple[Obj, ...] = ()
    orphaned: tuple[Obj, ...] = ()


def plan(
    pods: Iterable[Obj], nodes: dict[str, Obj], missing_since: dict[str, float], threshold: int, now: float
) -> Plan:
    """missing_since: when each node that pods name was first found missing."""
    pods = list(pods)
    remove = [pod for pod in pods if is_being_deleted(pod) and _abandoned(pod, nodes)]
    finished = sorted((pod for pod in pods if _finished(pod)), key=_dispensable)
    surplus = max(0, len(finished) - threshold) if threshold > 0 else 0
    chosen = {id(pod) for pod in remove}
    remove += [pod for pod in finished[:surplus] if id(pod) not in chosen]
    chosen = {id(pod) for pod in remove}
    gone = {node for node, since in missing_since.items() if node not in nodes and now - since >= QUARANTINE_S}
    orphaned = [pod for pod in pods if node_name(pod) in gone and id(pod) not in chosen]
    return Plan(tuple(remove), tuple(orphaned))


def _abandoned(pod: Obj, nodes: dict[str, Obj]) -> bool:
    """Nobody is there to end a pod that is being deleted: it has no node, or its node is declared out of service."""
    if not node_name(pod):
        return True
    node = nodes.get(node_name(pod))
    if node is None or is_condition_true(node, "Ready"):
        return False
    return any(taint.get("key") == OUT_OF_SERVICE for taint in spec(node).get("taints") or ())


def _finished(pod: Obj) -> bool:
    return pod_phase(pod) not in ("Pending", "Running", "Unknown")


def _dispensable(pod: Obj) -> tuple[bool, str, str]:
    """Evicted pods first, then the oldest."""
    evicted = pod_phase(pod) == "Failed" and status(pod).get("reason") == "Evicted"
    return not evicted, pod["metadata"].get("creationTimestamp", ""), name(pod)


class PodGC:
    """run() until cancelled. threshold: finished pods kept at most; 0: all."""

    name = "pod-garbage-collector-controller"

    def __init__(self, *, client: Client, informers: Informers, threshold: int = THRESHOLD):
        self._client = client
        self._threshold = threshold
        self._pods = informers.get(PODS)
        self._nodes = informers.get(NODES)
        self._missing_since: dict[str, float] = {}

    async def run(self) -> None:
        await self._pods.wait_synced()
        await self._nodes.wait_synced()
        while True:
            await self._collect()
            await asyncio.sleep(PERIOD_S)

    async def _collect(self) -> None:
        now = env.epoch()
        pods = self._pods.items()
        nodes = {name(node): node for node in self._nodes.items()}
        missing = {node_name(pod) for pod in pods} - nodes.keys() - {""}
        self._missing_since = {node: self._missing_since.get(node, now) for node in sorted(missing)}
        todo = plan(pods, nodes, self._missing_since, self._threshold, now)
        for pod in todo.remove:
            await self._remove(pod)
        really_gone: dict[str, bool] = {}
        for pod in todo.orphaned:
            node = node_name(pod)
            if node not in really_gone:
                really_gone[node] = await self._is_gone(node)
            if really_gone[node]:
                await self._remove(pod, *ORPHANED)

    async def _is_gone(self, node: str) -> bool:
        try:
            await self._client.get(NODES, node)
        except StatusError as err:
            return is_not_found(err)
        except ConnectionError:
            pass  # who cannot be asked has not said that it is gone
        return False

    async def _remove(self, pod: Obj, reason: str = "", message: str = "") -> None:
        """Marks the pod Failed, then deletes it without grace. What fails is tried again in the next round."""
        try:
            if not is_pod_terminal(pod):
                await mark_disrupted(self._client, pod, reason, message, phase="Failed")
            await self._client.delete(PODS, name(pod), namespace(pod), uid=pod["metadata"]["uid"], grace_seconds=0)
        except (StatusError, ConnectionError) as err:
            if not is_not_found(err):
                log.warning("pod garbage collector: %s/%s: %s", namespace(pod), name(pod), err)
