"""Query parameters as typed options, checked in upstream's words (apimachinery meta/v1 and internalversion validation)."""

import argparse
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import orjson

from skiff.api.errors import (
    FieldError,
    StatusError,
    bad_request,
    forbidden_field,
    invalid,
    invalid_object,
    not_supported,
    too_long,
)
from skiff.api.types import GVR, Obj
from skiff.client.flags import duration

Params = Mapping[str, list[str]]

FIELD_MANAGER_LIMIT = 128
LIMIT_MAX = 1 << 31
PROPAGATIONS = ("Background", "Foreground", "Orphan")


def options_gvr(kind: str) -> GVR:
    return GVR("meta.k8s.io", "v1", "", kind)


def first(params: Params, name: str) -> str:
    values = params.get(name)
    return values[0] if values else ""


def boolean(params: Params, name: str) -> bool:
    """As upstream: present and neither `0` nor `false`; a bare `?watch` counts."""
    values = params.get(name)
    return bool(values) and values[0].lower() not in ("0", "false")  # type: ignore[index]


def allotted(params: Params, longest_s: float) -> float:
    """How long the request may take: what its `timeout` says, if that is shorter. Raises 400."""
    text = first(params, "timeout")
    if not text:
        return longest_s
    try:
        asked = duration(text.removeprefix("-"))
    except argparse.ArgumentTypeError:
        raise bad_request(
            f"invalid timeout specified in the request URL - time: invalid duration {orjson.dumps(text).decode()}"
        ) from None
    return asked if 0 < asked < longest_s and not text.startswith("-") else longest_s


def integer(params: Params, name: str) -> int | None:
    text = first(params, name)
    if not text:
        return None
    try:
        if not text.isascii() or "_" in text or text != text.strip():
            raise ValueError
        value = int(text) if len(text) < 25 else 2**64
    except ValueError:
        raise bad_request(f'strconv.ParseInt: parsing "{text}": invalid syntax') from None
    if not -(2**63) <= value < 2**63:
        raise bad_request(f'strconv.ParseInt: parsing "{text}": value out of range')
    return value


@dataclass(frozen=True, slots=True)
class ListOptions:
    labels: str = ""
    fields: str = ""
    watch: bool = False
    bookmarks: bool = False
    resource_version: str = ""
    match: str = ""
    timeout_seconds: int | None = None
    limit: int = 0
    continue_token: str = ""
    send_initial_events: bool | None = None


PLAIN_LIST = ListOptions()


def list_options(params: Params, watch: bool) -> ListOptions:
    """Raises 400 for what cannot be read, 422 for what does not fit together."""
    if not params:
        return replace(PLAIN_LIST, watch=True) if watch else PLAIN_LIST
    options = ListOptions(
        labels=first(params, "labelSelector"),
        fields=first(params, "fieldSelector"),
        watch=watch or boolean(params, "watch"),
        bookmarks=boolean(params, "allowWatchBookmarks"),
        resource_version=first(params, "resourceVersion"),
        match=first(params, "resourceVersionMatch"),
        timeout_seconds=integer(params, "timeoutSeconds"),
        limit=max(0, min(integer(params, "limit") or 0, LIMIT_MAX)),
        continue_token=first(params, "continue"),
        send_initial_events=boolean(params, "sendInitialEvents") if "sendInitialEvents" in params else None,
    )
    errors = _watch_errors(options) if options.watch else _list_errors(options)
    if errors:
        raise invalid_object(options_gvr("ListOptions"), "", errors)
    return options


def _list_errors(o: ListOptions) -> list[FieldError]:
    errors = []
    if o.match:
        if not o.resource_version:
            errors.append(_no_match("resourceVersionMatch is forbidden unless resourceVersion is provided"))
        if o.continue_token:
            errors.append(_no_match("resourceVersionMatch is forbidden when continue is provided"))
        if o.match not in ("Exact", "NotOlderThan"):
            errors.append(not_supported("resourceVersionMatch", o.match, ["Exact", "NotOlderThan", ""], ordered=True))
        if o.match == "Exact" and o.resource_version == "0":
            errors.append(_no_match('resourceVersionMatch "exact" is forbidden for resourceVersion "0"'))
    if o.send_initial_events is not None:
        errors.append(forbidden_field("sendInitialEvents", "sendInitialEvents is forbidden for list"))
    return errors


