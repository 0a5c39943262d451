"""Paths that are not resources: health, version, discovery, OpenAPI, metrics, and the list of them all at "/"."""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from skiff.api.errors import status_error
from skiff.apiserver import negotiation
from skiff.apiserver.authn.openid import CONFIGURATION_PATH, JWKS_PATH
from skiff.apiserver.discovery import Discovery
from skiff.apiserver.routes import method_not_allowed
from skiff.wire.messages import Request, Response

if TYPE_CHECKING:
    from skiff.apiserver.openapi import Documents
    from skiff.apiserver.server import APIServer

Answer = Callable[[Request], Awaitable[Response]]

VERSION = {
    "major": "1",
    "minor": "36",
    "emulationMajor": "1",
    "emulationMinor": "36",
    "minCompatibilityMajor": "1",
    "minCompatibilityMinor": "35",
    "gitVersion": "v1.36.0",
    "gitCommit": "",
    "gitTreeState": "clean",
    "buildDate": "2026-04-22T00:00:00Z",
    "goVersion": "",
    "compiler": "CPython",
    "platform": "linux/amd64",
}
TEXT = {
    "content-type": "text/plain; charset=utf-8",
    "x-content-type-options": "nosniff",
    "cache-control": "no-cache, private",
}
CHECKS = ("ping", "log", "etcd", "watch-cache", "poststarthook/bootstrap", "shutdown")


class Paths:
    """`answer` gives the response to a request that is authorized already. booted: the cluster's own objects are there;
    whoever brings them in sets it to False before (main.py)."""

    def __init__(self, server: "APIServer"):
        self._server = server
        self.discovery = Discovery(server.registry)
        self.booted = True
        self._documents: Documents | None = None
        self._exact: dict[str, Answer] = {
            "/": self._index,
            "/version": self._version,
            "/metrics": self._metrics,
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
        if path.startswith("/openapi/"):
            return await self._openapi(request, path)
        answer = self._exact.get(path)
        if answer is None and path.startswith(("/healthz/", "/livez/", "/readyz/")):
            answer = self._health
        if answer is None:
            answer = self.discovery.find(path)
        if answer is None:
            if path.startswith(("/api/", "/apis/")):
                raise status_error(404, "NotFound", "the server could not find the requested resource", {})
            return Response(404, dict(TEXT), b"404 page not found\n")
        if request.method not in ("GET", "HEAD"):
            raise method_not_allowed()
        return await answer(request)

    async def _version(self, request: Request) -> Response:
        return negotiation.respond(request, negotiation.PLAIN, negotiation.orjson.dumps(VERSION, option=negotiation.orjson.OPT_INDENT_2))

    async def _metrics(self, request: Request) -> Response:
        return Response(
            200, {"content-type": "text/plain; version=0.0.4; charset=utf-8"}, self._server.metrics.render()
        )

    async def _index(self, request: Request) -> Response:
        names = [*self._exact, *self.discovery.paths(), "/openapi/v2", "/openapi/v3"]
        names += [f"{root}/{check}" for root in ("/healthz", "/livez", "/readyz") for check in CHECKS]
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
        root, _, one = request.path.strip("/").partition("/")
        params = request.query()
        excluded = set(params.get("exclude", ()))
        if one and one not in CHECKS:
            return Response(404, dict(TEXT), b"404 page not found\n")
        results = [(name, await self._check(name, root)) for name in ([one] if one else CHECKS) if name not in excluded]
        failed = [name for name, fine in results if not fine]
        if not failed and "verbose" not in params:
            return Response(200, dict(TEXT), b"ok")
        lines = [f"[+]{name} ok" if fine else f"[-]{name} failed: reason withheld" for name, fine in results]
        lines += [f"[+]{name} excluded: ok" for name in sorted(excluded & set(CHECKS))]
        if failed:
            return Response(500, dict(TEXT), ("\n".join([*lines, f"{root} check failed"]) + "\n").encode())
        return Response(200, dict(TEXT), ("\n".join([*lines, f"{root} check passed"]) + "\n").encode())

    async def _check(self, name: str, root: str) -> bool:
        if name == "poststarthook/bootstrap":
            return root != "readyz" or self.booted
        if name == "shutdown":
            return root != "readyz" or not self._server.closing
        if name == "etcd":
            try:
                await self._server.registry.store.current_revision()
            except Exception:
                return False  # the answer is the report
        if name == "watch-cache" and root == "readyz":
            return self._server.registry.hub.revision > 0
        return True
