"""LimitRanger: containers get the default requests and limits of their namespace, and keep within its bounds."""

from collections.abc import Callable, Iterator, Mapping

from skiff.api import podresources, quantity
from skiff.api.gvr import LIMITRANGES
from skiff.api.quantity import Quantity
from skiff.api.types import Obj
from skiff.apiserver.admission import Attributes, Plugin
from skiff.apiserver.lookup import Lookup

ANNOTATION = "kubernetes.io/limit-ranger"
Amounts = Mapping[str, Quantity]


class LimitRanger(Plugin):
    name = "LimitRanger"
    resources = frozenset(("pods", "pods/resize", "persistentvolumeclaims"))

    def __init__(self, lookup: Lookup):
        self._lookup = lookup

    async def mutate(self, attrs: Attributes) -> None:
        if attrs.gvr.plural != "pods" or attrs.obj is None or not _is_due(attrs):
            return
        for limit_range in self._lookup.list(LIMITRANGES, attrs.namespace):
            apply_defaults(limit_range, attrs.obj)

    async def validate(self, attrs: Attributes) -> None:
        if attrs.obj is None or not _is_due(attrs):
            return
        for limit_range in self._lookup.list(LIMITRANGES, attrs.namespace):
            check = pod_violations if attrs.gvr.plural == "pods" else claim_violations
            found = list(dict.fromkeys(check(limit_range, attrs.obj)))
            if found:
                raise attrs.forbid(found[0] if len(found) == 1 else f"[{', '.join(found)}]")


def _is_due(attrs: Attributes) -> bool:
    """A pod's resources change only at its creation and through `resize`; what is being deleted is left alone."""
    if attrs.old is not None and attrs.old["metadata"].get("deletionTimestamp"):
        return False
    is_update = attrs.operation == "UPDATE"
    return attrs.gvr.plural != "pods" or is_update == (attrs.subresource == "resize")


# defaults


def apply_defaults(limit_range: Obj, pod: Obj) -> None:
    """Fills in what containers lack, and notes it in an annotation as upstream does."""
    limits: Obj = {}
    requests: Obj = {}
    for item in limit_range["spec"].get("limits") or ():
        if item.get("type") == "Container":
            requests.update(item.get("defaultRequest") or {})
            limits.update(item.get("default") or {})
    notes = []
    for kind, words in (("containers", "container"), ("initContainers", "init container")):
        for container in pod["spec"].get(kind) or ():
            notes += _fill(container, words, requests, limits)
    if notes:
        annotations = pod["metadata"].get("annotations") or {}
        note = "LimitRanger plugin set: " + "; ".join(notes)
        pod["metadata"]["annotations"] = {**annotations, ANNOTATION: note}


def _fill(container: Obj, words: str, requests: Obj, limits: Obj) -> list[str]:
    """What was added, as sentences for the annotation."""
    resources = container.setdefault("resources", {})
    notes = []
    for kind, what, defaults in (("requests", "request", requests), ("limits", "limit", limits)):
        given = resources.get(kind) or {}
        missing = sorted(k for k in defaults if k not in given)
        if missing:
            resources[kind] = {**given, **{k: defaults[k] for k in missing}}
            notes.append(f"{', '.join(missing)} {what} for {words} {container.get('name')}")
    return notes


# bounds


def pod_violations(limit_range: Obj, pod: Obj) -> Iterator[str]:
    """Every bound of the range that the pod or one of its containers breaks, in upstream's words."""
    spec = pod["spec"]
    containers = [*(spec.get("containers") or ()), *(spec.get("initContainers") or ())]
    for item in limit_range["spec"].get("limits") or ():
        if item.get("type") == "Container":
            for container in containers:
                resources = container.get("resources") or {}
                requests, limits = (podresources.quantities(resources.get(k)) for k in ("requests", "limits"))
                yield from _violations(item, "Container", requests, limits)
        elif item.get("type") == "Pod":
            requests = podresources.pod_requests(pod, overhead=False)
            yield from _violations(item, "Pod", requests, podresources.pod_limits(pod, overhead=False))


def claim_violations(limit_range: Obj, claim: Obj) -> Iterator[str]:
    requests = podresources.quantities((claim["spec"].get("resources") or {}).get("requests"))
    kind = "PersistentVolumeClaim"
    for item in limit_range["spec"].get("limits") or ():
        if item.get("type") == kind:
            for name, bound in _bounds(item, "min"):
                yield from _below(kind, name, bound, requests, {})
            for name, bound in _bounds(item, "max"):
                asked = requests.get(name)
                if asked is None:
                    yield f"maximum {name} usage per {kind} is {bound}.  No request is specified"
                elif asked > bound:
                    yield f"maximum {name} usage per {kind} is {bound}, but request is {asked}"


_Check = Callable[[str, str, Quantity, Amounts, Amounts], Iterator[str]]


def _violations(item: Obj, kind: str, requests: Amounts, limits: Amounts) -> Iterator[str]:
    checks: tuple[tuple[str, _Check], ...] = (("min", _below), ("max", _above), ("maxLimitRequestRatio", _ratio))
    for field, check in checks:
        for name, bound in _bounds(item, field):
            yield from check(kind, name, bound, requests, limits)


def _bounds(item: Obj, field: str) -> Iterator[tuple[str, Quantity]]:
    for name, text in (item.get(field) or {}).items():
        yield name, quantity.parse(text)


def _below(kind: str, name: str, bound: Quantity, requests: Amounts, limits: Amounts) -> Iterator[str]:
    request, limit = requests.get(name), limits.get(name)
    if request is None:
        yield f"minimum {name} usage per {kind} is {bound}.  No request is specified"
    elif request < bound:
        yield f"minimum {name} usage per {kind} is {bound}, but request is {request}"
    elif limit is not None and limit < bound:
        yield f"minimum {name} usage per {kind} is {bound}, but limit is {limit}"


def _above(kind: str, name: str, bound: Quantity, requests: Amounts, limits: Amounts) -> Iterator[str]:
    request, limit = requests.get(name), limits.get(name)
    if limit is None:
        yield f"maximum {name} usage per {kind} is {bound}.  No limit is specified"
    elif limit > bound:
        yield f"maximum {name} usage per {kind} is {bound}, but limit is {limit}"
    elif request is not None and request > bound:
        yield f"maximum {name} usage per {kind} is {bound}, but request is {request}"


def _ratio(kind: str, name: str, bound: Quantity, requests: Amounts, limits: Amounts) -> Iterator[str]:
    request, limit = requests.get(name), limits.get(name)
    if not request:
        yield f"{name} max limit to request ratio per {kind} is {bound}, but no request is specified or request is 0"
    elif not limit:
        yield f"{name} max limit to request ratio per {kind} is {bound}, but no limit is specified or limit is 0"
    elif float(limit) / float(request) > float(bound):
        ratio = float(limit) / float(request)
        yield f"{name} max limit to request ratio per {kind} is {bound}, but provided ratio is {ratio:.6f}"
