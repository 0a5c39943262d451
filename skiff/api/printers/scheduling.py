"""Rows of scheduling.k8s.io, node.k8s.io, coordination.k8s.io and resource.k8s.io."""

from typing import Any

from skiff.api.meta import get_condition
from skiff.api.printers.text import (
    AGE,
    EMPTY,
    NAME,
    NONE,
    age,
    boolean,
    columns,
    integer,
    name,
    since,
    spec,
    status,
)
from skiff.api.resources import Printer
from skiff.api.types import Obj


def _name_and_age(obj: Obj, now: float) -> list[Any]:
    return [name(obj), age(obj, now)]


_PLAIN = Printer(columns(NAME, AGE), _name_and_age)


# --- scheduling


def _priority_class(obj: Obj, now: float) -> list[Any]:
    default = bool(obj.get("globalDefault"))
    return [name(obj), obj.get("value") or 0, default, age(obj, now), obj.get("preemptionPolicy", "")]


def _pod_group(obj: Obj, now: float) -> list[Any]:
    found = spec(obj)
    gang = (found.get("schedulingPolicy") or EMPTY).get("gang") is not None
    reference = found.get("podGroupTemplateRef")
    workload = NONE if reference is None else (reference.get("workload") or EMPTY).get("workloadName", "")
    return [name(obj), "Gang" if gang else "Basic", workload, _group_status(obj), age(obj, now)]


def _group_status(obj: Obj) -> str:
    disrupted = get_condition(obj, "DisruptionTarget")
    if disrupted is not None:
        return disrupted.get("reason", "")
    scheduled = get_condition(obj, "PodGroupScheduled")
    if scheduled is None:
        return "Pending"
    return "Scheduled" if scheduled.get("status") == "True" else "Unschedulable"


SCHEDULING = {
    "priorityclasses": Printer(
        columns(NAME, integer("Value"), boolean("Global-Default"), AGE, "PreemptionPolicy"),
        _priority_class,
    ),
    "workloads": _PLAIN,
    "podgroups": Printer(columns(NAME, "Policy", "Workload", "Status", AGE), _pod_group),
}


# --- node and coordination


def _runtime_class(obj: Obj, now: float) -> list[Any]:
    return [name(obj), obj.get("handler", ""), age(obj, now)]


def _lease(obj: Obj, now: float) -> list[Any]:
    return [name(obj), spec(obj).get("holderIdentity", ""), age(obj, now)]


def _lease_candidate(obj: Obj, now: float) -> list[Any]:
    fields = ("leaseName", "binaryVersion", "emulationVersion")
    return [name(obj), *(spec(obj).get(field, "") for field in fields), age(obj, now)]


NODE = {"runtimeclasses": Printer(columns(NAME, "Handler", AGE), _runtime_class)}

COORDINATION = {
    "leases": Printer(columns(NAME, "Holder", AGE), _lease),
    "leasecandidates": Printer(
        columns(NAME, "LeaseName", "BinaryVersion", "EmulationVersion", AGE),
        _lease_candidate,
    ),
}


# --- dynamic resources


def _claim(obj: Obj, now: float) -> list[Any]:
    deleted = bool(obj["metadata"].get("deletionTimestamp"))
    states = ["deleted"] if deleted else []
    if status(obj).get("allocation") is not None:
        states.append("allocated")
        states += ["reserved"] if status(obj).get("reservedFor") else []
    elif not deleted:
        states.append("pending")
    return [name(obj), ",".join(states), age(obj, now)]


def _slice(obj: Obj, now: float) -> list[Any]:
    found = spec(obj)
    pool = (found.get("pool") or EMPTY).get("name", "")
    return [name(obj), found.get("nodeName", ""), found.get("driver", ""), pool, age(obj, now)]


def _taint_rule(obj: Obj, now: float) -> list[Any]:
    taint = spec(obj).get("taint") or EMPTY
    added = since(taint["timeAdded"], now) if taint.get("timeAdded") else ""
    return [name(obj), *(taint.get(field, "") for field in ("key", "value", "effect")), added, age(obj, now)]


_DEVICE_COUNTS = ("totalDevices", "availableDevices", "allocatedDevices", "unavailableDevices")


def _pool_status(obj: Obj, now: float) -> list[Any]:
    counts, pools, word, completed = ["-"] * 5, 0, "Pending", NONE
    if obj.get("status") is not None:
        state = obj["status"]
        found = state.get("pools") or []
        pools = state.get("poolCount") or 0
        done = next((c for c in state.get("conditions") or () if _is_end(c)), None)
        word = done["type"] if done else word
        if word == "Complete" and done:
            completed = since(done.get("lastTransitionTime"), now)
            word = f"Complete ({len(found)}/{pools} pools)" if pools > len(found) else word
        if word != "Failed":
            counts = [str(sum(p.get(field) or 0 for p in found)) for field in _DEVICE_COUNTS]
            counts.append(str(sum(p.get("validationError") is not None for p in found)))
    return [name(obj), spec(obj).get("driver", ""), *counts, pools, word, completed]


def _is_end(condition: Obj) -> bool:
    return condition.get("type") in ("Complete", "Failed") and condition.get("status") == "True"


RESOURCE = {
    "deviceclasses": _PLAIN,
    "resourceclaims": Printer(columns(NAME, "State", AGE), _claim),
    "resourceclaimtemplates": _PLAIN,
    "resourceslices": Printer(columns(NAME, "Node", "Driver", "Pool", AGE), _slice),
    "devicetaintrules": Printer(columns(NAME, "Key", "Value", "Effect", "TimeAdded", AGE), _taint_rule),
    "resourcepoolstatusrequests": Printer(
        columns(
            NAME, "Driver", "Total", "Available", "Allocated", "Unavailable", "Errors", integer("Pools"), "Status",
            "Completed",
        ),
        _pool_status,
    ),
}  # fmt: skip
