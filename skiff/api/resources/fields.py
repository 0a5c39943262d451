"""Small rules from which defaulting is put together. A rule changes the dict it is given, in place, and is idempotent.

Upstream fills a pointer field when it is nil and any other when it is zero; hence `nil` and `zero`.
"""

from collections.abc import Callable, Iterator
from copy import deepcopy
from typing import Any

from skiff.api.types import Obj

Rule = Callable[[Obj], None]


def rules(*parts: Rule) -> Rule:
    """All of them, in order."""

    def apply(obj: Obj) -> None:
        for part in parts:
            part(obj)

    return apply


def nil(**values: Any) -> Rule:
    """Fields that get a value when they are not set."""

    def apply(obj: Obj) -> None:
        for name, value in values.items():
            if obj.get(name) is None:
                obj[name] = deepcopy(value) if isinstance(value, (dict, list)) else value

    return apply


def zero(**values: Any) -> Rule:
    """Fields that get a value when they are not set, or "", 0, or empty."""

    def apply(obj: Obj) -> None:
        for name, value in values.items():
            if not obj.get(name):
                obj[name] = deepcopy(value) if isinstance(value, (dict, list)) else value

    return apply


def inside(path: str, *parts: Rule) -> Rule:
    """Rules for the object at a path, where there is one."""
    names = path.split(".")

    def apply(obj: Obj) -> None:
        here: Any = obj
        for name in names:
            here = here.get(name)
            if not isinstance(here, dict):
                return
        for part in parts:
            part(here)

    return apply


def struct(path: str, *parts: Rule) -> Rule:
    """Rules for the object at a path, which is made where it is missing (a Go struct that is no pointer)."""
    names = path.split(".")

    def apply(obj: Obj) -> None:
        here = obj
        for name in names:
            here = child(here, name)
        for part in parts:
            part(here)

    return apply


def each(path: str, *parts: Rule) -> Rule:
    """Rules for every object of the list at a path."""
    names = path.split(".")

    def apply(obj: Obj) -> None:
        for item in items(obj, *names):
            for part in parts:
                part(item)

    return apply


def child(obj: Obj, name: str) -> Obj:
    """The object in a field, made empty when missing."""
    value = obj.get(name)
    if not isinstance(value, dict):
        value = obj[name] = {}
    return value


def get(obj: Any, *names: str) -> Any:
    """The value at a path, None when any part is missing."""
    for name in names:
        if not isinstance(obj, dict):
            return None
        obj = obj.get(name)
    return obj


def at(obj: Any, path: str) -> Any:
    """The value at a simple path (`.spec.replicas`), None when any part is missing."""
    return get(obj, *path.removeprefix(".").split("."))


def items(obj: Any, *names: str) -> Iterator[Obj]:
    """The objects of the list at a path; none when it is missing."""
    for item in get(obj, *names) or ():
        if isinstance(item, dict):
            yield item


def empty_status(*counters: str) -> Rule:
    """A status that is never absent, and its numbers that upstream always writes."""

    def apply(obj: Obj) -> None:
        status = child(obj, "status")
        for name in counters:
            status.setdefault(name, 0)

    return apply
