"""What a CustomResourceDefinition must look like, apart from the rules inside of its schemas.

Upstream looks at a form in which what all versions share (schema, subresources, columns, selectable fields) stands at the
top of the spec; the paths in its messages are of that form, and so are ours. Source: apiextensions-apiserver
pkg/apis/apiextensions/validation, pkg/apis/apiextensions/v1/conversion.go.
"""

from urllib.parse import urlsplit

from skiff.api import names
from skiff.api.errors import FieldError
from skiff.api.resources.checks import ErrorList
from skiff.api.resources.fields import get, items
from skiff.api.structural import schemas
from skiff.api.structural.selectable import check_selectable_fields
from skiff.api.types import Obj

COLUMN_TYPES = ("boolean", "date", "integer", "number", "string")
COLUMN_FORMATS = ("byte", "date", "date-time", "double", "float", "int32", "int64", "password")
APPROVED = "api-approved.kubernetes.io"
APPROVAL_WORDS = "see https://github.com/kubernetes/enhancements/pull/1111"


def check_definition(obj: Obj, errors: ErrorList) -> None:
    """A definition, new or changed."""
    spec = obj.get("spec") or {}
    _check_spec(spec, errors)
    if spec.get("preserveUnknownFields"):
        why = "cannot set to true, set x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema instead"
        errors.invalid("spec.preserveUnknownFields", True, why)
    _check_stored_versions(obj, errors)


def check_name(obj: Obj, errors: ErrorList) -> None:
    """Of a new definition: changes of what its name consists of are other mistakes."""
    spec, name = obj.get("spec") or {}, get(obj, "metadata", "name") or ""
    if name and name != f"{get(spec, 'names', 'plural') or ''}.{spec.get('group', '')}":
        errors.invalid("metadata.name", name, 'must be spec.names.plural+"."+spec.group')


def check_definition_update(new: Obj, old: Obj, errors: ErrorList) -> None:
    """What an established definition cannot change."""
    if is_established(old):
        errors.immutable("spec.scope", get(new, "spec", "scope"), get(old, "spec", "scope"))
        errors.immutable("spec.names.kind", get(new, "spec", "names", "kind"), get(old, "spec", "names", "kind"))
    errors.immutable("spec.group", get(new, "spec", "group"), get(old, "spec", "group"))
    errors.immutable("spec.names.plural", get(new, "spec", "names", "plural"), get(old, "spec", "names", "plural"))
    _check_approval(new, errors, old)
    if get(new, "spec") == get(old, "spec"):
        _check_stored_versions(new, errors)


def check_approval(obj: Obj, errors: ErrorList) -> None:
    _check_approval(obj, errors, None)


def is_established(obj: Obj) -> bool:
    return any(c.get("type") == "Established" and c.get("status") == "True" for c in items(obj, "status", "conditions"))


def _check_spec(spec: Obj, errors: ErrorList) -> None:
    group = spec.get("group", "")
    if not group:
        errors.required("spec.group")
    elif wrong := names.is_dns1123_subdomain(group):
        errors.invalid("spec.group", group, ",".join(wrong))
    elif "." not in group:
        errors.invalid("spec.group", group, "should be a domain with at least one dot")
    if not spec.get("scope"):
        errors.required("spec.scope")
    else:
        errors.one_of("spec.scope", spec["scope"], ("Cluster", "Namespaced"))
    versions = [v for v in spec.get("versions") or () if isinstance(v, dict)]
    for i, version in enumerate(versions):
        if get(version, "schema", "openAPIV3Schema") is None:
            errors.required(f"spec.versions[{i}].schema.openAPIV3Schema")
    _check_versions(versions, errors)
    _check_names(spec.get("names") or {}, "spec.names", errors)
    _check_conversion(spec.get("conversion") or {}, errors)


