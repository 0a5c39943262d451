"""What cells of many kinds have in common: ages, labels, containers, lists that are cut short."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from skiff.api.resources import Column
from skiff.api.types import Obj

NONE = "<none>"
UNSET = "<unset>"
UNKNOWN = "<unknown>"

NAME = Column("Name", format="name")
AGE = Column("Age")
CONTAINERS = Column("Containers", priority=1)
IMAGES = Column("Images", priority=1)
SELECTOR = Column("Selector", priority=1)

EMPTY: Mapping[str, Any] = {}


def columns(*found: Column | str) -> tuple[Column, ...]:
    """Plain text stands for a string column of that name."""
    return tuple(Column(c) if isinstance(c, str) else c for c in found)


def integer(name: str) -> Column:
    return Column(name, "integer")


def boolean(name: str) -> Column:
    return Column(name, "boolean")


def wide(name: str) -> Column:
    return Column(name, priority=1)


def human_duration(seconds: float) -> str:
    """Two or three significant figures, as upstream's duration.HumanDuration."""
    s = int(seconds)
    if s < 0:
        return "0s" if s == -1 else "<invalid>"
    if s < 120:
        return f"{s}s"
    m = s // 60
    if m < 10:
        return f"{m}m{s % 60}s" if s % 60 else f"{m}m"
    if m < 180:
        return f"{m}m"
    h = s // 3600
    if h < 8:
        return f"{h}h{m % 60}m" if m % 60 else f"{h}h"
    if h < 48:
        return f"{h}h"
    d = h // 24
    if d < 8:
        return f"{d}d{h % 24}h" if h % 24 else f"{d}d"
    if d < 365 * 2:
        return f"{d}d"
    if d < 365 * 8:
        return f"{d // 365}y{d % 365}d" if d % 365 else f"{d // 365}y"
    return f"{d // 365}y"


def epoch(time: str) -> float:
    return datetime.fromisoformat(time).timestamp()


def since(time: str | None, now: float) -> str:
    """How long ago a timestamp was; `<unknown>` for none."""
    return human_duration(now - epoch(time)) if time else UNKNOWN


def age(obj: Obj, now: float) -> str:
    return since(obj["metadata"].get("creationTimestamp"), now)


def name(obj: Obj) -> str:
    return obj["metadata"].get("name", "")


def spec(obj: Obj) -> Mapping[str, Any]:
    return obj.get("spec") or EMPTY


def status(obj: Obj) -> Mapping[str, Any]:
    return obj.get("status") or EMPTY


def labels(found: Mapping[str, str] | None) -> str:
    """`a=1,b=2`, sorted."""
    return ",".join(f"{k}={v}" for k, v in sorted(found.items())) if found else NONE


def containers(pod_spec: Mapping[str, Any]) -> list[str]:
    """Two cells: names and images."""
    found = pod_spec.get("containers") or ()
    return [",".join(c.get("name", "") for c in found), ",".join(c.get("image", "") for c in found)]


def template_spec(workload_spec: Mapping[str, Any]) -> Mapping[str, Any]:
    return (workload_spec.get("template") or EMPTY).get("spec") or EMPTY


def first_three(found: Iterable[str]) -> str:
    """Three of them, and how many more there are; `<unset>` for none."""
    everything = list(found)
    text = ",".join(everything[:3])
    if len(everything) > 3:
        return f"{text} + {len(everything) - 3} more..."
    return text or UNSET


def condition_status(obj: Obj, type: str) -> str:
    """The empty text if there is no such condition."""
    for condition in status(obj).get("conditions") or ():
        if condition.get("type") == type:
            return condition.get("status", "")
    return ""
