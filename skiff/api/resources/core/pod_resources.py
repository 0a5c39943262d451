"""Pod-level resources that follow from the containers' (KEP-2837). Source: pkg/apis/core/v1/defaults.go."""

from skiff.api.podresources import is_pod_level, pod_limits, pod_requests
from skiff.api.resources.fields import child
from skiff.api.types import Obj


def default_pod_level_resources(spec: Obj) -> None:
    """Hugepage limits from the containers', then requests from the containers' requests or the pod's limits.

    Only for pods that name some resources on the pod level; hugepages cannot be overcommitted, so their request is the limit.
    """
    resources = spec.get("resources")
    if not resources or not (resources.get("limits") or resources.get("requests")):
        return
    containers = {"spec": {**spec, "resources": None}}
    limits = dict(resources.get("limits") or {})
    requests = dict(resources.get("requests") or {})
    for name, amount in pod_limits(containers, overhead=False).items():
        if name.startswith("hugepages-") and name not in requests:
            limits.setdefault(name, str(amount))
    if limits:
        resources["limits"] = limits
        for name, amount in pod_requests(containers, overhead=False).items():
            if is_pod_level(name) and not name.startswith("hugepages-"):
                requests.setdefault(name, str(amount))
        for name, limit in limits.items():
            if is_pod_level(name):
                requests.setdefault(name, limit)
    if requests:
        child(spec, "resources")["requests"] = requests
