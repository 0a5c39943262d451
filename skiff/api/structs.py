"""Built-in definitions as the Go structs behind them: which fields come back when they are zero, and which always exist.

Whether a field is a pointer OpenAPI does not say; the table of protobuf fields does. A definition that is not in it (of a
custom resource) has fields of neither sort.
"""

from collections.abc import Iterator
from functools import lru_cache

from skiff.api.protobuf import table
from skiff.api.protobuf.table import Field

_SCALARS = frozenset("sibdy")
_TIMES = ("Time", "MicroTime")
_NONE: frozenset[str] = frozenset()


@lru_cache(2048)
def omitted(definition: str) -> frozenset[str]:
    """Fields whose zero value ("", 0, false) upstream's encoder leaves out: scalars that are no pointers."""
    found = (f.name for f in _fields(definition) if f.omit and not f.shape and f.type in _SCALARS)
    return frozenset(found) or _NONE


@lru_cache(2048)
def existing(definition: str) -> frozenset[str]:
    """Fields that exist without being set: structs that are no pointers, and what JSON always shows, zero or null."""
    return frozenset(f.name for f in _fields(definition) if not f.pointer and _exists(f)) or _NONE


def _exists(field: Field) -> bool:
    if field.shape:
        return not field.omit
    if field.type in table.OWN_FORM:
        return field.type in _TIMES
    return field.type not in _SCALARS or not field.omit


def _fields(definition: str) -> Iterator[Field]:
    if not definition.startswith("io.k8s."):
        return iter(())
    package, version, kind = definition.rsplit(".", 3)[1:]
    return _of(f"{package}/{version}.{kind}")


def _of(message: str) -> Iterator[Field]:
    """With those of inlined messages."""
    for field in table.fields(message):
        if field.name:
            yield field
        else:
            yield from _of(field.type)
