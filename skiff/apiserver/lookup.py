"""How access control and admission see the cluster: synchronous reads from the API server's caches, and their changes.

The API server implements it over its watch caches, the tests over dicts. Objects are shared: never mutate them. A cache
may trail a write by a moment; who must not be fooled by that (namespace existence) asks `fresh`.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Protocol

from skiff.api.types import GVR, Obj

OnChange = Callable[[Obj | None, Obj | None], None]
"""(old, new): new is None for a deletion, old for a creation. Quick, synchronous, and never raises."""


class Lookup(Protocol):
    """Cached reads. An unknown or not yet synced resource reads as empty."""

    def get(self, gvr: GVR, namespace: str, name: str) -> Obj | None: ...

    def list(self, gvr: GVR, namespace: str = "") -> Iterable[Obj]:
        """All objects, or those of one namespace (indexed)."""
        ...

    async def ready(self, gvr: GVR) -> None:
        """Returns when all objects of the resource are known here, and its subscribers have been told."""
        ...

    async def fresh(self, gvr: GVR, namespace: str, name: str) -> Obj | None:
        """A consistent read: sees every write that was acknowledged before the call."""
        ...

    def subscribe(self, gvr: GVR, handler: OnChange) -> None:
        """Calls the handler for each object there is, at once, and for each change from then on, in order."""
        ...


class DictLookup:
    """A Lookup over plain dicts, for tests and tools."""

    def __init__(self) -> None:
        self._objects: dict[GVR, dict[tuple[str, str], Obj]] = {}
        self._handlers: dict[GVR, list[OnChange]] = {}

    def put(self, gvr: GVR, *objects: Obj) -> None:
        """Adds or replaces objects and tells the subscribers."""
        for obj in objects:
            key = (obj["metadata"].get("namespace", ""), obj["metadata"]["name"])
            table = self._objects.setdefault(gvr, {})
            old = table.get(key)
            table[key] = obj
            self._tell(gvr, old, obj)

    def remove(self, gvr: GVR, namespace: str, name: str) -> None:
        old = self._objects.get(gvr, {}).pop((namespace, name), None)
        if old is not None:
            self._tell(gvr, old, None)

    def _tell(self, gvr: GVR, old: Obj | None, new: Obj | None) -> None:
        for handler in self._handlers.get(gvr, []):
            handler(old, new)

    def get(self, gvr: GVR, namespace: str, name: str) -> Obj | None:
        return self._objects.get(gvr, {}).get((namespace, name))

    def list(self, gvr: GVR, namespace: str = "") -> Iterator[Obj]:
        return (o for (ns, _), o in self._objects.get(gvr, {}).items() if not namespace or ns == namespace)

    async def ready(self, gvr: GVR) -> None:
        return

    async def fresh(self, gvr: GVR, namespace: str, name: str) -> Obj | None:
        return self.get(gvr, namespace, name)

    def subscribe(self, gvr: GVR, handler: OnChange) -> None:
        for obj in self._objects.get(gvr, {}).values():
            handler(None, obj)
        self._handlers.setdefault(gvr, []).append(handler)
