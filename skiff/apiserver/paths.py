"""Paths that are not resources: health, version, discovery, OpenAPI, metrics, and the list of them all at "/"."""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from skiff.api.errors import status_error
from skiff.api.version import VERSION
from skiff.apiserver import negotiation
from skiff.apiserver.authn.openid import CONFIGURATION_PATH, JWKS_PATH
from skiff.apiserver.call import parse_query
from skiff.apiserver.discovery import Discovery
from skiff.apiserver.routes import method_not_allowed
from skiff.apiserver.slis import HealthRecord
from skiff.client.metrics import CONTENT_TYPE
from skiff.wire.messages import Request, Response

if TYPE_CHECKING:
    from skiff.apiserver.openapi import Documents
    from skiff.apiserver.server import APIServer

Answer = Callable[[Request], Awaitable[Response]]

_WITH_SLASH = frozenset(("/", "/api", "/apis", "/version"))
"""Paths that are the same with a slash at the end; discovery's others are too."""

TEXT = {
    "content-type": "text/plain; charset=utf-8",
    "x-content-type-options": "nosniff",
    "cache-control": "no-cache, private",
}
HOOKS = (
    "start-apiserver-admission-initializer",
    "generic-apiserver-start-informers",
    "priority-and-fairness-config-consumer",
    "priority-and-fairness-filter",
    "storage-object-count-tracker-hook",
    "start-apiextensions-informers",
    "start-apiextensions-controllers",
    "crd-informer-synced",
    "start-system-namespaces-controller",
    "start-cluster-authentication-info-controller",
    "storage-readiness",
    "start-legacy-token-tracking-controller",
    "start-service-ip-repair-controllers",
    "rbac/bootstrap-roles",
    "scheduling/bootstrap-system-priority-classes",
    "priority-and-fairness-config-producer",
    "bootstrap-controller",
    "start-kubernetes-service-cidr-controller",
    "aggregator-reload-proxy-client-cert",
    "start-kube-aggregator-informers",
    "apiservice-status-local-available-controller",
    "apiservice-status-remote-available-controller",
    "apiservice-registration-controller",
    "apiservice-wait-for-first-sync",
    "apiservice-discovery-controller",
    "kube-apiserver-autoregistration",
)
LAST_HOOKS = ("apiservice-openapi-controller", "apiservice-openapiv3-controller")
"""Upstream's names for what a server brings in and starts; here all of it is done when the server has booted."""

REGISTERED = "autoregister-completion"
ALIVE = (
    *("ping", "log", "etcd", *(f"poststarthook/{h}" for h in HOOKS)),
    *(REGISTERED, *(f"poststarthook/{h}" for h in LAST_HOOKS)),
)
CHECKS = (*ALIVE[:3], "etcd-readiness", "informer-sync", *ALIVE[3:], "shutdown")
"""Of /readyz; /livez and /healthz have the ALIVE ones."""


