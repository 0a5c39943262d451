"""The typed decode that upstream gets from Go: types checked, nulls dropped, unknown fields pruned and reported.

A definition is compiled, field by field as fields are first met, into closures that pass over a well-formed object once
and write nothing but the zero values that upstream always shows. Whatever is odd (a wrong type, an unknown field, a
quantity in another form) sends the object through the slow walk, which knows paths, repairs what upstream repairs and
words mistakes as upstream's decoder does.
"""

import binascii
import json
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import orjson

from skiff.api import quantity, times
from skiff.api.duplicates import duplicate_fields
from skiff.api.schema import SchemaNode, Schemas
from skiff.api.structs import omitted, written
from skiff.api.types import Obj

INT32 = 1 << 31
INT64 = 1 << 63
MOST_STRICT_ERRORS = 100
_DROP: Any = object()


class DecodeError(ValueError):
    """The body cannot be this kind; the message is upstream's, to be wrapped into a 400. converted: what it says instead
    of an object that was not text before (of a strategic merge patch)."""

    converted = ""


class _Odd(Exception):
    """The fast pass met something that it leaves to the slow walk."""


Check = Callable[[Any], Any]
"""Passes over a value; true when upstream would not give it back (null, an empty list or map). Raises _Odd."""


class Checker:
    """The decoder of one definition; make it once per kind."""

    def __init__(self, node: SchemaNode) -> None:
        self._node = node
        self._fast = compile_node(node, {})

    def check(
        self, obj: Obj, *, validation: str = "Warn", raw: bytes = b"", known: Obj | None = None
    ) -> tuple[Obj, list[str]]:
        """Decodes in place. Returns the object and, for Warn, sentences about unknown and duplicate fields.

        raw: the JSON text it came from, to find duplicate fields; b"" when there is none. known: a decoded object of this
        kind; fields that are its very own are well-formed. Raises DecodeError for wrong types, and for unknown and
        duplicate fields when validation is Strict.
        """
        duplicates = duplicate_fields(raw, obj) if raw and validation != "Ignore" else []
        try:
            self._fast(obj) if known is None else self._check_changed(obj, known)
            findings = duplicates
        except _Odd:
            walk = _Walk()
            obj = walk.root(self._node, obj)
            findings = walk.unknown + duplicates
        if not findings or validation == "Ignore":
            return obj, []
        if validation == "Strict":
            raise DecodeError("strict decoding error: " + ", ".join(findings[:MOST_STRICT_ERRORS]))
        return obj, findings[:MOST_STRICT_ERRORS]

    def check_applied(self, obj: Obj) -> Obj:
        """What apply has made of a decoded object and a configuration that fits: it is decoded as anything else."""
        return self.check(obj, validation="Ignore")[0]

    def _check_changed(self, obj: Obj, known: Obj) -> None:
        """The fast pass over the fields that differ. A field that is dropped by it is dropped from the object."""
        names = [name for name, value in obj.items() if known.get(name, _DROP) is not value]
        changed = {name: obj[name] for name in names}
        self._fast(changed)
        for name in names:
            if changed.get(name) is None:
                del obj[name]
        complete(obj, written(self._node.definition))


def checker(schemas: Schemas, definition: str) -> Checker:
    """The Checker of a definition. Raises KeyError for an unknown one."""
    return Checker(schemas.node(definition))


# The fast pass.


class _Fields(dict[str, Check]):
    """Field → check of one object type; filled as fields are met, so that a process pays for what it sees."""

    def __init__(self, node: SchemaNode, done: dict[int, Check]) -> None:
        super().__init__()
        self._node = node
        self._done = done

    def __missing__(self, name: str) -> Check:
        child = self._node.properties.get(name)
        if child is None:
            if self._node.unknown:
                return _any
            raise _Odd
        check = compile_node(child, self._done)
        if child.kind == "scalar" and name in omitted(self._node.definition):
            check = _OR_ZERO.get(check, check)
        self[name] = check
        return check


def compile_node(node: SchemaNode, done: dict[int, Check]) -> Check:
    """The check of a node. `done` holds what is already compiled, by the node's identity (schemas recurse)."""
    check = done.get(id(node))
    if check is None:
        check = _COMPILERS[node.kind](node, done)
        done[id(node)] = check
    return check


def _compile_object(node: SchemaNode, done: dict[int, Check]) -> Check:
    fields = _Fields(node, done)
    always = written(node.definition)
    needed, shown = _kept(node), always.keys()

    def check(value: Any) -> Any:
        if type(value) is not dict:
            return _null(value)
        drop = None
        for name, item in value.items():
            if fields[name](item) and (item is None or name not in needed):
                drop = [*drop, name] if drop else [name]
        if drop:
            for name in drop:
                del value[name]
        if not shown <= value.keys():
            complete(value, always)
        return False

    return check


def complete(value: Obj, always: Mapping[str, Any]) -> None:
    """Gives an object the fields that are always written, in place."""
    for name, zero in always.items():
        value.setdefault(name, zero)


