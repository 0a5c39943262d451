"""/openapi/v2 and /openapi/v3 over HTTP: content types, entity tags, compression. The documents are skiff.api.openapi's."""

import gzip

import orjson

from skiff.api.errors import not_acceptable, status_error
from skiff.api.openapi import Document, OpenAPI
from skiff.apiserver import negotiation
from skiff.apiserver.registry import Registry
from skiff.wire.messages import Request, Response

V2_PROTOBUF = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"
V2_PROTOBUF_OLD = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
FOREVER = "public, max-age=31536000"


class Documents:
    """`answer` gives the response for a path below /openapi."""

    def __init__(self, registry: Registry):
        self._openapi = OpenAPI(registry.resources, registry.definitions, registry.digests)
        self._remote = registry.remote

    async def answer(self, request: Request, path: str) -> Response:
        """Raises 404, 406."""
        if path == "/openapi/v2":
            return self._v2(request)
        if path == "/openapi/v3":
            headers = {"content-type": negotiation.JSON, "cache-control": "no-cache, private"}
            return Response(200, headers, self._index())
        document = self._openapi.v3(path.removeprefix("/openapi/v3/")) if path.startswith("/openapi/v3/") else None
        if document is None:
            raise status_error(404, "NotFound", "the server could not find the requested resource", {})
        response = _sent(request, document, negotiation.JSON)
        if "hash=" in request.query_string:
            response.headers["cache-control"] = FOREVER
        return response

    def _index(self) -> bytes:
        """With the documents of other servers, which are asked for through us."""
        others = {r.root.lstrip("/"): {"serverRelativeURL": r.openapi} for r in self._remote.values() if r.openapi}
        if not others:
            return self._openapi.index()
        index = orjson.loads(self._openapi.index())
        return orjson.dumps({"paths": index["paths"] | others})

    def _v2(self, request: Request) -> Response:
        accept = request.headers.get("accept", "")
        for media, _ in negotiation.clauses(accept) if accept else [(negotiation.JSON, {})]:
            if media in (V2_PROTOBUF, V2_PROTOBUF_OLD):
                return _sent(request, self._openapi.v2(protobuf=True), V2_PROTOBUF_OLD)
            if media in (negotiation.JSON, "*/*", "application/*"):
                return _sent(request, self._openapi.v2(protobuf=False), negotiation.JSON)
        raise not_acceptable(f"only the following media types are accepted: {negotiation.JSON}, {V2_PROTOBUF}")


def _sent(request: Request, document: Document, media: str) -> Response:
    """The document, or that the client has it already. It is kept compressed, which most clients can read."""
    etag = f'"{document.etag}"'
    headers = {"etag": etag, "vary": "Accept-Encoding, Accept", "cache-control": "no-cache, private"}
    if request.headers.get("if-none-match", "") == etag:
        return Response(304, headers)
    headers["content-type"] = media
    if "gzip" in request.headers.get("accept-encoding", ""):
        return Response(200, {**headers, "content-encoding": "gzip"}, document.gzipped)
    return Response(200, headers, gzip.decompress(document.gzipped))
