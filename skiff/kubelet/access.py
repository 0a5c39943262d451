"""Who may ask the kubelet for what: client certificates and bearer tokens, then SubjectAccessReview on nodes/<part>.

The API server's own kubelet client is known by its name and needs no review. Answers are remembered briefly. Source:
Kubernetes docs, "Kubelet authentication/authorization".
"""

from collections.abc import Mapping
from dataclasses import dataclass

from skiff import env
from skiff.api.errors import StatusError
from skiff.api.gvr import SUBJECTACCESSREVIEWS, TOKENREVIEWS
from skiff.api.types import Obj
from skiff.client.rest import Client
from skiff.wire.messages import Request, Response, UserInfo
from skiff.wire.x509 import subject

API_SERVER = "kube-apiserver-kubelet-client"
REMEMBER_S = 10.0
VERBS = {"GET": "get", "HEAD": "get", "POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
PARTS = (("/stats", "stats"), ("/metrics", "metrics"), ("/logs", "log"), ("/containerLogs", "log"), ("/pods", "pods"),
         ("/healthz", "healthz"), ("/configz", "configz"))  # fmt: skip
"""Which subresource of nodes a path belongs to; `proxy` for every other path, and good for all of them."""


def part_of(path: str) -> str:
    return next((part for prefix, part in PARTS if path == prefix or path.startswith(prefix + "/")), "proxy")


@dataclass(frozen=True, slots=True)
class _Answer:
    allowed: bool
    at: float


class Access:
    def __init__(self, *, client: Client, node_name: str):
        self._client = client
        self._node_name = node_name
        self._answers: dict[tuple[str, tuple[str, ...], str, str], _Answer] = {}

    async def refuse(self, request: Request) -> Response | None:
        """None: go on."""
        try:
            user = await self._who(request)
            if user is None:
                return Response(401, {"content-type": "text/plain"}, b"Unauthorized")
            if user.name == API_SERVER or "system:masters" in user.groups or await self._may(user, request):
                return None
        except (StatusError, ConnectionError) as e:
            return Response(500, {"content-type": "text/plain"}, f"Authorization error: {e}".encode())
        verb, part = VERBS.get(request.method, ""), part_of(request.path)
        text = f"Forbidden (user={user.name}, verb={verb}, resource=nodes, subresource(s)=[{part}])\n"
        return Response(403, {"content-type": "text/plain"}, text.encode())

    async def _who(self, request: Request) -> UserInfo | None:
        if request.peer_cert is not None:
            try:
                found = subject(request.peer_cert)
            except (ValueError, IndexError):
                return None
            return UserInfo(found.common_name, (*found.organizations, "system:authenticated"), found.uid)
        kind, _, token = request.headers.get("authorization", "").partition(" ")
        if kind.lower() != "bearer" or not token.strip():
            return None
        review = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {"token": token.strip()}}
        status = (await self._client.create(TOKENREVIEWS, review)).get("status") or {}
        if not status.get("authenticated"):
            return None
        user: Mapping[str, object] = status.get("user") or {}
        groups = user.get("groups")
        listed = tuple(str(g) for g in groups) if isinstance(groups, list) else ()
        return UserInfo(str(user.get("username", "")), listed, str(user.get("uid", "")))

    async def _may(self, user: UserInfo, request: Request) -> bool:
        verb = VERBS.get(request.method, "get")
        part = part_of(request.path)
        return await self._review(user, verb, part) or (part != "proxy" and await self._review(user, verb, "proxy"))

    async def _review(self, user: UserInfo, verb: str, part: str) -> bool:
        key = (user.name, user.groups, verb, part)
        kept = self._answers.get(key)
        if kept is not None and env.epoch() - kept.at < REMEMBER_S:
            return kept.allowed
        attributes = {"verb": verb, "version": "v1", "resource": "nodes", "subresource": part, "name": self._node_name}
        spec: Obj = {"user": user.name, "groups": list(user.groups), "resourceAttributes": attributes}
        review = {"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": spec}
        answer = await self._client.create(SUBJECTACCESSREVIEWS, review)
        allowed = bool((answer.get("status") or {}).get("allowed"))
        if len(self._answers) > 1024:
            self._answers.clear()
        self._answers[key] = _Answer(allowed, env.epoch())
        return allowed
