"""List, then watch: a local, indexed, read-only copy of one resource, kept current.

Guarantees: handlers see each object's changes in order; after a lost watch or a 410 the cache is relisted and handlers
get the differences; objects in the cache are shared and must not be mutated.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

from skiff.api.types import GVR, Obj
from skiff.client.rest import Client

Index = Callable[[Obj], Iterable[str]]
"""From an object to the values under which it is found, for example `lambda pod: [pod["spec"].get("nodeName", "")]`."""


@dataclass(frozen=True, slots=True)
class Change:
    type: Literal["added", "updated", "deleted"]
    old: Obj | None
    new: Obj | None

    @property
    def object(self) -> Obj:
        """The object as last known: new, or for a deletion old."""
        found = self.new if self.new is not None else self.old
        assert found is not None
        return found


class Informer:
    """One resource, optionally narrowed by namespace and selectors (as the API takes them)."""

    def __init__(self, client: Client, gvr: GVR, *, namespace: str = "", labels: str = "", fields: str = ""):
        raise NotImplementedError

    def get(self, namespace: str, name: str) -> Obj | None: ...

    def items(self, namespace: str = "") -> list[Obj]:
        """All, or those of one namespace (indexed), in no promised order."""
        raise NotImplementedError

    def add_index(self, name: str, index: Index) -> None:
        """Before or after start; existing objects are indexed at once."""

    def by_index(self, name: str, value: str) -> list[Obj]:
        raise NotImplementedError

    def add_handler(self, handler: Callable[[Change], None]) -> None:
        """Called synchronously for each change; must be quick and must not raise. Late handlers get `added` for all
        that is cached."""

    @property
    def synced(self) -> bool: ...

    async def wait_synced(self) -> None: ...

    async def run(self) -> None:
        """Until cancelled."""


class Informers:
    """Shared informers of one client: each (gvr, namespace, labels, fields) is listed and watched once."""

    def __init__(self, client: Client):
        raise NotImplementedError

    def get(self, gvr: GVR, *, namespace: str = "", labels: str = "", fields: str = "") -> Informer:
        raise NotImplementedError

    async def run(self) -> None:
        """Runs all informers, those asked for later too, until cancelled."""

    async def wait_synced(self) -> None: ...
