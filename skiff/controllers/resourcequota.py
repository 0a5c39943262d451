"""ResourceQuotas: what a namespace uses of each limited thing, for people to see and for admission to go by.

Pods that have ended use nothing. Objects of any kind are counted as `count/RESOURCE.GROUP`. Looks again when something
that counts comes or goes, and every minute for what is not cached. Source: upstream pkg/controller/resourcequota,
pkg/quota/v1/evaluator/core.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence

from skiff.api import podresources
from skiff.api.gvr import PERSISTENTVOLUMECLAIMS, PODS, RESOURCEQUOTAS, SERVICES
from skiff.api.meta import is_pod_terminal, namespace
from skiff.api.quantity import Quantity, from_value, parse
from skiff.api.types import GVR, Obj
from skiff.client.controller import Key, Watch, key_of, split_key
from skiff.client.discovery import discover
from skiff.client.informer import Change, Informers
from skiff.client.metadata import MetadataClient
from skiff.client.rest import Client
from skiff.controllers.common.meta import spec, status

RECOUNT_S = 60.0
_COUNTED = {"configmaps", "secrets", "replicationcontrollers", "resourcequotas"}
_CLASS = ".storageclass.storage.k8s.io/"


def in_scope(quota: Obj, pod: Obj) -> bool:
    """All of the quota's scopes include the pod."""
    scopes = [(s, "Exists", ()) for s in spec(quota).get("scopes") or ()]
    for found in (spec(quota).get("scopeSelector") or {}).get("matchExpressions") or ():
        scopes.append((found["scopeName"], found["operator"], tuple(found.get("values") or ())))
    return all(_matches(scope, operator, values, pod) for scope, operator, values in scopes)


def _matches(scope: str, operator: str, values: Sequence[str], pod: Obj) -> bool:
    match scope:
        case "Terminating":
            return spec(pod).get("activeDeadlineSeconds") is not None
        case "NotTerminating":
            return spec(pod).get("activeDeadlineSeconds") is None
        case "BestEffort":
            return podresources.qos_class(pod) == "BestEffort"
        case "NotBestEffort":
            return podresources.qos_class(pod) != "BestEffort"
        case "PriorityClass":
            return _holds(operator, values, str(spec(pod).get("priorityClassName") or ""))
    return False


def _holds(operator: str, values: Sequence[str], found: str) -> bool:
    tests: dict[str, Callable[[], bool]] = {
        "In": lambda: found in values,
        "NotIn": lambda: found not in values,
        "Exists": lambda: bool(found),
        "DoesNotExist": lambda: not found,
    }
    return tests[operator]()


def pod_usage(pod: Obj) -> dict[str, Quantity]:
    """By the names that quotas use."""
    used = {"pods": from_value(1), "count/pods": from_value(1)}
    if is_pod_terminal(pod):
        return {"count/pods": from_value(1)}
    for resource, amount in podresources.pod_requests(pod).items():
        used[f"requests.{resource}"] = amount
        if resource in ("cpu", "memory", "ephemeral-storage") or resource.startswith("hugepages-"):
            used[resource] = amount
    for resource, amount in podresources.pod_limits(pod).items():
        used[f"limits.{resource}"] = amount
    return used


def service_usage(service: Obj) -> dict[str, Quantity]:
    used = {"services": from_value(1), "count/services": from_value(1)}
    kind, ports = spec(service).get("type"), spec(service).get("ports") or ()
    if kind == "LoadBalancer":
        used["services.loadbalancers"] = from_value(1)
    if kind in ("NodePort", "LoadBalancer"):
        used["services.nodeports"] = from_value(sum(bool(port.get("nodePort")) for port in ports))
    return used


def claim_usage(claim: Obj) -> dict[str, Quantity]:
    used = {"persistentvolumeclaims": from_value(1), "count/persistentvolumeclaims": from_value(1)}
    wanted = ((spec(claim).get("resources") or {}).get("requests") or {}).get("storage")
    if wanted is not None:
        used["requests.storage"] = parse(wanted)
    if own := spec(claim).get("storageClassName"):
        for resource in ("persistentvolumeclaims", "requests.storage"):
            if resource in used:
                used[f"{own}{_CLASS}{resource}"] = used[resource]
    return used


def total(usages: Iterable[Mapping[str, Quantity]]) -> dict[str, Quantity]:
    found: dict[str, Quantity] = {}
    for usage in usages:
        for resource, amount in usage.items():
            found[resource] = found[resource] + amount if resource in found else amount
    return found


def next_status(quota: Obj, used: Mapping[str, Quantity], counts: Mapping[str, int]) -> Obj:
    """used: summed usages; counts: of objects, by the names under which quotas count them."""
    hard = spec(quota).get("hard") or {}
    result = {}
    for resource in hard:
        if resource in used:
            result[resource] = str(used[resource])
        else:
            result[resource] = str(counts.get(resource, 0))
    return {"hard": dict(hard), "used": result}


def to_count(quota: Obj, cached: Iterable[str]) -> list[str]:
    """Limited names whose objects have to be counted by asking the server."""
    known = set(cached)
    return [r for r in spec(quota).get("hard") or {} if (r.startswith("count/") or r in _COUNTED) and r not in known]


class ResourceQuotaController:
    name = "resourcequota-controller"
    workers = 5

    def __init__(self, *, client: Client, informers: Informers):
        self._client = client
        self._metadata = MetadataClient(client.transport, user_agent=client.user_agent)
        self._quotas = informers.get(RESOURCEQUOTAS)
        self._usages = {
            informers.get(gvr): usage
            for gvr, usage in ((PODS, pod_usage), (SERVICES, service_usage), (PERSISTENTVOLUMECLAIMS, claim_usage))
        }

    def watches(self) -> list[Watch]:
        return [Watch(RESOURCEQUOTAS), *(Watch(i.gvr, self._changed) for i in self._usages)]

    def _changed(self, change: Change) -> Iterable[Key]:
        quotas = self._quotas.items(namespace(change.object))
        if not quotas or (change.old and change.new and _weight(change.old) == _weight(change.new)):
            return []
        return [key_of(quota) for quota in quotas]

    async def reconcile(self, key: Key) -> float | None:
        quota = self._quotas.get(*split_key(key))
        if quota is None:
            return None
        scope = namespace(quota)
        usages = [
            usage(obj)
            for informer, usage in self._usages.items()
            for obj in informer.items(scope)
            if informer.gvr != PODS or in_scope(quota, obj)
        ]
        used = total(usages)
        asked = to_count(quota, ("count/pods", "count/services", "count/persistentvolumeclaims"))
        counts = await self._count(scope, asked) if asked else {}
        new = next_status(quota, used, counts)
        if new != status(quota):
            await self._client.update(RESOURCEQUOTAS, {**quota, "status": new}, subresource="status")
        return RECOUNT_S if asked else None

    async def _count(self, scope: str, names: Sequence[str]) -> dict[str, int]:
        served = {gvr.group_resource: gvr for gvr in (await discover(self._client)).supporting("list")}
        found = {}
        for resource in names:
            gvr: GVR | None = served.get(resource.removeprefix("count/"))
            if gvr is not None:
                found[resource] = len((await self._metadata.list(gvr, scope)).items)
        return found


def _weight(obj: Obj) -> tuple[object, ...]:
    return spec(obj), (status(obj).get("phase") in ("Succeeded", "Failed"))
