"""Rows of networking.k8s.io and discovery.k8s.io."""

from typing import Any

from skiff.api.printers.core import load_balancer
from skiff.api.printers.text import (
    AGE,
    EMPTY,
    NAME,
    NONE,
    age,
    columns,
    first_three,
    name,
    spec,
)
from skiff.api.resources import Printer
from skiff.api.selectors import format_label_selector
from skiff.api.types import Obj


def _ingress(obj: Obj, now: float) -> list[Any]:
    found = spec(obj)
    ports = "80, 443" if found.get("tls") else "80"
    return [
        name(obj),
        found.get("ingressClassName", NONE),
        _hosts(found.get("rules") or []),
        load_balancer(obj),
        ports,
        age(obj, now),
    ]


def _hosts(rules: list[Obj]) -> str:
    """The first three hosts; rules without a host do not show, but count as more."""
    hosts: list[str] = []
    for rule in rules:
        if len(hosts) == 3:
            return f"{','.join(hosts)} + {len(rules) - 3} more..."
        if rule.get("host"):
            hosts.append(rule["host"])
    return ",".join(hosts) or "*"


def _is_default(obj: Obj, annotation: str) -> bool:
    return (obj["metadata"].get("annotations") or EMPTY).get(annotation) == "true"


def _ingress_class(obj: Obj, now: float) -> list[Any]:
    shown = name(obj)
    if _is_default(obj, "ingressclass.kubernetes.io/is-default-class"):
        shown += " (default)"
    parameters = spec(obj).get("parameters")
    reference = NONE
    if parameters is not None:
        group = f".{parameters['apiGroup']}" if parameters.get("apiGroup") is not None else ""
        reference = f"{parameters.get('kind', '')}{group}/{parameters.get('name', '')}"
    return [shown, spec(obj).get("controller", ""), reference, age(obj, now)]


def _network_policy(obj: Obj, now: float) -> list[Any]:
    return [name(obj), format_label_selector(spec(obj).get("podSelector") or {}), age(obj, now)]


def _service_cidr(obj: Obj, now: float) -> list[Any]:
    return [name(obj), ",".join(spec(obj).get("cidrs") or ()), age(obj, now)]


def _ip_address(obj: Obj, now: float) -> list[Any]:
    parent = spec(obj).get("parentRef")
    if parent is None:
        return [name(obj), NONE]
    resource = parent.get("resource", "")
    if parent.get("group"):
        resource = f"{resource}.{parent['group']}"
    namespace = f"/{parent['namespace']}" if parent.get("namespace") else ""
    return [name(obj), f"{resource.lower()}{namespace}/{parent.get('name', '')}"]


def _endpoint_slice(obj: Obj, now: float) -> list[Any]:
    addresses = (a for e in obj.get("endpoints") or () for a in e.get("addresses") or ())
    ports = map(_slice_port, obj.get("ports") or ())
    return [name(obj), obj.get("addressType", ""), first_three(ports), first_three(addresses), age(obj, now)]


def _slice_port(port: Obj) -> str:
    if port.get("port") is not None:
        return str(port["port"])
    return port["name"] if port.get("name") is not None else "*"


NETWORKING = {
    "ingresses": Printer(columns(NAME, "Class", "Hosts", "Address", "Ports", AGE), _ingress),
    "ingressclasses": Printer(columns(NAME, "Controller", "Parameters", AGE), _ingress_class),
    "networkpolicies": Printer(columns(NAME, "Pod-Selector", AGE), _network_policy),
    "servicecidrs": Printer(columns(NAME, "CIDRs", AGE), _service_cidr),
    "ipaddresses": Printer(columns(NAME, "ParentRef"), _ip_address),
}

DISCOVERY = {
    "endpointslices": Printer(columns(NAME, "AddressType", "Ports", "Endpoints", AGE), _endpoint_slice),
}
