"""What every object's metadata gets from the server, and what it must look like. Pure, apart from ids and the clock.

Source: upstream apiserver pkg/registry/rest/{meta,create,update}.go and apimachinery pkg/api/validation/objectmeta.go.
"""

from typing import Any

from skiff import env
from skiff.api import managedfields, names
from skiff.api.errors import FieldError, bad_request, conflict, forbidden_field, invalid, required
from skiff.api.metachecks import common_errors
from skiff.api.resources import Resource
from skiff.api.times import format_time
from skiff.api.types import GVR, Obj

ALPHABET = "bcdfghjklmnpqrstvwxz2456789"
GENERATED_BASE = 58
AFTER_ADMISSION = " after mutating admission happens"
"""When what is listed twice was found, as the warning says it; of a patch it is never found before."""
IMMUTABLE = "field is immutable"
SYSTEM_FIELDS = ("creationTimestamp", "uid", "deletionTimestamp", "deletionGracePeriodSeconds", "selfLink")


def match_namespace(meta: Obj, namespace: str) -> None:
    """The path's namespace becomes the object's; another one is a mistake. Raises 400."""
    own = meta.get("namespace") or ""
    if own and namespace and own != namespace:
        raise bad_request("the namespace of the provided object does not match the namespace sent on the request")
    if namespace:
        meta["namespace"] = namespace
    else:
        meta.pop("namespace", None)


def wipe_system_fields(meta: Obj) -> None:
    for name in SYSTEM_FIELDS:
        meta.pop(name, None)


def single_owners(meta: Obj, when: str = "") -> list[str]:
    """Leaves out owners that are listed twice, in place. Returns the warning about them, if any."""
    owners = meta.get("ownerReferences") or []
    if len(owners) < 2:
        return []
    kept: list[Obj] = []
    twice = []
    for owner in owners:
        if owner in kept:
            twice.append(owner.get("uid", ""))
        else:
            kept.append(owner)
    if not twice:
        return []
    meta["ownerReferences"] = kept
    return [
        f".metadata.ownerReferences contains duplicate entries{when}; API server dedups owner references in 1.20+, and may "
        f"reject such requests as early as 1.24; please fix your requests; duplicate UID(s) observed: {', '.join(twice)}"
    ]


def sound_managers(meta: Obj, before: Any) -> list[str]:
    """Managed fields that a webhook or a policy broke are those of `before` again, in place. Returns a warning if so."""
    try:
        managedfields.decode(meta.get("managedFields") or ())
        return []
    except ValueError as e:
        meta["managedFields"] = before
        if before is None:
            del meta["managedFields"]
        return [
            ".metadata.managedFields was in an invalid state after admission; this could be caused by an outdated mutating "
            f"admission controller; please fix your requests: {e}"
        ]


def fill(meta: Obj) -> None:
    """A new object's identity."""
    meta["uid"] = env.uid()
    meta["creationTimestamp"] = format_time(env.epoch())
    meta.pop("resourceVersion", None)


def generate_name(base: str) -> str:
    rng = env.rng()
    return base[:GENERATED_BASE] + "".join(rng.choices(ALPHABET, k=5))


def keep_system_fields(new: Obj, old: Obj) -> None:
    """What an update cannot change, taken from the stored metadata."""
    if old.get("generation"):
        new["generation"] = old["generation"]
    else:
        new.pop("generation", None)
    if not new.get("uid"):
        new["uid"] = old.get("uid", "")
    for name in ("creationTimestamp", "deletionTimestamp"):
        if old.get(name):
            new[name] = old[name]
    if old.get("deletionGracePeriodSeconds") is not None and new.get("deletionGracePeriodSeconds") is None:
        new["deletionGracePeriodSeconds"] = old["deletionGracePeriodSeconds"]
    new.pop("selfLink", None)


def check_uid(gvr: GVR, name: str, given: Any, old: Obj) -> None:
    """The UID of an object that is sent is a precondition. Raises 409."""
    if given and given != old.get("uid"):
        raise conflict(
            gvr, name, f"Precondition failed: UID in precondition: {given}, UID in object meta: {old.get('uid', '')}"
        )


def check_name(meta: Obj, name: str) -> None:
    """Raises 400 when the body names another object than the path."""
    own = meta.get("name") or ""
    if not own:
        meta["name"] = name
    elif own != name:
        raise bad_request(f"the name of the object ({own}) does not match the name on the URL ({name})")


def require_name(meta: Obj, name: str) -> None:
    """Raises 400 when the body names no object, or another one than the path."""
    if not meta.get("name"):
        why = f"the name of the object ({name} based on URL) was undeterminable"
        raise bad_request(f"{why}: name must be provided")
    check_name(meta, name)


# --- validation


def validate(resource: Resource, meta: Obj) -> list[FieldError]:
    errors = _name_errors(resource, meta)
    if not resource.gvr.namespaced:
        if meta.get("namespace"):
            errors.append(forbidden_field("metadata.namespace", "not allowed on this type"))
    elif not meta.get("namespace"):
        errors.append(required("metadata.namespace"))
    return errors + common_errors(meta, resource.custom)


def validate_update(resource: Resource, new: Obj, old: Obj) -> list[FieldError]:
    errors = []
    if old.get("deletionTimestamp"):
        extra = sorted(set(new.get("finalizers") or ()) - set(old.get("finalizers") or ()))
        if extra:
            listed = ", ".join(f'"{f}"' for f in extra)
            why = "no new finalizers can be added if the object is being deleted, found new finalizers "
            errors.append(forbidden_field("metadata.finalizers", f"{why}[]string{{{listed}}}"))
    for name in ("name", "namespace", "uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds"):
        if new.get(name) != old.get(name):
            errors.append(invalid(f"metadata.{name}", new.get(name), IMMUTABLE))
    return errors + common_errors(new, resource.custom, old)


def _name_errors(resource: Resource, meta: Obj) -> list[FieldError]:
    rule = resource.name_rule or names.is_path_segment
    errors = []
    base, name = meta.get("generateName"), meta.get("name")
    if base:
        masked = base[:-1] + "a" if base.endswith("-") and len(base) > 1 else base
        errors += [invalid("metadata.generateName", base, why) for why in rule(masked)]
    if not name:
        errors.append(required("metadata.name", "name or generateName is required"))
    else:
        errors += [invalid("metadata.name", name, why) for why in rule(name)]
    return errors
