"""The server under test: its URL and a bearer token, so that any Kubernetes API server can be measured alike."""

import asyncio
import json
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import aiohttp

NAMESPACE = "bench"


@dataclass(frozen=True)
class Row:
    """One line of the result. value in `unit`."""

    name: str
    value: float
    unit: str


class Target:
    """TLS is not verified: this measures, it does not trust."""

    def __init__(self, server: str, token: str = ""):
        self.server = server.rstrip("/")
        self.token = token
        self.headers = {"Authorization": f"Bearer {token}"} if token else {}

    def session(self, limit: int = 64) -> aiohttp.ClientSession:
        """At most `limit` connections (0: any number). To be used with `async with`."""
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        connector = aiohttp.TCPConnector(ssl=context, limit=limit)
        timeout = aiohttp.ClientTimeout(total=600)
        return aiohttp.ClientSession(headers=self.headers, connector=connector, timeout=timeout, read_bufsize=2**20)

    async def call(
        self, session: aiohttp.ClientSession, method: str, path: str, body: Any = None, ok: Sequence[int] = (200, 201)
    ) -> Any:
        """One request with a JSON answer; any status that is not `ok` ends the measurement."""
        kind = "application/merge-patch+json" if method == "PATCH" else "application/json"
        data = None if body is None else json.dumps(body)
        url = self.server + path
        async with session.request(method, url, data=data, headers={"Content-Type": kind}) as answer:
            text = await answer.read()
            if answer.status not in ok:
                raise SystemExit(f"{method} {path}: {answer.status} {text[:300]!r}")
            return json.loads(text)

    async def prepare(self, session: aiohttp.ClientSession) -> None:
        """The namespace, and the service account that a pod in it needs where no controller makes one."""
        account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}}
        namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
        await self.call(session, "POST", "/api/v1/namespaces", namespace, ok=(201, 409))
        await self.call(session, "POST", f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts", account, ok=(201, 409))


async def gathered(jobs: Sequence[Any], at_once: int) -> None:
    """Runs awaitable factories, at most `at_once` at a time."""
    gate = asyncio.Semaphore(at_once)

    async def one(job: Any) -> None:
        async with gate:
            await job()

    await asyncio.gather(*(one(j) for j in jobs))
