"""core/v1 Event and events.k8s.io/v1 Event are one object under two spellings; core/v1 is the stored one.

Source: pkg/apis/events/v1/conversion.go and pkg/registry/core/event/strategy.go.
"""

from typing import Any

from skiff.api.resources.define import text
from skiff.api.resources.fields import get
from skiff.api.types import Obj

EVENT_TTL_SECONDS = 3600.0

_TO_EVENTS = {
    "involvedObject": "regarding",
    "message": "note",
    "source": "deprecatedSource",
    "firstTimestamp": "deprecatedFirstTimestamp",
    "lastTimestamp": "deprecatedLastTimestamp",
    "count": "deprecatedCount",
    "reportingComponent": "reportingController",
}
_TO_CORE = {new: old for old, new in _TO_EVENTS.items()}


def to_core(obj: Obj) -> Obj:
    """An events.k8s.io/v1 Event as core/v1."""
    return {_TO_CORE.get(k, k): v for k, v in obj.items()} | {"apiVersion": "v1"}


def to_events(obj: Obj) -> Obj:
    """A core/v1 Event as events.k8s.io/v1."""
    found = {_TO_EVENTS.get(k, k): v for k, v in obj.items()} | {"apiVersion": "events.k8s.io/v1"}
    default_event(found)
    return found


def default_core_event(obj: Obj) -> None:
    """What upstream's encoder always writes of a core/v1 Event."""
    obj.setdefault("involvedObject", {})
    obj.setdefault("source", {})
    for name in ("eventTime", "firstTimestamp", "lastTimestamp"):
        obj.setdefault(name, None)
    for name in ("reportingComponent", "reportingInstance"):
        obj.setdefault(name, "")


def default_event(obj: Obj) -> None:
    """What upstream's encoder always writes of an events.k8s.io/v1 Event."""
    obj.setdefault("deprecatedSource", {})
    obj.setdefault("regarding", {})
    for name in ("eventTime", "deprecatedFirstTimestamp", "deprecatedLastTimestamp"):
        obj.setdefault(name, None)


def _source(obj: Obj) -> str:
    return str(get(obj, "source", "component") or obj.get("reportingComponent") or "")


def _reporting(obj: Obj) -> str:
    return str(obj.get("reportingComponent") or get(obj, "source", "component") or "")


_REFERENCE = ("kind", "namespace", "name", "uid", "apiVersion", "resourceVersion", "fieldPath")

CORE_SELECTABLE: dict[str, Any] = {
    **{f"involvedObject.{name}": text(f"involvedObject.{name}") for name in _REFERENCE},
    "reason": text("reason"),
    "reportingComponent": _reporting,
    "source": _source,
    "type": text("type"),
}


def _regarding(name: str) -> Any:
    """Of either spelling: the watch cache holds the stored one."""

    def value(obj: Obj) -> str:
        return str(get(obj, "involvedObject", name) or get(obj, "regarding", name) or "")

    return value


EVENTS_SELECTABLE: dict[str, Any] = {
    **{f"regarding.{name}": _regarding(name) for name in _REFERENCE},
    "reason": text("reason"),
    "reportingController": lambda obj: str(obj.get("reportingController") or obj.get("reportingComponent") or ""),
    "type": text("type"),
}
