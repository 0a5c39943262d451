"""AdmissionReview: the request that a webhook is sent, and what its answer says, for v1 and v1beta1.

Source: apiserver pkg/admission/plugin/webhook/request and errors, api/admission/v1.
"""

import binascii
from base64 import b64decode
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from skiff.api.decode import json_kind
from skiff.api.errors import StatusError
from skiff.api.types import GVR, Obj
from skiff.apiserver.admission import Attributes
from skiff.apiserver.admission.forms import Kind
from skiff.apiserver.negotiation import json_error
from skiff.wire.messages import UserInfo

GROUP = "admission.k8s.io"
_SCHEME = "k8s.io/apiserver/pkg/util/webhook/client.go:71"
"""Where upstream's types are registered: it stands in the message."""
_TYPE_META = 'struct { APIVersion string "json:\\"apiVersion,omitempty\\""; Kind string "json:\\"kind,omitempty\\"" }'


def request(
    uid: str, attrs: Attributes, asked: tuple[GVR, Kind], shown: tuple[GVR, Kind], obj: Obj | None, old: Obj | None
) -> Obj:
    """asked: the resource and kind of the request; shown: those that the webhook wants. obj, old: in that form."""
    found: Obj = {"uid": uid, "kind": _kind(shown[1]), "resource": _resource(shown[0])}
    if attrs.subresource:
        found["subResource"] = attrs.subresource
    found |= {"requestKind": _kind(asked[1]), "requestResource": _resource(asked[0])}
    if attrs.subresource:
        found["requestSubResource"] = attrs.subresource
    if attrs.name:
        found["name"] = attrs.name
    if attrs.namespace:
        found["namespace"] = attrs.namespace
    found |= {
        "operation": attrs.operation,
        "userInfo": user_info(attrs.user),
        "object": obj,
        "oldObject": old,
        "dryRun": attrs.dry_run,
        "options": attrs.options or None,
    }
    return found


def _kind(kind: Kind) -> Obj:
    group, version, name = kind
    return {"group": group, "version": version, "kind": name}


def _resource(gvr: GVR) -> Obj:
    return {"group": gvr.group, "version": gvr.version, "resource": gvr.plural}


def user_info(user: UserInfo) -> Obj:
    found: Obj = {"username": user.name}
    if user.uid:
        found["uid"] = user.uid
    if user.groups:
        found["groups"] = list(user.groups)
    if user.extra:
        found["extra"] = {key: list(values) for key, values in user.extra.items()}
    return found


def encoded(version: str, wanted: Obj) -> bytes:
    return orjson.dumps({"kind": "AdmissionReview", "apiVersion": f"{GROUP}/{version}", "request": wanted})


@dataclass(slots=True)
class Answer:
    """patch: b"" if there is none."""

    allowed: bool = False
    status: Obj | None = None
    patch: bytes = b""
    patch_type: str = ""
    annotations: Mapping[str, str] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)


class Unreadable(Exception):
    """What came is no answer at all."""


class Invalid(Exception):
    """An answer that breaks the rules."""


def answer(body: bytes, version: str, uid: str, *, mutating: bool) -> Answer:
    """Raises Unreadable, Invalid."""
    review = _review(body, f"{GROUP}/{version}")
    response = review.get("response")
    if response is None:
        raise Invalid("webhook response was absent")
    found, has_type = _response(response)
    if version == "v1":
        _check(review, response, uid)
        _check_patch(found, has_type, mutating)
    elif not mutating:
        found.patch, found.patch_type = b"", ""
    elif found.patch:
        found.patch_type = "JSONPatch"
    return found


def _check(review: Obj, response: Obj, uid: str) -> None:
    if (response.get("uid") or "") != uid:
        raise Invalid(f'expected response.uid="{uid}", got "{response.get("uid") or ""}"')
    wanted = f"{GROUP}/v1, Kind=AdmissionReview"
    got = f"{review.get('apiVersion') or '/'}, Kind={review.get('kind') or ''}"
    if got != wanted:
        raise Invalid(f"expected webhook response of {wanted}, got {got}")


def _check_patch(found: Answer, has_type: bool, mutating: bool) -> None:
    if not mutating:
        if found.patch:
            raise Invalid("validating webhook may not return response.patch")
        if has_type:
            raise Invalid("validating webhook may not return response.patchType")
        return
    if found.patch and not has_type:
        raise Invalid("webhook returned response.patch but not response.patchType")
    if has_type and not found.patch:
        raise Invalid("webhook returned response.patchType but not response.patch")
    if has_type and not found.patch_type:
        raise Invalid('webhook returned invalid response.patchType of ""')


