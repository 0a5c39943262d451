"""What a body says it is, held against the resource it was sent to.

A built-in resource takes its own kind for granted where the body names none; a custom one wants to be told. Upstream says
each mistake in another way, and clients match on the words. Source: apimachinery pkg/runtime/serializer/json, apiserver
pkg/endpoints/handlers, apiextensions-apiserver pkg/registry/customresource/validator.go.
"""

import orjson

from skiff.api.decode import DecodeError, json_kind
from skiff.api.errors import StatusError, bad_request, invalid, invalid_object
from skiff.api.types import GVR, Obj
from skiff.apiserver.negotiation import summary

SCHEME = "pkg/api/legacyscheme/scheme.go:30"
"""Where upstream's types are registered: it stands in the message."""


class Unrecognized(DecodeError):
    """It does not even tell what it is."""


def check(gvr: GVR, data: Obj, *, raw: bytes = b"") -> None:
    """Of a built-in kind: names it in `data` if nothing does. Raises DecodeError and 400."""
    _form(data, raw)
    api_version, kind = data.get("apiVersion") or gvr.api_version, data.get("kind") or gvr.kind
    data["apiVersion"], data["kind"] = api_version, kind
    if (api_version, kind) != (gvr.api_version, gvr.kind):
        raise _wrong_type(gvr, api_version, kind)


def check_custom(gvr: GVR, data: Obj, *, raw: bytes = b"", patched: bool = False) -> None:
    """Of a custom resource. patched: not a body, but what a patch made of an object. Raises DecodeError, 400 and 422."""
    _form(data, raw)
    api_version, kind = data.get("apiVersion") or "", data.get("kind")
    if not kind:
        text = (raw or orjson.dumps(data, option=orjson.OPT_SORT_KEYS)).decode(errors="replace")
        raise Unrecognized(f"Object 'Kind' is missing in '{text}'" + ("" if patched else _shown(data, raw)))
    if api_version != gvr.api_version and not patched:
        raise _another_version(gvr, api_version)
    wrong = [invalid("kind", kind, f"must be {gvr.kind}")] if kind != gvr.kind else []
    if api_version != gvr.api_version:
        wrong.append(invalid("apiVersion", api_version, f"must be {gvr.api_version}"))
    if wrong:
        group, _, version = api_version.rpartition("/")
        meta = data.get("metadata")
        name = meta.get("name") if isinstance(meta, dict) else ""
        raise invalid_object(GVR(group, version, gvr.plural, kind), name or "", wrong)


def _form(data: Obj, raw: bytes) -> None:
    for name in ("apiVersion", "kind"):
        value = data.get(name)
        if value is not None and not isinstance(value, str):
            have = json_kind(value).partition(" ")[0]
            words = f"json: cannot unmarshal {have} into Go struct field .{name} of type string"
            raise Unrecognized(f"couldn't get version/kind; json parse error: {words}{_shown(data, raw)}")
    if (data.get("apiVersion") or "").count("/") > 1:
        raise Unrecognized(f"unexpected GroupVersion string: {data['apiVersion']}{_shown(data, raw)}")


def _shown(data: Obj, raw: bytes) -> str:
    return f" ({summary(raw or orjson.dumps(data))})"


def _wrong_type(wanted: GVR, api_version: str, kind: str) -> Exception:
    """Another version of the kind, another known kind, or nothing that anybody knows."""
    from skiff.api.resources.builtin import RESOURCES
    from skiff.api.resources.older import is_older

    known = is_older(api_version, kind) or any(
        (r.gvr.api_version, r.gvr.kind) == (api_version, kind) for r in RESOURCES
    )
    if known and kind == wanted.kind:
        return _another_version(wanted, api_version)
    if known:
        source = f"{api_version.rpartition('/')[2]}.{kind}"
        target = f"{wanted.group.partition('.')[0] or 'core'}.{wanted.kind}"
        return DecodeError(f"converting ({source}) to ({target}): unknown conversion")
    return DecodeError(f'no kind "{kind}" is registered for version "{api_version}" in scheme "{SCHEME}"')


def _another_version(wanted: GVR, api_version: str) -> StatusError:
    words = f"does not match the expected API version ({wanted.api_version})"
    return bad_request(f"the API version in the data ({api_version}) {words}")
