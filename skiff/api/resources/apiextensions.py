"""apiextensions.k8s.io/v1: CustomResourceDefinition. Its checks are in skiff.api.structural, loaded when first needed.

Source: apiextensions-apiserver pkg/apis/apiextensions/v1/defaults.go, pkg/registry/customresourcedefinition.
"""

from collections.abc import Sequence

from skiff.api.errors import FieldError
from skiff.api.resources import Resource
from skiff.api.resources.checks import ErrorList
from skiff.api.resources.define import STATUS, builtin
from skiff.api.resources.fields import child, get, inside, items, nil
from skiff.api.times import format_time
from skiff.api.types import Obj

FINALIZER = "customresourcecleanup.apiextensions.k8s.io"


def default_crd(obj: Obj) -> None:
    """Singular and list kind follow from the kind; the storage version is the first of the stored ones."""
    spec = child(obj, "spec")
    names = child(spec, "names")
    kind = names.get("kind", "")
    if not names.get("singular"):
        names["singular"] = kind.lower()
    if kind and not names.get("listKind"):
        names["listKind"] = kind + "List"
    if spec.get("conversion") is None:
        spec["conversion"] = {"strategy": "None"}
    inside("conversion.webhook.clientConfig.service", nil(port=443))(spec)
    status = child(obj, "status")
    if not status.get("storedVersions"):
        status["storedVersions"] = _storage_version(obj)
        if not status["storedVersions"]:
            del status["storedVersions"]


def _storage_version(obj: Obj) -> list[str]:
    return [v["name"] for v in items(obj, "spec", "versions") if v.get("storage") and v.get("name")][:1]


def prepare_crd(new: Obj, old: Obj | None) -> None:
    """A new definition starts without conditions, its stored versions being the storage version. A storage version that
    is new in an old one is added to them."""
    _tidy(new)
    if old is None:
        new["status"] = {
            "conditions": None,
            "acceptedNames": {"plural": "", "kind": ""},
            "storedVersions": _storage_version(new),
        }
        return
    stored = list(get(old, "status", "storedVersions") or ())
    added = [v for v in _storage_version(new) if v not in stored]
    if added:
        new["status"] = {**(new.get("status") or {}), "storedVersions": [*stored, *added]}


def _tidy(obj: Obj) -> None:
    """Removes unknown fields from the parts of schemas that the definition's own schema leaves open."""
    from skiff.api.structural import schemas

    for version in items(obj, "spec", "versions"):
        schema = get(version, "schema", "openAPIV3Schema")
        if isinstance(schema, dict):
            schemas.tidy(schema)


def validate(obj: Obj) -> list[FieldError]:
    from skiff.api.structural import definition

    errors = ErrorList()
    definition.check_definition(obj, errors)
    if obj["metadata"].get("generation", 1) == 1 and not get(obj, "status", "conditions"):
        definition.check_approval(obj, errors)
    return errors


def validate_create(obj: Obj) -> list[FieldError]:
    from skiff.api.structural import definition

    errors = ErrorList()
    definition.check_name(obj, errors)
    return errors


def validate_update(new: Obj, old: Obj) -> list[FieldError]:
    from skiff.api.structural import definition

    errors = ErrorList()
    definition.check_definition_update(new, old, errors)
    return errors


def validate_status(new: Obj, old: Obj) -> list[FieldError]:
    from skiff.api.structural import definition

    return definition.check_status(new, old)


def warn(new: Obj, old: Obj | None) -> Sequence[str]:
    """Of formats that nobody checks; an update tells of those that it brings."""
    known = _unrecognized_formats(old) if old is not None else {}
    return [f'unrecognized format "{f}"' for f in _unrecognized_formats(new) if f not in known]


def _unrecognized_formats(obj: Obj) -> dict[str, None]:
    from skiff.api.structural import schemas

    found = (get(version, "schema", "openAPIV3Schema") for version in items(obj, "spec", "versions"))
    return dict.fromkeys(f for schema in found if schema for f in schemas.unrecognized_formats(schema))


def prepare_delete(obj: Obj, now: float) -> None:
    """A definition goes when its instances have gone; from now on it says so."""
    meta = obj["metadata"]
    if meta.get("deletionTimestamp"):
        return
    if FINALIZER not in meta.get("finalizers", ()):
        meta["finalizers"] = [*meta.get("finalizers", ()), FINALIZER]
    set_condition(
        obj,
        "Terminating",
        "True",
        "InstanceDeletionPending",
        "CustomResourceDefinition marked for deletion; CustomResource deletion will begin soon",
        now,
    )


def set_condition(obj: Obj, type: str, status: str, reason: str, message: str, now: float) -> None:
    """In place; the time changes with the status."""
    holder = child(obj, "status")
    conditions = holder["conditions"] = holder.get("conditions") or []
    new = {"type": type, "status": status, "reason": reason, "message": message}
    for condition in conditions:
        if condition.get("type") == type:
            if condition.get("status") != status or not condition.get("lastTransitionTime"):
                condition["lastTransitionTime"] = format_time(now)
            condition.update(new)
            return
    conditions.append({"lastTransitionTime": format_time(now), **new})


RESOURCES: Sequence[Resource] = (
    builtin(
        "apiextensions.k8s.io",
        "v1",
        "customresourcedefinitions",
        "CustomResourceDefinition",
        validate=validate,
        validate_create=validate_create,
        validate_update=validate_update,
        validate_status_update=validate_status,
        namespaced=False,
        short_names=("crd", "crds"),
        categories=("api-extensions",),
        subresources=(STATUS,),
        default=default_crd,
        prepare=prepare_crd,
        warn=warn,
        prepare_delete=prepare_delete,
        has_generation=True,
        unconditional_update=False,
    ),
)
