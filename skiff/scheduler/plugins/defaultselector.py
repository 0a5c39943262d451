"""Who is a pod's like when it does not say so: the pods of its Services and of its controlling owner.

Keeps small records of Services, ReplicaSets, StatefulSets and ReplicationControllers: their selectors.
Source: pkg/scheduler/framework/plugins/helper/spread.go.
"""

from typing import Any

from skiff.api.gvr import REPLICASETS, REPLICATIONCONTROLLERS, SERVICES, STATEFULSETS
from skiff.api.selectors import Selector, from_label_selector
from skiff.api.types import Obj
from skiff.client.informer import Informer, Informers
from skiff.scheduler.podinfo import PodInfo


def only_selector(obj: Obj) -> Obj:
    """The informers' transform."""
    meta = {k: v for k, v in obj["metadata"].items() if k in ("name", "namespace", "resourceVersion")}
    return {"metadata": meta, "spec": {"selector": (obj.get("spec") or {}).get("selector")}}


class OwnerSelectors:
    """Selectors by pod, from the informers' caches."""

    def __init__(self, informers: Informers):
        self._services = informers.get(SERVICES, transform=only_selector)
        self._owners: dict[tuple[str, str], Informer] = {
            ("apps/v1", "ReplicaSet"): informers.get(REPLICASETS, transform=only_selector),
            ("apps/v1", "StatefulSet"): informers.get(STATEFULSETS, transform=only_selector),
            ("v1", "ReplicationController"): informers.get(REPLICATIONCONTROLLERS, transform=only_selector),
        }

    @property
    def informers(self) -> list[Informer]:
        return [self._services, *self._owners.values()]

    def selector(self, pod: PodInfo) -> Selector:
        """What all of the selectors together demand; empty: nobody selects the pod."""
        labels: dict[str, str] = {}
        for service in self._services.items(pod.namespace):
            wanted = service["spec"]["selector"]
            if wanted is not None and all(pod.labels.get(k) == v for k, v in wanted.items()):
                labels.update(wanted)
        owner = self._owner_selector(pod) or {}
        if "matchLabels" not in owner and "matchExpressions" not in owner:
            labels.update(owner)  # a ReplicationController's is a plain map
            owner = {}
        merged = {**labels, **(owner.get("matchLabels") or {})}
        return from_label_selector({"matchLabels": merged, "matchExpressions": owner.get("matchExpressions") or []})

    def _owner_selector(self, pod: PodInfo) -> dict[str, Any] | None:
        references = pod.obj["metadata"].get("ownerReferences") or ()
        reference = next((r for r in references if r.get("controller")), None)
        if reference is None:
            return None
        informer = self._owners.get((reference.get("apiVersion", ""), reference.get("kind", "")))
        owner = informer.get(pod.namespace, reference["name"]) if informer else None
        selector: dict[str, Any] | None = owner["spec"]["selector"] if owner else None
        return selector
