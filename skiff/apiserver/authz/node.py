"""The node authorizer: a kubelet may touch its own node and lease, and what the pods bound to its node refer to.

Two steps: fixed questions per resource (`_BY_RESOURCE`), and for secrets, config maps, claims, volumes and service
accounts a graph from pods to what they name, fed by Lookup.subscribe. What is not special follows the rules of the
role system:node. Source: upstream plugin/pkg/auth/authorizer/node.
"""

from collections.abc import Callable, Iterator, Sequence

from skiff.api.gvr import PERSISTENTVOLUMES, PODS
from skiff.api.types import GVR, Obj
from skiff.apiserver.authz import NO_OPINION, Attributes, Decision
from skiff.apiserver.authz.rules import Rule
from skiff.apiserver.lookup import Lookup
from skiff.wire.messages import UserInfo

PREFIX = "system:node:"
NODES_GROUP = "system:nodes"
LEASE_NAMESPACE = "kube-node-lease"
VOLUMEATTACHMENTS = GVR("storage.k8s.io", "v1", "volumeattachments", "VolumeAttachment", False)
RESOURCESLICES = GVR("resource.k8s.io", "v1", "resourceslices", "ResourceSlice", False)

Vertex = tuple[str, str, str]
"""(plural, namespace, name)"""

_ALLOW = Decision("allow", by="Node")
_SILENT = Decision("none")
"""No opinion on a node's request: never a general one, since others of the node's depend on the object."""


def node_name(user: UserInfo) -> str | None:
    """The node that a user is, "" for a node without a name, None for anyone else."""
    if NODES_GROUP not in user.groups or not user.name.startswith(PREFIX):
        return None
    return user.name[len(PREFIX) :]


class Graph:
    """Which nodes each object is needed on, through the pods bound there. Counts references, so removal is exact. Filled
    when the first node asks (`ready`): a server starts without having read all pods."""

    def __init__(self, lookup: Lookup):
        self._lookup = lookup
        self._is_filling = False
        self.is_ready = False
        self._nodes: dict[Vertex, dict[str, int]] = {}
        self._claims: dict[Vertex, Vertex] = {}
        self._volumes_of: dict[Vertex, set[Vertex]] = {}  # secret → the volumes that need it

    async def ready(self) -> None:
        """Before the first question."""
        sources = {
            PODS: self._pod_changed,
            PERSISTENTVOLUMES: self._volume_changed,
            VOLUMEATTACHMENTS: self._attachment_changed,
            RESOURCESLICES: self._slice_changed,
        }
        if not self._is_filling:
            self._is_filling = True
            for gvr, changed in sources.items():
                self._lookup.subscribe(gvr, changed)
        for gvr in sources:
            await self._lookup.ready(gvr)
        self.is_ready = True

    def needs(self, node: str, vertex: Vertex) -> bool:
        """Whether something on the node refers to the object, a volume through its claim included."""
        if node in self._nodes.get(vertex, ()):
            return True
        claim = self._claims.get(vertex)
        if claim is not None and node in self._nodes.get(claim, ()):
            return True
        return any(self.needs(node, volume) for volume in self._volumes_of.get(vertex, ()))

    def _count(self, vertices: Iterator[Vertex], node: str, step: int) -> None:
        for vertex in vertices:
            nodes = self._nodes.setdefault(vertex, {})
            nodes[node] = nodes.get(node, 0) + step
            if nodes[node] <= 0:
                del nodes[node]
            if not nodes:
                del self._nodes[vertex]

    def _pod_changed(self, old: Obj | None, new: Obj | None) -> None:
        for pod, step in ((old, -1), (new, 1)):
            if pod is not None and (node := pod["spec"].get("nodeName")):
                self._count(pod_references(pod), node, step)

    def _volume_changed(self, old: Obj | None, new: Obj | None) -> None:
        if old is not None:
            vertex = ("persistentvolumes", "", old["metadata"]["name"])
            self._claims.pop(vertex, None)
            for secret in _volume_secrets(old):
                self._volumes_of.get(secret, set()).discard(vertex)
                if not self._volumes_of.get(secret):
                    self._volumes_of.pop(secret, None)
        claim = (new or {"spec": {}})["spec"].get("claimRef") or {}
        if new is not None and claim.get("name"):
            vertex = ("persistentvolumes", "", new["metadata"]["name"])
            self._claims[vertex] = ("persistentvolumeclaims", claim.get("namespace", ""), claim["name"])
            for secret in _volume_secrets(new):
                self._volumes_of.setdefault(secret, set()).add(vertex)

    def _attachment_changed(self, old: Obj | None, new: Obj | None) -> None:
        self._owned("volumeattachments", old, new)

    def _slice_changed(self, old: Obj | None, new: Obj | None) -> None:
        self._owned("resourceslices", old, new)

    def _owned(self, plural: str, old: Obj | None, new: Obj | None) -> None:
        for obj, step in ((old, -1), (new, 1)):
            if obj is not None and (node := (obj.get("spec") or {}).get("nodeName")):
                self._count(iter([(plural, "", obj["metadata"]["name"])]), node, step)


