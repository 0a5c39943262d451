"""The errors that go over the wire: one exception that carries a Status, constructors that word it as upstream does.

Source: API conventions, "Response Status Kind"; the reasons, codes and messages are upstream's
(apimachinery pkg/api/errors and pkg/util/validation/field), because clients match on them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from skiff.api.types import GVR, Obj

OMIT: Any = object()
"""A value of a mistake that its message does not show."""


@dataclass(frozen=True, slots=True)
class FieldError:
    """One mistake in an object. `type` is upstream's cause reason (FieldValueInvalid, FieldValueRequired, ...)."""

    path: str
    type: str
    value: Any = None
    detail: str = ""

    def message(self) -> str:
        """Without the path, as in a cause: `Invalid value: "x": must be ...`."""
        return _field_message(self)

    def __str__(self) -> str:
        return f"{self.path}: {self.message()}"


def required(path: str, detail: str = "") -> FieldError:
    return FieldError(path, "FieldValueRequired", None, detail)


def invalid(path: str, value: Any, detail: str) -> FieldError:
    return FieldError(path, "FieldValueInvalid", value, detail)


def duplicate(path: str, value: Any) -> FieldError:
    return FieldError(path, "FieldValueDuplicate", value)


def forbidden_field(path: str, detail: str) -> FieldError:
    return FieldError(path, "FieldValueForbidden", None, detail)


def not_supported(path: str, value: Any, supported: Sequence[str], *, ordered: bool = False) -> FieldError:
    """`supported` is printed quoted; sorted, unless it is given in upstream's own order."""
    names = ", ".join(f'"{s}"' for s in (supported if ordered else sorted(supported)))
    return FieldError(path, "FieldValueNotSupported", value, f"supported values: {names}" if names else "")


def not_found_field(path: str, value: Any) -> FieldError:
    return FieldError(path, "FieldValueNotFound", value)


def too_long(path: str, value: Any, maximum: int) -> FieldError:
    return FieldError(path, "FieldValueTooLong", value, f"may not be more than {maximum} bytes")


def too_many(path: str, actual: int, maximum: int) -> FieldError:
    return FieldError(path, "FieldValueTooMany", actual, f"must have at most {maximum} items")


_WORDS = {
    "FieldValueRequired": "Required value",
    "FieldValueInvalid": "Invalid value",
    "FieldValueDuplicate": "Duplicate value",
    "FieldValueForbidden": "Forbidden",
    "FieldValueNotSupported": "Unsupported value",
    "FieldValueNotFound": "Not found",
    "FieldValueTooLong": "Too long",
    "FieldValueTooMany": "Too many",
    "FieldValueTypeInvalid": "Invalid value",
    "InternalError": "Internal error",
}


_NO_HTML = {ord(c): f"\\u{ord(c):04x}" for c in "<>&\u2028\u2029"}
"""Go escapes what would be markup in JSON."""


def _go(value: Any) -> str:
    """A value as upstream prints it in a message: strings quoted, null, true, JSON for compounds."""
    import json

    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (dict, list)):
        return json.dumps(value, separators=(",", ":"), ensure_ascii=False).translate(_NO_HTML)
    return str(value)


def _field_message(e: FieldError) -> str:
    word = _WORDS[e.type]
    if e.value is OMIT or e.type in ("FieldValueRequired", "FieldValueForbidden", "FieldValueTooLong", "InternalError"):
        text = word
    elif e.type == "FieldValueTooMany":
        text = f"{word}: {e.value}"
    else:
        text = f"{word}: {_go(e.value)}"
    return f"{text}: {e.detail}" if e.detail else text


class StatusError(Exception):
    """An API request that failed. `status` is the complete Status object that the client receives or received."""

    def __init__(self, status: Obj, *, headers: dict[str, str] | None = None):
        super().__init__(status.get("message", ""))
        self.status = status
        self.headers = headers or {}

    @property
    def code(self) -> int:
        return int(self.status.get("code", 500))

    @property
    def reason(self) -> str:
        return str(self.status.get("reason", ""))

    @property
    def message(self) -> str:
        return str(self.status.get("message", ""))


def status_error(code: int, reason: str, message: str, details: Obj | None = None) -> StatusError:
    status: Obj = {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": message,
        "reason": reason,
    }
    if details is not None:
        status["details"] = {k: v for k, v in details.items() if v not in ("", None, [])}
    status["code"] = code
    if not reason:
        del status["reason"]
    return StatusError(status)


def _details(gvr: GVR, name: str) -> Obj:
    return {"name": name, "group": gvr.group, "kind": gvr.plural}


