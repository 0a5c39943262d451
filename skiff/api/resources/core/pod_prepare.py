"""What the server itself sets on a pod that is written. Source: pkg/registry/core/pod/strategy.go."""

from typing import Any

from skiff.api import podresources
from skiff.api.resources.fields import child, get, items
from skiff.api.types import Obj


def prepare_pod(new: Obj, old: Obj | None) -> None:
    """A new pod is Pending, knows its QoS class, and is gated when it names gates; label keys become selectors."""
    if old is not None:
        return
    spec = child(new, "spec")
    new["status"] = {"phase": "Pending", "qosClass": podresources.qos_class(new)}
    if spec.get("schedulingGates"):
        new["status"]["conditions"] = [
            {
                "type": "PodScheduled",
                "status": "False",
                "lastProbeTime": None,
                "lastTransitionTime": get(new, "metadata", "creationTimestamp"),
                "reason": "SchedulingGated",
                "message": "Scheduling is blocked due to non-empty scheduling gates",
            }
        ]
    labels = get(new, "metadata", "labels") or {}
    for term in _affinity_terms(spec):
        _select_by_keys(term, term.get("matchLabelKeys"), "In", labels)
        _select_by_keys(term, term.get("mismatchLabelKeys"), "NotIn", labels)
    for constraint in items(spec, "topologySpreadConstraints"):
        _select_by_keys(constraint, constraint.get("matchLabelKeys"), "In", labels)


def _affinity_terms(spec: Obj) -> list[Obj]:
    terms: list[Obj] = []
    for kind in ("podAffinity", "podAntiAffinity"):
        affinity = get(spec, "affinity", kind)
        terms += items(affinity, "requiredDuringSchedulingIgnoredDuringExecution")
        for weighted in items(affinity, "preferredDuringSchedulingIgnoredDuringExecution"):
            if weighted.get("podAffinityTerm"):
                terms.append(weighted["podAffinityTerm"])
    return terms


def _select_by_keys(term: Obj, keys: list[str] | None, operator: str, labels: dict[str, Any]) -> None:
    """The pod's own values of the keys, as requirements of the term's selector. No selector: matches nothing anyway."""
    if not keys or term.get("labelSelector") is None:
        return
    for key in keys:
        if key in labels:
            requirement = {"key": key, "operator": operator, "values": [labels[key]]}
            term["labelSelector"].setdefault("matchExpressions", []).append(requirement)
