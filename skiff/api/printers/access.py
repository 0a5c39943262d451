"""Rows of what guards and extends the API: rbac, certificates, admission registration, flow control, aggregation."""

from collections.abc import Mapping
from typing import Any

from skiff.api.meta import get_condition
from skiff.api.printers.text import (
    AGE,
    EMPTY,
    NAME,
    NONE,
    UNSET,
    age,
    columns,
    human_duration,
    integer,
    labels,
    name,
    spec,
    status,
    wide,
)
from skiff.api.resources import Printer
from skiff.api.types import Obj

# --- rbac


def _binding(obj: Obj, now: float) -> list[Any]:
    role = obj.get("roleRef") or EMPTY
    found: dict[str, list[str]] = {"User": [], "Group": [], "ServiceAccount": []}
    for subject in obj.get("subjects") or ():
        kind, shown = subject.get("kind"), subject.get("name", "")
        if kind == "ServiceAccount":
            shown = f"{subject.get('namespace', '')}/{shown}"
        if kind in found:
            found[kind].append(shown)
    reference = f"{role.get('kind', '')}/{role.get('name', '')}"
    return [name(obj), reference, age(obj, now), *(", ".join(names) for names in found.values())]


_BINDING = Printer(columns(NAME, "Role", AGE, wide("Users"), wide("Groups"), wide("ServiceAccounts")), _binding)

RBAC = {"rolebindings": _BINDING, "clusterrolebindings": _BINDING}


# --- certificates


def _signing_request(obj: Obj, now: float) -> list[Any]:
    found = spec(obj)
    seconds = found.get("expirationSeconds")
    return [
        name(obj),
        age(obj, now),
        found.get("signerName") or NONE,
        found.get("username", ""),
        NONE if seconds is None else human_duration(seconds),
        _request_state(obj),
    ]


def _request_state(obj: Obj) -> str:
    types = {c.get("type") for c in status(obj).get("conditions") or ()}
    state = "Denied" if "Denied" in types else "Approved" if "Approved" in types else "Pending"
    state += ",Failed" if "Failed" in types else ""
    return state + (",Issued" if status(obj).get("certificate") else "")


def _trust_bundle(obj: Obj, now: float) -> list[Any]:
    return [name(obj), spec(obj).get("signerName") or NONE]


def _pod_certificate(obj: Obj, now: float) -> list[Any]:
    found, state = spec(obj), "Pending"
    for condition in status(obj).get("conditions") or ():
        if condition.get("type") in ("Issued", "Denied", "Failed"):
            state = condition["type"]
    return [
        name(obj),
        found.get("podName", ""),
        found.get("serviceAccountName", ""),
        found.get("nodeName", ""),
        found.get("signerName", ""),
        state,
        labels(found.get("unverifiedUserAnnotations")),
    ]


CERTIFICATES = {
    "certificatesigningrequests": Printer(
        columns(NAME, AGE, "SignerName", "Requestor", "RequestedDuration", "Condition"),
        _signing_request,
    ),
    "clustertrustbundles": Printer(columns(NAME, "SignerName"), _trust_bundle),
    "podcertificaterequests": Printer(
        columns(NAME, "PodName", "ServiceAccountName", "NodeName", "SignerName", "State", "UnverifiedUserAnnotations"),
        _pod_certificate,
    ),
}


# --- admission


def _webhooks(obj: Obj, now: float) -> list[Any]:
    return [name(obj), len(obj.get("webhooks") or ()), age(obj, now)]


def _policy(field: str) -> Any:
    def cells(obj: Obj, now: float) -> list[Any]:
        found = spec(obj)
        kind = found.get("paramKind")
        parameter = UNSET if kind is None else f"{kind.get('apiVersion', '')}/{kind.get('kind', '')}"
        return [name(obj), len(found.get(field) or ()), parameter, age(obj, now)]

    return cells


