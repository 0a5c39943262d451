"""Parts of objects that controllers read all the time, absent ones as empty. The rest is in skiff.api.meta."""

from skiff.api.types import Obj


def generation(obj: Obj) -> int:
    return int(obj["metadata"].get("generation") or 0)


def spec(obj: Obj) -> Obj:
    return obj.get("spec") or {}


def status(obj: Obj) -> Obj:
    return obj.get("status") or {}


def without_zeros(values: Obj, keep: tuple[str, ...] = ()) -> Obj:
    """As Go's omitempty leaves a status: no zeros, empty lists or None, apart from the fields named in `keep`."""
    return {k: v for k, v in values.items() if k in keep or v not in (0, None, "", [], {}) or isinstance(v, bool)}


def is_active_namespace(found: Obj | None) -> bool:
    """It exists and is not being deleted: things may be made in it."""
    return found is not None and status(found).get("phase") == "Active"
