"""Objects of the tables in this directory: a sound one with one field changed, defaulted and prepared as a new object."""

import copy
from typing import Any

from skiff.api.resources.builtin import by_kind
from skiff.api.types import Obj


def build(kind: str, sound: Obj, path: str = "", value: Any = None) -> Obj:
    """`path` is "spec.rules.0.verbs"; None removes the field."""
    api_version, _, name = kind.rpartition("/")
    obj: Obj = {"apiVersion": api_version, "kind": name, **copy.deepcopy(sound)}
    obj["metadata"] = {"name": "x", "uid": "u", **obj.get("metadata", {})}
    record = by_kind[api_version, name]
    if record.gvr.namespaced:
        obj["metadata"]["namespace"] = "default"
    if path:
        _put(obj, path.split("."), copy.deepcopy(value))
    record.default(obj)
    record.prepare(obj, None)
    return obj


def _put(here: Any, parts: list[str], value: Any) -> None:
    *parents, last = parts
    for part in parents:
        here = here[int(part)] if part.isdigit() else here.setdefault(part, {})
    if value is None:
        here.pop(last, None)
    else:
        here[int(last) if last.isdigit() else last] = value


def mistakes(obj: Obj) -> list[str]:
    record = by_kind[obj["apiVersion"], obj["kind"]]
    return [str(e) for e in (*record.validate(obj), *record.validate_create(obj))]
