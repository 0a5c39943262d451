"""autoscaling: HorizontalPodAutoscaler in v2 (stored) and v1. Source: pkg/apis/autoscaling/{v1,v2}.

v1 knows one metric, the CPU utilization of the pods; what else v2 holds travels through v1 in annotations.
"""

from collections.abc import Sequence
from copy import deepcopy
from typing import Any

import orjson

from skiff.api.gvr import GVR
from skiff.api.resources import Resource
from skiff.api.resources import autoscaling_checks as checks
from skiff.api.resources.checks import update_validator, validator
from skiff.api.resources.define import STATUS, builtin
from skiff.api.resources.fields import child, empty_status, get
from skiff.api.types import Obj

HPA = GVR("autoscaling", "v2", "horizontalpodautoscalers", "HorizontalPodAutoscaler")
DEFAULT_CPU_PERCENT = 80

METRICS = "autoscaling.alpha.kubernetes.io/metrics"
CURRENT_METRICS = "autoscaling.alpha.kubernetes.io/current-metrics"
CONDITIONS = "autoscaling.alpha.kubernetes.io/conditions"
BEHAVIOR = "autoscaling.alpha.kubernetes.io/behavior"

_SCALE_UP: Obj = {
    "stabilizationWindowSeconds": 0,
    "selectPolicy": "Max",
    "policies": [
        {"type": "Pods", "value": 4, "periodSeconds": 15},
        {"type": "Percent", "value": 100, "periodSeconds": 15},
    ],
}
_SCALE_DOWN: Obj = {"selectPolicy": "Max", "policies": [{"type": "Percent", "value": 100, "periodSeconds": 15}]}


def cpu_metric(percent: int) -> Obj:
    """Scale by the pods' CPU use as a share of their requests."""
    target = {"type": "Utilization", "averageUtilization": percent}
    return {"type": "Resource", "resource": {"name": "cpu", "target": target}}


def default_v2(obj: Obj) -> None:
    spec = child(obj, "spec")
    spec.setdefault("minReplicas", 1)
    if not spec.get("metrics"):
        spec["metrics"] = [cpu_metric(DEFAULT_CPU_PERCENT)]
    behavior = spec.get("behavior")
    if behavior is not None:
        for direction, usual in (("scaleUp", _SCALE_UP), ("scaleDown", _SCALE_DOWN)):
            behavior[direction] = {**deepcopy(usual), **(behavior.get(direction) or {})}
    empty_status("desiredReplicas")(obj)
    obj["status"].setdefault("currentMetrics", None)


def default_v1(obj: Obj) -> None:
    spec = child(obj, "spec")
    spec.setdefault("minReplicas", 1)
    if METRICS not in (get(obj, "metadata", "annotations") or {}):
        spec.setdefault("targetCPUUtilizationPercentage", DEFAULT_CPU_PERCENT)
    empty_status("currentReplicas", "desiredReplicas")(obj)


def to_v2(obj: Obj) -> Obj:
    """A v1 object as the v2 one that is stored; what v1 keeps in annotations becomes fields."""
    new = deepcopy(obj)
    new["apiVersion"] = "autoscaling/v2"
    spec, status = child(new, "spec"), child(new, "status")
    hidden = _take_annotations(new)
    metrics = hidden.get(METRICS) or []
    percent = spec.pop("targetCPUUtilizationPercentage", None)
    if percent is not None:
        metrics.append(cpu_metric(percent))
    if metrics:
        spec["metrics"] = [_metric_to_v2(m) for m in metrics]
    if hidden.get(BEHAVIOR):
        spec["behavior"] = hidden[BEHAVIOR]
    current = hidden.get(CURRENT_METRICS) or []
    use = status.pop("currentCPUUtilizationPercentage", None)
    if use is not None and not current:
        current = [{"type": "Resource", "resource": {"name": "cpu", "current": {"averageUtilization": use}}}]
    if current:
        status["currentMetrics"] = current
    if hidden.get(CONDITIONS):
        status["conditions"] = hidden[CONDITIONS]
    return new


