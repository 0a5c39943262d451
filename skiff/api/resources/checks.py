"""What validation is written with: a list of mistakes and the checks that many kinds share.

A check takes the value, the field's path and the list it adds to. Sentences and paths are upstream's
(apimachinery pkg/util/validation/field, pkg/apis/meta/v1/validation); objects are defaulted and type-checked before.
"""

import ipaddress
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from skiff.api import errors as e
from skiff.api import labels, names, quantity
from skiff.api.errors import FieldError
from skiff.api.types import Obj

NOT_NEGATIVE = "must be greater than or equal to 0"
POSITIVE = "must be greater than zero"
IMMUTABLE = "field is immutable"
MAX_INT32 = 2147483647


class ErrorList(list[FieldError]):
    """Mistakes in the order they were found."""

    def required(self, path: str, detail: str = "") -> None:
        self.append(e.required(path, detail))

    def invalid(self, path: str, value: Any, detail: str) -> None:
        self.append(e.invalid(path, value, detail))

    def forbidden(self, path: str, detail: str) -> None:
        self.append(e.forbidden_field(path, detail))

    def duplicate(self, path: str, value: Any) -> None:
        self.append(e.duplicate(path, value))

    def not_found(self, path: str, value: Any) -> None:
        self.append(e.not_found_field(path, value))

    def too_long(self, path: str, limit: int) -> None:
        self.append(e.too_long(path, "", limit))

    def too_many(self, path: str, actual: int, limit: int) -> None:
        self.append(e.too_many(path, actual, limit))

    def one_of(self, path: str, value: Any, supported: Sequence[str]) -> None:
        """Nothing when the value is one of them; they are named in the given order."""
        if value not in supported:
            listed = ", ".join(f'"{s}"' for s in supported)
            self.append(FieldError(path, "FieldValueNotSupported", value, f"supported values: {listed}"))

    def rule(self, path: str, value: Any, sentences: Iterable[str]) -> None:
        """One mistake per sentence of a rule of `skiff.api.names`."""
        for sentence in sentences:
            self.append(e.invalid(path, value, sentence))

    def not_negative(self, path: str, value: int | None) -> None:
        if value is not None and value < 0:
            self.append(e.invalid(path, value, NOT_NEGATIVE))

    def immutable(self, path: str, new: Any, old: Any) -> None:
        if new != old:
            self.append(e.invalid(path, new, IMMUTABLE))


Check = Callable[[Obj, ErrorList], None]


def validator(*checks: Check) -> Callable[[Obj], list[FieldError]]:
    """A record's `validate` from checks of the whole object."""

    def validate(obj: Obj) -> list[FieldError]:
        found = ErrorList()
        for check in checks:
            check(obj, found)
        return found

    return validate


def update_validator(*checks: Callable[[Obj, Obj, ErrorList], None]) -> Callable[[Obj, Obj], list[FieldError]]:
    """A record's `validate_update` from checks of (new, old)."""

    def validate(new: Obj, old: Obj) -> list[FieldError]:
        found = ErrorList()
        for check in checks:
            check(new, old, found)
        return found

    return validate


def check_labels(values: Mapping[str, str] | None, path: str, errors: ErrorList) -> None:
    for key, value in (values or {}).items():
        errors.rule(path, key, labels.key_errors(key))
        errors.rule(path, value, labels.value_errors(value))


def check_annotations(values: Mapping[str, str] | None, path: str, errors: ErrorList) -> None:
    size = 0
    for key, value in (values or {}).items():
        errors.rule(path, key, labels.key_errors(key.lower()))
        size += len(key.encode()) + len(value.encode())
    if size > 256 << 10:
        errors.too_long(path, 256 << 10)


_TEMPLATE_REFUSED = {
    "name": "name",
    "generateName": "generateName",
    "namespace": "namespace",
    "selfLink": "selfLink",
    "uid": "uID",
    "resourceVersion": "resourceVersion",
    "generation": "generation",
    "creationTimestamp": "creationTimestamp",
    "deletionTimestamp": "deletionTimestamp",
    "deletionGracePeriodSeconds": "deletionGracePeriodSeconds",
    "ownerReferences": "ownerReferences",
    "finalizers": "finalizers",
    "managedFields": "managedFields",
}
"""Field of the metadata of a claim's template → its name in the mistake."""


def check_template_metadata(metadata: Obj | None, path: str, errors: ErrorList, path_of_rest: str = "") -> None:
    """Of a template of claims: labels and annotations only. path: of the template."""
    given = metadata or {}
    check_annotations(given.get("annotations"), f"{path}.metadata.annotations", errors)
    check_labels(given.get("labels"), f"{path}.metadata.labels", errors)
    for field, shown in _TEMPLATE_REFUSED.items():
        if given.get(field):
            errors.forbidden(f"{path_of_rest or path}.{shown}", "cannot be set")


