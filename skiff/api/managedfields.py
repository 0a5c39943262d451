"""metadata.managedFields: reading, writing and keeping up to date who set which field.

`track_update` runs on every create, update and patch: it gives what changed to the manager of the request and takes it
from all others. Entries are never changed in place; those that stay the same are shared with the stored object.
Source: apimachinery pkg/util/managedfields.
"""

import json
from collections.abc import Iterable
from typing import Any

from skiff.api import fieldset, firstfields
from skiff.api.fieldset import FieldSet, difference, recursive_difference, union
from skiff.api.structured import Comparison, Node, compare
from skiff.api.types import Obj

APPLY, UPDATE = "Apply", "Update"
MAX_UPDATERS = 10
ANCIENT = "ancient-changes"

Entry = Obj
Identity = tuple[str, str, str, str]

_STRIPPED_META = tuple(
    f"f:{field}"
    for field in (
        "name", "namespace", "creationTimestamp", "selfLink", "uid", "clusterName", "generation", "managedFields",
        "resourceVersion",
    )
)  # fmt: skip


def identity(entry: Entry) -> Identity:
    """What makes two entries the same: appliers keep theirs across versions, updaters have one per version."""
    version = "" if entry.get("operation") == APPLY else entry.get("apiVersion", "")
    return entry.get("manager", ""), entry.get("operation", ""), version, entry.get("subresource", "")


def new_entry(
    manager: str, operation: str, api_version: str, fields: FieldSet, *, subresource: str = "", time: str = ""
) -> Entry:
    entry: Entry = {"manager": manager or "unknown", "operation": operation, "apiVersion": api_version}
    if time:
        entry["time"] = time
    entry["fieldsType"] = "FieldsV1"
    entry["fieldsV1"] = fields
    if subresource:
        entry["subresource"] = subresource
    return entry


def fields_of(entry: Entry) -> FieldSet:
    found: FieldSet = entry.get("fieldsV1") or {}
    return found


def with_fields(entry: Entry, fields: FieldSet) -> Entry | None:
    """The entry with other fields; itself if they are the same ones; None if there are none."""
    if not fields:
        return None
    return entry if fields is entry.get("fieldsV1") else {**entry, "fieldsV1": fields}


def decode(entries: Iterable[Any]) -> list[Entry]:
    """Entries that a client sent, checked, their sets in our form. Raises ValueError."""
    found = []
    for i, entry in enumerate(entries):
        if not isinstance(entry, dict) or entry.get("operation") not in (APPLY, UPDATE):
            raise ValueError("operation must be `Apply` or `Update`")
        if not entry.get("apiVersion"):
            raise ValueError("apiVersion must not be empty")
        kind = entry.get("fieldsType", "")
        if kind != "FieldsV1":
            problem = f"invalid fieldsType {json.dumps(kind)}" if kind else "missing fieldsType"
            raise ValueError(f"{problem} in managed fields entry {i}")
        found.append({**entry, "fieldsV1": fieldset.decode(entry.get("fieldsV1") or {})})
    return found


def write(obj: Obj, entries: list[Entry]) -> None:
    """Into the object's metadata, sorted; no entries, no field."""
    if entries:
        obj["metadata"]["managedFields"] = sorted(entries, key=_order)
    else:
        obj["metadata"].pop("managedFields", None)


def _order(entry: Entry) -> tuple[str, ...]:
    fields = ("operation", "time", "manager", "apiVersion", "subresource")
    return tuple(entry.get(f) or "" for f in fields)


def strip(fields: FieldSet) -> FieldSet:
    """Without what nobody owns: the object's type and identity, and what the server alone writes."""
    result = {k: v for k, v in fields.items() if k not in ("f:apiVersion", "f:kind")}
    meta = result.get("f:metadata")
    if meta is not None:
        meta = {k: v for k, v in meta.items() if k not in _STRIPPED_META and k != fieldset.MEMBER}
        fieldset.put_or_drop(result, "f:metadata", meta or None)
    return result


# --- updates


