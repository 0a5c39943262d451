"""Who owns whom, by uid, across all resources.

Pure: changes go in, the uids to look at come out. Every change costs in proportion to the object's own references and,
for a deletion, its dependents. An owner need not be known: dependents are filed under its uid all the same, so there
are no stand-ins to keep. Source of the rules: upstream pkg/controller/garbagecollector/graph_builder.go.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from skiff.api.meta import finalizers, is_being_deleted, name, namespace, owner_references, uid
from skiff.api.types import GVR, Obj

FOREGROUND = "foregroundDeletion"
ORPHAN = "orphan"
_KEPT = ("name", "namespace", "uid", "resourceVersion", "ownerReferences", "finalizers", "deletionTimestamp")


def trim(obj: Obj) -> Obj:
    """What the collector needs of an object: a transform for its informers."""
    found = obj["metadata"]
    return {"metadata": {key: found[key] for key in _KEPT if found.get(key)}}


@dataclass(frozen=True, slots=True)
class Node:
    """An object that exists. obj: at least its metadata, shared with the cache it comes from."""

    gvr: GVR
    obj: Obj

    @property
    def waits_for_dependents(self) -> bool:
        """Being deleted in the foreground: goes when its blocking dependents have gone."""
        return is_being_deleted(self.obj) and FOREGROUND in finalizers(self.obj)

    @property
    def orphans_dependents(self) -> bool:
        return is_being_deleted(self.obj) and ORPHAN in finalizers(self.obj)

    def describe(self) -> str:
        return f"{self.gvr.kind} {namespace(self.obj)}/{name(self.obj)}"


def matches(ref: Obj, owner: Node, dependent: Obj) -> bool:
    """The reference means this owner: its kind and name are right, and it can be seen from the dependent's namespace."""
    right = (ref.get("apiVersion"), ref.get("kind"), ref.get("name")) == (
        owner.gvr.api_version,
        owner.gvr.kind,
        name(owner.obj),
    )
    return right and (not owner.gvr.namespaced or namespace(owner.obj) == namespace(dependent))


class Graph:
    def __init__(self) -> None:
        self._nodes: dict[str, Node] = {}
        self._dependents: dict[str, set[str]] = {}

    def __len__(self) -> int:
        return len(self._nodes)

    def get(self, node_uid: str) -> Node | None:
        return self._nodes.get(node_uid)

    def dependents(self, owner_uid: str) -> Iterator[Node]:
        """In order of uid, so that a run is a function of its seed."""
        for dependent in sorted(self._dependents.get(owner_uid, ())):
            yield self._nodes[dependent]

    def has_dependents(self, owner_uid: str) -> bool:
        return owner_uid in self._dependents

    def blocking_dependents(self, owner_uid: str) -> list[Node]:
        return [
            node
            for node in self.dependents(owner_uid)
            if any(r["uid"] == owner_uid and r.get("blockOwnerDeletion") for r in owner_references(node.obj))
        ]

    def put(self, gvr: GVR, old: Obj | None, new: Obj) -> set[str]:
        """An object appeared or changed. Returns whom to look at."""
        node = Node(gvr, new)
        own = uid(new)
        self._nodes[own] = node
        before = {r["uid"]: r for r in owner_references(old)} if old is not None else {}
        after = {r["uid"]: r for r in owner_references(new)}
        self._unlink(own, before.keys() - after.keys())
        look: set[str] = set()
        for owner, ref in after.items():
            if owner not in before:
                self._dependents.setdefault(owner, set()).add(own)
            if before.get(owner) != ref and not self._plainly_owned(ref, new):
                look.add(own)
        look.update(self._unblocked(before, after))
        if before == {} and old is None and own in self._dependents:
            look.update(self._misled(node))
        if _begins(node, old):
            look.add(own)
            if node.waits_for_dependents:
                look.update(self._dependents.get(own, ()))
        return look

    def remove(self, obj: Obj) -> set[str]:
        """An object has gone. Returns whom to look at: its dependents, and owners that wait for it."""
        own = uid(obj)
        node = self._nodes.pop(own, None)
        if node is None:
            return set()
        owners = {r["uid"] for r in owner_references(node.obj)}
        self._unlink(own, owners)
        waiting = {owner for owner in owners if self._waits(owner)}
        return waiting | self._dependents.get(own, set())

    def forget(self, gvr: GVR) -> None:
        """The resource is no longer served. Nothing is concluded about dependents: it may come back."""
        for own in [own for own, node in self._nodes.items() if node.gvr == gvr]:
            self._unlink(own, (r["uid"] for r in owner_references(self._nodes.pop(own).obj)))

    def _unlink(self, own: str, owners: Iterable[str]) -> None:
        for owner in owners:
            dependents = self._dependents.get(owner)
            if dependents is not None:
                dependents.discard(own)
                if not dependents:
                    del self._dependents[owner]

    def _plainly_owned(self, ref: Obj, dependent: Obj) -> bool:
        """The owner is known, is what the reference says, and is not about to take its dependents with it."""
        owner = self._nodes.get(ref["uid"])
        return owner is not None and matches(ref, owner, dependent) and not owner.waits_for_dependents

    def _waits(self, owner: str) -> bool:
        node = self._nodes.get(owner)
        return node is not None and node.waits_for_dependents

    def _unblocked(self, before: dict[str, Obj], after: dict[str, Obj]) -> set[str]:
        """Owners in the middle of a foreground deletion that this dependent no longer holds up."""
        return {
            owner
            for owner, ref in before.items()
            if ref.get("blockOwnerDeletion")
            and not after.get(owner, {}).get("blockOwnerDeletion")
            and self._waits(owner)
        }

    def _misled(self, owner: Node) -> set[str]:
        """Dependents whose references to a newly seen owner are wrong about it."""
        return {
            uid(node.obj)
            for node in self.dependents(uid(owner.obj))
            if any(r["uid"] == uid(owner.obj) and not matches(r, owner, node.obj) for r in owner_references(node.obj))
        }


def _begins(node: Node, old: Obj | None) -> bool:
    """This change starts an orphaning or a foreground deletion."""
    before = Node(node.gvr, old) if old is not None else None
    orphaning = node.orphans_dependents and not (before and before.orphans_dependents)
    waiting = node.waits_for_dependents and not (before and before.waits_for_dependents)
    return orphaning or waiting
