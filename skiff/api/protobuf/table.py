"""The field numbers of Kubernetes' types: fields.txt, written by tools/protobuf_table.py.

One line per message: `package/version.Name: field field ...`, fields in the order of their numbers, which is that in which
Go writes them. A field is `jsonName=number`, a mark, a shape and a type:

    mark    * a pointer: written only when set     ! a pointer that JSON shows as null when it is not set
            ? JSON leaves the zero value out       none: JSON keeps it
    shape   [] a list     {} a map by text
    type    s text, y bytes, i integer, b boolean, d double; Quantity, Time, ... (special.py); otherwise a message, of the
            same package unless it is named in full

A field without a name is inlined: in JSON its message's fields belong to the parent. The file is read per package, when
a message of the package is first asked for; other lines are not kept.
"""

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

PACKAGES = {
    "": "core",
    "rbac.authorization.k8s.io": "rbac",
    "flowcontrol.apiserver.k8s.io": "flowcontrol",
}
"""Group → package, where it is not the group without `.k8s.io`."""

META_KINDS = frozenset(
    {"APIGroup", "APIGroupList", "APIResourceList", "APIVersions", "Status", "WatchEvent", "DeleteOptions"}
    | {"CreateOptions", "UpdateOptions", "PatchOptions", "ListOptions", "GetOptions"}
    | {"PartialObjectMetadata", "PartialObjectMetadataList"}
)
"""Kinds that upstream registers in every group version."""

OWN_FORM = frozenset(
    {"Quantity", "IntOrString", "Raw", "Time", "MicroTime", "Items", "SchemaOrArray", "SchemaOrBool"}
    | {"SchemaOrStrings"}
)
_FIELD = re.compile(r"([^=]*)=(\d+)([*!?]?)(\[\]|\{\}|)(.+)")


@dataclass(frozen=True, slots=True)
class Field:
    """type: a letter, a name in OWN_FORM, or a message's full name. shown: JSON has it, set or not."""

    name: str
    number: int
    pointer: bool
    omit: bool
    shown: bool
    shape: str
    type: str


@cache
def _package(name: str) -> dict[str, str]:
    """Message → its fields, as text."""
    start = name + "."
    found = {}
    with (Path(__file__).parent / "fields.txt").open(encoding="ascii") as lines:
        for line in lines:
            if line.startswith(start):
                message, _, fields = line.partition(":")
                found[message] = fields.strip()
    return found


def exists(message: str) -> bool:
    return message in _package(message.partition(".")[0])


def fields(message: str) -> list[Field]:
    """In the order of their numbers; none for a message that only others name: the table leaves out those without."""
    package = message.partition(".")[0]
    return [_field(text, package) for text in _package(package).get(message, "").split()]


def _field(text: str, package: str) -> Field:
    match = _FIELD.fullmatch(text)
    assert match is not None, text
    name, number, mark, shape, kind = match.groups()
    if kind not in OWN_FORM and len(kind) > 1 and "/" not in kind:
        kind = f"{package}.{kind}"
    return Field(name, int(number), mark in ("*", "!"), mark == "?", mark in ("", "!"), shape, kind)


def message_name(api_version: str, kind: str) -> str:
    """The message of a kind, whether or not it exists."""
    if kind in META_KINDS and (api_version, kind) != ("meta.k8s.io/v1beta1", "PartialObjectMetadataList"):
        return "meta/v1." + kind
    group, _, version = api_version.rpartition("/")
    return f"{PACKAGES.get(group) or group.removesuffix('.k8s.io')}/{version}.{kind}"
