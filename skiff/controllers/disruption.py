"""PodDisruptionBudgets: how many pods are healthy, how many should be, and so how many may be evicted now.

The API server spends what `disruptionsAllowed` gives (subresource eviction) and notes whom in `disruptedPods`; a pod noted
there but still alive after two minutes is counted again. Source: upstream pkg/controller/disruption.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from skiff import env
from skiff.api import selectors
from skiff.api.gvr import (
    DEPLOYMENTS,
    PODDISRUPTIONBUDGETS,
    PODS,
    REPLICASETS,
    REPLICATIONCONTROLLERS,
    STATEFULSETS,
)
from skiff.api.intstr import scaled
from skiff.api.meta import controller_of, find_condition, is_being_deleted, is_pod_ready, labels, name, namespace, uid
from skiff.api.types import Obj
from skiff.client.controller import Key, Recorder, Watch, key_of, split_key
from skiff.client.informer import Change, Informer, Informers
from skiff.client.rest import Client
from skiff.controllers.common.meta import generation, spec, status
from skiff.controllers.common.times import seconds, timestamp

DELETION_TIMEOUT_S = 120.0


class UnknownController(Exception):
    """A pod is controlled by something whose size is not known."""


@dataclass(frozen=True, slots=True)
class Expected:
    """pods: how many there should be in all; healthy: how many of them at least; unmanaged: names of pods that nobody
    controls, which make a percentage meaningless."""

    pods: int
    healthy: int
    unmanaged: tuple[str, ...] = ()


def expected(pdb: Obj, pods: Sequence[Obj], scales: Mapping[str, tuple[str, int]]) -> Expected:
    """scales: the uid of a pod's controller → (uid of what counts in its place, its wanted replicas). Raises
    UnknownController, ValueError."""
    most, least = spec(pdb).get("maxUnavailable"), spec(pdb).get("minAvailable")
    if most is None and not isinstance(least, str):
        return Expected(len(pods), int(least or 0)) if least is not None else Expected(0, 0)
    unmanaged = tuple(name(pod) for pod in pods if controller_of(pod) is None)
    controllers: dict[str, int] = {}
    for pod in pods:
        ref = controller_of(pod)
        if ref is None:
            continue
        if ref["uid"] not in scales:
            raise UnknownController(f'found no controllers for pod "{name(pod)}"')
        counted, size = scales[ref["uid"]]
        controllers[counted] = size
    total = sum(controllers.values())
    if most is not None:
        return Expected(total, max(0, total - scaled(most, total, round_up=True)), unmanaged)
    return Expected(total, scaled(least, total, round_up=True), unmanaged)


def still_disrupted(pdb: Obj, pods: Iterable[Obj], now: float) -> tuple[dict[str, str], float | None]:
    """(evicted pods that have yet to be deleted, with when; seconds until the first of them is given up on)."""
    noted = status(pdb).get("disruptedPods") or {}
    kept: dict[str, str] = {}
    waits = []
    for pod in pods:
        since = seconds(noted.get(name(pod)))
        if since is None or is_being_deleted(pod) or since + DELETION_TIMEOUT_S < now:
            continue
        kept[name(pod)] = noted[name(pod)]
        waits.append(since + DELETION_TIMEOUT_S - now)
    return kept, min(waits, default=None)


def next_status(pdb: Obj, pods: Sequence[Obj], found: Expected, disrupted: dict[str, str], now: float) -> Obj:
    healthy = sum(is_pod_ready(p) and not is_being_deleted(p) and name(p) not in disrupted for p in pods)
    allowed = max(0, healthy - found.healthy) if found.pods > 0 else 0
    result: Obj = {
        "currentHealthy": healthy,
        "desiredHealthy": found.healthy,
        "expectedPods": found.pods,
        "disruptionsAllowed": allowed,
        "observedGeneration": generation(pdb),
        "conditions": _conditions(pdb, allowed > 0, "SufficientPods" if allowed else "InsufficientPods", "", now),
    }
    if disrupted:
        result["disruptedPods"] = disrupted
    return result


def failed_status(pdb: Obj, message: str, now: float) -> Obj:
    """When nothing can be computed nothing may be disrupted."""
    conditions = _conditions(pdb, False, "SyncFailed", message, now)
    zeros = dict.fromkeys(("currentHealthy", "desiredHealthy", "expectedPods"), 0)
    return {**zeros, **status(pdb), "disruptionsAllowed": 0, "conditions": conditions}


def _conditions(pdb: Obj, allowed: bool, reason: str, message: str, now: float) -> list[Obj]:
    before = status(pdb).get("conditions") or []
    old = find_condition(before, "DisruptionAllowed")
    value = "True" if allowed else "False"
    same = old is not None and old.get("status") == value
    new = {
        "type": "DisruptionAllowed",
        "status": value,
        "reason": reason,
        "message": message,
        "observedGeneration": generation(pdb),
        "lastTransitionTime": old["lastTransitionTime"] if old is not None and same else timestamp(now),
    }
    return [new if c is old else c for c in before] if old is not None else [*before, new]


class DisruptionController:
    name = "disruption-controller"
    workers = 1

    def __init__(self, *, client: Client, informers: Informers, recorder: Recorder):
        self._client = client
        self._recorder = recorder
        self._budgets = informers.get(PODDISRUPTIONBUDGETS)
        self._pods = informers.get(PODS)
        kinds = (REPLICASETS, REPLICATIONCONTROLLERS, STATEFULSETS, DEPLOYMENTS)
        self._controllers: dict[str, Informer] = {gvr.kind: informers.get(gvr) for gvr in kinds}

    def watches(self) -> list[Watch]:
        quiet = [Watch(i.gvr, lambda change: ()) for i in self._controllers.values()]
        return [Watch(PODDISRUPTIONBUDGETS), Watch(PODS, self._pod_changed), *quiet]

    def _pod_changed(self, change: Change) -> Iterable[Key]:
        versions = [pod for pod in (change.old, change.new) if pod is not None]
        for pdb in self._budgets.items(namespace(change.object)):
            selector = selectors.from_label_selector(spec(pdb).get("selector"))
            if any(selector.matches(labels(pod)) for pod in versions):
                yield key_of(pdb)

    async def reconcile(self, key: Key) -> float | None:
        pdb = self._budgets.get(*split_key(key))
        if pdb is None:
            return None
        selector = selectors.from_label_selector(spec(pdb).get("selector"))
        pods = [pod for pod in self._pods.items(namespace(pdb)) if selector.matches(labels(pod))]
        now = env.epoch()
        if not pods:
            self._recorder.event(pdb, "Normal", "NoPods", "No matching pods found")
        disrupted, again = still_disrupted(pdb, pods, now)
        try:
            found = expected(pdb, pods, self._scales(pods))
        except (UnknownController, ValueError) as err:
            text = f"Failed to calculate the number of expected pods: {err}"
            self._recorder.event(pdb, "Warning", "CalculateExpectedPodCountFailed", text)
            await self._write(pdb, failed_status(pdb, str(err), now))
            return None
        if found.unmanaged:
            self._recorder.event(pdb, "Warning", "UnmanagedPods", _unmanaged(selector))
        await self._write(pdb, next_status(pdb, pods, found, disrupted, now))
        return again

    def _scales(self, pods: Iterable[Obj]) -> dict[str, tuple[str, int]]:
        """A replica set counts as its deployment: during a rollout several of them are one."""
        found: dict[str, tuple[str, int]] = {}
        for pod in pods:
            ref = controller_of(pod)
            if ref is None or ref["uid"] in found:
                continue
            owner = self._find(ref, namespace(pod))
            above = controller_of(owner) if owner is not None and ref["kind"] == "ReplicaSet" else None
            top = self._find(above, namespace(pod)) if above is not None else None
            counted = top or owner
            if counted is not None:
                found[ref["uid"]] = (uid(counted), int(spec(counted).get("replicas", 1)))
        return found

    def _find(self, ref: Obj, scope: str) -> Obj | None:
        informer = self._controllers.get(ref["kind"])
        found = informer.get(scope, ref["name"]) if informer else None
        return found if found is not None and uid(found) == ref["uid"] else None

    async def _write(self, pdb: Obj, new: Obj) -> None:
        if new != status(pdb):
            await self._client.update(PODDISRUPTIONBUDGETS, {**pdb, "status": new}, subresource="status")


def _unmanaged(selector: selectors.Selector) -> str:
    return (
        f"Pods selected by this PodDisruptionBudget (selector: {selector}) were found to be unmanaged. As a result, the "
        "status of the PDB cannot be calculated correctly, which may result in undefined behavior. To account for these "
        'pods please set ".spec.minAvailable" field of the PDB to an integer value.'
    )
