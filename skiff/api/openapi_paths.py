"""The paths of an API as OpenAPI sees them, from resource records, in a form that both versions are written from."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from skiff.api.resources import Resource, Subresource
from skiff.api.resources.define import definition_name
from skiff.api.types import GVR

META = "io.k8s.apimachinery.pkg.apis.meta.v1"
PATCH_TYPES = (
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
    "application/apply-patch+yaml",
)
CUSTOM_PATCH_TYPES = tuple(t for t in PATCH_TYPES if "strategic" not in t)
MEDIA_TYPES = ("application/json", "application/yaml")


@dataclass(frozen=True, slots=True)
class Parameter:
    """A path or query parameter of a scalar type."""

    name: str
    type: str
    description: str
    place: str = "query"


@dataclass(frozen=True, slots=True)
class Operation:
    """One method on one path. body, response: definition names, "" for none; kind: (group, version, kind)."""

    id: str
    action: str
    kind: tuple[str, str, str]
    description: str
    parameters: tuple[Parameter, ...] = ()
    body: str = ""
    response: str = ""
    consumes: tuple[str, ...] = ("*/*",)
    created: bool = False


@dataclass(frozen=True, slots=True)
class Path:
    """A URL path, its own parameters, and its operations by lower-case method."""

    path: str
    parameters: tuple[Parameter, ...]
    operations: dict[str, Operation]


DRY_RUN = Parameter("dryRun", "string", "All: go through every stage, but persist nothing.")
FIELD_MANAGER = Parameter("fieldManager", "string", "The name under which the changed fields are owned.")
FIELD_VALIDATION = Parameter(
    "fieldValidation", "string", "Ignore, Warn or Strict: what unknown and duplicate fields cause."
)
FORCE = Parameter("force", "boolean", "Take over fields that others own; apply patches only.")
WRITE = (DRY_RUN, FIELD_MANAGER, FIELD_VALIDATION)
DELETE = (
    DRY_RUN,
    Parameter("gracePeriodSeconds", "integer", "Seconds until the object is deleted; 0: at once."),
    Parameter("orphanDependents", "boolean", "Deprecated: use propagationPolicy."),
    Parameter("propagationPolicy", "string", "Orphan, Background or Foreground: what becomes of dependents."),
)
LIST = (
    Parameter("allowWatchBookmarks", "boolean", "Send bookmark events in a watch."),
    Parameter("continue", "string", "Where a list that was cut by limit goes on."),
    Parameter("fieldSelector", "string", "Return only objects with these field values."),
    Parameter("labelSelector", "string", "Return only objects with these labels."),
    Parameter("limit", "integer", "At most so many objects at once."),
    Parameter("resourceVersion", "string", "The version from which to read."),
    Parameter("resourceVersionMatch", "string", "How resourceVersion is meant: Exact or NotOlderThan."),
    Parameter("sendInitialEvents", "boolean", "Begin a watch with the present objects."),
    Parameter("timeoutSeconds", "integer", "End the call after so many seconds."),
    Parameter("watch", "boolean", "Stream changes instead of listing."),
)
NAMESPACE = Parameter("namespace", "string", "object name and auth scope, such as for teams and projects", "path")
PRETTY = Parameter("pretty", "string", "If 'true', the output is indented.")


def group_version_paths(resources: Sequence[Resource]) -> Iterator[Path]:
    """All paths of the resources of one group version."""
    for resource in resources:
        gvr = resource.gvr
        if gvr.namespaced:
            yield from _collection(resource, f"{gvr.root}/namespaces/{{namespace}}/{gvr.plural}", scoped=True)
            if "list" in resource.verbs:
                yield from _collection(resource, f"{gvr.root}/{gvr.plural}", scoped=False)
        else:
            yield from _collection(resource, f"{gvr.root}/{gvr.plural}", scoped=True)
        yield from _items(resource)


def _kind(gvr: GVR) -> tuple[str, str, str]:
    return gvr.group, gvr.version, gvr.kind


def _operation_id(verb: str, gvr: GVR, *, scoped: bool = True, infix: str = "", suffix: str = "") -> str:
    group = gvr.group.removesuffix(".k8s.io") or "core"
    words = "".join(part.capitalize() for part in group.replace("-", ".").split("."))
    scope = "Namespaced" if gvr.namespaced and scoped else ""
    every = "ForAllNamespaces" if gvr.namespaced and not scoped else ""
    return f"{verb}{words}{gvr.version.capitalize()}{infix}{scope}{gvr.kind}{suffix}{every}"


def _patch_types(resource: Resource) -> tuple[str, ...]:
    return PATCH_TYPES if resource.schema.startswith("io.k8s.") else CUSTOM_PATCH_TYPES


def _collection(resource: Resource, path: str, *, scoped: bool) -> Iterator[Path]:
    gvr, schema, verbs = resource.gvr, resource.schema, resource.verbs
    operations: dict[str, Operation] = {}
    if "list" in verbs:
        operations["get"] = Operation(
            _operation_id("list", gvr, scoped=scoped),
            "list",
            _kind(gvr),
            f"list or watch objects of kind {gvr.kind}",
            LIST,
            response=f"{schema}List",
        )
    if "create" in verbs and scoped:
        id_, words = _operation_id("create", gvr), f"create a {gvr.kind}"
        operations["post"] = Operation(id_, "post", _kind(gvr), words, WRITE, schema, schema, created=True)
    if "deletecollection" in verbs and scoped:
        operations["delete"] = Operation(
            _operation_id("delete", gvr, infix="Collection"),
            "deletecollection",
            _kind(gvr),
            f"delete collection of {gvr.kind}",
            (*LIST[1:9], *DELETE),
            f"{META}.DeleteOptions",
            f"{META}.Status",
        )
    if operations:
        yield Path(path, (NAMESPACE, PRETTY) if gvr.namespaced and scoped else (PRETTY,), operations)


def _items(resource: Resource) -> Iterator[Path]:
    gvr, verbs = resource.gvr, resource.verbs
    path = gvr.path("{namespace}", "{name}")
    name = Parameter("name", "string", f"name of the {gvr.kind}", "path")
    parameters = (name, NAMESPACE, PRETTY) if gvr.namespaced else (name, PRETTY)
    operations: dict[str, Operation] = {}
    for verb in ("get", "update", "patch", "delete"):
        if verb in verbs:
            method, operation = _item_operation(resource, verb, resource.schema, _kind(gvr), "")
            operations[method] = operation
    if operations:
        yield Path(path, parameters, operations)
    for sub in resource.subresources:
        yield Path(f"{path}/{sub.name}", parameters, _subresource_operations(resource, sub))


_VERBS = {
    "get": ("get", "read", "get", "read"),
    "update": ("put", "replace", "put", "replace"),
    "patch": ("patch", "patch", "patch", "partially update"),
    "delete": ("delete", "delete", "delete", "delete"),
    "create": ("post", "create", "post", "create"),
}


def _item_operation(
    resource: Resource, verb: str, schema: str, kind: tuple[str, str, str], suffix: str
) -> tuple[str, Operation]:
    method, word, action, phrase = _VERBS[verb]
    parameters: tuple[Parameter, ...] = ()
    body, response = "", schema
    consumes: tuple[str, ...] = ("*/*",)
    if verb in ("update", "create"):
        parameters, body = WRITE, schema
    elif verb == "patch":
        parameters, body, consumes = (*WRITE, FORCE), f"{META}.Patch", _patch_types(resource)
    elif verb == "delete":
        parameters, body, response = DELETE, f"{META}.DeleteOptions", f"{META}.Status"
    id_ = _operation_id(word, resource.gvr, suffix=suffix)
    of = f"{suffix.lower()} of the specified" if suffix else "the specified"
    words = f"{phrase} {of} {resource.gvr.kind}"
    created = verb in ("update", "patch", "create")
    return method, Operation(id_, action, kind, words, parameters, body, response, consumes, created)


def _subresource_operations(resource: Resource, sub: Subresource) -> dict[str, Operation]:
    gvr = resource.gvr
    kind = (sub.group if sub.version else gvr.group, sub.version or gvr.version, sub.kind or gvr.kind)
    schema = definition_name(*kind) if sub.kind else resource.schema
    suffix = sub.name.capitalize()
    operations: dict[str, Operation] = {}
    connects = sub.kind.endswith("Options")
    for verb in sub.verbs:
        method, operation = _item_operation(
            resource, verb, "" if connects or sub.name == "log" else schema, kind, suffix
        )
        if connects:
            id_ = _operation_id("connect", gvr, infix=method.capitalize(), suffix=suffix)
            operation = Operation(
                id_, "connect", kind, f"connect {method.upper()} requests to {sub.name} of {gvr.kind}"
            )
        operations[method] = operation
    return operations