def _check_versions(versions: list[Obj], errors: ErrorList) -> None:
    shared = (
        {part for part in _PARTS if all(v.get(part) == versions[0].get(part) for v in versions)} if versions else ()
    )
    for i, version in enumerate(versions):
        path, name = f"spec.versions[{i}]", version.get("name", "")
        if wrong := names.is_dns1035_label(name):
            errors.invalid(f"{path}.name", name, ",".join(wrong))
        _check_deprecation(version, path, errors)
        for part in _PARTS:
            if part not in shared:
                _check_part(version, part, path, errors)
    if len({v.get("name", "") for v in versions}) != len(versions):
        errors.invalid("spec.versions", versions, "must contain unique version names")
    if sum(1 for v in versions if v.get("storage")) != 1:
        errors.invalid("spec.versions", versions or None, "must have exactly one version marked as storage version")
    if versions and (first := versions[0].get("name", "")) and (wrong := names.is_dns1035_label(first)):
        errors.invalid("spec.version", first, ",".join(wrong))  # upstream's old name for the first one
    for part in _PARTS:
        if part == "selectableFields" and part in shared and versions[0].get(part) and "schema" not in shared:
            errors.invalid("spec.selectableFields", "", "may only be set when validations.schema is included")
        elif part in shared:
            _check_part(versions[0], part, "spec", errors)


_PARTS = ("schema", "subresources", "additionalPrinterColumns", "selectableFields")


def _check_part(version: Obj, part: str, path: str, errors: ErrorList) -> None:
    value = version.get(part)
    if not value:
        return
    if part == "schema":
        here = f"{path}.{'validation' if path == 'spec' else 'schema'}"
        schema = value.get("openAPIV3Schema")
        if schema is not None:
            status = get(version, "subresources", "status") is not None
            errors.extend(schemas.errors_of(schema, f"{here}.openAPIV3Schema", status=status))
    elif part == "subresources":
        _check_scale(value.get("scale"), f"{path}.subresources.scale", errors)
    elif part == "additionalPrinterColumns":
        for i, column in enumerate(value):
            _check_column(column, f"{path}.additionalPrinterColumns[{i}]", errors)
    else:
        schema = get(version, "schema", "openAPIV3Schema") or {}
        check_selectable_fields(value, schema, f"{path}.selectableFields", errors)


def _check_deprecation(version: Obj, path: str, errors: ErrorList) -> None:
    warning = version.get("deprecationWarning")
    if warning is None:
        return
    here = f"{path}.deprecationWarning"
    if not version.get("deprecated"):
        errors.invalid(here, warning, "can only be set for deprecated versions")
        return
    if len(warning.encode()) > 256:
        errors.invalid(here, warning, "must be <= 256 characters long")
    if not warning:
        errors.invalid(here, warning, "must not be an empty string")
    at = next((i for i, c in enumerate(warning) if not c.isprintable()), None)
    if at is not None:
        why = f"must only contain printable UTF-8 characters; non-printable character found at index {at}"
        errors.invalid(here, warning, why)


def _check_names(crd_names: Obj, path: str, errors: ErrorList) -> None:
    for field in ("plural", "singular", "kind", "listKind"):
        if not crd_names.get(field):
            errors.required(f"{path}.{field}")
    for field in ("plural", "singular", "kind", "listKind"):
        value = crd_names.get(field, "")
        mixed = field in ("kind", "listKind")
        if value and (wrong := names.is_dns1035_label(value.lower() if mixed else value)):
            prefix = "may have mixed case, but should otherwise match: " if mixed else ""
            errors.invalid(f"{path}.{field}", value, prefix + ",".join(wrong))
    _check_labels(crd_names, "shortNames", path, errors)
    if crd_names.get("kind") and crd_names["kind"] == crd_names.get("listKind"):
        errors.invalid(f"{path}.listKind", crd_names["listKind"], "kind and listKind may not be the same")
    _check_labels(crd_names, "categories", path, errors)


def _check_labels(crd_names: Obj, field: str, path: str, errors: ErrorList) -> None:
    for i, value in enumerate(crd_names.get(field) or ()):
        if wrong := names.is_dns1035_label(value):
            errors.invalid(f"{path}.{field}[{i}]", value, ",".join(wrong))


