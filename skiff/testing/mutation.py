"""Finds code that changes objects in an informer's cache: each is compared, when it leaves and at the end, with what it was.

Cached objects are shared by all components of a process; changing one in place is a bug that shows far away from its cause.
"""

from dataclasses import dataclass, field

import orjson

from skiff.api.types import GVR, Obj


class CacheMutated(AssertionError):
    """Someone changed a cached object; the message says which one and how."""


@dataclass(slots=True)
class MutationDetector:
    """A skiff.client.informer.CacheObserver. `check` raises for what was found."""

    _cached: dict[int, tuple[GVR, Obj, bytes]] = field(default_factory=dict)
    _found: list[str] = field(default_factory=list)

    def cached(self, gvr: GVR, obj: Obj) -> None:
        self._cached[id(obj)] = (gvr, obj, orjson.dumps(obj))

    def dropped(self, obj: Obj) -> None:
        kept = self._cached.pop(id(obj), None)
        if kept is not None:
            self._compare(*kept)

    def check(self) -> None:
        for kept in self._cached.values():
            self._compare(*kept)
        self._cached.clear()
        if self._found:
            raise CacheMutated("\n".join(self._found))

    def _compare(self, gvr: GVR, obj: Obj, before: bytes) -> None:
        after = orjson.dumps(obj)
        if after != before:
            self._found.append(
                f"a cached object of {gvr.group_resource} was changed\n  from {before.decode()}\n  to   {after.decode()}"
            )
