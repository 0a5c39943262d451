"""Whether a cache has caught up with what a controller itself wrote, by resourceVersion.

A stale cache would lead to writing the same again. The event of the last write wakes the key, so who finds it stale
just returns. Source: upstream's pkg/controller/util/consistency, which compares versions in the same way.
"""

from skiff.api.types import Obj
from skiff.client.controller import Key
from skiff.client.informer import Informer


class Freshness:
    """Per key, the newest version written of objects in one informer."""

    def __init__(self, informer: Informer):
        self._informer = informer
        self._written: dict[Key, int] = {}

    def wrote(self, key: Key, obj: Obj) -> None:
        self._written[key] = max(self._written.get(key, 0), int(obj["metadata"]["resourceVersion"]))

    def fresh(self, key: Key) -> bool:
        written = self._written.get(key)
        if written is not None and written > int(self._informer.resource_version or 0):
            return False
        self._written.pop(key, None)
        return True

    def forget(self, key: Key) -> None:
        self._written.pop(key, None)