def _kept(node: SchemaNode) -> frozenset[str]:
    """Required fields, which stay when they are empty; of a list or map that is always written, null comes back."""
    return frozenset(name for name in node.required if written(node.definition).get(name, "") is not None)


def _compile_array(node: SchemaNode, done: dict[int, Check]) -> Check:
    item = compile_node(node.items, done) if node.items else _any

    def check(value: Any) -> Any:
        if type(value) is not list:
            return _null(value)
        for element in value:
            if item(element):
                raise _Odd
        return not value

    return check


def _compile_map(node: SchemaNode, done: dict[int, Check]) -> Check:
    item = compile_node(node.values, done) if node.values else _any

    def check(value: Any) -> Any:
        if type(value) is not dict:
            return _null(value)
        for element in value.values():
            if item(element):
                raise _Odd
        return not value

    return check


def _compile_scalar(node: SchemaNode, done: dict[int, Check]) -> Check:
    if node.definition.endswith(".MicroTime"):
        return _micro_time
    return _SCALARS.get(node.format) or _SCALARS[node.type]


def _compile_any(node: SchemaNode, done: dict[int, Check]) -> Check:
    return _any


_COMPILERS = {
    "object": _compile_object,
    "array": _compile_array,
    "map": _compile_map,
    "scalar": _compile_scalar,
    "any": _compile_any,
}


def _null(value: Any) -> bool:
    if value is None:
        return True
    raise _Odd


def _any(value: Any) -> bool:
    return value is None


def _string(value: Any) -> bool:
    return False if type(value) is str else _null(value)


def _boolean(value: Any) -> bool:
    return False if type(value) is bool else _null(value)


def _int32(value: Any) -> bool:
    return False if type(value) is int and -INT32 <= value < INT32 else _null(value)


def _int64(value: Any) -> bool:
    return False if type(value) is int and -INT64 <= value < INT64 else _null(value)


def _number(value: Any) -> bool:
    return False if type(value) in (int, float) else _null(value)


def _int_or_string(value: Any) -> bool:
    return False if type(value) is str else _int32(value)


@lru_cache(4096)
def _is_canonical_quantity(text: str) -> bool:
    try:
        return quantity.canonical(text) == text
    except ValueError:
        return False


def _quantity(value: Any) -> bool:
    return False if type(value) is str and _is_canonical_quantity(value) else _null(value)


@lru_cache(1024)
def _is_canonical_time(text: str, micro: bool) -> bool:
    try:
        return (times.canonical_micro(text) if micro else times.canonical(text)) == text
    except ValueError:
        return False


def _time(value: Any) -> bool:
    return False if type(value) is str and _is_canonical_time(value, False) else _null(value)


def _micro_time(value: Any) -> bool:
    return False if type(value) is str and _is_canonical_time(value, True) else _null(value)


def _bytes(value: Any) -> bool:
    if type(value) is not str:
        return _null(value)
    try:
        binascii.a2b_base64(value, strict_mode=True)
    except ValueError:
        raise _Odd from None
    return False


_SCALARS: dict[str, Check] = {
    "int32": _int32,
    "int64": _int64,
    "double": _number,
    "byte": _bytes,
    "quantity": _quantity,
    "int-or-string": _int_or_string,
    "date-time": _time,
    "string": _string,
    "integer": _int64,
    "number": _number,
    "boolean": _boolean,
}


def _string_or_zero(value: Any) -> bool:
    return not value if type(value) is str else _null(value)


def _boolean_or_zero(value: Any) -> bool:
    return not value if type(value) is bool else _null(value)


def _int32_or_zero(value: Any) -> bool:
    return not value if type(value) is int and -INT32 <= value < INT32 else _null(value)


def _int64_or_zero(value: Any) -> bool:
    return not value if type(value) is int and -INT64 <= value < INT64 else _null(value)


def _bytes_or_zero(value: Any) -> bool:
    return _bytes(value) or not value


_OR_ZERO: dict[Check, Check] = {
    _bytes: _bytes_or_zero,
    _string: _string_or_zero,
    _boolean: _boolean_or_zero,
    _int32: _int32_or_zero,
    _int64: _int64_or_zero,
}
"""The check of a field → the one that also leaves out its zero value."""

# The slow walk.


