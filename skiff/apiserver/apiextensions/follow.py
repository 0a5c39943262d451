"""Waits for the first CustomResourceDefinition, so that a server without any does not load what serves them."""

from typing import TYPE_CHECKING

from skiff.api.types import GVR, Obj
from skiff.apiserver.registry import Registry

if TYPE_CHECKING:
    from skiff.apiserver.apiextensions.manager import CustomResources

CRDS = GVR("apiextensions.k8s.io", "v1", "customresourcedefinitions", "CustomResourceDefinition", False)


class Follower:
    """`start` before the registry starts."""

    def __init__(self, registry: Registry):
        self._registry = registry
        self._manager: CustomResources | None = None

    def start(self) -> None:
        self._registry.lookup.subscribe(CRDS, self._changed)

    def _changed(self, old: Obj | None, new: Obj | None) -> None:
        if self._manager is None:
            from skiff.apiserver.apiextensions.manager import CustomResources

            self._manager = CustomResources(self._registry)
        self._manager.changed(old, new)
