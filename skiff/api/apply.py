"""Server-side apply: merges what a manager wants into the live object, and knows what belongs to whom.

The manager owns exactly the fields that its configuration names. What it named before and no longer names is removed,
unless somebody else owns it. A field that another manager owns and that would get another value is a conflict: 409,
or with `force` a change of owner. Equal values are owned together. Updates are tracked by managedfields.track_update.
Source: Kubernetes docs "Server-Side Apply", structured-merge-diff merge, apimachinery pkg/util/managedfields.
"""

from collections.abc import Iterable
from typing import Any

import orjson

from skiff.api import managedfields
from skiff.api.errors import StatusError, bad_request, status_error
from skiff.api.fieldset import (
    FieldSet,
    Path,
    difference,
    has,
    intersection,
    members,
    ordered,
    path_text,
    union,
)
from skiff.api.fit import check
from skiff.api.managedfields import APPLY, UPDATE, Entry, fields_of, identity, new_entry, track_update, with_fields
from skiff.api.structured import Node, compare, field_set, merge, remove, with_named_parents
from skiff.api.types import Obj

__all__ = ["apply", "check_fit", "track_update"]

BEFORE_FIRST_APPLY = "before-first-apply"
KUBECTL = "kubectl"
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


def apply(
    live: Obj | None,
    applied: Obj,
    node: Node,
    *,
    manager: str,
    force: bool = False,
    subresource: str = "",
    api_version: str,
    kind: str = "",
    now: str,
    reset: FieldSet | None = None,
) -> Obj:
    """The object after the apply, with its managedFields; to be decoded (which drops what became empty) and defaulted.
    Nothing given is changed; parts are shared.

    `live`: the stored object, None if there is none. `applied`: what the client sent, decoded but not defaulted.
    `kind`: what the object must be (else the live one's). `reset`: fields that this endpoint does not let the client
    set. Raises StatusError: 400 for another type or version, 409 with its causes, 500 (as upstream) for a configuration
    that does not fit the schema.
    """
    _check_type(applied, api_version, kind or (live or {}).get("kind", ""))
    check_fit(applied, node)
    request = _Request(live or {"metadata": {}}, applied, node, manager, subresource, api_version, now, reset)
    result = request.run(force)
    if manager == KUBECTL and _annotation(result):
        _renew_annotation(result, applied)
    return result


def _check_type(applied: Obj, api_version: str, kind: str) -> None:
    found, found_kind = str(applied.get("apiVersion") or ""), str(applied.get("kind") or "")
    if kind and (found, found_kind) != (api_version, kind):
        group = found if "/" in found else f"/{found}"
        raise bad_request(f"invalid object type: {group}, Kind={found_kind}")
    if found != api_version:
        raise bad_request(
            f"Incorrect version specified in apply patch. Specified patch version: {found}, expected: {api_version}"
        )
    if applied.get("metadata", {}).get("managedFields") is not None:
        raise bad_request("metadata.managedFields must be nil")


def check_fit(applied: Obj, node: Node) -> None:
    """Refuses a configuration with unknown fields, wrong types or double keys, in upstream's words (with 400: the mistake is not the server's)."""
    problems = check(applied, node)
    if not problems:
        return
    meta = applied.get("metadata")
    meta = meta if isinstance(meta, dict) else {}
    version = str(applied.get("apiVersion", ""))
    gvk = f"{version if '/' in version else '/' + version}, Kind={applied.get('kind', '')}"
    text = problems[0] if len(problems) == 1 else "errors:\n  " + "\n  ".join(problems)
    where = f"{meta.get('namespace', '')}/{meta.get('name', '')}; {gvk}"
    raise bad_request(f"failed to create typed patch object ({where}): {text}")


