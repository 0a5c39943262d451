"""Empties a definition that is being deleted: its instances first, with their finalizers, then itself.

Source: apiextensions-apiserver pkg/controller/finalizer.
"""

import asyncio
from typing import TYPE_CHECKING, Protocol

from skiff import env
from skiff.api.errors import StatusError
from skiff.api.resources.apiextensions import FINALIZER, set_condition
from skiff.api.structural import definition as checks
from skiff.api.types import Obj
from skiff.apiserver.cache import WatchCache
from skiff.apiserver.entries import Entry
from skiff.apiserver.options import DeleteOptions
from skiff.apiserver.registry import Registry
from skiff.apiserver.served import Served
from skiff.apiserver.verbs import delete
from skiff.store import Mismatch, StoreError

if TYPE_CHECKING:
    from collections.abc import Callable

    from skiff.apiserver.apiextensions.manager import Installed

CHECK_S = 60.0
"""After this the definition says that instances are still there; they are waited for all the same."""
RETRY_S = 1.0


class Owner(Protocol):
    def installed(self, name: str) -> "Installed | None": ...

    async def write(self, name: str, change: "Callable[[Obj], None]") -> bool: ...


class Cleanup:
    """run() ends when the definition has lost its finalizer."""

    def __init__(self, registry: Registry, owner: Owner, name: str):
        self._registry = registry
        self._owner = owner
        self._name = name

    async def run(self) -> None:
        while True:
            try:
                await self._run()
                return
            except (StatusError, StoreError) as e:
                await self._say("True", "InstanceDeletionFailed", f"could not issue all deletes: {e}")
                await asyncio.sleep(RETRY_S)

    async def _run(self) -> None:
        await self._say("True", "InstanceDeletionInProgress", "CustomResource deletion is in progress")
        installed = self._owner.installed(self._name)
        if installed is None:
            await self._finish("NeverEstablished", "resource was never established")
            return
        await self._empty(installed.stored)
        await self._finish("InstanceDeletionCompleted", "removed all instances")

    async def _say(self, status: str, reason: str, message: str) -> None:
        def change(obj: Obj) -> None:
            set_condition(obj, "Terminating", status, reason, message, env.epoch())

        await self._owner.write(self._name, change)

    async def _finish(self, reason: str, message: str) -> None:
        def change(obj: Obj) -> None:
            established = checks.is_established(obj)
            said = (reason, message) if established else ("NeverEstablished", "resource was never established")
            set_condition(obj, "Terminating", "False", *said, env.epoch())
            obj["metadata"]["finalizers"] = [f for f in obj["metadata"].get("finalizers", ()) if f != FINALIZER]

        await self._owner.write(self._name, change)

    # --- instances

    async def _empty(self, served: Served) -> None:
        cache = served.cache
        await cache.fresh()
        for entry in list(cache.entries()):
            await self._erase(served, entry)
        await self._registry.hub.caught_up()
        if cache.count:
            await self._gone(cache)

    async def _erase(self, served: Served, entry: Entry) -> None:
        registry, current = self._registry, entry
        while True:
            plan = delete.plan(served, served.load(current), DeleteOptions(), env.epoch())
            try:
                if plan.action == "remove":
                    await registry.erase(served, current)
                elif plan.obj != served.load(current):
                    await registry.replace(served, current, plan.obj)
                return
            except Mismatch as e:
                newer = registry.newer(served, e)
                if newer is None:
                    return
                current = newer

    async def _gone(self, cache: WatchCache) -> None:
        """Waits until the last instance has lost its finalizers."""
        empty = asyncio.Event()

        def changed(old: Obj | None, new: Obj | None) -> None:
            if not cache.count:
                empty.set()

        cache.subscribers.append(changed)
        try:
            try:
                async with asyncio.timeout(CHECK_S):
                    await empty.wait()
            except TimeoutError:
                words = "could not confirm zero CustomResources remaining: timed out waiting for the condition"
                await self._say("True", "InstanceDeletionCheck", words)
                await empty.wait()
        finally:
            cache.subscribers.remove(changed)
