"""/openapi/v2 and /openapi/v3 over HTTP: content types, entity tags, and addresses that never change their content.

The documents come from `skiff.api.openapi`; they are compressed there already and are sent as they are to whoever takes
gzip. Source: kube-openapi pkg/handler, pkg/handler3.
"""

from weakref import WeakKeyDictionary

from skiff.api.openapi import Document, OpenAPI
from skiff.api.resources import Resource
from skiff.apiserver.registry import Registry
from skiff.wire.messages import Request, Response

PROTOBUF = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"
PROTOBUF_ANSWER = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
JSON = "application/json"
FOREVER = "public, immutable"

_documents: WeakKeyDictionary[Registry, OpenAPI] = WeakKeyDictionary()


def _of(registry: Registry) -> OpenAPI:
    """The documents of a server, kept as long as its registry."""
    found = _documents.get(registry)
    if found is None:
        table = registry.table

        def resources() -> list[Resource]:
            return [served.resource for plurals in table.values() for served in plurals.values()]

        found = _documents[registry] = OpenAPI(resources)
    return found


async def answer(registry: Registry, request: Request, path: str) -> Response:
    """A GET or HEAD below /openapi/."""
    documents = _of(registry)
    if path == "/openapi/v2":
        protobuf = PROTOBUF in request.headers.get("accept", "")
        return _send(request, documents.v2(protobuf=protobuf), PROTOBUF_ANSWER if protobuf else JSON)
    if path == "/openapi/v3":
        return Response(200, {"content-type": JSON}, documents.index())
    name = path.removeprefix("/openapi/v3/")
    document = documents.v3(name) if name != path else None
    if document is None:
        return Response(404, {"content-type": "text/plain; charset=utf-8"}, b"404 page not found\n")
    asked = request.query().get("hash", [""])[0]
    if asked and asked != document.etag:
        return Response(301, {"location": f"{path}?hash={document.etag}"})
    response = _send(request, document, JSON)
    if asked:
        response.headers["cache-control"] = FOREVER
    return response


def _send(request: Request, document: Document, content_type: str) -> Response:
    headers = {"content-type": content_type, "etag": f'"{document.etag}"', "vary": "Accept"}
    if document.etag in request.headers.get("if-none-match", ""):
        return Response(304, headers)
    if "gzip" in request.headers.get("accept-encoding", ""):
        headers["content-encoding"] = "gzip"
        return Response(200, headers, document.gzipped)
    return Response(200, headers, document.plain())
