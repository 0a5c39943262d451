"""Volumes: a pod waits for its claims to be bound and goes only where its volumes can be reached.

Claims of a class with WaitForFirstConsumer are left to the provisioner: before binding, the chosen node is written on the
claim, and the pod is bound when the claim is. Source: plugins/volumebinding.
"""

import asyncio
from dataclasses import dataclass

from skiff.api.gvr import PERSISTENTVOLUMECLAIMS, PERSISTENTVOLUMES, STORAGECLASSES
from skiff.api.nodeselector import any_term
from skiff.api.types import Obj
from skiff.client.informer import Change, Informers
from skiff.client.rest import Client
from skiff.scheduler import framework as fw
from skiff.scheduler.nodeinfo import NodeInfo
from skiff.scheduler.podinfo import PodInfo

BIND_TIMEOUT_S = 600.0
BOUND = "pv.kubernetes.io/bind-completed"
SELECTED_NODE = "volume.kubernetes.io/selected-node"
NO_PROVISIONER = "kubernetes.io/no-provisioner"


@dataclass(frozen=True, slots=True)
class Volumes:
    """bound: volumes of bound claims, None for one that does not exist. waiting: claims for the first consumer."""

    bound: tuple[Obj | None, ...]
    waiting: tuple[Obj, ...]


class VolumeBinding:
    name = "VolumeBinding"
    unbound = fw.unresolvable(name, "pod has unbound immediate PersistentVolumeClaims")
    elsewhere = fw.unresolvable(name, "node(s) didn't match PersistentVolume's node affinity")
    missing = fw.unresolvable(name, "node(s) unavailable due to one or more pvc(s) bound to non-existent pv(s)")
    none_free = fw.unresolvable(name, "node(s) didn't find available persistent volumes to bind")

    def __init__(self, *, client: Client, informers: Informers):
        self._client = client
        self._claims = informers.get(PERSISTENTVOLUMECLAIMS)
        self._volumes = informers.get(PERSISTENTVOLUMES)
        self._classes = informers.get(STORAGECLASSES)
        self._claim_changed = asyncio.Event()
        self._claims.add_handler(self._wake)

    def pre_filter(self, state: fw.State, pod: PodInfo) -> fw.PreFilterAnswer:
        names = claim_names(pod)
        if not names:
            return fw.SKIP
        bound: list[Obj | None] = []
        waiting = []
        for name, ephemeral in names:
            claim = self._claims.get(pod.namespace, name)
            problem = _problem(claim, name, ephemeral)
            if claim is None or problem:
                return fw.unresolvable(self.name, problem)
            if is_bound(claim):
                bound.append(self._volumes.get("", claim["spec"]["volumeName"]))
            elif not claim["spec"].get("volumeName") and self._waits(claim):
                waiting.append(claim)
            else:
                return self.unbound
        state[self.name] = Volumes(tuple(bound), tuple(waiting))
        return None

    def filter(self, state: fw.State, pod: PodInfo, node: NodeInfo) -> fw.Status | None:
        volumes: Volumes = state[self.name]
        for volume in volumes.bound:
            if volume is None:
                return self.missing
            if not reachable(volume, node):
                return self.elsewhere
        if any(self._provisioner(c) in ("", NO_PROVISIONER) for c in volumes.waiting):
            return self.none_free
        return None

    async def pre_bind(self, state: fw.State, pod: PodInfo, node: str) -> fw.Status | None:
        volumes: Volumes | None = state.get(self.name)
        if volumes is None or not volumes.waiting:
            return None
        for claim in volumes.waiting:
            meta = claim["metadata"]
            patch = {"metadata": {"annotations": {SELECTED_NODE: node}}}
            await self._client.patch(PERSISTENTVOLUMECLAIMS, meta["name"], patch, meta["namespace"])
        try:
            async with asyncio.timeout(BIND_TIMEOUT_S):
                await self._all_bound(volumes.waiting)
        except TimeoutError:
            text = "binding volumes: timed out waiting for the condition"
            return fw.Status(fw.Code.ERROR, self.name, (fw.Reason(text),))
        return None

    async def _all_bound(self, claims: tuple[Obj, ...]) -> None:
        while True:
            current = [self._claims.get(c["metadata"]["namespace"], c["metadata"]["name"]) for c in claims]
            if all(c is not None and is_bound(c) for c in current):
                return
            self._claim_changed.clear()
            await self._claim_changed.wait()

    def _wake(self, change: Change) -> None:
        self._claim_changed.set()

    def _waits(self, claim: Obj) -> bool:
        found = self._classes.get("", claim["spec"].get("storageClassName") or "")
        return found is not None and found.get("volumeBindingMode") == "WaitForFirstConsumer"

    def _provisioner(self, claim: Obj) -> str:
        found = self._classes.get("", claim["spec"].get("storageClassName") or "")
        return str(found.get("provisioner") or "") if found else ""

    def events(self) -> list[fw.Interest]:
        changes = fw.Action.ADD | fw.Action.UPDATE
        return [
            fw.Interest("PersistentVolumeClaim", changes, _own_claim),
            fw.Interest("PersistentVolume", changes),
            fw.Interest("StorageClass", changes),
            fw.Interest("Node", fw.Action.ADD | fw.Action.NODE_LABEL),
        ]


def claim_names(pod: PodInfo) -> list[tuple[str, bool]]:
    """(claim name, whether the ephemeral volume controller makes it) of each volume that has a claim."""
    found = []
    for volume in pod.spec.get("volumes") or ():
        if volume.get("persistentVolumeClaim"):
            found.append((volume["persistentVolumeClaim"]["claimName"], False))
        elif volume.get("ephemeral"):
            found.append((f"{pod.name}-{volume['name']}", True))
    return found


def _problem(claim: Obj | None, name: str, ephemeral: bool) -> str:
    if claim is None and ephemeral:
        return f'waiting for ephemeral volume controller to create the persistentvolumeclaim "{name}"'
    if claim is None:
        return f'persistentvolumeclaim "{name}" not found'
    if (claim.get("status") or {}).get("phase") == "Lost":
        volume = claim["spec"].get("volumeName", "")
        return f'persistentvolumeclaim "{name}" bound to non-existent persistentvolume "{volume}"'
    if claim["metadata"].get("deletionTimestamp"):
        return f'persistentvolumeclaim "{name}" is being deleted'
    return ""


def is_bound(claim: Obj) -> bool:
    annotations = claim["metadata"].get("annotations") or {}
    return bool(claim["spec"].get("volumeName")) and BOUND in annotations


def reachable(volume: Obj, node: NodeInfo) -> bool:
    terms = ((volume["spec"].get("nodeAffinity") or {}).get("required") or {}).get("nodeSelectorTerms")
    return terms is None or any_term(terms)(node.labels, node.name)


def _own_claim(pod: PodInfo, old: Obj | None, new: Obj | None) -> bool:
    claim = new or old
    if claim is None or claim["metadata"].get("namespace") != pod.namespace:
        return False
    return any(name == claim["metadata"]["name"] for name, _ in claim_names(pod))
