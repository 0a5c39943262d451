"""NodeRestriction: a kubelet writes its own node, its own lease, and the pods that are bound to it; nothing else."""

from collections.abc import Mapping

from skiff.api.errors import not_found
from skiff.api.gvr import NODES, PODS
from skiff.api.types import Obj
from skiff.apiserver.admission import Attributes, Plugin
from skiff.apiserver.admission.serviceaccount import MIRROR
from skiff.apiserver.authz.node import LEASE_NAMESPACE, node_name, pod_references
from skiff.apiserver.lookup import Lookup

_OWN_LABELS = frozenset(
    (
        "kubernetes.io/hostname",
        "kubernetes.io/os",
        "kubernetes.io/arch",
        "topology.kubernetes.io/zone",
        "topology.kubernetes.io/region",
        "failure-domain.beta.kubernetes.io/zone",
        "failure-domain.beta.kubernetes.io/region",
        "node.kubernetes.io/instance-type",
        "beta.kubernetes.io/instance-type",
        "beta.kubernetes.io/os",
        "beta.kubernetes.io/arch",
    )
)
_OWN_NAMESPACES = ("kubelet.kubernetes.io", "node.kubernetes.io")
_RESTRICTED = "node-restriction.kubernetes.io"


class NodeRestriction(Plugin):
    name = "NodeRestriction"
    operations = frozenset(("CREATE", "UPDATE", "DELETE"))

    def __init__(self, lookup: Lookup):
        self._lookup = lookup

    async def mutate(self, attrs: Attributes) -> None:
        node = node_name(attrs.user)
        if node is None:
            return
        if not node:
            raise attrs.forbid(f'could not determine node from user "{attrs.user.name}"')
        resource, why = attrs.gvr.group_resource, ""
        if resource == "pods":
            why = await self._pod(node, attrs)
        elif resource == "nodes":
            why = node_refusal(node, attrs)
        elif resource == "persistentvolumeclaims":
            why = _claim_refusal(node, attrs)
        elif resource == "serviceaccounts" and attrs.operation == "CREATE" and attrs.subresource == "token":
            why = await self._token(node, attrs)
        elif resource == "leases.coordination.k8s.io":
            why = _lease_refusal(node, attrs)
        elif resource == "csinodes.storage.k8s.io" and attrs.name != node:
            why = "can only access CSINode with the same name as the requesting node"
        elif resource == "resourceslices.resource.k8s.io":
            why = _slice_refusal(node, attrs)
        if why:
            raise attrs.forbid(why)

    async def _pod(self, node: str, attrs: Attributes) -> str:
        if attrs.subresource == "status":
            return _status_refusal(node, attrs)
        if attrs.subresource == "eviction":
            pod = await self._existing_pod(attrs, attrs.name)
            if _node_of(pod) != node:
                return f"node {node} can only evict pods with spec.nodeName set to itself"
            return ""
        if attrs.subresource:
            return f"unexpected pod subresource \"{attrs.subresource}\", only 'status' and 'eviction' are allowed"
        if attrs.operation == "CREATE":
            return await self._mirror_pod(node, attrs)
        if attrs.operation == "DELETE":
            pod = attrs.old or await self._existing_pod(attrs, attrs.name)
            if _node_of(pod) != node:
                return f'node "{node}" can only delete pods with spec.nodeName set to itself'
            return ""
        return f'unexpected operation "{attrs.operation}", node "{node}" can only create and delete mirror pods'

    async def _existing_pod(self, attrs: Attributes, name: str) -> Obj:
        pod = await self._lookup.fresh(PODS, attrs.namespace, name)
        if pod is None:
            raise not_found(PODS, name)
        return pod

    async def _mirror_pod(self, node: str, attrs: Attributes) -> str:
        pod = attrs.obj
        assert pod is not None
        annotations = pod["metadata"].get("annotations") or {}
        if MIRROR not in annotations:
            return f'pod does not have "{MIRROR}" annotation, node "{node}" can only create mirror pods'
        if _node_of(pod) != node:
            return f'node "{node}" can only create pods with spec.nodeName set to itself'
        if why := _owner_refusal(node, pod):
            return why
        found = self._lookup.get(NODES, "", node) or await self._lookup.fresh(NODES, "", node)
        if found is None:
            raise not_found(NODES, node)
        uid, expected = pod["metadata"]["ownerReferences"][0].get("uid"), found["metadata"].get("uid")
        if uid != expected:
            return f"node {node} UID mismatch: expected {uid} got {expected}"
        plain = {**pod, "metadata": {**pod["metadata"], "annotations": {}}}
        harmless = {"pods"} if pod["spec"].get("serviceAccountName") else {"pods", "serviceaccounts"}
        referenced = sorted({plural for plural, _, _ in pod_references(plain)} - harmless)
        return f'node "{node}" can not create pods that reference {referenced[0]}' if referenced else ""

    async def _token(self, node: str, attrs: Attributes) -> str:
        ref = ((attrs.obj or {}).get("spec") or {}).get("boundObjectRef") or {}
        if ref.get("apiVersion") != "v1" or ref.get("kind") != "Pod" or not ref.get("name"):
            return "node requested token not bound to a pod"
        if not ref.get("uid"):
            return "node requested token with a pod binding without a uid"
        pod = await self._existing_pod(attrs, ref["name"])
        if ref["uid"] != pod["metadata"].get("uid"):
            return (
                f"the UID in the bound object reference ({ref['uid']}) does not match the UID in record. "
                "The object might have been deleted and then recreated"
            )
        if _node_of(pod) != node:
            return "node requested token bound to a pod scheduled on a different node"
        return ""


