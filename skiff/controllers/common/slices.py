"""Slices of endpoints: how the wanted ones are laid out over those that exist, with as few writes as can be.

For whatever owns slices: a service whose pods are selected, or Endpoints that are mirrored. Slices that need no change are
not written; nobody else's are touched. Pure. Source: upstream staging k8s.io/endpointslice (reconciler.go).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from skiff.api.gvr import ENDPOINTSLICES
from skiff.api.meta import labels, namespace
from skiff.api.types import Obj
from skiff.client.controller import Key
from skiff.client.informer import Informer, Informers

SERVICE_NAME = "kubernetes.io/service-name"
MANAGED_BY = "endpointslice.kubernetes.io/managed-by"


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose slices these are. reference: the owner reference they carry; labels: all that they should have."""

    name: str
    namespace: str
    reference: Obj
    labels: Mapping[str, str]
    placeholder: bool = True


@dataclass(slots=True)
class Plan:
    """Writes. update: whole new versions; a slice about to be deleted is rather reused for one about to be created."""

    create: list[Obj] = field(default_factory=list)
    update: list[Obj] = field(default_factory=list)
    delete: list[Obj] = field(default_factory=list)

    def add(self, other: "Plan") -> None:
        self.create += other.create
        self.update += other.update
        self.delete += other.delete


def _ports_key(ports: Iterable[Obj] | None) -> bytes:
    return b",".join(sorted(orjson.dumps(p, option=orjson.OPT_SORT_KEYS) for p in ports or ()))


def _identity(e: Obj) -> tuple[Any, ...]:
    """Endpoints with the same identity are versions of one."""
    ref = e.get("targetRef") or {}
    return tuple(sorted(e["addresses"])), e.get("hostname"), ref.get("namespace"), ref.get("name")


def new_slice(owner: Owner, family: str, ports: list[Obj]) -> Obj:
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "generateName": f"{owner.name}-",
            "namespace": owner.namespace,
            "labels": dict(owner.labels),
            "ownerReferences": [owner.reference],
        },
        "addressType": family,
        "ports": ports,
        "endpoints": [],
    }


def _owned_by(s: Obj, owner: Owner) -> bool:
    return any(r.get("uid") == owner.reference["uid"] for r in s["metadata"].get("ownerReferences") or ())


def plan(
    owner: Owner,
    existing: Sequence[Obj],
    desired: dict[str, list[tuple[list[Obj], Obj]]],
    *,
    maximum: int,
) -> Plan:
    """desired: per address type the (ports, endpoint) pairs. existing: the owner's slices that we manage."""
    result = Plan(delete=[s for s in existing if s["addressType"] not in desired])
    for family, pairs in desired.items():
        of_family = [s for s in existing if s["addressType"] == family]
        result.add(_plan_family(owner, family, of_family, pairs, maximum))
    return result


def _plan_family(
    owner: Owner, family: str, existing: list[Obj], pairs: list[tuple[list[Obj], Obj]], maximum: int
) -> Plan:
    result = Plan(delete=[s for s in existing if not _owned_by(s, owner)])
    groups: dict[bytes, tuple[list[Obj], dict[tuple[Any, ...], Obj]]] = {}
    for ports, e in pairs:
        group = groups.setdefault(_ports_key(ports), (ports, {}))
        if e["addresses"]:
            group[1][_identity(e)] = e
    by_ports: dict[bytes, list[Obj]] = {}
    for s in existing:
        if _owned_by(s, owner):
            by_ports.setdefault(_ports_key(s.get("ports")), []).append(s)
    for key, (ports, endpoints) in groups.items():
        result.add(_plan_group(owner, by_ports.pop(key, []), endpoints, new_slice(owner, family, ports), maximum))
    result.delete += [s for leftover in by_ports.values() for s in leftover]
    if owner.placeholder and len(result.delete) == len(existing) and not result.create:
        _keep_placeholder(result, new_slice(owner, family, []))
    _reuse(owner, result)
    return result


def _keep_placeholder(result: Plan, placeholder: Obj) -> None:
    """An owner without endpoints has one empty slice."""
    only = result.delete[0] if len(result.delete) == 1 else None
    kept = ("labels", "ownerReferences")
    if (
        only is not None
        and not only.get("endpoints")
        and not only.get("ports")
        and all(only["metadata"].get(k) == placeholder["metadata"][k] for k in kept)
    ):
        result.delete.clear()
    else:
        result.create.append(placeholder)


def _reuse(owner: Owner, result: Plan) -> None:
    """An update costs watchers less than a deletion and a creation."""
    for s in [s for s in result.delete if _owned_by(s, owner)]:
        if not result.create:
            return
        made = result.create.pop()
        metadata = {**s["metadata"], "labels": made["metadata"]["labels"]}
        result.update.append({**made, "metadata": metadata})
        result.delete.remove(s)


def _plan_group(
    owner: Owner, existing: list[Obj], desired: dict[tuple[Any, ...], Obj], empty: Obj, maximum: int
) -> Plan:
    """Slices with one set of ports: drop what is gone, then fill up what is written anyway, then one slice that has
    room for all of the rest, then new ones."""
    missing = dict(desired)
    wanted_labels = dict(owner.labels)
    changed: list[Obj] = []
    unchanged: list[Obj] = []
    result = Plan()
    for s in existing:
        before = s.get("endpoints") or []
        kept = [missing.pop(_identity(e)) for e in before if _identity(e) in missing]
        relabelled = {**s, "metadata": {**s["metadata"], "labels": wanted_labels}, "endpoints": kept}
        if kept == before and s["metadata"].get("labels") == wanted_labels:
            unchanged.append(s)
        elif before and not kept:
            result.delete.append(s)
        else:
            changed.append(relabelled)
    rest = list(missing.values())
    for s in sorted(changed, key=lambda s: -len(s["endpoints"])):
        _fill(s["endpoints"], rest, maximum)
    while rest:
        fits = [s for s in unchanged if len(s.get("endpoints") or ()) + len(rest) <= maximum]
        if fits:
            fullest = max(fits, key=lambda s: len(s.get("endpoints") or ()))
            unchanged.remove(fullest)
            target = {**fullest, "endpoints": list(fullest.get("endpoints") or ())}
            changed.append(target)
        else:
            target = {**empty, "endpoints": []}
            result.create.append(target)
        _fill(target["endpoints"], rest, maximum)
    result.update = changed
    return result


def _fill(endpoints: list[Obj], rest: list[Obj], maximum: int) -> None:
    room = max(0, maximum - len(endpoints))
    endpoints += rest[:room]
    del rest[:room]


def service_key(s: Obj) -> Key:
    return f"{namespace(s)}/{labels(s).get(SERVICE_NAME, '')}"


def slices_by_service(informers: Informers) -> Informer:
    """The informer of slices, with an index SERVICE_NAME from a service's key to its slices, whoever manages them."""
    informer = informers.get(ENDPOINTSLICES)
    informer.add_index(SERVICE_NAME, lambda s: [service_key(s)])
    return informer
