"""Built-in definitions as the Go structs behind them: which fields come back when they are zero, and which always exist.

Whether a field is a pointer OpenAPI does not say; the table of protobuf fields does. A definition that is not in it (of a
custom resource) has fields of neither sort.
"""

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

from skiff.api.protobuf import table
from skiff.api.protobuf.table import Field

_SCALARS = frozenset("sibdy")
_ZEROS: Mapping[str, Any] = {"s": "", "i": 0, "b": False, "d": 0, "Quantity": "0"}
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


@lru_cache(2048)
def written(definition: str) -> Mapping[str, Any]:
    """Fields that upstream's encoder shows although nobody set them, with their zero value: scalars and amounts, and
    lists, maps, times and pointers as null. Not structs: those have rules of their own among the defaults."""
    return {f.name: _zero(f) for f in _fields(definition) if f.shown and _is_plain(f)}


def _is_plain(field: Field) -> bool:
    return bool(field.shape) or field.pointer or field.type in _ZEROS or field.type in _TIMES


def _zero(field: Field) -> Any:
    return None if field.shape or field.pointer else _ZEROS.get(field.type)


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