def _check_column(column: Obj, path: str, errors: ErrorList) -> None:
    if not column.get("name"):
        errors.required(f"{path}.name")
    must = f"must be one of {','.join(COLUMN_TYPES)}"
    if not column.get("type"):
        errors.required(f"{path}.type", must)
    elif column["type"] not in COLUMN_TYPES:
        errors.invalid(f"{path}.type", column["type"], must)
    if column.get("format") and column["format"] not in COLUMN_FORMATS:
        errors.invalid(f"{path}.format", column["format"], f"must be one of {','.join(COLUMN_FORMATS)}")
    if not column.get("jsonPath"):
        errors.required(f"{path}.JSONPath")
    else:
        _check_path(column["jsonPath"], f"{path}.JSONPath", errors)


def _check_path(value: str, path: str, errors: ErrorList) -> bool:
    if value.startswith("."):
        return True
    errors.invalid(path, value, "must be a simple json path starting with .")
    return False


def _check_scale(scale: Obj | None, path: str, errors: ErrorList) -> None:
    if scale is None:
        return
    for field, roots in (
        ("specReplicasPath", (".spec.",)),
        ("statusReplicasPath", (".status.",)),
        ("labelSelectorPath", (".spec.", ".status.")),
    ):
        value, here = scale.get(field, ""), f"{path}.{field}"
        if not value:
            if field != "labelSelectorPath":
                errors.required(here)
        elif _check_path(value, here, errors) and not value.startswith(roots):
            under = "either .spec or .status" if len(roots) > 1 else roots[0].rstrip(".")
            errors.invalid(here, value, f"should be a json path under {under}")


def _check_conversion(conversion: Obj, errors: ErrorList) -> None:
    path, strategy = "spec.conversion", conversion.get("strategy", "")
    if not strategy:
        errors.required(f"{path}.strategy")
    else:
        errors.one_of(f"{path}.strategy", strategy, ("None", "Webhook"))
    config, versions = (
        get(conversion, "webhook", "clientConfig"),
        get(conversion, "webhook", "conversionReviewVersions"),
    )
    if strategy != "Webhook":
        why = "should not be set when strategy is not set to Webhook"
        if config is not None:
            errors.forbidden(f"{path}.webhookClientConfig", why)
        if versions:
            errors.forbidden(f"{path}.conversionReviewVersions", why)
        return
    if config is None:
        errors.required(f"{path}.webhookClientConfig", "required when strategy is set to Webhook")
    else:
        check_client(config, f"{path}.webhookClientConfig", errors)
    _check_review_versions(versions or [], f"{path}.conversionReviewVersions", errors)


def check_client(config: Obj, path: str, errors: ErrorList) -> None:
    """Upstream says of a missing name that the namespace is missing, and the reverse; clients see that."""
    url, service = config.get("url"), config.get("service")
    if (url is None) == (service is None):
        errors.required(path, "exactly one of url or service is required")
    elif url is not None:
        _check_url(url, f"{path}.url", errors)
    elif service is not None:
        for field in ("name", "namespace"):
            other = "namespace" if field == "name" else "name"
            if not service.get(other):
                errors.required(f"{path}.service.{field}")
        port = service.get("port") or 0
        if wrong := names.is_port_number(port):
            errors.invalid(f"{path}.service.port", port, "port is not valid: " + ", ".join(wrong))
        _check_service_path(service.get("path") or "", f"{path}.service.path", errors)


def _check_url(url: str, path: str, errors: ErrorList) -> None:
    form = "; desired format: https://host[/path]"
    try:
        parts = urlsplit(url)
    except ValueError as e:
        errors.required(path, f"url must be a valid URL: {e}{form}")
        return
    if parts.scheme != "https":
        errors.invalid(path, parts.scheme, f"'https' is the only allowed URL scheme{form}")
    if not parts.netloc:
        errors.invalid(path, "", f"host must be specified{form}")
    if "@" in parts.netloc:
        errors.invalid(path, parts.netloc.rpartition("@")[0], "user information is not permitted in the URL")
    if parts.fragment:
        errors.invalid(path, parts.fragment, "fragments are not permitted in the URL")
    if parts.query:
        errors.invalid(path, parts.query, "query parameters are not permitted in the URL")