def not_found(gvr: GVR, name: str) -> StatusError:
    return status_error(404, "NotFound", f'{gvr.group_resource} "{name}" not found', _details(gvr, name))


def already_exists(gvr: GVR, name: str) -> StatusError:
    return status_error(409, "AlreadyExists", f'{gvr.group_resource} "{name}" already exists', _details(gvr, name))


MODIFIED = "the object has been modified; please apply your changes to the latest version and try again"


def conflict(gvr: GVR, name: str, why: str = MODIFIED) -> StatusError:
    message = f'Operation cannot be fulfilled on {gvr.group_resource} "{name}": {why}'
    return status_error(409, "Conflict", message, _details(gvr, name))


def forbidden(gvr: GVR, name: str, why: str) -> StatusError:
    named = f'{gvr.group_resource} "{name}"' if name else gvr.group_resource
    message = f"{named} is forbidden: {why}" if gvr.plural else f"forbidden: {why}"
    return status_error(403, "Forbidden", message, _details(gvr, name))


def invalid_object(gvr: GVR, name: str, errors: Sequence[FieldError]) -> StatusError:
    """422 with every cause. `details.kind` is the Kind here, unlike in the other errors (upstream NewInvalid); the message
    says a thing once. An Event is one of the core group, whichever it was sent to."""
    group = "" if gvr.group == "events.k8s.io" else gvr.group
    texts = list(dict.fromkeys(map(str, errors)))
    text = texts[0] if len(texts) == 1 else "[" + ", ".join(texts) + "]"
    kind = f"{gvr.kind}.{group}" if group else gvr.kind
    causes = [{"reason": e.type, "message": e.message(), "field": e.path} for e in errors]
    details = {"name": name, "group": group, "kind": gvr.kind, "causes": causes}
    return status_error(422, "Invalid", f'{kind} "{name}" is invalid: {text}', details)


def invalid_patch(patch: str, why: str) -> StatusError:
    """422: the patch makes something that is not an object of its kind. It is about no kind and no name (upstream)."""
    error = invalid("patch", patch, why)
    causes = [{"reason": error.type, "message": error.message(), "field": error.path}]
    return status_error(422, "Invalid", f' "" is invalid: {error}', {"causes": causes})


def bad_request(message: str) -> StatusError:
    return status_error(400, "BadRequest", message)


def unauthorized(message: str = "Unauthorized") -> StatusError:
    return status_error(401, "Unauthorized", message)


def method_not_supported(gvr: GVR, action: str) -> StatusError:
    message = f"{action} is not supported on resources of kind {_go(gvr.group_resource)}"
    return status_error(405, "MethodNotAllowed", message, {"group": gvr.group, "kind": gvr.plural})


def expired(message: str) -> StatusError:
    """410: the version asked for is gone; list again."""
    return status_error(410, "Expired", message)


def gone(message: str) -> StatusError:
    return status_error(410, "Gone", message)


def too_many_requests(message: str, retry_after_seconds: int) -> StatusError:
    e = status_error(429, "TooManyRequests", message, {"retryAfterSeconds": retry_after_seconds})
    e.headers["Retry-After"] = str(retry_after_seconds)
    return e


def internal(message: str) -> StatusError:
    details = {"causes": [{"message": message}]}
    return status_error(500, "InternalError", f"Internal error occurred: {message}", details)


def timeout(message: str, retry_after_seconds: int = 0) -> StatusError:
    e = status_error(504, "Timeout", f"Timeout: {message}", {"retryAfterSeconds": retry_after_seconds or None})
    if retry_after_seconds:
        e.headers["Retry-After"] = str(retry_after_seconds)
    return e


def service_unavailable(message: str) -> StatusError:
    return status_error(503, "ServiceUnavailable", message)


def unsupported_media_type(message: str, details: Obj | None = None) -> StatusError:
    return status_error(415, "UnsupportedMediaType", message, details)


def not_acceptable(message: str, details: Obj | None = None) -> StatusError:
    return status_error(406, "NotAcceptable", message, details)


def request_too_large(message: str) -> StatusError:
    return status_error(413, "RequestEntityTooLarge", f"Request entity too large: {message}")


def is_reason(error: BaseException, *reasons: str) -> bool:
    return isinstance(error, StatusError) and error.reason in reasons


def is_not_found(error: BaseException) -> bool:
    return is_reason(error, "NotFound")


def is_conflict(error: BaseException) -> bool:
    return is_reason(error, "Conflict")


def is_already_exists(error: BaseException) -> bool:
    return is_reason(error, "AlreadyExists")


def is_gone(error: BaseException) -> bool:
    return is_reason(error, "Expired", "Gone")
