"""Waits for the first CustomResourceDefinition: what serves them is loaded then, or in the quiet after the start."""

import asyncio
import importlib
from typing import TYPE_CHECKING

from skiff.api.types import GVR, Obj
from skiff.apiserver.registry import Registry

if TYPE_CHECKING:
    from skiff.apiserver.apiextensions.manager import CustomResources

CRDS = GVR("apiextensions.k8s.io", "v1", "customresourcedefinitions", "CustomResourceDefinition", False)

MANAGER = "skiff.apiserver.apiextensions.manager"
QUIET_S = 3.0


class Follower:
    """`start` before the registry starts."""

    def __init__(self, registry: Registry):
        self._registry = registry
        self._manager: CustomResources | None = None

    def start(self) -> None:
        self._registry.lookup.subscribe(CRDS, self._changed)

    async def load(self) -> None:
        """In good time, so that the first definition is served as soon as later ones (loading takes 0.1 s). Not during the
        start, which it would delay."""
        await asyncio.sleep(QUIET_S)
        await asyncio.to_thread(importlib.import_module, MANAGER)

    def _changed(self, old: Obj | None, new: Obj | None) -> None:
        if self._manager is None:
            from skiff.apiserver.apiextensions.manager import CustomResources

            self._manager = CustomResources(self._registry)
        self._manager.changed(old, new)