def _review(body: bytes, api_version: str) -> Obj:
    try:
        review = orjson.loads(body)
    except orjson.JSONDecodeError as e:
        if body.lstrip().startswith((b"{", b"[")):
            raise Unreadable(f"couldn't get version/kind; json parse error: {json_error(e)}") from None
        review = ""  # any other text is a string of YAML
    if review is None:
        review = {}
    if not isinstance(review, dict):
        found = json_kind(review).partition(" ")[0]
        words = f"json: cannot unmarshal {found} into Go value of type {_TYPE_META}"
        raise Unreadable(f"couldn't get version/kind; json parse error: {words}")
    for name in ("apiVersion", "kind"):
        if review.get(name) is not None and not isinstance(review[name], str):
            found = json_kind(review[name]).partition(" ")[0]
            words = f"json: cannot unmarshal {found} into Go struct field .{name} of type string"
            raise Unreadable(f"couldn't get version/kind; json parse error: {words}")
    given, kind = review.get("apiVersion") or api_version, review.get("kind") or "AdmissionReview"
    if (given, kind) == (api_version, "AdmissionReview"):
        return review
    wanted = api_version.rpartition("/")[2]
    known = [(f"{GROUP}/{v}", "AdmissionReview") for v in ("v1", "v1beta1")] + [("v1", "Status")]
    if (given, kind) not in known:
        raise Unreadable(f'no kind "{kind}" is registered for version "{given}" in scheme "{_SCHEME}"')
    source = f"{given.rpartition('/')[2]}.{kind}"
    raise Unreadable(f"converting ({source}) to ({wanted}.AdmissionReview): unknown conversion")


_FIELDS: Mapping[str, tuple[type, str]] = {
    "uid": (str, "types.UID"),
    "allowed": (bool, "bool"),
    "patch": (str, "[]uint8"),
    "patchType": (str, "v1.PatchType"),
    "status": (dict, "v1.Status"),
    "auditAnnotations": (dict, "map[string]string"),
    "warnings": (list, "[]string"),
}


def _response(response: Any) -> tuple[Answer, bool]:
    """With types checked, and whether there is a patchType. Raises Unreadable."""
    _typed(response, dict, "AdmissionReview.response", "v1.AdmissionResponse")
    for name, (kind, go) in _FIELDS.items():
        if response.get(name) is not None:
            _typed(response[name], kind, f"AdmissionResponse.response.{name}", go)
    annotations, warnings = response.get("auditAnnotations") or {}, response.get("warnings") or []
    for name, values in (("auditAnnotations", annotations.values()), ("warnings", warnings)):
        for value in values:
            _typed(value, str, f"AdmissionResponse.response.{name}", "string")
    try:
        patch = b64decode(response.get("patch") or "", validate=True)
    except binascii.Error:
        raise Unreadable(f"illegal base64 data at input byte {_first_illegal(response['patch'])}") from None
    kind = response.get("patchType")
    found = Answer(bool(response.get("allowed")), response.get("status"), patch, kind or "", annotations, warnings)
    return found, kind is not None


def _typed(value: Any, kind: type, place: str, go: str) -> None:
    if type(value) is not kind:
        found = json_kind(value).partition(" ")[0]
        raise Unreadable(f"json: cannot unmarshal {found} into Go struct field {place} of type {go}")


_ALPHABET = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")


def _first_illegal(text: str) -> int:
    return next((i for i, c in enumerate(text) if c not in _ALPHABET), len(text))


class Denied(StatusError):
    """The webhook has said no."""


def denial(name: str, status: Obj | None) -> Denied:
    """With a code that is one of an error, and a sentence that names the webhook."""
    given = status or {}
    by = f'admission webhook "{name}" denied the request'
    why = given.get("message") or given.get("reason")
    code = given.get("code")
    result: Obj = {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": given.get("metadata") or {},
        "status": given["status"] if given.get("status") not in (None, "", "Success") else "Failure",
        "message": f"{by}: {why}" if why else f"{by} without explanation",
    }
    for part in ("reason", "details"):
        if given.get(part):
            result[part] = given[part]
    result["code"] = code if isinstance(code, int) and code >= 400 else 400
    return Denied(result)
