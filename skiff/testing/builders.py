"""Objects for tests: `pod("a", node="n1", cpu="100m")` gives a complete dict, as a user would have written it.

Keywords that are no parameter go into `spec` (pods, nodes, services) under their API name.
"""

from collections.abc import Mapping
from typing import Any

from skiff.api.types import Obj

IMAGE = "registry.skiff.test/app:1"


def meta(name: str, namespace: str = "", labels: Mapping[str, str] | None = None, **more: Any) -> Obj:
    """An object's metadata; `annotations=`, `ownerReferences=` ... under their API names."""
    found: Obj = {"name": name}
    if namespace:
        found["namespace"] = namespace
    if labels:
        found["labels"] = dict(labels)
    return {**found, **more}


def container(name: str = "app", *, image: str = IMAGE, cpu: str = "", memory: str = "", **more: Any) -> Obj:
    """One container; cpu and memory are its requests."""
    requests = {k: v for k, v in (("cpu", cpu), ("memory", memory)) if v}
    found: Obj = {"name": name, "image": image}
    if requests:
        found["resources"] = {"requests": requests}
    return {**found, **more}


def pod(
    name: str = "pod",
    namespace: str = "default",
    *,
    node: str = "",
    cpu: str = "",
    memory: str = "",
    image: str = IMAGE,
    labels: Mapping[str, str] | None = None,
    annotations: Mapping[str, str] | None = None,
    phase: str = "",
    containers: list[Obj] | None = None,
    **spec: Any,
) -> Obj:
    found: Obj = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": meta(name, namespace, labels),
        "spec": {"containers": containers or [container(cpu=cpu, memory=memory, image=image)], **spec},
    }
    if annotations:
        found["metadata"]["annotations"] = dict(annotations)
    if node:
        found["spec"]["nodeName"] = node
    if phase:
        found["status"] = {"phase": phase}
    return found


def node(
    name: str = "node",
    *,
    cpu: str = "4",
    memory: str = "8Gi",
    pods: str = "110",
    labels: Mapping[str, str] | None = None,
    taints: list[Obj] | None = None,
    images: Mapping[str, int] | None = None,
    extended: Mapping[str, str] | None = None,
    **spec: Any,
) -> Obj:
    """A ready node. images: name → bytes; extended: resources beyond cpu, memory and pods."""
    resources = {"cpu": cpu, "memory": memory, "pods": pods, **(extended or {})}
    found: Obj = {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": meta(name, labels={"kubernetes.io/hostname": name, **(labels or {})}),
        "spec": {**({"taints": taints} if taints else {}), **spec},
        "status": {
            "capacity": resources,
            "allocatable": dict(resources),
            "conditions": [{"type": "Ready", "status": "True", "reason": "KubeletReady"}],
        },
    }
    if images:
        found["status"]["images"] = [{"names": [n], "sizeBytes": size} for n, size in images.items()]
    return found


def deployment(
    name: str = "web",
    namespace: str = "default",
    *,
    replicas: int = 1,
    image: str = IMAGE,
    cpu: str = "",
    memory: str = "",
    labels: Mapping[str, str] | None = None,
    template: Obj | None = None,
    **spec: Any,
) -> Obj:
    """labels: of the pods and the selector, by default app=NAME. template: keywords of the pod's spec."""
    labels = dict(labels or {"app": name})
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": meta(name, namespace, labels),
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": pod_template(labels, image=image, cpu=cpu, memory=memory, **(template or {})),
            **spec,
        },
    }


def pod_template(labels: Mapping[str, str], *, image: str = IMAGE, cpu: str = "", memory: str = "", **spec: Any) -> Obj:
    containers = [container(image=image, cpu=cpu, memory=memory)]
    return {"metadata": {"labels": dict(labels)}, "spec": {"containers": containers, **spec}}


def service(
    name: str = "web",
    namespace: str = "default",
    *,
    port: int = 80,
    target_port: int | str | None = None,
    selector: Mapping[str, str] | None = None,
    **spec: Any,
) -> Obj:
    """selector: by default app=NAME."""
    ports = [{"port": port, "targetPort": target_port or port, "protocol": "TCP"}]
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": meta(name, namespace),
        "spec": {"selector": dict(selector or {"app": name}), "ports": ports, **spec},
    }


def namespace(name: str) -> Obj:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": meta(name)}


def configmap(name: str = "config", namespace: str = "default", **data: str) -> Obj:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta(name, namespace), "data": data}
