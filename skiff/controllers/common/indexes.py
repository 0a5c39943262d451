"""The shared indexes of pods: by controlling owner (orphans by namespace) and by node."""

from collections.abc import Iterable

from skiff.api.gvr import PODS
from skiff.api.meta import controller_of, namespace, uid
from skiff.api.types import GVR, Obj
from skiff.client.informer import Informer, Informers
from skiff.controllers.common.pods import node_name

_OWNER = "controller"
_NODE = "node"


def _by_owner(obj: Obj) -> Iterable[str]:
    ref = controller_of(obj)
    return [f"orphans/{namespace(obj)}"] if ref is None else [str(ref.get("uid", ""))]


def _by_node(pod: Obj) -> Iterable[str]:
    return [node_name(pod)]


def owned_informer(informers: Informers, gvr: GVR = PODS) -> Informer:
    """The informer of a resource, indexed by controlling owner."""
    informer = informers.get(gvr)
    informer.add_index(_OWNER, _by_owner)
    return informer


def pods_by_node(informers: Informers) -> Informer:
    informer = informers.get(PODS)
    informer.add_index(_NODE, _by_node)
    return informer


def owned_by(informer: Informer, owner: Obj) -> list[Obj]:
    """What names the owner as its controller."""
    return owned_by_uid(informer, uid(owner))


def owned_by_uid(informer: Informer, owner_uid: str) -> list[Obj]:
    return informer.by_index(_OWNER, owner_uid)


def owned_or_orphaned(informer: Informer, owner: Obj) -> list[Obj]:
    """What the owner controls and what nobody controls in its namespace: all that it may claim."""
    return owned_by(informer, owner) + informer.by_index(_OWNER, f"orphans/{namespace(owner)}")


def on_node(informer: Informer, node: str) -> list[Obj]:
    return informer.by_index(_NODE, node)
