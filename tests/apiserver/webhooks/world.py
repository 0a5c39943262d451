"""An API server with all its plugins, and a webhook server behind TLS beside it, in this process."""

import asyncio
import tempfile
from base64 import b64encode
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import orjson

from skiff.apiserver.assemble import admit
from skiff.kubeadm import pki
from skiff.wire.messages import Request, Response
from skiff.wire.server import serve as listen
from skiff.wire.tls import server_context
from tests.apiserver.apiextensions.builders import until
from tests.apiserver.conftest import Api, serve

GROUP = "/apis/admissionregistration.k8s.io/v1"
PLURALS = {"Mutating": "mutatingwebhookconfigurations", "Validating": "validatingwebhookconfigurations"}
NAMESPACE = "/api/v1/namespaces/default"
MAPS = f"{NAMESPACE}/configmaps"
MERGE = "application/merge-patch+json"
ALL = {"operations": ["*"], "apiGroups": ["*"], "apiVersions": ["*"], "resources": ["*/*"]}

Reply = Callable[[Any], Any]
"""From a review to the answer: an AdmissionReview, bytes, (status, either), or an awaitable of these."""


@lru_cache(1)
def certificates() -> tuple[Path, str]:
    """Where hook.crt and hook.key are, and the caBundle. The certificate is for 127.0.0.1 and a service."""
    kept = tempfile.mkdtemp()
    directory = Path(kept)
    pki.ensure_pki(directory, node_name="n", node_ips=["127.0.0.1"], service_ip="10.96.0.1")
    names = ("127.0.0.1", "hook.default.svc")
    made = pki.issue(pki.load_authority(directory), pki.Spec("hook", (), (pki.SERVER,), names))
    for name, text in zip(("hook.crt", "hook.key"), made, strict=True):
        (directory / name).write_bytes(text)
    return directory, b64encode((directory / "ca.crt").read_bytes()).decode()


def reviewed(review: Any, **response: Any) -> Any:
    """An answer to a review, in its version."""
    response = {"uid": review["request"]["uid"], "allowed": True, **response}
    return {"apiVersion": review["apiVersion"], "kind": "AdmissionReview", "response": response}


def allow(review: Any) -> Any:
    return reviewed(review)


def deny(**status: Any) -> Reply:
    return lambda review: reviewed(review, allowed=False, **({"status": status} if status else {}))


def patch(*operations: Any, **response: Any) -> Reply:
    text = b64encode(orjson.dumps(list(operations))).decode()
    return lambda review: reviewed(review, patch=text, patchType="JSONPatch", **response)


def add(path: str, value: Any) -> Any:
    return {"op": "add", "path": path, "value": value}


@dataclass
class World:
    """replies: what the webhook server says, by path. seen: (path, query, review), as they came. headers: of the last
    request."""

    api: Api
    port: int
    replies: dict[str, Reply] = field(default_factory=dict)
    seen: list[tuple[str, str, Any]] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)

    async def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return await self.api(*args, **kwargs)

    async def answer(self, request: Request) -> Response:
        review = orjson.loads(request.body)
        self.headers = dict(request.headers)
        self.seen.append((request.path, request.query_string, review))
        found = self.replies.get(request.path, allow)(review)
        if isinstance(found, Awaitable):
            found = await found
        status, body = found if isinstance(found, tuple) else (200, found)
        return Response(
            status, {"content-type": "application/json"}, body if isinstance(body, bytes) else orjson.dumps(body)
        )

    @property
    def requests(self) -> list[Any]:
        return [review["request"] for _, _, review in self.seen]

    @property
    def paths(self) -> list[str]:
        return [path for path, _, _ in self.seen]

    def hook(self, path: str = "/", reply: Reply | None = None, **fields: Any) -> Any:
        """A webhook at a path of the server, about everything that is labelled t=1."""
        if reply is not None:
            self.replies[path] = reply
        return {
            "name": f"{path.strip('/') or 'h'}.example.com",
            "clientConfig": {"url": f"https://127.0.0.1:{self.port}{path}", "caBundle": certificates()[1]},
            "rules": [ALL],
            "objectSelector": {"matchLabels": {"t": "1"}},
            "sideEffects": "None",
            "admissionReviewVersions": ["v1"],
            "timeoutSeconds": 5,
            **fields,
        }

    async def install(self, kind: str, *webhooks: Any, name: str = "c") -> None:
        """Returns when the plugin knows."""
        config = {"metadata": {"name": name}, "webhooks": list(webhooks)}
        created = await self.api("POST", f"{GROUP}/{PLURALS[kind]}", config)
        assert created.status == 201, created.body
        await self.known(kind, lambda hooks: name in {h.configuration for h in hooks})

    async def remove(self, kind: str, name: str = "c") -> None:
        await self.api("DELETE", f"{GROUP}/{PLURALS[kind]}/{name}")
        await self.known(kind, lambda hooks: name not in {h.configuration for h in hooks})

    async def known(self, kind: str, condition: Callable[[Any], bool]) -> None:
        plugin: Any = next(p for p in self.api.server.admission.plugins if p.name == f"{kind}AdmissionWebhook")

        async def holds() -> bool:
            return condition(plugin._configurations.hooks)

        await until(holds)

    def metrics(self) -> list[str]:
        """Samples without their times."""
        lines = self.api.server.metrics.admission.render()
        return [line for line in lines if "_bucket" not in line and "_sum" not in line and not line.startswith("#")]


def config_map(name: str = "m", **fields: Any) -> Any:
    meta = {"name": name, "labels": {"t": "1"}, **fields.pop("metadata", {})}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": {"a": "b"}, **fields}


def pod(name: str = "p", **spec: Any) -> Any:
    return {
        "metadata": {"name": name, "labels": {"t": "1"}},
        "spec": {"containers": [{"name": "c", "image": "i"}], **spec},
    }


@asynccontextmanager
async def world() -> Any:
    directory, _ = certificates()
    async for api in serve(prepare=lambda server: admit(server, service_cidrs=["10.96.0.0/12"])):
        made = World(api, 0)
        context = server_context(str(directory / "hook.crt"), str(directory / "hook.key"))
        server = await listen(made.answer, ssl=context)
        made.port = server.port
        try:
            await api("POST", "/api/v1/namespaces", {"metadata": {"name": "default", "labels": {"env": "test"}}})
            await api("POST", f"{NAMESPACE}/serviceaccounts", {"metadata": {"name": "default"}})
            yield made
        finally:
            await server.close(0)


def run(scenario: Callable[[World], Awaitable[Any]]) -> Any:
    """On the real loop: there are sockets."""

    async def main() -> Any:
        async with asyncio.timeout(60), world() as made:
            return await scenario(made)

    return asyncio.run(main())