def pod_references(pod: Obj) -> Iterator[Vertex]:
    """The pod itself and everything that its spec names and a kubelet has to read for it."""
    namespace, spec = pod["metadata"].get("namespace", ""), pod["spec"]
    yield "pods", namespace, pod["metadata"]["name"]
    if "kubernetes.io/config.mirror" in (pod["metadata"].get("annotations") or {}):
        return  # a kubelet writes mirror pods itself: they must not open anything to it
    yield "serviceaccounts", namespace, spec.get("serviceAccountName") or "default"
    for plural, name in (*_container_references(spec), *_volume_references(pod["metadata"]["name"], spec)):
        if name:
            yield plural, namespace, name
    for status in (pod.get("status") or {}).get("resourceClaimStatuses") or ():
        if status.get("resourceClaimName"):
            yield "resourceclaims", namespace, status["resourceClaimName"]


def _container_references(spec: Obj) -> Iterator[tuple[str, str]]:
    for reference in spec.get("imagePullSecrets") or ():
        yield "secrets", reference.get("name", "")
    for kind in ("initContainers", "containers", "ephemeralContainers"):
        for container in spec.get(kind) or ():
            for source in container.get("envFrom") or ():
                yield "secrets", (source.get("secretRef") or {}).get("name", "")
                yield "configmaps", (source.get("configMapRef") or {}).get("name", "")
            for variable in container.get("env") or ():
                value_from = variable.get("valueFrom") or {}
                yield "secrets", (value_from.get("secretKeyRef") or {}).get("name", "")
                yield "configmaps", (value_from.get("configMapKeyRef") or {}).get("name", "")
    for claim in spec.get("resourceClaims") or ():
        yield "resourceclaims", claim.get("resourceClaimName", "")


_SECRET_FIELDS = {
    "azureFile": lambda v: v.get("secretName", ""),
    "cephfs": lambda v: (v.get("secretRef") or {}).get("name", ""),
    "cinder": lambda v: (v.get("secretRef") or {}).get("name", ""),
    "csi": lambda v: (v.get("nodePublishSecretRef") or {}).get("name", ""),
    "flexVolume": lambda v: (v.get("secretRef") or {}).get("name", ""),
    "iscsi": lambda v: (v.get("secretRef") or {}).get("name", ""),
    "rbd": lambda v: (v.get("secretRef") or {}).get("name", ""),
    "scaleIO": lambda v: (v.get("secretRef") or {}).get("name", ""),
    "storageos": lambda v: (v.get("secretRef") or {}).get("name", ""),
    "secret": lambda v: v.get("secretName", ""),
}