class _Walk:
    """One pass with paths: repairs in place, collects unknown fields, raises DecodeError at the first wrong type."""

    def __init__(self) -> None:
        self.unknown: list[str] = []
        self._names: list[str] = []
        self._struct = ""

    def root(self, node: SchemaNode, value: Any) -> Any:
        return self._value(node, value, "")

    def _value(self, node: SchemaNode, value: Any, path: str) -> Any:
        """The decoded value, or _DROP for null."""
        if value is None:
            return _DROP
        if node.kind == "any":
            return value
        if node.kind == "scalar":
            return self._scalar(node, value)
        if type(value) is not (list if node.kind == "array" else dict):
            raise self._type_error(node, value)
        if node.kind == "object":
            return self._object(node, value, path)
        return self._array(node, value, path) if node.kind == "array" else self._map(node, value, path)

    def _object(self, node: SchemaNode, value: Any, path: str) -> Obj:
        outer, kept = self._struct, _kept(node)
        for name in list(value):
            child = node.properties.get(name)
            here = f"{path}.{name}" if path else name
            if child is None:
                if not node.unknown:
                    del value[name]
                    self.unknown.append(f'unknown field "{here}"')
                continue
            self._struct = node.go_type.rpartition(".")[2]
            self._names.append(name)
            decoded = self._value(child, value[name], here)
            self._names.pop()
            empty = decoded in ([], {}) and child.kind in ("array", "map") and name not in kept
            if child.kind == "scalar" and decoded in ("", 0, False) and name in omitted(node.definition):
                empty = name not in node.required
            if decoded is _DROP or empty:
                del value[name]
            else:
                value[name] = decoded
        complete(value, written(node.definition))
        self._struct = outer
        return value

    def _array(self, node: SchemaNode, value: Any, path: str) -> list[Any]:
        if node.items:
            for i, item in enumerate(value):
                decoded = self._value(node.items, item, f"{path}[{i}]")
                value[i] = _zero(node.items) if decoded is _DROP else decoded
        return value

    def _map(self, node: SchemaNode, value: Any, path: str) -> Obj:
        if node.values:
            for key, item in value.items():
                decoded = self._value(node.values, item, f"{path}.{key}" if path else key)
                value[key] = _zero(node.values) if decoded is _DROP else decoded
        return value

    def _scalar(self, node: SchemaNode, value: Any) -> Any:
        if node.format == "quantity":
            return _decode_quantity(value)
        if node.format == "date-time":
            return _decode_time(value, node.definition.endswith(".MicroTime"))
        if node.format == "byte" and type(value) is str:
            return _decode_bytes(value)
        check = _compile_scalar(node, {})
        try:
            check(value)
        except _Odd:
            if node.format == "int-or-string":
                raise DecodeError(f"json: cannot unmarshal {json_kind(value)} into Go value of type int32") from None
            raise self._type_error(node, value) from None
        return value

    def _type_error(self, node: SchemaNode, value: Any) -> DecodeError:
        kind = json_kind(value)
        if kind.startswith("number") and not (node.kind == "scalar" and node.type in ("integer", "number")):
            kind = "number"
        if not self._names:
            return DecodeError(f"json: cannot unmarshal {kind} into Go value of type {node.go_type}")
        field = f"{self._struct}.{'.'.join(self._names)}"
        error = DecodeError(f"json: cannot unmarshal {kind} into Go struct field {field} of type {node.go_type}")
        error.converted = _not_converted(node, value)
        return error


_GO_KINDS = {str: "string", bool: "bool", int: "int64", float: "float64", list: "slice", dict: "map"}
_RESTORED = {"array": "slice from ", "map": "map from ", "object": "struct from: "}


def _not_converted(node: SchemaNode, value: Any) -> str:
    """In the words of apimachinery pkg/runtime/converter.go."""
    have = _GO_KINDS[type(value)]
    if node.kind in _RESTORED:
        return f"cannot restore {_RESTORED[node.kind]}{have}"
    if have == "int64" and node.type == "string":
        return f"cannot convert int64 to {node.go_type}"
    return f"unrecognized type: {node.go_type}"


def json_kind(value: Any) -> str:
    """What Go's decoder calls a JSON value; numbers with their text."""
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, (int, float)):
        return f"number {orjson.dumps(value).decode() if abs(value) < INT64 else value}"
    return "string" if isinstance(value, str) else "array" if isinstance(value, list) else "object"


def _zero(node: SchemaNode) -> Any:
    """What a null element of a list or map becomes in Go."""
    if node.kind in ("object", "map"):
        return {}
    if node.kind == "array":
        return []
    if node.format == "quantity":
        return "0"
    return {"integer": 0, "number": 0, "boolean": False}.get(node.type, "" if node.kind == "scalar" else None)


def _decode_quantity(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    try:
        return quantity.canonical(text.strip())
    except ValueError as err:
        raise DecodeError(str(err)) from None


def _decode_time(value: Any, micro: bool) -> str:
    if not isinstance(value, str):
        kind = json_kind(value).partition(" ")[0]
        raise DecodeError(f"json: cannot unmarshal {kind} into Go value of type string")
    try:
        return times.canonical_micro(value) if micro else times.canonical(value)
    except ValueError as err:
        raise DecodeError(str(err)) from None


_BASE64 = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")


def _decode_bytes(value: str) -> str:
    text = value.replace("\n", "").replace("\r", "")
    try:
        binascii.a2b_base64(text, strict_mode=True)
    except ValueError:
        at = next((i for i, c in enumerate(text) if c not in _BASE64), len(text) // 4 * 4)
        raise DecodeError(f"illegal base64 data at input byte {at}") from None
    return text
