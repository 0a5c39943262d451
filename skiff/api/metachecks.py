"""The mistakes that the metadata of any object can have. Source: apimachinery pkg/api/validation/objectmeta.go."""

from collections.abc import Mapping
from typing import Any

from skiff.api import names
from skiff.api.errors import FieldError, invalid, too_long
from skiff.api.types import Obj

ANNOTATIONS_LIMIT = 256 * 1024
FOREGROUND, ORPHAN = "foregroundDeletion", "orphan"
_CHECKED = ("labels", "annotations", "ownerReferences", "finalizers")
_NOTHING: Mapping[str, Any] = {}
_STANDARD_FINALIZERS = ("kubernetes", FOREGROUND, ORPHAN)


def embedded_errors(meta: Obj) -> list[FieldError]:
    """Of an object inside of a custom resource: it needs no name."""
    errors = []
    for field, rule in (
        ("generateName", names.is_path_segment),
        ("name", names.is_path_segment),
        ("namespace", names.is_dns1123_label),
    ):
        if meta.get(field):
            errors += [invalid(f"metadata.{field}", meta[field], why) for why in rule(meta[field])]
    return errors + common_errors(meta, True)


def common_errors(meta: Obj, custom: bool = False, stored: Mapping[str, Any] = _NOTHING) -> list[FieldError]:
    """custom: finalizers need not be qualified. stored: the metadata before; what has not changed was valid then."""
    errors: list[FieldError] = []
    changed = {name for name in _CHECKED if meta.get(name) and meta[name] != stored.get(name)}
    if "labels" in changed:
        errors += _label_errors(meta["labels"])
    if "annotations" in changed:
        errors += _annotation_errors(meta["annotations"])
    if "ownerReferences" in changed:
        errors += _owner_errors(meta["ownerReferences"])
    if "finalizers" in changed:
        errors += _finalizer_errors(meta["finalizers"], custom)
    return errors


def _label_errors(labels: Obj) -> list[FieldError]:
    errors = []
    for key, value in labels.items():
        errors += [invalid("metadata.labels", key, why) for why in names.is_qualified_name(key)]
        errors += [invalid("metadata.labels", value, why) for why in names.is_label_value(value)]
    return errors


def _annotation_errors(annotations: Obj) -> list[FieldError]:
    errors = []
    size = 0
    for key, value in annotations.items():
        errors += [invalid("metadata.annotations", key, why) for why in names.is_qualified_name(key.lower())]
        size += len(key.encode()) + len(value.encode())
    if size > ANNOTATIONS_LIMIT:
        errors.append(too_long("metadata.annotations", "", ANNOTATIONS_LIMIT))
    return errors


def _owner_errors(owners: list[Obj]) -> list[FieldError]:
    errors = []
    controller = ""
    for owner in owners:
        version = owner.get("apiVersion", "").rpartition("/")[2]
        if not version:
            why = "version must not be empty"
            errors.append(invalid("metadata.ownerReferences.apiVersion", owner.get("apiVersion", ""), why))
        for name in ("kind", "name", "uid"):
            if not owner.get(name):
                errors.append(invalid(f"metadata.ownerReferences.{name}", owner.get(name, ""), "must not be empty"))
        if (owner.get("apiVersion"), owner.get("kind")) == ("v1", "Event"):
            why = "/v1, Kind=Event is disallowed from being an owner"
            errors.append(invalid("metadata.ownerReferences", owner, why))
        if owner.get("controller"):
            here = f"{owner.get('kind')}/{owner.get('name')}"
            if controller:
                why = (
                    "Only one reference can have Controller set to true. "
                    f'Found "true" in references for {controller} and {here}'
                )
                errors.append(invalid("metadata.ownerReferences", owners, why))
            controller = controller or here
    return errors


def _finalizer_errors(finalizers: list[str], custom: bool) -> list[FieldError]:
    errors = []
    for i, finalizer in enumerate(finalizers):
        errors += [invalid("metadata.finalizers", finalizer, why) for why in names.is_qualified_name(finalizer)]
        if "/" not in finalizer and finalizer not in _STANDARD_FINALIZERS and not custom:
            why = "name is neither a standard finalizer name nor is it fully qualified"
            errors.append(invalid(f"metadata.finalizers[{i}]", finalizer, why))
    if FOREGROUND in finalizers and ORPHAN in finalizers:
        why = f"finalizer {FOREGROUND} and {ORPHAN} cannot be both set"
        errors.append(invalid("metadata.finalizers", finalizers, why))
    return errors
