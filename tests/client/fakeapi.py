"""A stand-in for the API server: a handler with objects, revisions and watches, and switches that break things."""

import asyncio
from collections.abc import AsyncIterator

import orjson

from skiff.api.errors import already_exists, conflict, expired, not_found
from skiff.api.types import GVR, Obj
from skiff.client.inprocess import InProcess
from skiff.client.rest import Client
from skiff.wire.messages import Request, Response, UserInfo


def answer(status: int, body: Obj) -> Response:
    return Response(status, {"content-type": "application/json"}, orjson.dumps(body))


class FakeApi:
    """One resource. `log` has the requests; `fail` is taken as the next answers; `cut()` ends all watches."""

    def __init__(self, gvr: GVR):
        self.gvr = gvr
        self.revision = 1
        self.objects: dict[tuple[str, str], Obj] = {}
        self.events: list[tuple[int, str, Obj]] = []
        self.compacted = 0
        self.log: list[Request] = []
        self.fail: list[Response | Exception] = []
        self._watchers: set[asyncio.Queue[bytes | Exception | None]] = set()

    def client(self) -> Client:
        return Client(InProcess(self.handle, UserInfo("test")))

    def put(self, obj: Obj, type: str = "") -> Obj:
        meta = obj["metadata"]
        key = (meta.get("namespace", ""), meta["name"])
        self.revision += 1
        obj = {**obj, "metadata": {**meta, "resourceVersion": str(self.revision)}}
        type = type or ("MODIFIED" if key in self.objects else "ADDED")
        if type == "DELETED":
            del self.objects[key]
        else:
            self.objects[key] = obj
        self.events.append((self.revision, type, obj))
        self._send({"type": type, "object": obj})
        return obj

    def remove(self, namespace: str, name: str) -> None:
        self.put(self.objects[(namespace, name)], "DELETED")

    def bookmark(self) -> None:
        self._send({"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": str(self.revision)}}})

    def cut(self, error: Exception | None = None) -> None:
        for queue in list(self._watchers):
            queue.put_nowait(error)

    def compact(self) -> None:
        self.compacted = self.revision

    @property
    def watchers(self) -> int:
        return len(self._watchers)

    def _send(self, event: Obj) -> None:
        for queue in self._watchers:
            queue.put_nowait(orjson.dumps(event) + b"\n")

    async def handle(self, request: Request) -> Response:
        self.log.append(request)
        if self.fail:
            failure = self.fail.pop(0)
            if isinstance(failure, Exception):
                raise failure
            return failure
        query = {k: v[0] for k, v in request.query().items()}
        parts = request.path.removeprefix(self.gvr.root).strip("/").split("/")
        namespace, name = "", ""
        if parts[0] == "namespaces":
            namespace, parts = parts[1], parts[2:]
        name = parts[1] if len(parts) > 1 else ""
        body = orjson.loads(request.body) if request.body else {}
        return self._verb(request.method, namespace, name, body, query)

    def _verb(self, method: str, namespace: str, name: str, body: Obj, query: dict[str, str]) -> Response:
        if query.get("watch"):
            return self._watch(int(query["resourceVersion"]), int(query["timeoutSeconds"]))
        if method == "GET" and not name:
            items = [o for (ns, _), o in sorted(self.objects.items()) if namespace in ("", ns)]
            return answer(200, {"metadata": {"resourceVersion": str(self.revision)}, "items": items})
        key = (namespace, name or body.get("metadata", {}).get("name", ""))
        found = self.objects.get(key)
        if method == "POST":
            return answer(409, already_exists(self.gvr, key[1]).status) if found else answer(201, self.put(body))
        if found is None:
            return answer(404, not_found(self.gvr, name).status)
        if method == "PUT":
            version = body["metadata"].get("resourceVersion")
            if version and version != found["metadata"]["resourceVersion"]:
                return answer(409, conflict(self.gvr, name).status)
            return answer(200, self.put(body))
        if method == "PATCH":
            return answer(200, self.put({**found, **body}))
        if method == "DELETE":
            self.remove(*key)
        return answer(200, found)

    def _watch(self, since: int, timeout_s: int) -> Response:
        if since < self.compacted:
            error = expired(f"too old resource version: {since} ({self.compacted})").status
            return Response(200, stream=_once(orjson.dumps({"type": "ERROR", "object": error}) + b"\n"))
        queue: asyncio.Queue[bytes | Exception | None] = asyncio.Queue()
        self._watchers.add(queue)
        for revision, type, obj in self.events:
            if revision > since:
                queue.put_nowait(orjson.dumps({"type": type, "object": obj}) + b"\n")
        return Response(200, stream=self._stream(queue, timeout_s))

    async def _stream(self, queue: "asyncio.Queue[bytes | Exception | None]", timeout_s: int) -> AsyncIterator[bytes]:
        try:
            async with asyncio.timeout(timeout_s):
                while (line := await queue.get()) is not None:
                    if isinstance(line, Exception):
                        raise line
                    yield line[:7]
                    yield line[7:]
        except TimeoutError:
            return
        finally:
            self._watchers.discard(queue)


async def _once(data: bytes) -> AsyncIterator[bytes]:
    yield data
