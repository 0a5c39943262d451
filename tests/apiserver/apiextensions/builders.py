"""Definitions and instances for the tests of custom resources."""

import asyncio
from collections.abc import Callable
from typing import Any

CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
FOOS = "/apis/example.com/v1/namespaces/default/foos"

SPEC: dict[str, Any] = {
    "type": "object",
    "properties": {
        "replicas": {"type": "integer", "minimum": 0, "default": 1},
        "color": {"type": "string", "enum": ["red", "green"]},
        "note": {"type": "string", "nullable": True},
        "any": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
        "port": {"x-kubernetes-int-or-string": True},
        "tags": {"type": "array", "items": {"type": "string"}, "x-kubernetes-list-type": "set"},
        "ports": {
            "type": "array",
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["name"],
            "items": {
                "type": "object",
                "required": ["name"],
                "properties": {"name": {"type": "string"}, "number": {"type": "integer"}},
            },
        },
        "inner": {
            "type": "object",
            "x-kubernetes-embedded-resource": True,
            "x-kubernetes-preserve-unknown-fields": True,
        },
    },
}


def schema(spec: dict[str, Any] | None = None) -> dict[str, Any]:
    status = {
        "type": "object",
        "properties": {"replicas": {"type": "integer"}, "selector": {"type": "string"}, "phase": {"type": "string"}},
    }
    return {"type": "object", "properties": {"spec": spec or SPEC, "status": status}}


def version(name: str = "v1", *, storage: bool = True, **fields: Any) -> dict[str, Any]:
    return {
        "name": name,
        "served": True,
        "storage": storage,
        "schema": {"openAPIV3Schema": schema()},
        **fields,
    }


def definition(plural: str = "foos", kind: str = "Foo", *, group: str = "example.com", **spec: Any) -> dict[str, Any]:
    names = {"plural": plural, "kind": kind, **spec.pop("names", {})}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {"group": group, "scope": "Namespaced", "names": names, "versions": [version()], **spec},
    }


def foo(name: str = "a", spec: Any = None, *, api_version: str = "example.com/v1", **fields: Any) -> dict[str, Any]:
    return {
        "apiVersion": api_version,
        "kind": "Foo",
        "metadata": {"name": name},
        "spec": {} if spec is None else spec,
        **fields,
    }


SUBRESOURCES = {
    "status": {},
    "scale": {
        "specReplicasPath": ".spec.replicas",
        "statusReplicasPath": ".status.replicas",
        "labelSelectorPath": ".status.selector",
    },
}


async def until(condition: Callable[[], Any], seconds: float = 30) -> Any:
    """What the awaited condition gives as soon as it is truthy."""
    async with asyncio.timeout(seconds):
        while True:
            if found := await condition():
                return found
            await asyncio.sleep(0.01)


async def established(api: Any, crd: Any = None) -> Any:
    """A created definition, once it is established."""
    crd = crd or definition()
    created = await api("POST", CRDS, crd)
    assert created.status == 201, created.body
    return await until(lambda: with_condition(api, crd["metadata"]["name"], "Established", "True"))


async def with_condition(api: Any, name: str, type: str, status: str) -> Any:
    """The definition if it has the condition."""
    found = (await api("GET", f"{CRDS}/{name}")).body
    for condition in found.get("status", {}).get("conditions") or ():
        if (condition["type"], condition["status"]) == (type, status):
            return found
    return None
