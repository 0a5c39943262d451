"""What is in the cluster before the attack: objects that requests can hit, and valid objects to spoil."""

from skiff.api import gvr as gvrs
from skiff.api.types import GVR, Obj

WIDGETS = GVR("fuzz.example", "v1", "widgets", "Widget")
CRDS = GVR("apiextensions.k8s.io", "v1", "customresourcedefinitions", "CustomResourceDefinition", False)
ROLES = GVR("rbac.authorization.k8s.io", "v1", "roles", "Role")
ROLEBINDINGS = GVR("rbac.authorization.k8s.io", "v1", "rolebindings", "RoleBinding")
DEPLOYMENTS = GVR("apps", "v1", "deployments", "Deployment")


def _meta(name: str, namespace: str = "default") -> Obj:
    meta = {"name": name, "labels": {"app": name}, "annotations": {"note": "x"}}
    return {**meta, "namespace": namespace} if namespace else meta


_POD_SPEC: Obj = {
    "containers": [
        {
            "name": "c",
            "image": "i",
            "ports": [{"containerPort": 80, "name": "web"}],
            "env": [{"name": "A", "value": "b"}],
            "resources": {"requests": {"cpu": "100m"}, "limits": {"memory": "1Gi"}},
        }
    ],
    "tolerations": [{"key": "k", "operator": "Exists"}],
}
NODE: Obj = {"apiVersion": "v1", "kind": "Node", "metadata": _meta("n1", ""), "spec": {"podCIDR": "10.244.0.0/24"}}
NODE_STATUS: Obj = {
    "addresses": [{"type": "InternalIP", "address": "10.0.0.1"}],
    "capacity": {"cpu": "4", "memory": "16Gi"},
    "conditions": [{"type": "Ready", "status": "True"}],
}
POD_STATUS: Obj = {"phase": "Running", "podIP": "10.244.0.2", "podIPs": [{"ip": "10.244.0.2"}]}

_SCHEMA: Obj = {
    "type": "object",
    "properties": {
        "spec": {
            "type": "object",
            "required": ["size"],
            "properties": {
                "size": {"type": "integer", "minimum": 0, "maximum": 100, "default": 1},
                "name": {"type": "string", "maxLength": 10, "pattern": "^[a-z]*$"},
                "mode": {"type": "string", "enum": ["on", "off"]},
                "when": {"type": "string", "format": "date-time"},
                "parts": {
                    "type": "array",
                    "maxItems": 10,
                    "x-kubernetes-list-type": "map",
                    "x-kubernetes-list-map-keys": ["name"],
                    "items": {
                        "type": "object",
                        "required": ["name"],
                        "properties": {"name": {"type": "string"}, "weight": {"type": "number"}},
                    },
                },
                "tags": {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}},
                "port": {"x-kubernetes-int-or-string": True},
                "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
                "map": {"type": "object", "additionalProperties": {"type": "integer"}},
            },
            "x-kubernetes-validations": [
                {"rule": "self.size <= 100 || size(self.parts) > 0", "message": "too big"},
                {"rule": "self.size >= oldSelf.size", "message": "may not shrink"},
            ],
        },
        "status": {"type": "object", "properties": {"replicas": {"type": "integer"}}},
    },
}
CRD: Obj = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "widgets.fuzz.example"},
    "spec": {
        "group": "fuzz.example",
        "scope": "Namespaced",
        "names": {"plural": "widgets", "singular": "widget", "kind": "Widget", "listKind": "WidgetList"},
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "schema": {"openAPIV3Schema": _SCHEMA},
                "subresources": {
                    "status": {},
                    "scale": {"specReplicasPath": ".spec.size", "statusReplicasPath": ".status.replicas"},
                },
                "selectableFields": [{"jsonPath": ".spec.mode"}],
            }
        ],
    },
}

OBJECTS: list[tuple[GVR, Obj]] = [
    (gvrs.NODES, NODE),
    (
        gvrs.SERVICEACCOUNTS,
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": _meta("default")},
    ),
    (
        gvrs.PODS,
        {"apiVersion": "v1", "kind": "Pod", "metadata": _meta("p"), "spec": {**_POD_SPEC, "nodeName": "n1"}},
    ),
    (
        gvrs.CONFIGMAPS,
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": _meta("m"),
            "data": {"a": "b"},
            "binaryData": {"c": "AA=="},
        },
    ),
    (gvrs.SECRETS, {"apiVersion": "v1", "kind": "Secret", "metadata": _meta("s"), "data": {"a": "YQ=="}}),
    (
        gvrs.SERVICES,
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": _meta("web"),
            "spec": {"selector": {"app": "p"}, "ports": [{"name": "http", "port": 80, "targetPort": "web"}]},
        },
    ),
    (
        DEPLOYMENTS,
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": _meta("d"),
            "spec": {
                "replicas": 2,
                "selector": {"matchLabels": {"app": "d"}},
                "template": {"metadata": {"labels": {"app": "d"}}, "spec": _POD_SPEC},
            },
        },
    ),
    (
        ROLES,
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "Role",
            "metadata": _meta("r"),
            "rules": [{"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]}],
        },
    ),
    (
        ROLEBINDINGS,
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "RoleBinding",
            "metadata": _meta("b"),
            "subjects": [{"kind": "User", "name": "alice", "apiGroup": "rbac.authorization.k8s.io"}],
            "roleRef": {"kind": "Role", "name": "r", "apiGroup": "rbac.authorization.k8s.io"},
        },
    ),
    (CRDS, CRD),
    (
        WIDGETS,
        {
            "apiVersion": "fuzz.example/v1",
            "kind": "Widget",
            "metadata": _meta("w"),
            "spec": {"size": 2, "parts": [{"name": "a"}], "mode": "on"},
        },
    ),
]

COLLECTIONS = (
    ("/api/v1/namespaces/default/pods", "p"),
    ("/api/v1/namespaces/default/configmaps", "m"),
    ("/api/v1/namespaces/default/secrets", "s"),
    ("/api/v1/namespaces/default/services", "web"),
    ("/api/v1/nodes", "n1"),
    ("/api/v1/namespaces", "default"),
    ("/apis/apps/v1/namespaces/default/deployments", "d"),
    ("/apis/rbac.authorization.k8s.io/v1/namespaces/default/rolebindings", "b"),
    ("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", "widgets.fuzz.example"),
    ("/apis/fuzz.example/v1/namespaces/default/widgets", "w"),
)
"""Where the objects are: (collection, a name that exists)."""