def _node_of(pod: Obj) -> str:
    return str((pod.get("spec") or {}).get("nodeName", ""))


def _owner_refusal(node: str, pod: Obj) -> str:
    owners = pod["metadata"].get("ownerReferences") or []
    if len(owners) > 1:
        return f'node "{node}" can only create pods with a single owner reference set to itself'
    owner = owners[0] if owners else {}
    if (owner.get("apiVersion"), owner.get("kind"), owner.get("name")) != ("v1", "Node", node):
        return f'node "{node}" can only create pods with an owner reference set to itself'
    if not owner.get("controller"):
        return f'node "{node}" can only create pods with a controller owner reference set to itself'
    if owner.get("blockOwnerDeletion"):
        return f'node "{node}" must not set blockOwnerDeletion on an owner reference'
    return ""


def _status_refusal(node: str, attrs: Attributes) -> str:
    if attrs.operation != "UPDATE" or attrs.old is None or attrs.obj is None:
        return f'unexpected operation "{attrs.operation}"'
    old, new = attrs.old, attrs.obj
    if _node_of(old) != node:
        return f'node "{node}" can only update pod status for pods with spec.nodeName set to itself'
    if (old["metadata"].get("labels") or {}) != (new["metadata"].get("labels") or {}):
        return f'node "{node}" cannot update labels through pod status'
    before, after = old.get("status") or {}, new.get("status") or {}
    if (before.get("resourceClaimStatuses") or []) != (after.get("resourceClaimStatuses") or []):
        return f'node "{node}" cannot update resource claim statues'
    if before.get("extendedResourceClaimStatus") != after.get("extendedResourceClaimStatus"):
        return f'node "{node}" cannot update extended resource claim status'
    return ""


def node_refusal(node: str, attrs: Attributes) -> str:
    """Why a kubelet may not write a Node like this, "" if it may."""
    name = attrs.name or ((attrs.obj or {}).get("metadata") or {}).get("name", "")
    if name != node:
        return f'node "{node}" is not allowed to modify node "{name}"'
    if attrs.obj is None:
        return ""
    new, old = attrs.obj, attrs.old or {"metadata": {}, "spec": {}}
    labels, before = new["metadata"].get("labels") or {}, old["metadata"].get("labels") or {}
    forbidden = ", ".join(sorted(_forbidden_labels(labels, before)))
    if attrs.operation == "CREATE":
        return f'node "{node}" is not allowed to set the following labels: {forbidden}' if forbidden else ""
    if attrs.operation != "UPDATE":
        return ""
    if ((new.get("spec") or {}).get("taints") or []) != ((old.get("spec") or {}).get("taints") or []):
        return f'node "{node}" is not allowed to modify taints'
    if (new["metadata"].get("ownerReferences") or []) != (old["metadata"].get("ownerReferences") or []):
        return f'node "{node}" is not allowed to modify ownerReferences'
    return f"is not allowed to modify labels: {forbidden}" if forbidden else ""


def _forbidden_labels(labels: Mapping[str, str], before: Mapping[str, str]) -> list[str]:
    changed = [k for k in {*labels, *before} if labels.get(k) != before.get(k)]
    return [k for k in changed if not _may_set(k)]


def _may_set(label: str) -> bool:
    namespace = label.partition("/")[0] if "/" in label else ""
    if _is_below(namespace, _RESTRICTED):
        return False
    if not _is_below(namespace, "kubernetes.io") and not _is_below(namespace, "k8s.io"):
        return True
    return label in _OWN_LABELS or any(_is_below(namespace, own) for own in _OWN_NAMESPACES)


def _is_below(namespace: str, domain: str) -> bool:
    return namespace == domain or namespace.endswith(f".{domain}")


def _claim_refusal(node: str, attrs: Attributes) -> str:
    if attrs.subresource != "status":
        return "may only update PVC status"
    if attrs.operation != "UPDATE" or attrs.obj is None or attrs.old is None:
        return f'unexpected operation "{attrs.operation}"'
    if _frozen_part(attrs.obj) != _frozen_part(attrs.old):
        return f'node "{node}" is not allowed to update fields other than status.quantity and status.conditions'
    return ""


def _frozen_part(claim: Obj) -> Obj:
    """What a node may not change about a claim."""
    free = ("capacity", "conditions", "allocatedResourceStatuses", "allocatedResources")
    meta = {k: v for k, v in claim["metadata"].items() if k not in ("resourceVersion", "managedFields")}
    status = {k: v for k, v in (claim.get("status") or {}).items() if k not in free}
    return {"metadata": meta, "spec": claim.get("spec"), "status": status}


def _lease_refusal(node: str, attrs: Attributes) -> str:
    if attrs.namespace != LEASE_NAMESPACE:
        return f'can only access leases in the "{LEASE_NAMESPACE}" system namespace'
    name = attrs.name or ((attrs.obj or {}).get("metadata") or {}).get("name", "")
    return "" if name == node else "can only access node lease with the same name as the requesting node"


def _slice_refusal(node: str, attrs: Attributes) -> str:
    if attrs.operation == "CREATE" and _node_of(attrs.obj or {}) != node:
        return "can only create ResourceSlice with the same NodeName as the requesting node"
    if attrs.operation == "DELETE" and _node_of(attrs.old or {}) != node:
        return "can only delete ResourceSlice with the same NodeName as the requesting node"
    return ""