_HTTP_PATH = re.compile(r"[A-Za-z0-9/\-._~%!$&'()*+,;=:]+\Z", re.ASCII)


def check_domain_path(value: str, path: str, errors: ErrorList) -> None:
    """`acme.io/foo`."""
    host, _, rest = value.partition("/")
    if not value:
        errors.required(path)
    elif not host or not rest:
        errors.invalid(path, value, 'must be a domain-prefixed path (such as "acme.io/foo")')
    else:
        errors.rule(path, host, names.is_dns1123_subdomain(host))
        if not _HTTP_PATH.match(rest):
            why = names.regex_error("Invalid path", "[A-Za-z0-9/\\-._~%!$&'()*+,;=:]+")
            errors.invalid(path, rest, why)


def check_label_selector(selector: Obj | None, path: str, errors: ErrorList) -> None:
    if not selector:
        return
    check_labels(selector.get("matchLabels"), f"{path}.matchLabels", errors)
    for i, requirement in enumerate(selector.get("matchExpressions") or ()):
        _check_requirement(requirement, f"{path}.matchExpressions[{i}]", errors)


def _check_requirement(requirement: Obj, path: str, errors: ErrorList) -> None:
    operator, values = requirement.get("operator", ""), requirement.get("values") or []
    if operator in ("In", "NotIn"):
        if not values:
            errors.required(f"{path}.values", "must be specified when `operator` is 'In' or 'NotIn'")
    elif operator in ("Exists", "DoesNotExist"):
        if values:
            errors.forbidden(f"{path}.values", "may not be specified when `operator` is 'Exists' or 'DoesNotExist'")
    else:
        errors.invalid(f"{path}.operator", operator, "not a valid selector operator")
    errors.rule(f"{path}.key", requirement.get("key", ""), labels.key_errors(requirement.get("key", "")))
    for i, value in enumerate(values):
        errors.rule(f"{path}.values[{i}]", value, labels.value_errors(value))


def go_struct(value: Obj | None, *fields: str) -> Any:
    """A structure as upstream prints it in some mistakes: all fields, in their order, with Go's names. A nested one is
    given as `field{inner inner}`."""
    if value is None:
        return None
    shown: dict[str, Any] = {}
    for field in fields:
        name, nested, inner = field.partition("{")
        found = value.get(name)
        if nested:
            parts = inner.rstrip("}").split()
            found = [go_struct(f, *parts) for f in found] if isinstance(found, list) else go_struct(found, *parts)
        shown[name[0].upper() + name[1:]] = found
    return shown


def shown_selector(selector: Obj) -> Obj:
    """A label selector as upstream prints it."""
    labels_, expressions = selector.get("matchLabels"), selector.get("matchExpressions")
    shown: Obj = {"matchLabels": dict(sorted(labels_.items()))} if labels_ else {}
    if expressions:
        shown["matchExpressions"] = [
            {"key": e.get("key", ""), "operator": e.get("operator", "")}
            | ({"values": e["values"]} if e.get("values") else {})
            for e in expressions
        ]
    return shown


def is_empty_selector(selector: Obj | None) -> bool:
    """Selects everything, or is missing."""
    return not selector or not (selector.get("matchLabels") or selector.get("matchExpressions"))


def check_not_negative_quantity(value: Any, path: str, errors: ErrorList) -> None:
    if quantity.parse(value) < quantity.ZERO:
        errors.invalid(path, value, NOT_NEGATIVE)


def check_ip(value: str, path: str, errors: ErrorList) -> None:
    """An IP address as old fields take it."""
    if parse_ip(value) is None:
        errors.invalid(path, value, "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)")


def parse_ip(value: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(value) if "%" not in value else None
    except ValueError:
        return None


def check_cidr(value: str, path: str, errors: ErrorList) -> None:
    try:
        ipaddress.ip_network(value, strict=False)
        if "/" not in value or "%" in value:
            raise ValueError
    except ValueError:
        errors.invalid(path, value, "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)")


def check_port(value: Any, path: str, errors: ErrorList) -> None:
    """A port's number or its name."""
    if isinstance(value, str):
        errors.rule(path, value, names.is_port_name(value))
    else:
        errors.rule(path, value, names.is_port_number(value or 0))


def check_non_special_ip(value: str, path: str, errors: ErrorList) -> None:
    """An address that a service can be reached at: none of the special ranges."""
    ip = parse_ip(value)
    if ip is None:
        errors.invalid(path, value, "must be a valid IP address")
    elif ip.is_unspecified:
        errors.invalid(path, value, f"may not be unspecified ({value})")
    elif ip.is_loopback:
        errors.invalid(path, value, "may not be in the loopback range (127.0.0.0/8, ::1/128)")
    elif ip.is_link_local:
        errors.invalid(path, value, "may not be in the link-local range (169.254.0.0/16, fe80::/10)")
    elif ip.is_multicast and (ip.version == 6 or value.startswith("224.0.0.")):
        errors.invalid(path, value, "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)")
