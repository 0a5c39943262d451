"""The transport that needs no network: a component calls the API server's handler directly, as a given user.

The whole request path is the same as over HTTPS, minus TLS and authentication: bodies are bytes in both directions, so
nothing is shared between the two sides, and watches stream.
"""

import asyncio

from skiff import env
from skiff.wire.messages import Handler, Request, Response, UserInfo


class InProcess:
    """A skiff.client.rest.Transport. After `close` every request fails as if the server were gone.

    latency_s: on average, how long a request takes to arrive (0: none); drawn from skiff.env, so that with a virtual
    clock requests overtake each other as they do in a network."""

    def __init__(self, handler: Handler, user: UserInfo, *, latency_s: float = 0):
        self._handler = handler
        self._user = user
        self._latency_s = latency_s
        self._closed = False

    async def send(self, request: Request) -> Response:
        if self._closed:
            raise ConnectionError("the in-process connection is closed")
        if self._latency_s:
            await asyncio.sleep(self._latency_s * env.rng().uniform(0.5, 1.5))
        request.user = self._user
        caused_by = env.cause.get()
        try:
            response = await self._handler(request)
        finally:
            env.cause.set(caused_by)  # the server sets it for its own work, in our context
        if response.pieces is not None:
            response.body, response.pieces = bytes(response.pieces), None
        if response.stream is not None and not request.scratch.get("stream"):
            response.body = b"".join([chunk async for chunk in response.stream])
            response.stream = None
        return response

    async def close(self) -> None:
        self._closed = True