def _watch_errors(o: ListOptions) -> list[FieldError]:
    errors = []
    if o.send_initial_events is not None and o.match != "NotOlderThan":
        errors.append(_no_match("sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"))
    if o.match:
        if o.send_initial_events is None:
            errors.append(_no_match("resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided"))
        if o.match != "NotOlderThan":
            errors.append(not_supported("resourceVersionMatch", o.match, ["NotOlderThan"]))
    if o.continue_token:
        errors.append(_no_match("resourceVersionMatch is forbidden when continue is provided"))
    return errors


def _no_match(detail: str) -> FieldError:
    return forbidden_field("resourceVersionMatch", detail)


def revision(text: str, words: str = "") -> int:
    """A resourceVersion as the store's revision; "" is 0. Raises 400, which begins with `words`."""
    if not text:
        return 0
    if not (text.isascii() and text.isdigit()) or len(text) > 20 or int(text) >= 2**63:
        raise bad_request(
            f'{words}resourceVersion: Invalid value: "{text}": strconv.ParseUint: parsing "{text}": invalid syntax'
        )
    return int(text)


@dataclass(frozen=True, slots=True)
class WriteOptions:
    """Of create, update and patch. asked_validation: field_validation as it was given, "" if it was not."""

    dry_run: bool = False
    field_manager: str = ""
    field_validation: str = "Warn"
    force: bool = False
    asked_validation: str = ""

    def as_object(self, kind: str) -> Obj:
        """For admission: CreateOptions, UpdateOptions or PatchOptions."""
        found: Obj = {"kind": kind, "apiVersion": "meta.k8s.io/v1"}
        if self.asked_validation:
            found["fieldValidation"] = self.asked_validation
        if self.dry_run:
            found["dryRun"] = ["All"]
        if self.field_manager:
            found["fieldManager"] = self.field_manager
        return found


PLAIN_WRITE = WriteOptions()


def write_options(params: Params, kind: str, *, apply: bool = False) -> WriteOptions:
    """kind: CreateOptions, UpdateOptions or PatchOptions. Raises 422."""
    if not params:
        options = PLAIN_WRITE
    else:
        options = WriteOptions(
            dry_run=bool(params.get("dryRun")),
            field_manager=first(params, "fieldManager"),
            field_validation=first(params, "fieldValidation") or "Warn",
            asked_validation=first(params, "fieldValidation"),
            force=boolean(params, "force"),
        )
    errors = _patch_errors(options, params, apply) if kind == "PatchOptions" else []
    errors += _manager_errors(options.field_manager)
    errors += _dry_run_errors(params.get("dryRun", ()))
    if options.field_validation not in ("Ignore", "Warn", "Strict"):
        errors.append(not_supported("fieldValidation", options.field_validation, ["", "Ignore", "Strict", "Warn"]))
    if errors:
        raise invalid_object(options_gvr(kind), "", errors)
    return options


def _patch_errors(options: WriteOptions, params: Params, apply: bool) -> list[FieldError]:
    if apply:
        if not options.field_manager:
            return [FieldError("fieldManager", "FieldValueRequired", None, "is required for apply patch")]
        return []
    return [forbidden_field("force", "may not be specified for non-apply patch")] if "force" in params else []


def _dry_run_errors(values: Any) -> list[FieldError]:
    wrong = any(v != "All" for v in values)
    return [not_supported("dryRun", list(values), ["All"])] if wrong else []


