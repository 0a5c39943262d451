"""The API client: typed verbs over a Transport. Components cannot tell whether it is HTTPS or in-process.

Errors: a failed request raises skiff.api.errors.StatusError with the server's Status; a connection that breaks or stays
silent beyond the deadline raises ConnectionError (the caller may retry what is safe to retry). An answer that asks to
come back later (Retry-After) is waited for and the request repeated, a few times. Objects returned are the caller's own.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import quote, urlencode

import orjson

from skiff import env
from skiff.api.errors import StatusError, status_error
from skiff.api.types import GVR, Obj
from skiff.wire.messages import Request, Response

CAUSE_HEADER = "skiff-cause"
PATCH_TYPES = {
    "merge": "application/merge-patch+json",
    "strategic": "application/strategic-merge-patch+json",
    "json": "application/json-patch+json",
    "apply": "application/apply-patch+yaml",
}
REPEATS = 10
"""How often a request is repeated when the server answers with Retry-After (client-go's figure)."""


class Transport(Protocol):
    """Carries one request. Two of them: HTTPS (client/https.py) and a direct call (client/inprocess.py)."""

    async def send(self, request: Request) -> Response:
        """Response.body is complete, or Response.stream yields chunks when `scratch["stream"]` was set to True.
        Raises ConnectionError when the other side cannot be reached or hangs up."""
        ...

    async def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class ObjectList:
    items: list[Obj]
    resource_version: str
    continue_token: str = ""


@dataclass(frozen=True, slots=True)
class WatchEvent:
    """type: ADDED, MODIFIED, DELETED, BOOKMARK. (An ERROR event is raised as StatusError instead.)"""

    type: str
    object: Obj


class Client:
    """Verbs of the API. `namespace=""` means all namespaces for list and watch, cluster scope otherwise.

    timeout_s bounds each request but a watch, which is bounded by its own time-out plus `timeout_s` of silence.
    """

    def __init__(self, transport: Transport, *, user_agent: str = "skiff", timeout_s: float = 60):
        self.transport = transport
        self.user_agent = user_agent
        self.timeout_s = timeout_s

    async def get(self, gvr: GVR, name: str, namespace: str = "", *, subresource: str = "") -> Obj:
        return await self._json("GET", gvr.path(namespace, name, subresource))

    async def list(
        self,
        gvr: GVR,
        namespace: str = "",
        *,
        labels: str = "",
        fields: str = "",
        limit: int = 0,
        continue_token: str = "",
        resource_version: str = "",
    ) -> ObjectList:
        query = {
            "labelSelector": labels,
            "fieldSelector": fields,
            "limit": str(limit or ""),
            "continue": continue_token,
            "resourceVersion": resource_version,
        }
        answer = await self._json("GET", gvr.path(namespace), query)
        items = answer.get("items") or []
        for item in items:
            item.setdefault("apiVersion", gvr.api_version)
            item.setdefault("kind", gvr.kind)
        meta = answer.get("metadata") or {}
        return ObjectList(items, meta.get("resourceVersion", ""), meta.get("continue", ""))

    async def create(self, gvr: GVR, obj: Obj, namespace: str = "", *, name: str = "", subresource: str = "") -> Obj:
        """`name` and `subresource` for bindings, evictions, tokens."""
        namespace = namespace or obj.get("metadata", {}).get("namespace", "")
        return await self._json("POST", gvr.path(namespace, name, subresource), body=obj)

    async def update(self, gvr: GVR, obj: Obj, *, subresource: str = "") -> Obj:
        """Namespace and name from the object; its resourceVersion is the precondition."""
        meta = obj["metadata"]
        return await self._json("PUT", gvr.path(meta.get("namespace", ""), meta["name"], subresource), body=obj)

    async def patch(
        self, gvr: GVR, name: str, patch: Any, namespace: str = "", *, type: str = "merge", subresource: str = ""
    ) -> Obj:
        """type: merge, strategic, json."""
        path = gvr.path(namespace, name, subresource)
        return await self._json("PATCH", path, body=patch, content_type=PATCH_TYPES[type])

    async def apply(self, gvr: GVR, obj: Obj, *, field_manager: str, force: bool = False, subresource: str = "") -> Obj:
        meta = obj["metadata"]
        query = {"fieldManager": field_manager, "force": "true" if force else ""}
        path = gvr.path(meta.get("namespace", ""), meta["name"], subresource)
        return await self._json("PATCH", path, query, body=obj, content_type=PATCH_TYPES["apply"])

    async def delete(
        self,
        gvr: GVR,
        name: str,
        namespace: str = "",
        *,
        uid: str = "",
        resource_version: str = "",
        propagation: str = "",
        grace_seconds: int | None = None,
    ) -> Obj:
        """uid and resource_version are preconditions. propagation: Background, Foreground, Orphan or "" (default)."""
        options = delete_options(uid, resource_version, propagation, grace_seconds)
        return await self._json("DELETE", gvr.path(namespace, name), body=options)

    async def delete_collection(
        self, gvr: GVR, namespace: str = "", *, labels: str = "", fields: str = "", propagation: str = ""
    ) -> None:
        """Everything that the selectors match."""
        query = {"labelSelector": labels, "fieldSelector": fields}
        await self._json("DELETE", gvr.path(namespace), query, body=delete_options("", "", propagation, None))

    async def watch(
        self,
        gvr: GVR,
        namespace: str = "",
        *,
        resource_version: str,
        labels: str = "",
        fields: str = "",
        timeout_seconds: int = 300,
    ) -> AsyncGenerator[WatchEvent, None]:
        """Ends when the server closes it (after `timeout_seconds`); raises StatusError 410 when the version is too old.
        Close the generator (contextlib.aclosing) when leaving it early: that ends the request."""
        query = {
            "watch": "true",
            "allowWatchBookmarks": "true",
            "labelSelector": labels,
            "fieldSelector": fields,
            "resourceVersion": resource_version,
            "timeoutSeconds": str(timeout_seconds),
        }
        request = self._request("GET", gvr.path(namespace), query)
        request.scratch["stream"] = True
        response = await self._send(request, timeout_seconds + self.timeout_s)
        if response.stream is None:
            raise ConnectionError(f"the answer to a watch of {gvr.plural} is not a stream")
        async with aclosing(_lines(response.stream, timeout_seconds + self.timeout_s)) as lines:
            async for line in lines:
                yield _watch_event(line)

    async def raw(self, request: Request) -> Response:
        """Any request, for what the verbs above do not cover; non-2xx is returned, not raised."""
        request.headers = {**self._headers(), **request.headers}
        return await self.transport.send(request)

    async def close(self) -> None:
        await self.transport.close()

    async def _json(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        *,
        body: Any = None,
        content_type: str = "application/json",
    ) -> Obj:
        response = await self._send(self._request(method, path, query, body, content_type), self.timeout_s)
        found: Obj = _decode(response.body)
        return found

    def _request(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: Any = None,
        content_type: str = "application/json",
    ) -> Request:
        headers = self._headers()
        data = b""
        if body is not None:
            data = orjson.dumps(body)
            headers["content-type"] = content_type
        text = urlencode({k: v for k, v in query.items() if v}) if query else ""
        return Request(method, path, text, headers, data, raw_path=quote(path, safe="/:@"))

    def _headers(self) -> dict[str, str]:
        headers = {"accept": "application/json", "user-agent": self.user_agent}
        if cause := env.cause.get():
            headers[CAUSE_HEADER] = cause
        return headers

    async def _send(self, request: Request, timeout_s: float) -> Response:
        for repeat in range(REPEATS + 1):
            try:
                async with asyncio.timeout(timeout_s):
                    response = await self.transport.send(request)
            except TimeoutError as e:
                raise ConnectionError(f"{request.method} {request.path}: no answer in {timeout_s:g} s") from e
            if response.status < 300:
                return response
            wait = _retry_after(response)
            if wait is None or repeat == REPEATS:
                raise await _failure(response)
            await asyncio.sleep(wait)
        raise AssertionError("unreachable")


def delete_options(uid: str, resource_version: str, propagation: str, grace_seconds: int | None) -> Obj | None:
    """A DeleteOptions body, or None when nothing is asked for."""
    options: Obj = {}
    preconditions = {k: v for k, v in (("uid", uid), ("resourceVersion", resource_version)) if v}
    if preconditions:
        options["preconditions"] = preconditions
    if propagation:
        options["propagationPolicy"] = propagation
    if grace_seconds is not None:
        options["gracePeriodSeconds"] = grace_seconds
    return {"apiVersion": "v1", "kind": "DeleteOptions", **options} if options else None


def _retry_after(response: Response) -> float | None:
    """Seconds to wait before the request is sent again, None: it shall not be. Upstream repeats 429 and 5xx answers
    that carry Retry-After: the server has not begun such a request."""
    if response.status != 429 and response.status < 500:
        return None
    value = next((v for k, v in response.headers.items() if k.lower() == "retry-after"), "")
    return float(value) if value.isdigit() else None


async def _failure(response: Response) -> StatusError:
    body = response.body
    if response.stream is not None:
        body = b"".join([chunk async for chunk in response.stream])
    try:
        status = orjson.loads(body)
    except orjson.JSONDecodeError:
        status = None
    if isinstance(status, dict) and status.get("kind") == "Status":
        return StatusError({"code": response.status, **status})
    text = body[:200].decode("utf-8", "replace").strip() or "the server gave no reason"
    return status_error(response.status, "", text)


def _decode(data: bytes) -> Any:
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError as e:
        raise ConnectionError(f"the server's answer is not JSON: {e}") from e


async def _lines(stream: AsyncIterator[bytes], silence_s: float) -> AsyncGenerator[bytes, None]:
    """Non-empty lines of a chunked stream. A chunk may hold many lines or a part of one."""
    parts: list[bytes] = []
    chunks = aiter(stream)
    try:
        while True:
            async with asyncio.timeout(silence_s):
                chunk = await anext(chunks)
            first, *rest = chunk.split(b"\n")
            parts.append(first)
            if not rest:
                continue
            *whole, last = b"".join(parts), *rest
            parts = [last]
            for line in whole:
                if line:
                    yield line
    except StopAsyncIteration:
        return
    except TimeoutError as e:
        raise ConnectionError(f"watch: silent for {silence_s:g} s") from e
    finally:
        if close := getattr(stream, "aclose", None):
            await close()


def _watch_event(line: bytes) -> WatchEvent:
    event = _decode(line)
    if event["type"] == "ERROR":
        raise StatusError(event["object"])
    return WatchEvent(event["type"], event["object"])
