"""What load balancers ask: does this node have endpoints of the service (healthCheckNodePort), and does the proxy work.

Source: upstream pkg/proxy/healthcheck (answers and headers are the same).
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass

import orjson

from skiff import env
from skiff.api.types import Obj
from skiff.proxy.model import ServiceKey
from skiff.wire.messages import Handler, Request, Response
from skiff.wire.server import Server, serve

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Check:
    """One service's port, and how many ready endpoints it has on this node."""

    port: int
    local_endpoints: int


class HealthServers:
    """One small server per service that wants one. `sync` starts, updates and stops them."""

    def __init__(self, host: str = "0.0.0.0") -> None:
        self._host = host
        self._checks: dict[ServiceKey, Check] = {}
        self._servers: dict[ServiceKey, Server] = {}

    async def sync(self, checks: Mapping[ServiceKey, Check]) -> None:
        before, self._checks = self._checks, dict(checks)
        for key in [k for k in self._servers if k not in checks or checks[k].port != before[k].port]:
            await self._servers.pop(key).close(grace_seconds=0)
        for key in checks.keys() - self._servers.keys():
            try:
                self._servers[key] = await serve(self._handler(key), host=self._host, port=checks[key].port)
            except OSError as e:
                log.error("cannot answer health checks: service=%s/%s port=%d: %s", *key, checks[key].port, e)

    async def close(self) -> None:
        await self.sync({})

    def _handler(self, key: ServiceKey) -> Handler:
        async def answer(request: Request) -> Response:
            return service_answer(key, self._checks[key].local_endpoints if key in self._checks else 0)

        return answer


def service_answer(key: ServiceKey, count: int) -> Response:
    body: Obj = {
        "service": {"namespace": key[0], "name": key[1]},
        "localEndpoints": count,
        "serviceProxyHealthy": True,
    }
    headers = {
        "Content-Type": "application/json",
        "X-Content-Type-Options": "nosniff",
        "X-Load-Balancing-Endpoint-Weight": str(count),
    }
    return Response(200 if count else 503, headers, orjson.dumps(body))


async def proxy_answer(request: Request) -> Response:
    """/healthz and /livez of the proxy itself. It answers only while its loop turns, and that is the whole check."""
    if request.path not in ("/healthz", "/livez"):
        return Response(404, {"Content-Type": "text/plain; charset=utf-8"}, b"404 page not found\n")
    now = env.now().strftime("%Y-%m-%d %H:%M:%S.%f +0000 UTC")
    body = {"lastUpdated": now, "currentTime": now, "nodeEligible": True}
    return Response(200, {"Content-Type": "application/json", "X-Content-Type-Options": "nosniff"}, orjson.dumps(body))