def _manager_errors(manager: str) -> list[FieldError]:
    errors = []
    if len(manager) > FIELD_MANAGER_LIMIT:
        errors.append(too_long("fieldManager", manager, FIELD_MANAGER_LIMIT))
    for i, c in enumerate(manager):
        if not c.isprintable():
            why = f"invalid character U+{ord(c):04X} (at position {len(manager[:i].encode())})"
            errors.append(invalid("fieldManager", manager, why))
    return errors


@dataclass(frozen=True, slots=True)
class DeleteOptions:
    """propagation "" : the resource's default. grace_seconds None: the object's own."""

    grace_seconds: int | None = None
    uid: str | None = None
    resource_version: str | None = None
    propagation: str = ""
    orphan: bool | None = None
    dry_run: bool = False

    def as_object(self) -> Obj:
        """For admission."""
        found: Obj = {"kind": "DeleteOptions", "apiVersion": "meta.k8s.io/v1"}
        if self.grace_seconds is not None:
            found["gracePeriodSeconds"] = self.grace_seconds
        if self.propagation:
            found["propagationPolicy"] = self.propagation
        if self.orphan is not None:
            found["orphanDependents"] = self.orphan
        if self.dry_run:
            found["dryRun"] = ["All"]
        conditions = {"uid": self.uid, "resourceVersion": self.resource_version}
        if any(v is not None for v in conditions.values()):
            found["preconditions"] = {k: v for k, v in conditions.items() if v is not None}
        return found


def delete_options(params: Params, body: Any) -> DeleteOptions:
    """From a DeleteOptions object if there is one, otherwise from the query. Raises 400, 422."""
    options = _delete_body(body) if body is not None else _delete_query(params)
    errors = []
    if options.orphan is not None and options.propagation:
        why = "orphanDependents and deletionPropagation cannot be both set"
        errors.append(invalid("propagationPolicy", options.propagation, why))
    if options.propagation and options.propagation not in PROPAGATIONS:
        supported = ["Foreground", "Background", "Orphan", "nil"]
        errors.append(not_supported("propagationPolicy", options.propagation, supported, ordered=True))
    dry_run = params.get("dryRun", ()) if body is None else body.get("dryRun") or ()
    errors += _dry_run_errors(dry_run)
    if errors:
        raise invalid_object(options_gvr("DeleteOptions"), "", errors)
    return options


def _delete_query(params: Params) -> DeleteOptions:
    return DeleteOptions(
        grace_seconds=integer(params, "gracePeriodSeconds"),
        propagation=first(params, "propagationPolicy"),
        orphan=boolean(params, "orphanDependents") if "orphanDependents" in params else None,
        dry_run=bool(params.get("dryRun")),
    )


_BODY_TYPES: Mapping[str, type | tuple[type, ...]] = {
    "gracePeriodSeconds": int,
    "propagationPolicy": str,
    "orphanDependents": bool,
    "dryRun": list,
    "preconditions": dict,
}


def _delete_body(body: Any) -> DeleteOptions:
    if not isinstance(body, dict):
        raise _undecodable("the body is not an object")
    if body.get("kind") not in (None, "", "DeleteOptions"):
        raise _undecodable(f'no kind "{body.get("kind")}" is registered for DeleteOptions')
    for name, wanted in _BODY_TYPES.items():
        value = body.get(name)
        if value is not None and (not isinstance(value, wanted) or (wanted is int and isinstance(value, bool))):
            raise _undecodable(f"wrong type for field {name}")
    conditions = body.get("preconditions") or {}
    if not all(isinstance(v, str) for v in conditions.values() if v is not None):
        raise _undecodable("wrong type for field preconditions")
    return DeleteOptions(
        grace_seconds=body.get("gracePeriodSeconds"),
        uid=conditions.get("uid"),
        resource_version=conditions.get("resourceVersion"),
        propagation=body.get("propagationPolicy") or "",
        orphan=body.get("orphanDependents"),
        dry_run=bool(body.get("dryRun")),
    )


def _undecodable(why: str) -> StatusError:
    return bad_request(f"couldn't decode DeleteOptions: {why}")
