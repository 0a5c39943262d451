"""An API server over the memory store, called directly."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

import orjson
import pytest

from skiff.api.resources.builtin import RESOURCES
from skiff.apiserver.admission import Chain
from skiff.apiserver.authn import Authentication
from skiff.apiserver.authz import Attributes, Authorization, Decision
from skiff.apiserver.registry import Registry
from skiff.apiserver.server import APIServer
from skiff.store.memory import MemoryStore
from skiff.testing import run
from skiff.wire.messages import Request, Response, UserInfo

ADMIN = UserInfo("admin", ("system:masters", "system:authenticated"))


class AllowAll:
    async def authorize(self, attrs: Attributes) -> Decision:
        return Decision("allow")


@dataclass
class Answer:
    status: int
    body: Any
    headers: dict[str, str]
    response: Response


class Api:
    """Requests as a client would write them; the answers decoded."""

    def __init__(self, server: APIServer, user: UserInfo = ADMIN):
        self.server = server
        self.user = user

    async def __call__(
        self, method: str, url: str, body: Any = None, *, type: str = "application/json", **headers: str
    ) -> Answer:
        response = await self.send(method, url, body, type=type, **headers)
        assert response.stream is None
        data = response.body
        if data and "json" in response.headers.get("content-type", ""):
            return Answer(response.status, orjson.loads(data), response.headers, response)
        return Answer(response.status, data.decode(), response.headers, response)

    async def send(
        self, method: str, url: str, body: Any = None, *, type: str = "application/json", **headers: str
    ) -> Response:
        path, _, query = url.partition("?")
        raw = body if isinstance(body, bytes) else b"" if body is None else orjson.dumps(body)
        sent = {"content-type": type} if raw else {}
        sent |= {k.replace("_", "-"): v for k, v in headers.items()}
        response = await self.server.handler(Request(method, path, query, sent, raw, user=self.user))
        if response.pieces is not None:
            response.body = bytes(response.pieces)
        return response

    async def store(self, plural: str, obj: Any) -> None:
        """Puts an object past all checks."""
        registry = self.server.registry
        served = next(p[plural] for p in registry.table.values() if plural in p)
        await registry.insert(served, obj)

    async def watch(self, url: str, count: int, **headers: str) -> list[tuple[str, Any]]:
        """The first `count` events, then the watch is left."""
        response = await self.send("GET", url, **headers)
        assert response.status == 200, response.body
        return await self.read(response, count)

    async def read(self, response: Response, count: int) -> list[tuple[str, Any]]:
        """The next `count` events of a watch, fewer if it ends."""
        return await read_events(response, count)


async def read_events(response: Response, count: int) -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    assert response.stream is not None
    stream: Any = response.stream
    async with aclosing(stream):
        while len(found) < count:
            try:
                chunk = await asyncio.wait_for(anext(stream), 4000)
            except StopAsyncIteration:
                break
            for line in chunk.splitlines():
                event = orjson.loads(line)
                found.append((event["type"], event["object"]))
    return found


Scenario = Callable[[Api], Awaitable[Any]]


@pytest.fixture
def api() -> Callable[[Scenario], Any]:
    """Runs a scenario against a fresh server on the virtual clock."""

    async def main(scenario: Scenario) -> Any:
        async for api in serve():
            return await scenario(api)

    return lambda scenario: run(main(scenario))


async def serve(prepare: Callable[[APIServer], None] | None = None) -> AsyncIterator[Api]:
    """prepare: called before the start."""
    store = MemoryStore()
    registry = Registry(store, RESOURCES)
    server = APIServer(
        registry,
        authentication=Authentication([]),
        authorization=Authorization([AllowAll()]),
        admission=Chain([]),
    )
    if prepare is not None:
        prepare(server)
    await server.start()
    try:
        yield Api(server)
    finally:
        await server.close()
        await store.close()
