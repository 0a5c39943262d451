"""A version of a definition as a resource record, and how its objects are stored.

Source: apiextensions-apiserver pkg/registry/customresource.
"""

from collections.abc import Callable
from typing import Any

import orjson

from skiff.api import names
from skiff.api.cel import validations
from skiff.api.errors import FieldError, forbidden, invalid
from skiff.api.jsonpath import JSONPathError
from skiff.api.printers import custom_printer
from skiff.api.resources import Printer, Resource, Subresource
from skiff.api.resources.define import SCALE, STATUS
from skiff.api.resources.fields import at
from skiff.api.structural import embedded, lists
from skiff.api.structural.selectable import getter
from skiff.api.types import GVR, Obj
from skiff.apiserver.apiextensions.definition import Definition, Version, VersionInfo
from skiff.apiserver.entries import Codec, Entry

INT32_MAX = 2147483647


class CustomCodec(Codec):
    """What is read is shown as the storage version's schema has it now, not as it was when it was written."""

    def __init__(self, gvr: GVR, version: Version, selectable: dict[str, Callable[[Obj], str]]):
        super().__init__(gvr, selectable)
        self._version = version

    def entry(self, key: str, value: bytes, revision: int) -> Entry:
        obj = self._version.normalize(orjson.loads(value))
        meta = obj["metadata"]
        data = self.splice(self.encode(obj), revision)
        fields = tuple([get(obj) for get in self._getters])
        return Entry(meta.get("namespace", ""), meta["name"], revision, data, meta.get("labels") or {}, fields)


def model_name(group: str, version: str, kind: str) -> str:
    """The name of an OpenAPI definition: `com.example.v1.Foo`."""
    return ".".join([*reversed(group.split(".")), version, kind])


def record(definition: Definition, info: VersionInfo, version: Version, storage: Version) -> Resource:
    gvr = definition.gvr(info.name)
    native = info.name == storage.name
    selectable = {path: getter(path) for path in info.selectable}
    subresources: tuple[Subresource, ...] = (*([STATUS] if info.status else []), *([SCALE] if info.scale else []))
    checks = _Checks(version, info)
    return Resource(
        gvr=gvr,
        schema=model_name(gvr.group, gvr.version, gvr.kind),
        singular=definition.accepted.singular,
        list_kind=definition.accepted.list_kind,
        short_names=definition.accepted.short_names,
        categories=definition.accepted.categories,
        subresources=subresources,
        prepare=_preparation(info, gvr, definition.terminating),
        validate=checks.new,
        warn=_warn_of_finalizers,
        validate_update=checks.changed,
        validate_status_update=checks.status_changed,
        selectable=selectable,
        indexed=tuple(selectable),
        name_rule=names.is_dns1123_subdomain,
        has_status=info.status,
        has_generation=True,
        unconditional_update=False,
        storage=None if native else definition.gvr(storage.name),
        to_storage=None if native else _to(storage),
        from_storage=None if native else version.normalize,
        printer=_printer(info),
        custom=True,
        scale=info.scale,
        warnings=(info.warning,) if info.warning else (),
    )


def _to(storage: Version) -> Callable[[Obj], Obj]:
    """Conversion None: only the version's name changes, and what the storage version does not know goes."""

    def convert(obj: Obj) -> Obj:
        copied: Obj = orjson.loads(orjson.dumps(obj))
        return storage.normalize(copied)

    return convert


def _printer(info: VersionInfo) -> Printer:
    try:
        return custom_printer(info.columns)
    except JSONPathError:
        return custom_printer(())


def _preparation(info: VersionInfo, gvr: GVR, terminating: bool) -> Callable[[Obj, Obj | None], None]:
    def prepare(new: Obj, old: Obj | None) -> None:
        if old is None and terminating:
            words = "create not allowed while custom resource definition is terminating"
            raise forbidden(gvr, new["metadata"].get("name", ""), words)
        if old is None and info.status:
            new.pop("status", None)

    return prepare