def _volume_references(pod_name: str, spec: Obj) -> Iterator[tuple[str, str]]:
    for volume in spec.get("volumes") or ():
        for field, name_of in _SECRET_FIELDS.items():
            if volume.get(field):
                yield "secrets", name_of(volume[field])
        yield "configmaps", (volume.get("configMap") or {}).get("name", "")
        yield "persistentvolumeclaims", (volume.get("persistentVolumeClaim") or {}).get("claimName", "")
        if volume.get("ephemeral"):
            yield "persistentvolumeclaims", f"{pod_name}-{volume.get('name', '')}"
        for source in (volume.get("projected") or {}).get("sources") or ():
            yield "secrets", (source.get("secret") or {}).get("name", "")
            yield "configmaps", (source.get("configMap") or {}).get("name", "")


def _volume_secrets(volume: Obj) -> Iterator[Vertex]:
    csi = volume["spec"].get("csi") or {}
    for field in ("controllerPublishSecretRef", "nodePublishSecretRef", "nodeStageSecretRef", "nodeExpandSecretRef"):
        reference = csi.get(field) or {}
        if reference.get("name"):
            yield "secrets", reference.get("namespace", ""), reference["name"]
    claim = volume["spec"].get("claimRef") or {}
    for field in ("rbd", "cephfs", "iscsi", "flexVolume", "scaleIO"):
        reference = (volume["spec"].get(field) or {}).get("secretRef") or {}
        if reference.get("name"):
            yield "secrets", reference.get("namespace") or claim.get("namespace", ""), reference["name"]


class NodeAuthorizer:
    """An Authorizer. rules: those of the role system:node, for what is not special."""

    def __init__(self, graph: Graph, rules: Sequence[Rule]):
        self._graph = graph
        self._rules = tuple(rules)

    async def authorize(self, attrs: Attributes) -> Decision:
        node = node_name(attrs.user)
        if node is None:
            return NO_OPINION
        if not node:
            return _no(f'unknown node for user "{attrs.user.name}"')
        special = _BY_RESOURCE.get((attrs.group, attrs.resource))
        if special is not None:
            if not self._graph.is_ready:
                await self._graph.ready()
            return special(self, node, attrs)
        return _ALLOW if any(rule.allows(attrs) for rule in self._rules) else _SILENT

    def related(self, node: str, attrs: Attributes) -> Decision:
        if not attrs.name:
            return _no("No Object name found")
        if self._graph.needs(node, (attrs.resource, attrs.namespace, attrs.name)):
            return _ALLOW
        return _no(f"no relationship found between node '{node}' and this object")

    def get_only(self, node: str, attrs: Attributes) -> Decision:
        if attrs.verb != "get":
            return _no("can only get individual resources of this type")
        if attrs.subresource:
            return _no("cannot get subresource")
        return self.related(node, attrs)

    def read_only(self, node: str, attrs: Attributes) -> Decision:
        if attrs.verb not in ("get", "list", "watch"):
            return _no("can only read resources of this type")
        if attrs.subresource:
            return _no("cannot read subresource")
        if not attrs.namespace:
            return _no("can only read namespaced object of this type")
        return self.related(node, attrs)

    def claim(self, node: str, attrs: Attributes) -> Decision:
        if attrs.subresource != "status":
            return self.get_only(node, attrs)
        if attrs.verb not in ("update", "patch"):
            return _no("can only get/update/patch this type")
        return self.related(node, attrs)

    def service_account(self, node: str, attrs: Attributes) -> Decision:
        if attrs.verb == "get" and not attrs.subresource:
            return self.read_only(node, attrs)
        if attrs.verb != "create" or not attrs.name:
            return _no("can only create tokens for individual service accounts")
        if attrs.subresource != "token":
            return _no("can only create token subresource of serviceaccount")
        return self.related(node, attrs)

    def lease(self, node: str, attrs: Attributes) -> Decision:
        if attrs.verb not in _OWN_VERBS:
            return _no("can only get, create, update, patch, or delete a node lease")
        if attrs.namespace != LEASE_NAMESPACE:
            return _no(f'can only access leases in the "{LEASE_NAMESPACE}" system namespace')
        if attrs.verb != "create" and attrs.name != node:
            return _no("can only access node lease with the same name as the requesting node")
        return _ALLOW

    def csi_node(self, node: str, attrs: Attributes) -> Decision:
        if attrs.verb not in _OWN_VERBS:
            return _no("can only get, create, update, patch, or delete a CSINode")
        if attrs.subresource:
            return _no("cannot authorize CSINode subresources")
        if attrs.verb != "create" and attrs.name != node:
            return _no("can only access CSINode with the same name as the requesting node")
        return _ALLOW

    def resource_slice(self, node: str, attrs: Attributes) -> Decision:
        if attrs.subresource:
            return _no("cannot authorize ResourceSlice subresources")
        if attrs.verb == "create":
            return _ALLOW
        if attrs.verb in ("get", "update", "patch", "delete"):
            return self.related(node, attrs)
        if _selects(attrs.field_selector, "spec.nodeName", node):
            return _ALLOW
        return _no("can only list/watch/deletecollection resourceslices with nodeName field selector")

    def node(self, node: str, attrs: Attributes) -> Decision:
        if attrs.subresource == "status" and attrs.verb in ("update", "patch"):
            return _ALLOW
        if attrs.subresource:
            return _SILENT
        if attrs.verb in ("create", "update", "patch"):
            return _ALLOW
        if attrs.verb not in ("get", "list", "watch"):
            return _SILENT
        if attrs.name == node:
            return _ALLOW
        if not attrs.name:
            return _no(f"node '{node}' cannot read all nodes, only its own Node object")
        return _no(f"node '{node}' cannot read '{attrs.name}', only its own Node object")

    def pod(self, node: str, attrs: Attributes) -> Decision:
        wanted = (attrs.subresource, attrs.verb)
        if wanted in _POD_WRITES:
            return _ALLOW
        if wanted == ("", "get"):
            return self.related(node, attrs)
        if wanted not in (("", "list"), ("", "watch")):
            return _SILENT
        if _selects(attrs.field_selector, "spec.nodeName", node):
            return _ALLOW
        if attrs.name:
            return self.related(node, attrs)
        return _no("can only list/watch pods with spec.nodeName field selector")


