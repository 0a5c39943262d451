"""The value validation of a custom resource's schema: types, bounds, enums, formats, and the junctors, in upstream's words.

A `Validator` is made per place of the schema when that place is first met. With the old object, mistakes in parts that an
update does not touch are forgiven (ratcheting). Source: kube-openapi pkg/validation/{validate,errors}, apiextensions-apiserver
pkg/apiserver/validation.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import orjson

from skiff.api.errors import FieldError, too_long, too_many
from skiff.api.structural.formats import STRINGS
from skiff.api.structural.patterns import compile_go

NONE: Any = object()
"""There is no old value to compare with."""

NO_PATH = "<nil>"
INT32 = 1 << 31
INT64 = 1 << 63
EXACT = (1 << 53) - 1
"""Up to here a float is as good as an integer."""
FLOAT32 = 3.4028235677973366e38
"""From here on a number is infinite in four bytes."""
_KINDS = {str: "string", bool: "boolean", int: "integer", float: "number", list: "array", dict: "object"}
_KIND_FORMATS = {"integer": "int64", "number": "float64"}


def errors_of(schema: Mapping[str, Any], value: Any, old: Any = NONE) -> list[FieldError]:
    """All mistakes of a value."""
    return Validator(schema).errors(value, old)


def go_number(value: float | int) -> str:
    """A number as Go's %v prints it."""
    if isinstance(value, int):
        return str(value)
    if value == int(value) and abs(value) < 1e6:
        return str(int(value))
    digits, _, exponent = f"{Decimal(repr(value)):e}".partition("e")
    if "." in digits:
        digits = digits.rstrip("0").rstrip(".")
    power = int(exponent)
    if -4 <= power < 21 and not float(value).is_integer():
        return repr(value)
    return f"{digits}e{'-' if power < 0 else '+'}{abs(power):02d}"


