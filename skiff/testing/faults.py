"""A network that loses things: requests that never arrive, answers that never come back, watches that break."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from skiff import env
from skiff.client.rest import Transport
from skiff.wire.messages import Request, Response


@dataclass(slots=True)
class Faults:
    """How often things get lost, from 0 to 1; shared by all transports of a cluster and changed at any time.

    requests: never arrive. answers: the request is carried out, its sender hears nothing. watches: break, per chunk."""

    requests: float = 0.0
    answers: float = 0.0
    watches: float = 0.0


class FaultyTransport:
    """A Transport over another one."""

    def __init__(self, inner: Transport, faults: Faults):
        self._inner = inner
        self._faults = faults

    async def send(self, request: Request) -> Response:
        _maybe(self._faults.requests, "the request was lost")
        response = await self._inner.send(request)
        if response.stream is None:
            _maybe(self._faults.answers, "the answer was lost")
        else:
            response.stream = self._breaking(response.stream)
        return response

    async def close(self) -> None:
        await self._inner.close()

    async def _breaking(self, stream: Any) -> AsyncIterator[bytes]:
        async with aclosing(stream) as chunks:
            async for chunk in chunks:
                _maybe(self._faults.watches, "the watch broke")
                yield chunk


def _maybe(rate: float, what: str) -> None:
    if rate and env.rng().random() < rate:
        raise ConnectionError(what)