def to_v1(obj: Obj) -> Obj:
    """The stored v2 object as v1; what v1 has no field for goes into annotations."""
    new = deepcopy(obj)
    new["apiVersion"] = "autoscaling/v1"
    spec, status = child(new, "spec"), child(new, "status")
    annotations = dict(get(new, "metadata", "annotations") or {})
    others = []
    for metric in spec.pop("metrics", None) or []:
        percent = _cpu_percent(metric)
        if percent is not None and "targetCPUUtilizationPercentage" not in spec:
            spec["targetCPUUtilizationPercentage"] = percent
        else:
            others.append(metric)
    current = status.pop("currentMetrics", None) or []
    for metric in current:
        use = get(metric, "resource", "current", "averageUtilization")
        if metric.get("type") == "Resource" and get(metric, "resource", "name") == "cpu" and use is not None:
            status["currentCPUUtilizationPercentage"] = use
    found = (
        (METRICS, others),
        (CURRENT_METRICS, current),
        (CONDITIONS, status.pop("conditions", None)),
        (BEHAVIOR, spec.pop("behavior", None)),
    )
    for name, value in found:
        if value:
            annotations[name] = orjson.dumps(value).decode()
    if annotations:
        child(new, "metadata")["annotations"] = annotations
    return new


def _cpu_percent(metric: Obj) -> Any:
    if metric.get("type") != "Resource" or get(metric, "resource", "name") != "cpu":
        return None
    return get(metric, "resource", "target", "averageUtilization")


def _metric_to_v2(metric: Obj) -> Obj:
    """Annotations written by older clients hold the v2beta1 shape of resource metrics."""
    resource = metric.get("resource")
    if isinstance(resource, dict) and "target" not in resource:
        if resource.get("targetAverageUtilization") is not None:
            target: Obj = {"type": "Utilization", "averageUtilization": resource["targetAverageUtilization"]}
        else:
            target = {"type": "AverageValue", "averageValue": resource.get("targetAverageValue", "0")}
        return {"type": metric.get("type"), "resource": {"name": resource.get("name"), "target": target}}
    return metric


def _take_annotations(new: Obj) -> dict[str, Any]:
    """The values of the annotations that carry v2 fields; unreadable ones count as absent. They are removed."""
    annotations = dict(get(new, "metadata", "annotations") or {})
    hidden: dict[str, Any] = {}
    for name in (METRICS, CURRENT_METRICS, CONDITIONS, BEHAVIOR):
        written = annotations.pop(name, None)
        if written:
            try:
                hidden[name] = orjson.loads(written)
            except orjson.JSONDecodeError:
                hidden[name] = None
    if new.get("metadata", {}).get("annotations"):
        if annotations:
            new["metadata"]["annotations"] = annotations
        else:
            del new["metadata"]["annotations"]
    return hidden


RESOURCES: Sequence[Resource] = (
    builtin(
        "autoscaling",
        "v2",
        "horizontalpodautoscalers",
        "HorizontalPodAutoscaler",
        short_names=("hpa",),
        categories=("all",),
        subresources=(STATUS,),
        default=default_v2,
        validate=validator(checks.check_autoscaler),
        validate_create=validator(checks.check_target_version),
        validate_update=update_validator(checks.check_target_update),
        validate_status_update=update_validator(checks.check_autoscaler_status),
    ),
    builtin(
        "autoscaling",
        "v1",
        "horizontalpodautoscalers",
        "HorizontalPodAutoscaler",
        short_names=("hpa",),
        categories=("all",),
        subresources=(STATUS,),
        default=default_v1,
        defaults_by_metadata=True,
        validate=validator(checks.check_autoscaler),
        validate_create=validator(checks.check_target_version),
        validate_update=update_validator(checks.check_target_update),
        validate_status_update=update_validator(checks.check_autoscaler_status),
        storage=HPA,
        to_storage=to_v2,
        from_storage=to_v1,
    ),
)