class Validator:
    """One place of a schema."""

    __slots__ = ("_children", "_schema", "_types")

    def __init__(self, schema: Mapping[str, Any]) -> None:
        self._schema = schema
        type_ = schema.get("type")
        self._types: tuple[str, ...] = (type_,) if type_ else ()
        if schema.get("x-kubernetes-int-or-string"):
            self._types = ("integer", "string")
        self._children: dict[Any, Validator] = {}

    def errors(self, value: Any, old: Any = NONE) -> list[FieldError]:
        found: list[FieldError] = []
        self.check(value, "", found, NONE)
        if found and old is not NONE:
            found = []
            self.check(value, "", found, old)
        return list(dict.fromkeys(found)) if len(found) > 1 and _hashable(found) else found

    def check(self, value: Any, path: str, found: list[FieldError], old: Any) -> None:
        """Adds the mistakes of a value at a path. old: the value's former self, NONE if there is none."""
        before = len(found)
        if value is None:
            self._null(path, found)
        else:
            self._check(value, path, found, old)
        if len(found) > before and old is not NONE and _same(value, old):
            del found[before:]

    def _child(self, key: Any, schema: Mapping[str, Any]) -> "Validator":
        found = self._children.get(key)
        if found is None:
            found = self._children[key] = Validator(schema)
        return found

    def _null(self, path: str, found: list[FieldError]) -> None:
        if self._types and not self._schema.get("nullable"):
            found.append(_type_error(path, ",".join(self._types), "null"))
        self._enum(None, path, found)

    def _check(self, value: Any, path: str, found: list[FieldError], old: Any) -> None:
        kind = _KINDS[type(value)]
        if kind == "integer" and not -INT64 <= value < INT64:
            kind, value = "number", float(value)
        schema = self._schema
        if self._types or "format" in schema:
            self._type(value, kind, path, found)
        if "anyOf" in schema or "oneOf" in schema or "allOf" in schema or "not" in schema:
            self._junctors(value, path, found, old)
        if kind == "string":
            self._string(value, path, found)
        elif kind in ("integer", "number"):
            self._number(value, path, found)
        elif kind == "array":
            self._array(value, path, found, old)
        elif kind == "object":
            self._object(value, path, found, old)
        self._enum(value, path, found)

    def _type(self, value: Any, kind: str, path: str, found: list[FieldError]) -> None:
        types = self._types
        integral = kind == "number" and value.is_integer() and abs(value) <= EXACT and "integer" in types
        fits = kind in types or integral or (kind == "integer" and "number" in types)
        if fits or not types:
            return
        format = self._schema.get("format")
        if format and kind not in ("string", "array"):
            found.append(_type_error(path, format, _KIND_FORMATS.get(kind, "")))
        else:
            found.append(_type_error(path, ",".join(types), kind))

    def _enum(self, value: Any, path: str, found: list[FieldError]) -> None:
        allowed = self._schema.get("enum")
        if not allowed or any(_same(value, a) for a in allowed):
            return
        listed = ", ".join(_quoted(a if isinstance(a, str) else orjson.dumps(a).decode()) for a in allowed)
        found.append(FieldError(_at(path), "FieldValueNotSupported", value, f"supported values: {listed}"))

    def _string(self, value: str, path: str, found: list[FieldError]) -> None:
        schema = self._schema
        if (limit := schema.get("maxLength")) is not None and len(value) > limit:
            found.append(too_long(_at(path), "", limit))
        elif (limit := schema.get("minLength")) is not None and len(value) < limit:
            found.append(_invalid(path, value, f"should be at least {limit} chars long"))
        elif (pattern := schema.get("pattern")) and not compile_go(pattern).search(value):
            found.append(_invalid(path, value, f"should match '{pattern}'"))
        if format := schema.get("format"):
            known = STRINGS.get(format.replace("-", "")) if "string" in self._types or not self._types else None
            if known is not None and not known(value):
                words = f"{path} in body must be of type {format}: {_quoted(value)}"
                found.append(FieldError(_at(path), "FieldValueTypeInvalid", value, words))

    def _number(self, value: float | int, path: str, found: list[FieldError]) -> None:
        schema = self._schema
        self._range(value, path, found)
        if (factor := schema.get("multipleOf")) and Decimal(repr(value)) % Decimal(repr(factor)) != 0:
            found.append(_invalid(path, value, f"should be a multiple of {_bound(value, factor)}"))
        if (limit := schema.get("minimum")) is not None:
            exclusive = schema.get("exclusiveMinimum")
            if value < limit or (exclusive and value == limit):
                words = "greater than" if exclusive else "greater than or equal to"
                found.append(_invalid(path, value, f"should be {words} {_bound(value, limit)}"))
        if (limit := schema.get("maximum")) is not None:
            exclusive = schema.get("exclusiveMaximum")
            if value > limit or (exclusive and value == limit):
                words = "less than" if exclusive else "less than or equal to"
                found.append(_invalid(path, value, f"should be {words} {_bound(value, limit)}"))

    def _range(self, value: float | int, path: str, found: list[FieldError]) -> None:
        type_, format = self._types[0] if self._types else "", self._schema.get("format") or ""
        if type_ == "integer":
            limit = INT32 if format == "int32" else INT64
            fits = float(value).is_integer() and -limit <= value < limit
        else:
            fits = format not in ("float", "float32") or abs(value) < FLOAT32
        if not fits:
            form = f"with format {format}" if format else "(default format)"
            found.append(_composite(f"Checked value must be of type {type_} {form} in {path.removeprefix('.')}"))

    def _array(self, value: list[Any], path: str, found: list[FieldError], old: Any) -> None:
        schema = self._schema
        items = schema.get("items")
        if isinstance(items, dict):
            validator = self._child("items", items)
            former = _correlate(schema, value, old)
            for i, item in enumerate(value):
                validator.check(item, f"{path}[{i}]", found, former[i] if former else NONE)
        size = len(value)
        if (limit := schema.get("minItems")) is not None and size < limit:
            found.append(_invalid(path, size, f"should have at least {limit} items"))
        if (limit := schema.get("maxItems")) is not None and size > limit:
            found.append(too_many(_at(path), size, limit))

    def _object(self, value: dict[str, Any], path: str, found: list[FieldError], old: Any) -> None:
        schema = self._schema
        size = len(value)
        if (limit := schema.get("minProperties")) is not None and size < limit:
            found.append(_invalid(path, size, f"should have at least {limit} properties"))
        if (limit := schema.get("maxProperties")) is not None and size > limit:
            found.append(too_many(_at(path), size, limit))
        properties, rest = schema.get("properties") or {}, schema.get("additionalProperties")
        former = old if isinstance(old, dict) and schema.get("x-kubernetes-map-type") != "atomic" else {}
        for key, item in value.items():
            below = properties.get(key)
            here = f"{path}.{key}" if path else key
            if below is not None:
                self._child(("field", key), below).check(item, here, found, former.get(key, NONE))
            elif isinstance(rest, dict):
                self._child("values", rest).check(item, f"{path}.{key}", found, former.get(key, NONE))
            elif rest is False:
                found.append(_forbidden_property(path, key))
        for key in schema.get("required") or ():
            if key not in value:
                found.append(FieldError(_at(f"{path}.{key}"), "FieldValueRequired"))

    def _junctors(self, value: Any, path: str, found: list[FieldError], old: Any) -> None:
        schema = self._schema
        if schemas := schema.get("anyOf"):
            results = self._each("anyOf", schemas, value, path, old)
            if all(results):
                found.append(_composite(f"{_quoted(path)} must validate at least one schema (anyOf)"))
                found.extend(results[_closest(schemas, value)])
        if schemas := schema.get("oneOf"):
            results = self._each("oneOf", schemas, value, path, old)
            valid = sum(1 for r in results if not r)
            if valid != 1:
                many = f"Found {valid} valid alternatives" if valid else "Found none valid"
                found.append(_composite(f"{_quoted(path)} must validate one and only one schema (oneOf). {many}"))
                if not valid:
                    found.extend(results[_closest(schemas, value)])
        if schemas := schema.get("allOf"):
            results = self._each("allOf", schemas, value, path, old)
            wrong = [r for r in results if r]
            for result in wrong:
                found.extend(result)
            if wrong:
                none = ". None validated" if len(wrong) == len(results) else ""
                found.append(_composite(f"{_quoted(path)} must validate all the schemas (allOf){none}"))
        if (unwanted := schema.get("not")) is not None:
            refusals: list[FieldError] = []
            self._child("not", unwanted).check(value, path, refusals, old)
            if not refusals:
                found.append(_composite(f"{_quoted(path)} must not validate the schema (not)"))

    def _each(self, name: str, schemas: list[Any], value: Any, path: str, old: Any) -> list[list[FieldError]]:
        results = []
        for i, schema in enumerate(schemas):
            result: list[FieldError] = []
            self._child((name, i), schema).check(value, path, result, old)
            results.append(result)
        return results