class Paths:
    """`answer` gives the response to a request that is authorized already. booted: the cluster's own objects are there;
    whoever brings them in sets it to False before (main.py)."""

    def __init__(self, server: "APIServer"):
        self._server = server
        self.discovery = Discovery(server.registry)
        self.booted = True
        self._record = HealthRecord()
        self._documents: Documents | None = None
        self._exact: dict[str, Answer] = {
            "/": self._index,
            "/version": self._version,
            "/metrics": self._metrics,
            "/metrics/slis": self._slis,
            "/healthz": self._health,
            "/livez": self._health,
            "/readyz": self._health,
            "/api": self.discovery.core,
            "/apis": self.discovery.groups,
        }
        openid = server.identity.openid
        if openid is not None:
            self._exact[CONFIGURATION_PATH] = openid.configuration
            self._exact[JWKS_PATH] = openid.jwks

    async def answer(self, request: Request) -> Response:
        """Raises StatusError."""
        path = request.path.rstrip("/") or "/"
        if request.path == "/openapi/v2" or path.startswith("/openapi/v3"):
            return await self._openapi(request, path)
        answer = self._exact.get(path if path in _WITH_SLASH else request.path)
        if answer is None and request.path.startswith(("/healthz/", "/livez/", "/readyz/")):
            answer = self._health
        if answer is None:
            answer = self.discovery.find(path)
        if answer is None:
            if path.startswith("/api/") or self.discovery.find("/".join(path.split("/")[:3])) is not None:
                raise status_error(404, "NotFound", "the server could not find the requested resource", {})
            return Response(404, dict(TEXT), b"404 page not found\n")
        if request.method not in ("GET", "HEAD"):
            raise method_not_allowed()
        return await answer(request)

    async def _version(self, request: Request) -> Response:
        return negotiation.respond(
            request, negotiation.PLAIN, negotiation.orjson.dumps(VERSION, option=negotiation.orjson.OPT_INDENT_2)
        )

    async def _metrics(self, request: Request) -> Response:
        flow = self._server.flow
        text = self._server.metrics.render(flow.render() if flow is not None else ())
        return Response(200, {"content-type": CONTENT_TYPE}, text)

    async def _slis(self, request: Request) -> Response:
        return Response(200, {"content-type": CONTENT_TYPE}, self._record.render())

    async def _index(self, request: Request) -> Response:
        names = [*self._exact, *self.discovery.paths(), "/openapi/v2", "/openapi/v3"]
        names += [f"/{root}/{check}" for root in ("healthz", "livez", "readyz") for check in _checks(root)]
        names.remove("/")
        how = negotiation.accepted(request)
        return negotiation.respond(request, how, negotiation.dump({"paths": sorted(names)}, how))

    async def _openapi(self, request: Request, path: str) -> Response:
        if request.method not in ("GET", "HEAD"):
            raise method_not_allowed()
        if self._documents is None:
            from skiff.apiserver.openapi import Documents

            self._documents = Documents(self._server.registry)
        return await self._documents.answer(request, path)

    async def _health(self, request: Request) -> Response:
        root, below, one = request.path[1:].partition("/")
        checks = _checks(root)
        if below:
            if one not in checks:
                return Response(404, dict(TEXT), b"404 page not found\n")
            fine = await self._check(one, root)
            failure = b"internal server error: the check failed\n"
            return Response(200, dict(TEXT), b"ok") if fine else Response(500, dict(TEXT), failure)
        params = parse_query(request)
        excluded = set(params.get("exclude", ()))
        results = [(name, name in excluded or await self._check(name, root)) for name in checks]
        failed = [name for name, fine in results if not fine]
        if not failed and "verbose" not in params:
            return Response(200, dict(TEXT), b"ok")
        lines = [_line(name, fine, name in excluded) for name, fine in results]
        unknown = ", ".join(f'"{name}"' for name in sorted(excluded.difference(checks)))
        if unknown:
            lines.append(f"warn: some health checks cannot be excluded: no matches for {unknown}")
        lines.append(f"{root} check {'failed' if failed else 'passed'}")
        return Response(500 if failed else 200, dict(TEXT), ("\n".join(lines) + "\n").encode())

    async def _check(self, name: str, root: str) -> bool:
        fine = await self._holds(name, root)
        self._record.note(name, root, fine)
        return fine

    async def _holds(self, name: str, root: str) -> bool:
        if name.startswith("poststarthook/") or name == REGISTERED:
            return root != "readyz" or self.booted
        if name == "shutdown":
            return root != "readyz" or not self._server.closing
        if name in ("etcd", "etcd-readiness"):
            try:
                await self._server.registry.store.current_revision()
            except Exception:
                return False  # the answer is the report
        if name == "informer-sync":
            return self._server.registry.hub.revision > 0
        return True


def _checks(root: str) -> tuple[str, ...]:
    return CHECKS if root == "readyz" else ALIVE


def _line(name: str, fine: bool, excluded: bool) -> str:
    if excluded:
        return f"[+]{name} excluded: ok"
    return f"[+]{name} ok" if fine else f"[-]{name} failed: reason withheld"
