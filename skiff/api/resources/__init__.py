"""Resources are declared, not coded: one record per served resource, one module per API group.

`RESOURCES` (in builtin.py) is the written-out list of all of them. A custom resource becomes another record at run time.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from skiff.api.errors import FieldError
from skiff.api.types import GVR, Obj

ALL_VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")


@dataclass(frozen=True, slots=True)
class Column:
    """A printer column of server-side printing. priority 0: always shown; 1: with -o wide. type as in upstream's Table
    (string, integer, date, ...); format "name" for the first column."""

    name: str
    type: str = "string"
    format: str = ""
    description: str = ""
    priority: int = 0


@dataclass(frozen=True, slots=True)
class Printer:
    """How objects become table rows: `cells(obj, now_epoch_seconds)` gives one value per column; `conditions(obj)` the
    row's conditions, if any; `order` sorts the rows of a list."""

    columns: Sequence[Column]
    cells: Callable[[Obj, float], list[Any]]
    conditions: Callable[[Obj], list[Obj]] | None = None
    order: Callable[[Obj], Any] | None = None


@dataclass(frozen=True, slots=True)
class Subresource:
    """`status`, `scale`, `binding`, ...: its name, the Kind it takes and gives ("" = the parent's), its verbs."""

    name: str
    kind: str = ""
    group: str = ""
    version: str = ""
    verbs: tuple[str, ...] = ("get", "patch", "update")


def _nothing(obj: Obj) -> None:
    return None


def _no_errors(obj: Obj) -> list[FieldError]:
    return []


def _no_update_errors(new: Obj, old: Obj) -> list[FieldError]:
    return []


def _no_deletion(obj: Obj, now: float) -> None:
    return None


def _no_preparation(new: Obj, old: Obj | None) -> None:
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """All that differs between kinds. The verbs are written once, in skiff.apiserver.

    default:          fills in defaults, in place, on every decoded object (idempotent).
    defaults_by_metadata: defaults depend on the object's metadata or are set in it.
    prepare:          called with the new object and None on create, or the stored one on update; in place; drops what a
                      client may not set (upstream's PrepareForCreate/PrepareForUpdate). Status and generation are handled
                      generically through `has_status` and `has_generation`.
    prepare_status:   the same for a write to the status, of which most kinds' spec and metadata know nothing.
    prepare_delete:   called with the object and the time, in place, when a deletion begins; may add finalizers.
    validate:         all mistakes of a defaulted object, upstream's paths and words.
    validate_words:   those of them that labels and annotations can make, where finding these alone is less work.
    validate_create:  mistakes that only count in a new object.
    validate_update:  mistakes of the change (immutable fields); called with (new, old) in addition to `validate`.
    validate_status_update: the same for the status subresource.
    subresource_rules: the same for other subresources that write the object, by name; without one, validate_update.
    warn:             (new, old or None) → sentences for Warning headers, of an object that has passed validation.
    warn_status:      the same for the status subresource.
    selectable:       field selectors beyond metadata.name and metadata.namespace: field label → value of an object.
    indexed:          those of `selectable` for which the watch cache keeps an index.
    status_on_create: the creator may set the status (upstream's strategy does not reset it), as kubelets do for nodes.
    name_rule:        name → error sentences (upstream's), [] if fine.
    custom:           defined by a CustomResourceDefinition: no strategic merge patch, metadata checked as upstream checks
                      it for these, everything but metadata (and status, where it is a subresource) counts as content.
    scale:            where a custom resource has the figures of its scale subresource: spec, status, selector paths.
    warnings:         sentences that every answer carries (the version is deprecated).
    storage:          the resource under which objects are stored, when another version or group is the stored one;
                      to_storage / from_storage convert a whole object (copying).
    """

    gvr: GVR
    schema: str
    singular: str = ""
    list_kind: str = ""
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    verbs: tuple[str, ...] = ALL_VERBS
    subresources: tuple[Subresource, ...] = ()
    default: Callable[[Obj], None] = _nothing
    defaults_by_metadata: bool = False
    prepare: Callable[[Obj, Obj | None], None] = _no_preparation
    prepare_status: Callable[[Obj, Obj | None], None] = _no_preparation
    prepare_delete: Callable[[Obj, float], None] = _no_deletion
    validate: Callable[[Obj], list[FieldError]] = _no_errors
    validate_words: Callable[[Obj], list[FieldError]] | None = None
    validate_create: Callable[[Obj], list[FieldError]] = _no_errors
    validate_update: Callable[[Obj, Obj], list[FieldError]] = _no_update_errors
    validate_status_update: Callable[[Obj, Obj], list[FieldError]] = _no_update_errors
    subresource_rules: Mapping[str, Callable[[Obj, Obj], list[FieldError]]] = field(default_factory=dict)
    warn: Callable[[Obj, Obj | None], Sequence[str]] | None = None
    warn_status: Callable[[Obj, Obj | None], Sequence[str]] | None = None
    selectable: Mapping[str, Callable[[Obj], str]] = field(default_factory=dict)
    indexed: tuple[str, ...] = ()
    name_rule: Callable[[str], list[str]] | None = None
    has_status: bool = False
    has_generation: bool = False
    status_on_create: bool = False
    unconditional_update: bool = True
    create_on_update: bool = False
    default_propagation: str = "Background"
    ttl_seconds: float | None = None
    storage: GVR | None = None
    to_storage: Callable[[Obj], Obj] | None = None
    from_storage: Callable[[Obj], Obj] | None = None
    printer: Printer | None = None
    custom: bool = False
    scale: tuple[str, str, str] | None = None
    warnings: tuple[str, ...] = ()

    def subresource(self, name: str) -> Subresource | None:
        return next((s for s in self.subresources if s.name == name), None)