def _closest(schemas: list[Any], value: Any) -> int:
    """Which schema's mistakes are told: upstream takes the one that looks at most of the value, the first of several."""
    looks = [_looked_at(schema, value) for schema in schemas]
    return looks.index(max(looks))


def _looked_at(schema: Mapping[str, Any], value: Any) -> int:
    """How many places of a value a schema says something about."""
    if isinstance(value, dict):
        named, rest = schema.get("properties") or {}, schema.get("additionalProperties")
        below = [(named.get(key, rest), item) for key, item in value.items()]
    else:
        below = [(schema.get("items"), item) for item in value] if isinstance(value, list) else []
    return 1 + sum(_looked_at(child, item) for child, item in below if isinstance(child, Mapping))


def _correlate(schema: Mapping[str, Any], value: list[Any], old: Any) -> list[Any]:
    """For each item of a list of type map its former self; [] when there is none."""
    keys = schema.get("x-kubernetes-list-map-keys")
    if schema.get("x-kubernetes-list-type") != "map" or not keys or not isinstance(old, list):
        return []

    def key(item: Any) -> bytes:
        return orjson.dumps([item.get(k) for k in keys]) if isinstance(item, dict) else b""

    former = {key(item): item for item in old}
    return [former.get(key(item), NONE) for item in value]


def _same(a: Any, b: Any) -> bool:
    """Equal, true and 1 being different."""
    if type(a) is str or type(b) is str:
        return type(a) is type(b) and bool(a == b)
    if a != b:
        return False
    if type(a) in (int, float) and type(b) in (int, float):
        return True
    return orjson.dumps(a, option=orjson.OPT_SORT_KEYS) == orjson.dumps(b, option=orjson.OPT_SORT_KEYS)


def _hashable(found: list[FieldError]) -> bool:
    return not any(isinstance(e.value, (dict, list)) for e in found)


def _at(path: str) -> str:
    return path.removeprefix(".") or NO_PATH


def _quoted(text: str) -> str:
    return orjson.dumps(text).decode()


def _bound(value: float | int, bound: float | int) -> str:
    """Beside an integer a bound is printed as one where it is one."""
    if isinstance(value, int) and float(bound).is_integer():
        return str(int(bound))
    return go_number(float(bound))


def _invalid(path: str, value: Any, words: str) -> FieldError:
    return FieldError(_at(path), "FieldValueInvalid", value, f"{path} in body {words}")


def _type_error(path: str, expected: str, actual: str) -> FieldError:
    words = f"{path} in body must be of type {expected}: {_quoted(actual)}"
    return FieldError(_at(path), "FieldValueTypeInvalid", actual, words)


def _forbidden_property(path: str, key: str) -> FieldError:
    return FieldError(_at(path), "FieldValueInvalid", key, f"{path}.{key} in body is a forbidden property")


def _composite(words: str) -> FieldError:
    """Mistakes that upstream reports without a place."""
    return FieldError(NO_PATH, "FieldValueInvalid", "", words)