def _policy_binding(obj: Obj, now: float) -> list[Any]:
    reference = spec(obj).get("paramRef") or EMPTY
    shown = UNSET
    if reference.get("name"):
        shown = f"{reference.get('namespace') or '*'}/{reference['name']}"
    elif reference.get("selector") is not None:
        shown = _go_selector(reference["selector"])
    return [name(obj), spec(obj).get("policyName", ""), shown, age(obj, now)]


def _go_selector(selector: Mapping[str, Any]) -> str:
    """A LabelSelector as Go's generated String() prints it."""
    pairs = "".join(f"{k}: {v}," for k, v in sorted((selector.get("matchLabels") or EMPTY).items()))
    expressions = "".join(
        f"LabelSelectorRequirement{{Key:{e.get('key', '')},Operator:{e.get('operator', '')},"
        f"Values:[{' '.join(e.get('values') or ())}],}},"
        for e in selector.get("matchExpressions") or ()
    )
    return (
        f"&LabelSelector{{MatchLabels:map[string]string{{{pairs}}},"
        f"MatchExpressions:[]LabelSelectorRequirement{{{expressions}}},}}"
    )


_WEBHOOKS = Printer(columns(NAME, integer("Webhooks"), AGE), _webhooks)
_POLICY_BINDING = Printer(columns(NAME, "PolicyName", "ParamRef", AGE), _policy_binding)

ADMISSION = {
    "mutatingwebhookconfigurations": _WEBHOOKS,
    "validatingwebhookconfigurations": _WEBHOOKS,
    "validatingadmissionpolicies": Printer(
        columns(NAME, integer("Validations"), "ParamKind", AGE), _policy("validations")
    ),
    "validatingadmissionpolicybindings": _POLICY_BINDING,
    "mutatingadmissionpolicies": Printer(columns(NAME, integer("Mutations"), "ParamKind", AGE), _policy("mutations")),
    "mutatingadmissionpolicybindings": _POLICY_BINDING,
}


# --- flow control


def _flow_schema(obj: Obj, now: float) -> list[Any]:
    found = spec(obj)
    dangling = get_condition(obj, "Dangling")
    method = found.get("distinguisherMethod")
    return [
        name(obj),
        (found.get("priorityLevelConfiguration") or EMPTY).get("name", ""),
        found.get("matchingPrecedence") or 0,
        NONE if method is None else method.get("type", ""),
        age(obj, now),
        "?" if dangling is None else dangling.get("status", ""),
    ]


def _by_precedence(obj: Obj) -> Any:
    return spec(obj).get("matchingPrecedence") or 0, name(obj)


def _priority_level(obj: Obj, now: float) -> list[Any]:
    limited = spec(obj).get("limited")
    shares = NONE if limited is None else limited.get("nominalConcurrencyShares", 0)
    queuing = ((limited or EMPTY).get("limitResponse") or EMPTY).get("queuing")
    fields = ("queues", "handSize", "queueLengthLimit")
    queues = [NONE] * 3 if queuing is None else [queuing.get(field) or 0 for field in fields]
    return [name(obj), spec(obj).get("type", ""), shares, *queues, age(obj, now)]


FLOW_CONTROL = {
    "flowschemas": Printer(
        columns(NAME, "PriorityLevel", "MatchingPrecedence", "DistinguisherMethod", AGE, "MissingPL"),
        _flow_schema,
        order=_by_precedence,
    ),
    "prioritylevelconfigurations": Printer(
        columns(NAME, "Type", "NominalConcurrencyShares", "Queues", "HandSize", "QueueLengthLimit", AGE),
        _priority_level,
    ),
}


# --- aggregation


def _api_service(obj: Obj, now: float) -> list[Any]:
    service = spec(obj).get("service")
    backend = f"{service.get('namespace', '')}/{service.get('name', '')}" if service else "Local"
    condition = get_condition(obj, "Available") or {"status": "Unknown"}
    available = condition.get("status", "")
    if available != "True" and condition.get("reason"):
        available = f"{available} ({condition['reason']})"
    return [name(obj), backend, available, age(obj, now)]


AGGREGATION = {"apiservices": Printer(columns(NAME, "Service", "Available", AGE), _api_service)}
