"""One extension server: how it is reached, what it said it serves, and passing a request on to it as its user.

The server is told who asks in X-Remote-* headers, which it believes from our front-proxy certificate.
"""

import base64
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import quote

import orjson

from skiff import env
from skiff.api.types import Obj
from skiff.apiserver.aggregator.registration import available
from skiff.apiserver.connect.backends import Target
from skiff.apiserver.connect.proxying import Hop, forward
from skiff.client.https import HTTPSTransport
from skiff.wire.messages import Request, Response, UserInfo
from skiff.wire.tls import client_context

CHECK_S = 5.0
AGGREGATOR = UserInfo("system:kube-aggregator", ("system:masters",))
_TOKEN = "!#$&'*+-.^`|~"

Resolve = Callable[[Obj], list[tuple[str, int]]]


@dataclass(slots=True)
class Remote:
    """resources: the entries of its APIResourceList. openapi: its relative URL of the OpenAPI v3 document. failures: why it
    became unavailable, how often."""

    spec: Obj
    resolve: Resolve
    certificate: tuple[str, str]
    available: bool = False
    resources: list[Obj] = field(default_factory=list)
    openapi: str = ""
    failures: dict[str, int] = field(default_factory=dict)
    _transports: dict[Target, HTTPSTransport] = field(default_factory=dict)

    def update(self, obj: Obj) -> None:
        before, conditions = self.available, (obj.get("status") or {}).get("conditions") or ()
        self.available = available(conditions)
        if before and not self.available:
            reason = next((c.get("reason", "") for c in conditions if c["type"] == "Available"), "UnknownReason")
            self.failures[reason] = self.failures.get(reason, 0) + 1

    @property
    def root(self) -> str:
        group = self.spec.get("group", "")
        return f"/apis/{group}/{self.spec['version']}" if group else "/api"

    async def close(self) -> None:
        for transport in self._transports.values():
            await transport.close()
        self._transports.clear()

    # skiff.apiserver.connect.proxying asks these two

    def transport(self, target: Target) -> HTTPSTransport:
        found = self._transports.get(target)
        if found is None:
            service = self.spec["service"]
            name = f"{service['name']}.{service['namespace']}.svc"
            found = self._transports[target] = HTTPSTransport(target.base_url, self._tls(), server_name=name)
        return found

    async def done(self, target: Target, transport: HTTPSTransport) -> None:
        """Transports are kept."""

    def _tls(self) -> ssl.SSLContext:
        bundle = base64.b64decode(self.spec.get("caBundle") or "").decode()
        context = client_context(ca_data=bundle, verify=not self.spec.get("insecureSkipTLSVerify"))
        if all(self.certificate):
            context.load_cert_chain(*self.certificate)
        return context

    def target(self) -> Target | None:
        choices = self.resolve(self.spec["service"])
        return Target("https", *env.rng().choice(choices)) if choices else None

    # requests

    async def forward(self, request: Request, user: UserInfo) -> Response:
        target = self.target() if self.available else None
        if target is None:
            return plain(503, "service unavailable")
        path = request.raw_path or quote(request.path)
        try:
            return await forward(self, Hop(target, path, request.query_string, "", user_headers(user)), request)
        except (OSError, ValueError) as e:  # the bundle or the certificate cannot be used
            return plain(500, str(e))

    async def check(self) -> str:
        """Asks the server what it serves; "" or what is wrong."""
        target = self.target()
        if target is None:
            return "no address to reach it at"
        url = f"{target.base_url}{self.root}"
        try:
            answer = await self._get(target, self.root)
        except (ConnectionError, ValueError, ssl.SSLError, OSError) as e:
            return f"failing or missing response from {url}: {e}"
        if not 200 <= answer.status < 300:
            return f"failing or missing response from {url}: bad status from {url}: {answer.status}"
        self.resources = _listed(answer.body)
        await self._find_openapi(target)
        return ""

    async def _find_openapi(self, target: Target) -> None:
        try:
            answer = await self._get(target, "/openapi/v3")
            paths = orjson.loads(answer.body).get("paths") or {} if answer.status == 200 else {}
            self.openapi = str((paths.get(self.root.lstrip("/")) or {}).get("serverRelativeURL", ""))
        except (ConnectionError, ValueError, AttributeError):
            self.openapi = ""

    async def _get(self, target: Target, path: str) -> Response:
        scratch = {"timeout_s": CHECK_S, "more_headers": user_headers(AGGREGATOR)}
        headers = {"accept": "application/json"}
        return await self.transport(target).send(Request("GET", path, headers=headers, scratch=scratch))


def _listed(body: bytes) -> list[Obj]:
    """The entries of an APIResourceList; [] for anything else."""
    try:
        found = orjson.loads(body)
    except ValueError:
        return []
    entries = found.get("resources") if isinstance(found, dict) else None
    return [e for e in entries if isinstance(e, dict) and isinstance(e.get("name"), str)] if entries else []


def user_headers(user: UserInfo) -> list[tuple[str, str]]:
    """As upstream's transport.SetAuthProxyHeaders, a header for each value."""
    found = [("X-Remote-User", user.name)]
    if user.uid:
        found.append(("X-Remote-Uid", user.uid))
    found += [("X-Remote-Group", group) for group in user.groups]
    for key, values in user.extra.items():
        name = "X-Remote-Extra-" + quote(key.lower(), safe=_TOKEN)
        found += [(name, value) for value in values]
    return [(name, _header(value)) for name, value in found]


def _header(value: str) -> str:
    """UTF-8 within Latin-1, as Go sends it, on one line."""
    return value.replace("\r", " ").replace("\n", " ").encode().decode("latin-1")


def plain(status: int, text: str) -> Response:
    headers = {"content-type": "text/plain; charset=utf-8", "x-content-type-options": "nosniff"}
    return Response(status, headers, f"{text}\n".encode())
