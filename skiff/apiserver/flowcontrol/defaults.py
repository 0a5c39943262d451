"""The flow schemas and priority levels that a cluster starts with. Source: upstream apis/flowcontrol/bootstrap.

The mandatory ones are always as here; the suggested ones follow while they carry the annotation AUTOUPDATE: "true".
"""

from collections.abc import Sequence

from skiff.api.types import Obj

AUTOUPDATE = "apf.kubernetes.io/autoupdate-spec"
MANDATORY = frozenset(("exempt", "catch-all"))
API = "flowcontrol.apiserver.k8s.io/v1"

# name: shares, lendable percent, (queues, hand size)
_LEVELS = {
    "catch-all": (5, 0, None),
    "system": (30, 33, (64, 6)),
    "node-high": (40, 25, (64, 6)),
    "leader-election": (10, 0, (16, 4)),
    "workload-high": (40, 50, (128, 6)),
    "workload-low": (100, 90, (128, 6)),
    "global-default": (20, 50, (128, 6)),
}
_EVERYBODY = ("Group:system:unauthenticated", "Group:system:authenticated")
_KUBE_SYSTEM = "ServiceAccount:*"
_ALL = (("*", "*", ("*",), True),)

# name, level, precedence, distinguisher, subjects, resource rules (verbs, group, resources, cluster scope), paths
_SCHEMAS = (
    ("exempt", "exempt", 1, "", ("Group:system:masters",), _ALL, ("*",)),
    ("probes", "exempt", 2, "", _EVERYBODY, (), ("/healthz", "/readyz", "/livez")),
    (
        "system-leader-election",
        "leader-election",
        100,
        "ByUser",
        ("User:system:kube-controller-manager", "User:system:kube-scheduler", _KUBE_SYSTEM),
        (("get create update", "coordination.k8s.io", ("leases",), False),),
        (),
    ),
    (
        "system-node-high",
        "node-high",
        400,
        "ByUser",
        ("Group:system:nodes",),
        (("*", "", ("nodes", "nodes/status"), True), ("*", "coordination.k8s.io", ("leases",), False)),
        (),
    ),
    ("system-nodes", "system", 500, "ByUser", ("Group:system:nodes",), _ALL, ("*",)),
    (
        "kube-controller-manager",
        "workload-high",
        800,
        "ByNamespace",
        ("User:system:kube-controller-manager",),
        _ALL,
        ("*",),
    ),
    ("kube-scheduler", "workload-high", 800, "ByNamespace", ("User:system:kube-scheduler",), _ALL, ("*",)),
    ("kube-system-service-accounts", "workload-high", 900, "ByNamespace", (_KUBE_SYSTEM,), _ALL, ("*",)),
    ("service-accounts", "workload-low", 9000, "ByUser", ("Group:system:serviceaccounts",), _ALL, ("*",)),
    ("global-default", "global-default", 9900, "ByUser", _EVERYBODY, _ALL, ("*",)),
    ("catch-all", "catch-all", 10000, "ByUser", _EVERYBODY, _ALL, ("*",)),
)


def levels() -> list[Obj]:
    exempt = {"type": "Exempt", "exempt": {"nominalConcurrencyShares": 0, "lendablePercent": 0}}
    return [_object("PriorityLevelConfiguration", "exempt", exempt), *[_level(n, *v) for n, v in _LEVELS.items()]]


def _level(name: str, shares: int, lendable: int, queues: tuple[int, int] | None) -> Obj:
    response: Obj = {"type": "Reject"}
    if queues is not None:
        queuing = {"queues": queues[0], "handSize": queues[1], "queueLengthLimit": 50}
        response = {"type": "Queue", "queuing": queuing}
    limited = {"nominalConcurrencyShares": shares, "lendablePercent": lendable, "limitResponse": response}
    return _object("PriorityLevelConfiguration", name, {"type": "Limited", "limited": limited})


def schemas() -> list[Obj]:
    return [_schema(*row) for row in _SCHEMAS]


def _schema(
    name: str,
    level: str,
    precedence: int,
    distinguisher: str,
    subjects: Sequence[str],
    resources: Sequence[tuple[str, str, Sequence[str], bool]],
    paths: Sequence[str],
) -> Obj:
    rule: Obj = {"subjects": [_subject(*s.split(":", 1)) for s in subjects]}
    if resources:
        rule["resourceRules"] = [_resource(*r) for r in resources]
    if paths:
        rule["nonResourceRules"] = [{"verbs": ["get" if name == "probes" else "*"], "nonResourceURLs": list(paths)}]
    spec: Obj = {
        "priorityLevelConfiguration": {"name": level},
        "matchingPrecedence": precedence,
        "rules": [rule],
    }
    if distinguisher:
        spec["distinguisherMethod"] = {"type": distinguisher}
    return _object("FlowSchema", name, spec)


def _subject(kind: str, name: str) -> Obj:
    field = kind[0].lower() + kind[1:]
    return {"kind": kind, field: {"name": name, **({"namespace": "kube-system"} if kind == "ServiceAccount" else {})}}


def _resource(verbs: str, group: str, resources: Sequence[str], cluster: bool) -> Obj:
    rule: Obj = {"verbs": verbs.split(), "apiGroups": [group], "resources": list(resources), "namespaces": ["*"]}
    return {**rule, "clusterScope": True} if cluster else rule


def _object(kind: str, name: str, spec: Obj) -> Obj:
    meta = {"name": name, "annotations": {AUTOUPDATE: "true"}}
    return {"apiVersion": API, "kind": kind, "metadata": meta, "spec": spec}