def track_update(
    new: Obj,
    old: Obj | None,
    node: Node,
    *,
    manager: str,
    api_version: str,
    subresource: str = "",
    now: str,
    reset: FieldSet | None = None,
) -> None:
    """Sets new's managedFields, in place. `old`: the stored object, None for a creation. `reset`: fields that this
    endpoint does not let the client set. To be called after decoding and defaulting, before admission: what admission
    changes is not the client's.

    What a client sends as managedFields counts, unless it is nothing, broken, or sent to a subresource; `[{}]` resets.
    An object without managedFields stays without them.
    """
    given = new["metadata"].pop("managedFields", None)
    if old is None and not given and node is not None:
        fields = strip(firstfields.of(node)(new))
        if reset:
            fields = recursive_difference(fields, reset)
        if fields:
            entry = new_entry(manager, UPDATE, api_version, fields, subresource=subresource, time=now)
            new["metadata"]["managedFields"] = [entry]
        return
    entries = _starting_entries(given, old, subresource)
    if not entries and old is not None:
        return
    found = compare(old or {}, new, node)
    if reset:
        _forget(found, reset)
    entries = _update(entries, found, manager, api_version, subresource, now)
    write(new, _cap(entries))


def _starting_entries(given: Any, old: Obj | None, subresource: str) -> list[Entry]:
    stored: list[Entry] = (old["metadata"].get("managedFields") or []) if old else []
    if subresource or given is None:
        return stored
    if given in ([], [{}]):
        return []
    if given == stored:
        return stored
    try:
        return decode(given)
    except ValueError:
        return stored


def _forget(found: Comparison, reset: FieldSet) -> None:
    found.removed = recursive_difference(found.removed, reset)
    found.modified = recursive_difference(found.modified, reset)
    found.added = recursive_difference(found.added, reset)


def _update(
    entries: list[Entry], found: Comparison, manager: str, api_version: str, subresource: str, now: str
) -> list[Entry]:
    gained = strip(union(found.modified, found.added))
    lost = strip(found.removed)
    if not gained and not lost:
        return entries
    changed = union(gained, lost)
    own = new_entry(manager, UPDATE, api_version, gained, subresource=subresource, time=now)
    me, mine = identity(own), None
    result: list[Entry] = []
    for entry in entries:
        is_own = identity(entry) == me
        rest = difference(fields_of(entry), lost if is_own else changed)
        if is_own and gained:
            mine = rest
        elif (kept := with_fields(entry, rest)) is not None:
            result.append(kept)
    if gained:
        own["fieldsV1"] = fieldset.ordered(gained) if not mine else union(mine, gained)
        result.append(own)
    return result


def _cap(entries: list[Entry]) -> list[Entry]:
    """At most MAX_UPDATERS updaters: the oldest ones of one version become a single entry."""
    if len(entries) <= MAX_UPDATERS:
        return entries
    updaters = sorted(
        (e for e in entries if e["operation"] == UPDATE), key=lambda e: (e.get("time") or "", *identity(e))
    )
    excess = len(updaters) - MAX_UPDATERS
    if excess <= 0:
        return entries
    oldest: dict[str, list[Entry]] = {}
    for entry in updaters:
        if excess <= 0:
            break
        bucket = oldest.setdefault(entry["apiVersion"], [])
        bucket.append(entry)
        excess -= len(bucket) > 1
    result = entries
    for version, bucket in oldest.items():
        if len(bucket) > 1:
            result = [e for e in result if all(e is not b for b in bucket)]
            result.append(_bucket(version, bucket))
    return result


def _bucket(version: str, entries: list[Entry]) -> Entry:
    fields: FieldSet = {}
    for entry in entries:
        fields = union(fields, fields_of(entry))
    return new_entry(ANCIENT, UPDATE, version, fields, time=entries[-1].get("time") or "")


def keep_times_if_unchanged(new: Obj, old: Obj) -> None:
    """When nothing but times in managedFields differs between the two, gives the old ones back, in place."""
    before, after = old["metadata"].get("managedFields"), new["metadata"].get("managedFields")
    if not before or not after or len(before) != len(after) or before is after:
        return
    if _plain_meta(old) != _plain_meta(new):  # the cheapest question first
        return
    if any(_timeless(a) != _timeless(b) for a, b in zip(before, after, strict=True)):
        return
    if {k: v for k, v in old.items() if k != "metadata"} == {k: v for k, v in new.items() if k != "metadata"}:
        new["metadata"]["managedFields"] = before


def _timeless(entry: Entry) -> Obj:
    return {k: v for k, v in entry.items() if k != "time"}


def _plain_meta(obj: Obj) -> Obj:
    return {k: v for k, v in obj["metadata"].items() if k not in ("managedFields", "resourceVersion")}