class _Request:
    """One apply: what is live, what is wanted, who wants it."""

    def __init__(
        self,
        live: Obj,
        applied: Obj,
        node: Node,
        manager: str,
        subresource: str,
        api_version: str,
        now: str,
        reset: FieldSet | None,
    ):
        meta = {k: v for k, v in live["metadata"].items() if k != "managedFields"}
        self.live: Obj = {**live, "metadata": meta}
        self.applied, self.node, self.now = applied, node, now
        self.reset = reset
        self.entries: list[Entry] = live["metadata"].get("managedFields") or []
        self.own = new_entry(manager, APPLY, api_version, {}, subresource=subresource)
        if not self.entries and meta.get("uid"):
            self.entries = self._before_first_apply(subresource, api_version)

    def _before_first_apply(self, subresource: str, api_version: str) -> list[Entry]:
        """Everything in an object that nobody was tracked for."""
        fields = managedfields.strip(compare({}, self.live, self.node).added)
        entry = new_entry(
            BEFORE_FIRST_APPLY, UPDATE, api_version, ordered(fields), subresource=subresource, time=self.now
        )
        return [entry] if fields else []

    def run(self, force: bool) -> Obj:
        me = identity(self.own)
        previous = next((e for e in self.entries if identity(e) == me), None)
        others = [e for e in self.entries if identity(e) != me]
        fields = field_set(self.applied, self.node)
        if self.reset:
            fields = managedfields.recursive_difference(fields, self.reset)
        merged = merge(self.live, self.applied, self.node)
        if previous is not None and difference(fields_of(previous), fields):
            merged = self._prune(merged, fields_of(previous), [fields, *map(fields_of, others)])
        others = self._settle(others, merged, force)
        result = {**merged, "metadata": dict(merged["metadata"])}
        self._write(result, fields, previous, others)
        return result

    def _write(self, result: Obj, fields: FieldSet, previous: Entry | None, others: list[Entry]) -> None:
        """The manager's entry gets the time of the last apply that changed the object."""
        fields = ordered(managedfields.strip(fields))
        time = self.now if result != self.live else (previous or {}).get("time") or ""
        manager, operation, _, subresource = identity(self.own)
        own = new_entry(manager, operation, self.own["apiVersion"], fields, subresource=subresource, time=time)
        managedfields.write(result, [*others, own] if fields else others)

    def _prune(self, merged: Obj, last: FieldSet, owned: list[FieldSet]) -> Obj:
        """Removes what was applied before and is owned by nobody now."""
        node = self.node
        last = with_named_parents(last, node)
        pruned = remove(merged, last, node)
        everyone: FieldSet = {}
        for fields in owned:
            everyone = union(everyone, fields)
        present = with_named_parents(field_set(merged, node), node)
        keep = union(with_named_parents(field_set(pruned, node), node), with_named_parents(everyone, node))
        pruned = remove(merged, difference(present, keep), node)
        gone = difference(present, with_named_parents(field_set(pruned, node), node))
        result: Obj = remove(merged, intersection(gone, last), node)
        return result

    def _settle(self, others: list[Entry], merged: Obj, force: bool) -> list[Entry]:
        """What is left to the others. Raises the conflict."""
        found = compare(self.live, merged, self.node)
        changed = union(found.modified, found.added)
        if self.reset:
            changed = managedfields.recursive_difference(changed, self.reset)
        conflicts = [(e, path) for e in others for path in members(intersection(fields_of(e), changed))]
        if conflicts and not force:
            conflicts = self._not_excused(conflicts)
            if conflicts:
                raise conflict(conflicts)
        taken = union(changed, found.removed)
        kept = (with_fields(e, difference(fields_of(e), taken)) for e in others)
        return [e for e in kept if e is not None]

    def _not_excused(self, conflicts: list[tuple[Entry, Path]]) -> list[tuple[Entry, Path]]:
        """kubectl may take over what its client-side apply has set and nobody has changed since."""
        annotation = _annotation(self.live) if self.own["manager"] == KUBECTL else ""
        last = _parse(annotation)
        if last is None or last.get("apiVersion") != self.own["apiVersion"]:
            return conflicts
        found = compare(last, self.live, self.node)
        mine = field_set(last, self.node)
        for other in (found.modified, found.added, found.removed):
            mine = difference(mine, other)
        return [(e, path) for e, path in conflicts if not has(mine, path)]


# --- conflicts


def conflict(found: Iterable[tuple[Entry, Path]]) -> StatusError:
    """409 with one cause per field, grouped by manager in the message."""
    conflicts = sorted(found, key=lambda c: (identity(c[0]), _upper_first(c[1])))
    causes = [
        {"reason": "FieldManagerConflict", "message": f"conflict with {_manager_text(e)}", "field": path_text(path)}
        for e, path in conflicts
    ]
    if len(conflicts) == 1:
        text = f"conflict: {causes[0]['message']}: {causes[0]['field']}"
        return status_error(409, "Conflict", f"Apply failed with 1 {text}", {"causes": causes})
    lines: dict[str, list[str]] = {}
    for e, path in conflicts:
        lines.setdefault(f"conflicts with {_manager_text(e)}:", []).append(f"- {path_text(path)}")
    text = "\n".join(line for manager, paths in lines.items() for line in (manager, *paths))
    return status_error(409, "Conflict", f"Apply failed with {len(conflicts)} conflicts: {text}", {"causes": causes})


def _upper_first(path: Path) -> list[tuple[bool, str]]:
    """The order in which upstream walks a set: at each place what is a member, then what has members below it."""
    return [(i < len(path), element) for i, element in enumerate(path, 1)]


def _manager_text(entry: Entry) -> str:
    text = orjson.dumps(entry.get("manager", "")).decode()
    if entry.get("subresource"):
        text += f" with subresource {orjson.dumps(entry['subresource']).decode()}"
    return f"{text} using {entry['apiVersion']}" if entry.get("operation") == UPDATE else text


# --- the annotation of client-side apply


def _annotation(obj: Obj) -> str:
    annotations = obj["metadata"].get("annotations") or {}
    return annotations.get(LAST_APPLIED) or ""


def _parse(annotation: str) -> Any:
    try:
        found = orjson.loads(annotation)
    except orjson.JSONDecodeError:
        return None
    return found if isinstance(found, dict) else None


def _renew_annotation(result: Obj, applied: Obj) -> None:
    """In place, in metadata that is the result's own."""
    meta = applied["metadata"]
    plain = {k: v for k, v in (meta.get("annotations") or {}).items() if k != LAST_APPLIED}
    kept = {k: v for k, v in meta.items() if k != "annotations"}
    config = {**applied, "metadata": {**kept, "annotations": plain} if plain else kept}
    text = orjson.dumps(config, option=orjson.OPT_SORT_KEYS).decode()
    for character, escaped in (("<", "\\u003c"), (">", "\\u003e"), ("&", "\\u0026")):
        text = text.replace(character, escaped)
    result["metadata"]["annotations"] = {**result["metadata"]["annotations"], LAST_APPLIED: f"{text}\n"}
