"""The types of the language: what the checker works with, and their names in messages.

A Type is a kind, a name and parameters; two types are the same when all three are. `signature` reads the notation in
which functions are declared: `string, list(A) -> bool`.
"""

import re
from dataclasses import dataclass
from functools import lru_cache


@dataclass(frozen=True, slots=True)
class Type:
    kind: str
    name: str
    params: "tuple[Type, ...]" = ()

    def __str__(self) -> str:
        if self.params:
            return f"{self.name}({', '.join(map(str, self.params))})"
        return _SHOWN.get(self.name, self.name)


_SHOWN = {"null_type": "null", "google.protobuf.Timestamp": "timestamp", "google.protobuf.Duration": "duration"}

DYN = Type("dyn", "dyn")
ERROR = Type("error", "!error!")
BOOL = Type("bool", "bool")
INT = Type("int", "int")
UINT = Type("uint", "uint")
DOUBLE = Type("double", "double")
STRING = Type("string", "string")
BYTES = Type("bytes", "bytes")
NULL = Type("null", "null_type")
TIMESTAMP = Type("timestamp", "google.protobuf.Timestamp")
DURATION = Type("duration", "google.protobuf.Duration")
TYPE = Type("type", "type")

IP = Type("opaque", "net.IP")
CIDR = Type("opaque", "net.CIDR")
URL = Type("object", "kubernetes.URL")
QUANTITY = Type("object", "kubernetes.Quantity")
SEMVER = Type("object", "kubernetes.Semver")
FORMAT = Type("object", "kubernetes.NamedFormat")

SCALARS = frozenset(("bool", "int", "uint", "double", "timestamp", "duration"))


def list_of(element: Type) -> Type:
    return Type("list", "list", (element,))


def map_of(key: Type, value: Type) -> Type:
    return Type("map", "map", (key, value))


def optional_of(value: Type) -> Type:
    return Type("opaque", "optional_type", (value,))


def type_of(t: Type) -> Type:
    return Type("type", "type", (t,))


def object_type(name: str) -> Type:
    return Type("object", name)


def parameter(name: str) -> Type:
    return Type("param", name)


def is_optional(t: Type) -> bool:
    return t.kind == "opaque" and t.name == "optional_type"


def unwrap(t: Type) -> Type:
    """The type within an optional, else the type itself."""
    return t.params[0] if is_optional(t) else t


def is_dyn(t: Type) -> bool:
    return t.kind in ("dyn", "error")


_NAMED = {
    **{t.name: t for t in (DYN, BOOL, INT, UINT, DOUBLE, STRING, BYTES, TYPE, IP, CIDR)},
    "null": NULL, "timestamp": TIMESTAMP, "duration": DURATION,
    "url": URL, "quantity": QUANTITY, "semver": SEMVER, "format": FORMAT,
}  # fmt: skip
_WORD = re.compile(r"[\w.]+|[(),]")


@lru_cache(1024)
def signature(text: str) -> tuple[tuple[Type, ...], Type]:
    """`int, list(A) -> A` → the types of the arguments, the type of the result. One capital letter is a parameter."""
    arguments, _, result = text.partition("->")
    return tuple(_many(arguments)), _many(result)[0]


def _many(text: str) -> list[Type]:
    words = _WORD.findall(text)
    found: list[Type] = []
    while words:
        found.append(_one(words))
        if words:
            words.pop(0)
    return found


def _one(words: list[str]) -> Type:
    name = words.pop(0)
    params: list[Type] = []
    if words and words[0] == "(":
        words.pop(0)
        while words[0] != ")":
            params.append(_one(words))
            if words[0] == ",":
                words.pop(0)
        words.pop(0)
    match name:
        case "list":
            return list_of(*params)
        case "map":
            return map_of(*params)
        case "optional":
            return optional_of(*params)
        case "type" if params:
            return type_of(*params)
    if len(name) == 1 and name.isupper():
        return parameter(name)
    return _NAMED.get(name) or object_type(name)


def parameters_of(*types: Type) -> frozenset[Type]:
    """The parameters that occur in some types."""
    found: set[Type] = set()
    for t in types:
        found |= {t} if t.kind == "param" else parameters_of(*t.params)
    return frozenset(found)