class _Checks:
    """The validation of one version's objects."""

    def __init__(self, version: Version, info: VersionInfo):
        self._version = version
        self._info = info

    def new(self, obj: Obj) -> list[FieldError]:
        found = self._version.validator.errors(obj)
        if self._info.scale:
            found += scale_errors(obj, self._info.scale)
        return self._with_rules(found + self._shape(obj) + lists.errors_of(obj, self._version.structural), obj, None)

    def changed(self, new: Obj, old: Obj) -> list[FieldError]:
        found = self._version.validator.errors(new, old)
        if self._info.scale:
            found += scale_errors(new, self._info.scale)
        return self._with_rules(found + self._shape(new) + self._repeated(new, old), new, old)

    def status_changed(self, new: Obj, old: Obj) -> list[FieldError]:
        found: list[FieldError] = []
        if "status" in new:
            wrong = self._version.status_validator.errors(new["status"], old.get("status"))
            found = [FieldError(_status_path(e.path), e.type, e.value, e.detail) for e in wrong]
        if self._info.scale:
            found += scale_errors(new, ("", *self._info.scale[1:]))
        return self._with_rules(found + self._repeated(new, old), new, old)

    def _with_rules(self, found: list[FieldError], new: Obj, old: Obj | None) -> list[FieldError]:
        """Rules in CEL see only objects that are otherwise sound."""
        if self._version.rules is None:
            return found
        unchecked = validations.blocked(found)
        return [*found, unchecked] if unchecked else found + self._version.rules.validate(new, old)

    def _shape(self, obj: Obj) -> list[FieldError]:
        return embedded.errors_of(obj, self._version.structural)

    def _repeated(self, new: Obj, old: Obj) -> list[FieldError]:
        """Only what is new: an object that has duplicates already may be changed elsewhere."""
        found = lists.errors_of(new, self._version.structural)
        return found if found and not lists.errors_of(old, self._version.structural) else []


def _status_path(path: str) -> str:
    return "status" if path == "<nil>" else f"status.{path}"


_STANDARD = ("orphan", "foregroundDeletion", "kubernetes")


def _warn_of_finalizers(new: Obj, old: Obj | None) -> list[str]:
    """Of those that are new and without a domain."""
    before = ((old or {}).get("metadata") or {}).get("finalizers") or ()
    added = sorted(set(new["metadata"].get("finalizers") or ()).difference(before, _STANDARD))
    why = "to avoid accidental conflicts with other finalizer writers"
    return [
        f'metadata.finalizers: "{name}": prefer a domain-qualified finalizer name '
        f"{'including a path (/) ' if '.' in name else ''}{why}"
        for name in added
        if "/" not in name
    ]


def scale_errors(obj: Obj, paths: tuple[str, str, str]) -> list[FieldError]:
    found: list[FieldError] = []
    for path in paths[:2]:
        if not path:
            continue
        value = at(obj, path)
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, int):
            why = f"{path} accessor error: {_go(value)} is of the type {_go_type(value)}, expected int64"
            found.append(invalid(path, 0, why))
        elif value < 0:
            found.append(invalid(path, value, "should be a non-negative integer"))
        elif value > INT32_MAX:
            found.append(invalid(path, value, f"should be less than or equal to {INT32_MAX}"))
    selector = at(obj, paths[2]) if paths[2] else None
    if selector is not None and not isinstance(selector, str):
        why = f"{paths[2]} accessor error: {_go(selector)} is of the type {_go_type(selector)}, expected string"
        found.append(invalid(paths[2], "", why))
    return found


def _go(value: Any) -> str:
    return value if isinstance(value, str) else orjson.dumps(value).decode()


def _go_type(value: Any) -> str:
    names_ = {str: "string", bool: "bool", int: "int64", float: "float64", list: "[]interface {}"}
    return names_.get(type(value), "map[string]interface {}")
