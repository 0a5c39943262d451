"""Answers in another form than the cached bytes: tables, metadata only, YAML, indented JSON."""

from typing import Any

import orjson

from skiff import env
from skiff.api import printers, protobuf
from skiff.api.errors import StatusError, bad_request, not_acceptable
from skiff.api.resources import Printer
from skiff.api.types import Obj
from skiff.apiserver import negotiation, options
from skiff.apiserver.call import Call
from skiff.apiserver.entries import Entry
from skiff.apiserver.fanout import Encode
from skiff.apiserver.negotiation import PROTOBUF, YAML, Accepted
from skiff.apiserver.served import Served
from skiff.apiserver.verbs.list import Listing
from skiff.wire.messages import Response

INCLUDES = ("", "Metadata", "Object", "None")


def answer_object(call: Call, how: Accepted, obj: Obj, status: int) -> Response:
    if how.form == "PartialObjectMetadataList":
        raise _wrong_form(how, call.served, is_list=False)
    if how.form and obj.get("kind") != "Status":
        obj = _formed(call, how, obj)
    return negotiation.respond(call.request, how, negotiation.dump(obj, how), status)


def _wrong_form(how: Accepted, served: Served, is_list: bool) -> StatusError:
    """In upstream's words, which name the Go type."""
    gvr = served.gvr
    package = "core" if gvr.kind == "Event" else gvr.group.partition(".")[0] or "core"
    kind = f"{package}.{gvr.kind}" if not served.resource.custom else "unstructured.Unstructured"
    what = f"a list (*{kind}List)" if is_list else f"not a list (*{kind})"
    return not_acceptable(f"you requested {how.form}, but the requested object is {what}")


def _formed(call: Call, how: Accepted, obj: Obj, *, headers: bool = True) -> Obj:
    version = f"meta.k8s.io/{how.form_version}"
    if how.form == "Table":
        if "get" not in call.served.resource.verbs and not call.info.subresource:
            raise not_acceptable("the server was unable to respond with a content type that the client supports")
        metadata = {"resourceVersion": obj["metadata"].get("resourceVersion", "")}
        return printers.table(
            _printer(call, obj),
            [obj],
            env.epoch(),
            include_object=include_object(call),
            metadata=metadata,
            headers=headers,
            version=version,
        )
    return printers.partial_metadata(obj, version)


def _printer(call: Call, obj: Obj | None = None) -> Printer:
    if obj is not None and obj.get("kind") == "Scale":
        return printers.SCALE
    return call.served.resource.printer or printers.printer(call.served.gvr)


def include_object(call: Call) -> str:
    """What of the object a row carries. Raises 400."""
    wanted = options.first(call.params, "includeObject") if call.params else ""
    if wanted not in INCLUDES:
        raise bad_request(f'unrecognized includeObject value: "{wanted}"')
    return wanted or "Metadata"


def answer_list(call: Call, how: Accepted, found: Listing) -> Response:
    served = call.served
    metadata: Obj = {"resourceVersion": str(found.revision)}
    if found.continue_token:
        metadata["continue"] = found.continue_token
        if found.remaining is not None:
            metadata["remainingItemCount"] = found.remaining
    return answer_objects(call, how, [served.load(e) for e in found.entries], metadata)


def answer_objects(call: Call, how: Accepted, objects: list[Obj], metadata: Obj) -> Response:
    """A list that was made from decoded objects."""
    body = _list_body(call, how, objects, metadata)
    return negotiation.respond(call.request, how, negotiation.dump(body, how))


def _list_body(call: Call, how: Accepted, objects: list[Obj], metadata: Obj) -> Obj:
    version = f"meta.k8s.io/{how.form_version}"
    gvr = call.served.gvr
    kind = call.served.list_kind
    if how.form == "Table":
        return printers.table(
            _printer(call),
            objects,
            env.epoch(),
            include_object=include_object(call),
            metadata=metadata,
            version=version,
        )
    if how.form == "PartialObjectMetadata":
        raise _wrong_form(how, call.served, is_list=True)
    if how.form:
        items = [printers.partial_metadata(o, version) for o in objects]
        return {"kind": "PartialObjectMetadataList", "apiVersion": version, "metadata": metadata, "items": items}
    items = [call.served.item(o) for o in objects]
    return {"kind": kind, "apiVersion": gvr.api_version, "metadata": metadata, "items": items}


def watch_encoder(call: Call, how: Accepted) -> Encode:
    """One watcher's own encoding of events. Of a table only the first event has column definitions."""
    include_object(call)
    headers = [True]

    def encode(kind: str, entry: Entry) -> bytes:
        obj: Any = call.served.load(entry)
        if how.form:
            form = (
                how
                if how.form != "PartialObjectMetadataList"
                else Accepted(how.media, "PartialObjectMetadata", how.form_version)
            )
            obj = _formed(call, form, obj, headers=headers[0])
            headers[0] = False
        return framed({"type": kind, "object": obj}, how)

    return encode


def framed(event: Obj, how: Accepted) -> bytes:
    """An event as it stands in the stream."""
    if how.media is YAML:
        return b"---\n" + negotiation.dump(event, how)
    if how.media is PROTOBUF:
        return protobuf.frame(event["type"], negotiation.dump(event["object"], how))
    return orjson.dumps(event) + b"\n"
