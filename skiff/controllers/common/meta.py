"""Reading metadata of objects: absent maps and lists read as empty, nothing is changed."""

from collections.abc import Mapping

from skiff.api.types import Obj


def meta(obj: Obj) -> Obj:
    found: Obj = obj["metadata"]
    return found


def labels(obj: Obj) -> Mapping[str, str]:
    return obj.get("metadata", {}).get("labels") or {}


def annotations(obj: Obj) -> Mapping[str, str]:
    return obj.get("metadata", {}).get("annotations") or {}


def uid(obj: Obj) -> str:
    return str(obj["metadata"].get("uid", ""))


def name(obj: Obj) -> str:
    return str(obj["metadata"]["name"])


def namespace(obj: Obj) -> str:
    return str(obj["metadata"].get("namespace") or "")


def deleting(obj: Obj) -> bool:
    return bool(obj["metadata"].get("deletionTimestamp"))


def generation(obj: Obj) -> int:
    return int(obj["metadata"].get("generation") or 0)


def spec(obj: Obj) -> Obj:
    return obj.get("spec") or {}


def status(obj: Obj) -> Obj:
    return obj.get("status") or {}


def condition(holder: Obj, type: str) -> Obj | None:
    """The condition of that type in an object's status."""
    return next((c for c in status(holder).get("conditions") or () if c.get("type") == type), None)


def without_zeros(values: Obj, keep: tuple[str, ...] = ()) -> Obj:
    """As Go's omitempty leaves a status: no zeros, empty lists or None, apart from the fields named in `keep`."""
    return {k: v for k, v in values.items() if k in keep or v not in (0, None, "", [], {}) or isinstance(v, bool)}
