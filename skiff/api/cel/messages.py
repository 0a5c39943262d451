"""The objects that expressions of mutating admission policies make, and what they are as JSON.

`Object.spec{replicas: 3}` is a part of an apply configuration: any name below `Object` is a type, whose fields can have any
name. `JSONPatch{op: "remove", path: "/spec"}` is one operation. Source: apiserver pkg/cel/mutation.
"""

import base64
from collections.abc import Iterator, Mapping
from typing import Any

from skiff.api.cel import types
from skiff.api.cel.access import Field
from skiff.api.cel.errors import CelError
from skiff.api.cel.values import Duration, Message, Timestamp, Uint, items, type_name

OBJECT = "Object"
PATCH = "JSONPatch"
_EXACT = 2**53


class _AnyField(Mapping[str, Field]):
    """Whatever a field is called, it is there and may hold anything."""

    def __getitem__(self, name: str) -> Field:
        return Field(name, types.DYN)

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0


_ANY = _AnyField()
_OPERATION = {name: Field(name, types.STRING) for name in ("op", "path", "from")} | {"value": Field("value", types.DYN)}


class PatchTypes(Mapping[str, Mapping[str, Field]]):
    """What can be made, with its fields."""

    def __getitem__(self, name: str) -> Mapping[str, Field]:
        if name == PATCH:
            return _OPERATION
        if name == OBJECT or name.startswith(f"{OBJECT}."):
            return _ANY
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        return iter((OBJECT, PATCH))

    def __len__(self) -> int:
        return 2


PATCH_TYPES = PatchTypes()


def misnamed(value: Any, path: str = OBJECT) -> list[str]:
    """Where an object stands in a field that its type is not named for."""
    match value:
        case Message():
            wrong = f'unexpected type name "{value.name}", expected "{path}"'
            found = [] if value.name == path else [f"{wrong}, which matches field name path from root Object type"]
            return found + [e for name, below in value.fields.items() for e in misnamed(below, f"{path}.{name}")]
        case list():
            return [e for below in value for e in misnamed(below, path)]
        case dict():
            return [e for below in value.values() for e in misnamed(below, path)]
    return []


def to_json(value: Any) -> Any:
    """A value as JSON has it. Raises CelError for what JSON has not."""
    match value:
        case Message():
            return {name: to_json(below) for name, below in value.fields.items()}
        case dict():
            return {_key(key): to_json(below) for key, below in items(value)}
        case list():
            return [to_json(below) for below in value]
        case bytes():
            return base64.b64encode(value).decode()
        case Timestamp() | Duration():
            return str(value)
        case float() if value.is_integer() and -_EXACT < value < _EXACT:
            return int(value)
        case bool() | str() | float() | None:
            return value
        case Uint() | int():
            return int(value) if -_EXACT < value < _EXACT else str(int(value))
    raise CelError(f"unsupported conversion from {type_name(value)} to a JSON value")


def _key(key: Any) -> str:
    if type(key) is not str:
        raise CelError(f"map key {key!r} is of type {type_name(key)}, not string")
    return key