def _check_service_path(value: str, path: str, errors: ErrorList) -> None:
    if value in ("", "/"):
        return
    if not value.startswith("/"):
        errors.invalid(path, value, "must start with a '/'")
    for i, step in enumerate(value[1:].removesuffix("/").split("/")):
        if not step:
            errors.invalid(path, value, f"segment[{i}] may not be empty")
        else:
            for why in names.is_dns1123_subdomain(step):
                errors.invalid(path, value, f"segment[{i}]: {why}")


def _check_review_versions(versions: list[str], path: str, errors: ErrorList) -> None:
    if not versions:
        errors.required(path)
        return
    for i, version in enumerate(versions):
        if version in versions[:i]:
            errors.invalid(f"{path}[{i}]", version, "duplicate version")
        else:
            errors.rule(f"{path}[{i}]", version, names.is_dns1035_label(version))
    if not {"v1", "v1beta1"}.intersection(versions):
        errors.invalid(path, versions, "must include at least one of v1, v1beta1")


def _check_stored_versions(obj: Obj, errors: ErrorList) -> None:
    path, stored = "status.storedVersions", list(get(obj, "status", "storedVersions") or ())
    if not stored:
        errors.invalid(path, None, "must have at least one stored version")
        return
    present = {v.get("name", "") for v in items(obj, "spec", "versions")}
    for version in items(obj, "spec", "versions"):
        if version.get("storage") and version.get("name") not in stored:
            errors.invalid(path, stored, f"must have the storage version {version.get('name', '')}")
    for i, name in enumerate(stored):
        if name not in present:
            errors.invalid(
                f"{path}[{i}]",
                name,
                f"missing from spec.versions; {name} was previously a storage version, and must remain in spec.versions "
                f"until a storage migration ensures no data remains persisted in {name} and removes {name} from "
                "status.storedVersions",
            )


# --- approval of groups that belong to the community


def is_protected(group: str) -> bool:
    return any(group == g or group.endswith("." + g) for g in ("k8s.io", "kubernetes.io"))


def approval(obj: Obj) -> tuple[str, str]:
    """(state: missing, bypassed, approved or invalid; upstream's sentence)."""
    value = get(obj, "metadata", "annotations", APPROVED) or ""
    if not value:
        return "missing", f'protected groups must have approval annotation "{APPROVED}", {APPROVAL_WORDS}'
    if value.startswith("unapproved"):
        return "bypassed", f'not approved: "{value}"'
    try:
        parts = urlsplit(value)
    except ValueError:
        parts = urlsplit("")
    if parts.scheme and parts.netloc:
        return "approved", f"approved in {value}"
    form = 'with either a URL or a reason starting with "unapproved"'
    return "invalid", f'protected groups must have approval annotation "{APPROVED}" {form}, {APPROVAL_WORDS}'


def _check_approval(obj: Obj, errors: ErrorList, old: Obj | None) -> None:
    if not is_protected(get(obj, "spec", "group") or ""):
        return
    state, words = approval(obj)
    if old is not None and approval(old)[0] == state:
        return
    path, value = f"metadata.annotations[{APPROVED}]", get(obj, "metadata", "annotations", APPROVED)
    if state == "missing":
        errors.required(path, words)
    elif state == "invalid":
        errors.invalid(path, value, words)


def check_status(new: Obj, old: Obj) -> list[FieldError]:
    """The names that a status accepts."""
    errors = ErrorList()
    accepted = get(new, "status", "acceptedNames") or {}
    for field in ("plural", "singular", "kind", "listKind"):
        value = accepted.get(field, "")
        if value and names.is_dns1035_label(value.lower() if field in ("kind", "listKind") else value):
            errors.rule(f"status.acceptedNames.{field}", value, names.is_dns1035_label(value.lower()))
    return errors
