"""Follows the CustomResourceDefinitions: decides about names, writes conditions, and serves what has been accepted.

A definition's records are in the registry before its status says that it is established, so whoever sees that can use it.
One worker decides, on consistent reads, so that two definitions never get one name; several API servers may do so at once,
each write is conditional. When a definition's spec changes, its watches end and its objects are read anew.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable

import orjson

from skiff import env
from skiff.api.errors import StatusError
from skiff.api.resources.apiextensions import FINALIZER
from skiff.api.schema import SchemaNode
from skiff.api.types import Obj
from skiff.apiserver.apiextensions.cleanup import Cleanup
from skiff.apiserver.apiextensions.conversion import Webhook
from skiff.apiserver.apiextensions.converted import ConvertedCache
from skiff.apiserver.apiextensions.definition import Definition, Version
from skiff.apiserver.apiextensions.follow import CRDS
from skiff.apiserver.apiextensions.models import Models
from skiff.apiserver.apiextensions.naming import settle
from skiff.apiserver.apiextensions.resource import CustomCodec, record
from skiff.apiserver.registry import Registry
from skiff.apiserver.served import Served
from skiff.apiserver.verbs.update import is_released
from skiff.store import Mismatch, StoreError

log = logging.getLogger(__name__)

RETRY_S = 1.0


class Installed:
    """A definition that is served. stored: its storage version, served or not."""

    __slots__ = ("definition", "served", "stored", "versions", "webhook")

    def __init__(
        self,
        definition: Definition,
        versions: dict[str, Version],
        stored: Served,
        served: list[Served],
        webhook: Webhook | None = None,
    ):
        self.definition = definition
        self.versions = versions
        self.stored = stored
        self.served = served
        self.webhook = webhook


class CustomResources:
    """`changed` is called for every definition there is, and for every change of one."""

    def __init__(self, registry: Registry):
        self._registry = registry
        self._definitions: dict[str, Definition] = {}
        self._installed: dict[str, Installed] = {}
        self._todo: dict[str, None] = {}
        self._working = False
        self.models = Models()
        registry.extra_definitions, registry.extra_digests = self.models, self.models.digests
        self._cleanups: dict[str, asyncio.Task[None]] = {}

    def installed(self, name: str) -> Installed | None:
        return self._installed.get(name)

    def load(self, name: str) -> Obj | None:
        """The stored definition."""
        served = self._registry.served(CRDS)
        entry = served.cache.get("", name) if served is not None else None
        return entry.decode() if entry is not None else None

    # --- following

    def changed(self, old: Obj | None, new: Obj | None) -> None:
        """In order."""
        if new is None:
            if old is not None:
                self._gone(old["metadata"]["name"])
            return
        definition = Definition.read(new)
        self._definitions[definition.name] = definition
        if definition.usable:
            self.install(definition)
        if definition.terminating:
            if FINALIZER in new["metadata"].get("finalizers", ()):
                self._clean(definition.name)
        else:
            self._look(definition.name)

    def _gone(self, name: str) -> None:
        definition = self._definitions.pop(name, None)
        self.uninstall(name)
        cleanup = self._cleanups.pop(name, None)
        if cleanup is not None:
            cleanup.cancel()
        for other in self._definitions.values():
            if definition is not None and other.group == definition.group and other.wanted != other.accepted:
                self._look(other.name)

    # --- serving

    def install(self, definition: Definition) -> None:
        """Serves a definition, or how it is now."""
        before = self._installed.get(definition.name)
        if before is not None:
            known = before.definition
            same = (known.uid, known.digest, known.accepted) == (definition.uid, definition.digest, definition.accepted)
            if same and known.terminating == definition.terminating:
                return
            if not same:
                self.uninstall(definition.name)
                before = None
        info = definition.storage
        if info is None or self._is_builtin(definition):
            return
        versions = before.versions if before is not None else {}
        for v in definition.versions:
            versions.setdefault(v.name, Version(definition, v.name, self.load))
        self._installed[definition.name] = self._serve(definition, versions)

    def _serve(self, definition: Definition, versions: dict[str, Version]) -> Installed:
        info = definition.storage
        assert info is not None
        storage = versions[info.name]
        if definition.conversion.get("strategy") == "Webhook":
            return self._serve_converted(definition, versions, storage)
        owner = record(definition, info, storage, storage)
        codec = CustomCodec(owner.gvr, storage, dict(owner.selectable))
        cache = self._registry.hub.cache(codec, owner.indexed)
        stored = Served(owner, cache.codec, cache, lambda name: storage.node, storage)
        served = []
        for v in definition.versions:
            if v.served:
                version = versions[v.name]
                resource = owner if v.storage else record(definition, v, version, storage)
                self.models.add(definition, v, version)
                served.append(self._registry.add(resource, owner, _node_of(version), checker=version))
        return Installed(definition, versions, stored, served)

    def _serve_converted(self, definition: Definition, versions: dict[str, Version], storage: Version) -> Installed:
        """Each version has a cache of its own, which a webhook fills."""
        registry = self._registry
        webhook = Webhook(definition.conversion, definition.group, definition.accepted.kind, registry.lookup)
        served: list[Served] = []
        stored: Served | None = None
        storing = CustomCodec(definition.gvr(storage.name), storage, {})
        for v in definition.versions:
            version = versions[v.name]
            resource = record(definition, v, version, version)
            codec = CustomCodec(resource.gvr, version, dict(resource.selectable))
            made = ConvertedCache(registry.hub, codec, resource.indexed, webhook)
            cache = registry.hub.place(v.name, made)
            if v.served:
                self.models.add(definition, v, version)
                one = registry.add(resource, None, _node_of(version), checker=version, cache=cache)
                served.append(one)
            else:
                one = Served(resource, cache.codec, cache, _node_of(version), version)
            one.convert = _to_storage(webhook, storing, storage)
            one.webhook = webhook
            if v.storage:
                stored = one
        assert stored is not None
        return Installed(definition, versions, stored, served, webhook)

    def _is_builtin(self, definition: Definition) -> bool:
        plural = definition.accepted.plural
        return any(
            group == definition.group and plural in plurals and not plurals[plural].resource.custom
            for (group, _), plurals in self._registry.table.items()
        )

    def uninstall(self, name: str) -> None:
        found = self._installed.pop(name, None)
        if found is not None:
            for served in found.served:
                self._registry.remove(served.gvr)
            self.models.discard(found.definition)
            if found.webhook is not None:
                found.webhook.retire()
            self._registry.hub.forget(found.stored.codec.prefix)

    # --- deciding

    def _look(self, name: str) -> None:
        self._todo[name] = None
        if not self._working:
            self._working = True
            self._registry.spawn(self._work(), "custom resource definitions")

    async def _work(self) -> None:
        try:
            while self._todo:
                name = next(iter(self._todo))
                del self._todo[name]
                try:
                    await self._settle(name)
                except (StatusError, StoreError) as e:
                    log.warning("definition %s: %s", name, e)
                    self._todo[name] = None
                    await asyncio.sleep(RETRY_S)
        finally:
            self._working = False

    async def _settle(self, name: str) -> None:
        def change(obj: Obj) -> None:
            group = obj["spec"].get("group", "")
            others = [d.accepted for d in self._definitions.values() if d.group == group and d.name != name]
            settle(obj, others, env.epoch())

        before = self._definitions.get(name)
        await self.write(name, change, install=True)
        after = self._definitions.get(name)
        if before is not None and after is not None and before.accepted != after.accepted:
            for other in self._definitions.values():
                if other.group == after.group and other.name != name and other.wanted != other.accepted:
                    self._todo[other.name] = None

    async def write(self, name: str, change: Callable[[Obj], None], *, install: bool = False) -> bool:
        """Changes the stored definition, in place, unless that makes no difference; False when it is gone.
        Its last finalizer removed, it goes. install: what has been accepted is served before it is written."""
        registry = self._registry
        crds = registry.served(CRDS)
        assert crds is not None
        entry = await registry.current(crds, "", name)
        while entry is not None:
            old, new = entry.decode(), entry.decode()
            change(new)
            if orjson.dumps(old) == orjson.dumps(new):
                return True
            if install:
                self._take(new)
            try:
                if is_released(new, old):
                    await registry.erase(crds, entry)
                else:
                    await registry.replace(crds, entry, new)
                return True
            except Mismatch as e:
                entry = registry.newer(crds, e)
        return False

    def _take(self, obj: Obj) -> None:
        definition = Definition.read(obj)
        self._definitions[definition.name] = definition
        if definition.usable:
            self.install(definition)

    # --- deleting

    def _clean(self, name: str) -> None:
        if name not in self._cleanups:
            cleanup = Cleanup(self._registry, self, name)
            task = self._registry.spawn(cleanup.run(), f"instances of {name}")
            self._cleanups[name] = task
            task.add_done_callback(lambda done: self._cleaned(name, done))

    def _cleaned(self, name: str, task: "asyncio.Task[None]") -> None:
        if self._cleanups.get(name) is task:
            del self._cleanups[name]


def _to_storage(webhook: Webhook, codec: CustomCodec, storage: Version) -> Callable[[Obj], Awaitable[bytes]]:
    async def convert(obj: Obj) -> bytes:
        converted = (await webhook.convert([obj], codec.gvr.api_version))[0]
        if converted is not obj:
            converted = storage.normalize(converted)
        return codec.encode(converted)

    return convert


def _node_of(version: Version) -> Callable[[str], SchemaNode]:
    return lambda name: version.node
