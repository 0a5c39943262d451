"""From a changed object to the keys of those who own it, owned it, or might adopt it."""

from collections.abc import Callable

from skiff.api.meta import controller_of, is_being_deleted, labels, namespace, uid
from skiff.api.selectors import Selector
from skiff.api.types import Obj
from skiff.client.controller import Key, key_of
from skiff.client.informer import Change, Informer


class OwnerRoutes:
    """For owners of one kind, found in their informer. `selector` gives an owner's selector for what it owns."""

    def __init__(self, owners: Informer, kind: str, selector: Callable[[Obj], Selector]):
        self._owners = owners
        self._kind = kind
        self._selector = selector

    def owner(self, obj: Obj) -> Obj | None:
        """The controlling owner, if it is of the kind and still there under the same uid."""
        ref = controller_of(obj)
        if ref is None or ref.get("kind") != self._kind:
            return None
        found = self._owners.get(namespace(obj), ref["name"])
        return found if found is not None and uid(found) == ref.get("uid") else None

    def possible(self, obj: Obj) -> list[Obj]:
        """Those of the namespace whose selector matches. An empty selector matches nothing here, to be safe."""
        found = []
        for owner in self._owners.items(namespace(obj)):
            selector = self._selector(owner)
            if not selector.empty and selector.matches(labels(obj)):
                found.append(owner)
        return found

    def keys(self, change: Change) -> list[Key]:
        versions = [obj for obj in (change.old, change.new) if obj is not None]
        owners = [owner for obj in versions if (owner := self.owner(obj)) is not None]
        obj = change.object
        if controller_of(obj) is None and change.type != "deleted" and not is_being_deleted(obj):
            owners += self.possible(obj)
        return sorted({key_of(owner) for owner in owners})