_OWN_VERBS = frozenset(("get", "create", "update", "patch", "delete"))
_POD_WRITES = frozenset(
    (("", "create"), ("", "delete"), ("status", "update"), ("status", "patch"), ("eviction", "create"))
)
"""What NodeRestriction (admission) narrows to the node's own pods."""

_Special = Callable[[NodeAuthorizer, str, Attributes], Decision]
_BY_RESOURCE: dict[tuple[str, str], _Special] = {
    ("", "secrets"): NodeAuthorizer.read_only,
    ("", "configmaps"): NodeAuthorizer.read_only,
    ("", "persistentvolumeclaims"): NodeAuthorizer.claim,
    ("", "persistentvolumes"): NodeAuthorizer.get_only,
    ("", "serviceaccounts"): NodeAuthorizer.service_account,
    ("", "nodes"): NodeAuthorizer.node,
    ("", "pods"): NodeAuthorizer.pod,
    ("resource.k8s.io", "resourceclaims"): NodeAuthorizer.get_only,
    ("resource.k8s.io", "resourceslices"): NodeAuthorizer.resource_slice,
    ("storage.k8s.io", "volumeattachments"): NodeAuthorizer.get_only,
    ("storage.k8s.io", "csinodes"): NodeAuthorizer.csi_node,
    ("coordination.k8s.io", "leases"): NodeAuthorizer.lease,
}


def _no(reason: str) -> Decision:
    return Decision("none", reason, "Node")


def _selects(selector: str, field: str, value: str) -> bool:
    """Whether one of the selector's terms pins the field to the value."""
    return any(term in (f"{field}={value}", f"{field}=={value}") for term in selector.split(","))
