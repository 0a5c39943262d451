"""Small worlds for the tests of authentication, authorization and admission."""

from skiff.api.gvr import NAMESPACES, NODES, PODS, SECRETS, SERVICEACCOUNTS
from skiff.api.types import GVR, Obj
from skiff.apiserver.admission import Attributes, Plugin
from skiff.apiserver.lookup import DictLookup
from skiff.wire.messages import UserInfo

ADMIN = UserInfo("admin", ("system:masters", "system:authenticated"))
ALICE = UserInfo("alice", ("dev", "system:authenticated"))
N1 = UserInfo("system:node:n1", ("system:nodes", "system:authenticated"))


def obj(name: str, namespace: str = "", **rest) -> Obj:
    meta = {"name": name, "uid": f"uid-{name}", **rest.pop("metadata", {})}
    if namespace:
        meta["namespace"] = namespace
    return {"metadata": meta, **rest}


def pod(name: str = "p", *, node: str = "", namespace: str = "default", metadata: Obj | None = None, **spec) -> Obj:
    spec = {"serviceAccountName": "default", "containers": [{"name": "c", "image": "i"}], **spec}
    if node:
        spec["nodeName"] = node
    return obj(name, namespace, metadata=metadata or {}, spec=spec)


def world(**changed) -> DictLookup:
    """One namespace with a service account, a node with a pod, and a secret."""
    lookup = DictLookup()
    lookup.put(NAMESPACES, obj("default", status={"phase": "Active"}))
    lookup.put(SERVICEACCOUNTS, obj("default", "default", **changed.get("account", {})))
    lookup.put(NODES, obj("n1", spec={}))
    lookup.put(PODS, pod("p", node="n1"))
    lookup.put(SECRETS, obj("s", "default"))
    return lookup


def attributes(
    operation: str,
    gvr: GVR,
    new: Obj | None = None,
    old: Obj | None = None,
    *,
    user: UserInfo = ALICE,
    subresource: str = "",
    namespace: str = "default",
    name: str = "",
    dry_run: bool = False,
) -> Attributes:
    known = (new or old or {"metadata": {}})["metadata"].get("name", "")
    return Attributes(
        operation=operation,  # type: ignore[arg-type]
        gvr=gvr,
        subresource=subresource,
        namespace=namespace if gvr.namespaced else "",
        name=name or known,
        obj=new,
        old=old,
        user=user,
        dry_run=dry_run,
    )


async def admit(plugin: Plugin, attrs: Attributes) -> Obj | None:
    """Both halves, as the chain runs them."""
    await plugin.mutate(attrs)
    await plugin.validate(attrs)
    return attrs.obj
