"""The API client: typed verbs over a Transport. Components cannot tell whether it is HTTPS or in-process.

Errors: a failed request raises skiff.api.errors.StatusError with the server's Status; a connection that breaks raises
ConnectionError (the caller may retry what is safe to retry). Objects returned are the caller's own.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, Protocol

from skiff.api.types import GVR, Obj
from skiff.wire.messages import Request, Response


class Transport(Protocol):
    """Carries one request. Two of them: HTTPS (client/https.py) and a direct call (client/inprocess.py)."""

    async def send(self, request: Request) -> Response:
        """Response.body is complete, or Response.stream yields chunks when `scratch["stream"]` was set to True.
        Raises ConnectionError when the other side cannot be reached or hangs up."""
        ...

    async def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class ObjectList:
    items: list[Obj]
    resource_version: str
    continue_token: str = ""


@dataclass(frozen=True, slots=True)
class WatchEvent:
    """type: ADDED, MODIFIED, DELETED, BOOKMARK. (An ERROR event is raised as StatusError instead.)"""

    type: str
    object: Obj


class Client:
    """Verbs of the API. `namespace=""` means all namespaces for list and watch, cluster scope otherwise."""

    def __init__(self, transport: Transport, *, user_agent: str = "skiff"):
        self.transport = transport
        self.user_agent = user_agent

    async def get(self, gvr: GVR, name: str, namespace: str = "", *, subresource: str = "") -> Obj:
        raise NotImplementedError

    async def list(
        self,
        gvr: GVR,
        namespace: str = "",
        *,
        labels: str = "",
        fields: str = "",
        limit: int = 0,
        continue_token: str = "",
        resource_version: str = "",
    ) -> ObjectList:
        raise NotImplementedError

    async def create(self, gvr: GVR, obj: Obj, namespace: str = "", *, name: str = "", subresource: str = "") -> Obj:
        """`name` and `subresource` for bindings, evictions, tokens."""
        raise NotImplementedError

    async def update(self, gvr: GVR, obj: Obj, *, subresource: str = "") -> Obj:
        """Namespace and name from the object; its resourceVersion is the precondition."""
        raise NotImplementedError

    async def patch(
        self, gvr: GVR, name: str, patch: Any, namespace: str = "", *, type: str = "merge", subresource: str = ""
    ) -> Obj:
        """type: merge, strategic, json."""
        raise NotImplementedError

    async def apply(
        self, gvr: GVR, obj: Obj, *, field_manager: str, force: bool = False, subresource: str = ""
    ) -> Obj:
        raise NotImplementedError

    async def delete(
        self,
        gvr: GVR,
        name: str,
        namespace: str = "",
        *,
        uid: str = "",
        resource_version: str = "",
        propagation: str = "",
        grace_seconds: int | None = None,
    ) -> Obj:
        """uid and resource_version are preconditions. propagation: Background, Foreground, Orphan or "" (default)."""
        raise NotImplementedError

    def watch(
        self, gvr: GVR, namespace: str = "", *, resource_version: str, labels: str = "", fields: str = ""
    ) -> AsyncIterator[WatchEvent]:
        """Ends when the server closes it (time-out); raises StatusError 410 when the version is too old."""
        raise NotImplementedError

    async def raw(self, request: Request) -> Response:
        """Any request, for what the verbs above do not cover; non-2xx is returned, not raised."""
        raise NotImplementedError
