"""Deletes what nobody owns any more, and carries out foreground deletion and orphaning.

Watches the metadata of every deletable resource, custom ones too (found by discovery when a definition changes, and every
30 seconds; what the manager caches anyway is not watched twice). Guarantees: an object is deleted only if the server, asked now, says that none of
its owners exists, and only in the version and with the uid that was judged. Source: upstream pkg/controller/garbagecollector.
"""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Sequence

from skiff.api.errors import StatusError, is_not_found
from skiff.api.meta import finalizers, is_being_deleted, name, namespace, owner_references, uid
from skiff.api.types import GVR, Obj
from skiff.client.controller import Key, Recorder, Watch, run_controllers
from skiff.client.discovery import Served, discover
from skiff.client.informer import Change, Informer, Informers
from skiff.client.metadata import MetadataClient
from skiff.client.queue import WorkQueue
from skiff.client.rest import Client
from skiff.controllers.garbagecollector.graph import FOREGROUND, ORPHAN, Graph, Node, matches, trim

log = logging.getLogger(__name__)

RESYNC_S = 30.0
GATHER_S = 0.1
"""How long to wait for more changes of definitions before asking what is served."""
RETRY_S = 1.0
SYNC_TIMEOUT_S = 30.0
UNOBSERVED_RETRY_S = 60.0
ABSENT_CACHED = 500
IGNORED = frozenset({"events", "events.events.k8s.io"})
DEFINITIONS = frozenset({"customresourcedefinitions.apiextensions.k8s.io", "apiservices.apiregistration.k8s.io"})

Coordinates = tuple[str, str, str, str, str]


class GarbageCollector:
    """run() until cancelled. The queue's keys are uids."""

    name = "garbage-collector-controller"
    workers = 20

    def __init__(self, *, client: Client, informers: Informers, recorder: Recorder):
        self._client = client
        self._metadata = MetadataClient(client.transport, user_agent=client.user_agent)
        self._shared = informers
        self._recorder = recorder
        self._graph = Graph()
        self._served = Served()
        self._monitors: dict[GVR, asyncio.Task[None] | None] = {}
        self._queue = WorkQueue()
        self._defined = asyncio.Event()
        self._absent: OrderedDict[Coordinates, None] = OrderedDict()

    def watches(self) -> list[Watch]:
        return []

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            await self._wait_synced(await self._first_monitors(group))
            work = run_controllers(self._client, self._shared, [self], queues={self.name: self._queue})
            group.create_task(work, name=self.name)
            while True:
                await self._next_round()
                await self._monitor(group)

    # --- watching

    async def _next_round(self) -> None:
        """Returns when what is served may have changed."""
        try:
            async with asyncio.timeout(RESYNC_S):
                await self._defined.wait()
        except TimeoutError:
            return
        await asyncio.sleep(GATHER_S)
        self._defined.clear()

    async def _first_monitors(self, group: asyncio.TaskGroup) -> list[Informer]:
        while True:
            if started := await self._monitor(group):
                return started
            await asyncio.sleep(RETRY_S)

    async def _monitor(self, group: asyncio.TaskGroup) -> list[Informer]:
        """Starts watching what is new, stops what is gone. What cannot be asked for now stays as it is."""
        try:
            self._served = await discover(self._client)
        except (StatusError, ConnectionError) as err:
            log.warning("discovery: %s", err)
            return []
        wanted = {
            gvr for gvr in self._served.supporting("delete", "list", "watch") if gvr.group_resource not in IGNORED
        }
        for gvr in [gvr for gvr in self._monitors if gvr not in wanted and not self._is_stale(gvr)]:
            if (task := self._monitors.pop(gvr)) is not None:
                task.cancel()
            self._graph.forget(gvr)
        started = []
        for gvr in sorted(wanted - self._monitors.keys(), key=lambda gvr: (gvr.group, gvr.plural)):
            started.append(self._start(gvr, group))
        return started

    def _is_stale(self, gvr: GVR) -> bool:
        return any(text.rpartition("/")[0] == gvr.group for text in self._served.stale)

    def _start(self, gvr: GVR, group: asyncio.TaskGroup) -> Informer:
        shared = next((i for i in self._shared.all() if i.gvr == gvr and i.complete), None)
        informer = shared or Informer(self._metadata, gvr, transform=trim)
        informer.add_handler(lambda change: self._changed(gvr, change))
        task = None if shared else group.create_task(informer.run(), name=f"garbage collector {gvr.group_resource}")
        self._monitors[gvr] = task
        return informer

    async def _wait_synced(self, informers: Sequence[Informer]) -> None:
        """Not for ever: what does not answer is left out, its objects are asked for one by one when they matter."""
        try:
            async with asyncio.timeout(SYNC_TIMEOUT_S):
                for informer in informers:
                    await informer.wait_synced()
        except TimeoutError:
            log.warning("not all resources could be listed in %g s", SYNC_TIMEOUT_S)

    def _changed(self, gvr: GVR, change: Change) -> None:
        if gvr.group_resource in DEFINITIONS:
            self._defined.set()
        if change.new is None:
            if self._graph.has_dependents(uid(change.object)):
                self._note_absent(_coordinates_of(Node(gvr, change.object)))
            self._look(self._graph.remove(change.object))
            return
        old = change.old
        if old is not None and uid(old) != uid(change.new):
            self._look(self._graph.remove(old))
            old = None
        self._look(self._graph.put(gvr, old, change.new))

    def _look(self, uids: set[str]) -> None:
        for found in sorted(uids):
            self._queue.add(found)

    # --- acting

    async def reconcile(self, key: Key) -> float | None:
        node = self._graph.get(key)
        if node is None:
            return None
        if node.orphans_dependents:
            await self._orphan(node)
            return None
        if node.waits_for_dependents:
            await self._finish_foreground(node)
            return None
        if is_being_deleted(node.obj) or not owner_references(node.obj):
            return None
        if all(self._is_solid(ref, node) for ref in owner_references(node.obj)):
            return None
        return await self._judge(node)

    def _is_solid(self, ref: Obj, node: Node) -> bool:
        """The graph knows the owner. If that is out of date, the owner's deletion will bring the node back here."""
        owner = self._graph.get(ref["uid"])
        return owner is not None and matches(ref, owner, node.obj) and not owner.waits_for_dependents

    async def _judge(self, node: Node) -> float | None:
        latest = await self._latest(node)
        if latest is None or is_being_deleted(latest):
            return None
        solid, dangling, waiting = [], [], []
        unobserved = False
        for ref in owner_references(latest):
            if self._is_solid(ref, node):
                solid.append(ref)
                continue
            verdict = await self._ask(ref, node)
            if verdict is None:
                return UNOBSERVED_RETRY_S
            owner, exists = verdict
            unobserved = unobserved or (exists and self._graph.get(ref["uid"]) is None)
            if not exists:
                dangling.append(ref)
            elif owner is not None and is_being_deleted(owner) and FOREGROUND in finalizers(owner):
                waiting.append(ref)
            else:
                solid.append(ref)
        if solid:
            if dangling or waiting:
                await self._drop_references(node, latest, {r["uid"] for r in [*dangling, *waiting]})
            return UNOBSERVED_RETRY_S if unobserved else None
        if waiting and self._graph.has_dependents(uid(latest)):
            await self._delete_in_foreground(node, latest)
            return None
        await self._delete(node, latest, _policy(latest))
        return None

    async def _ask(self, ref: Obj, node: Node) -> tuple[Obj | None, bool] | None:
        """(the owner's metadata, whether it exists). None: nothing can be said, because the owner's kind is unknown (a
        custom one may yet be discovered) or a cluster-wide object names an owner in some namespace."""
        gvr = self._served.kinds.get((ref.get("apiVersion", ""), ref.get("kind", "")))
        for scope in ("", namespace(node.obj)):
            if _coordinates(ref, scope) in self._absent:
                return None, False
        if gvr is None or (gvr.namespaced and not namespace(node.obj)):
            log.info("%s: owner %s %s cannot be looked up", node.describe(), ref.get("apiVersion"), ref.get("kind"))
            return None
        scope = namespace(node.obj) if gvr.namespaced else ""
        self._report_namespace(ref, node)
        try:
            owner = await self._metadata.get(gvr, ref["name"], scope)
        except StatusError as err:
            if not is_not_found(err):
                raise
            owner = None
        if owner is None or uid(owner) != ref["uid"]:
            self._note_absent(_coordinates(ref, scope))
            return None, False
        return owner, True

    def _report_namespace(self, ref: Obj, node: Node) -> None:
        owner = self._graph.get(ref["uid"])
        if owner is None or not owner.gvr.namespaced or namespace(owner.obj) == namespace(node.obj):
            return
        scope = namespace(node.obj)
        what = f"[{ref['apiVersion']}/{ref['kind']}, namespace: {scope}, name: {ref['name']}, uid: {ref['uid']}]"
        text = f'ownerRef {what} does not exist in namespace "{scope}"'
        self._recorder.event(_named(node), "Warning", "OwnerRefInvalidNamespace", text)

    async def _latest(self, node: Node) -> Obj | None:
        """As the server has it now; None if it is another object or none."""
        try:
            found = await self._metadata.get(node.gvr, name(node.obj), namespace(node.obj))
        except StatusError as err:
            if is_not_found(err):
                return None
            raise
        return found if uid(found) == uid(node.obj) else None

    async def _delete(self, node: Node, latest: Obj, policy: str) -> None:
        version = latest["metadata"]["resourceVersion"]
        try:
            await self._client.delete(
                node.gvr,
                name(latest),
                namespace(latest),
                uid=uid(latest),
                resource_version=version,
                propagation=policy,
            )
        except StatusError as err:
            if not is_not_found(err):
                raise

    async def _delete_in_foreground(self, node: Node, latest: Obj) -> None:
        """Its owner waits for it, and it has dependents of its own. A dependent that itself waits may be part of a
        circle: then the references stop blocking first."""
        if any(dependent.waits_for_dependents for dependent in self._graph.dependents(uid(latest))):
            refs = [{**r, "blockOwnerDeletion": False} for r in owner_references(latest)]
            latest = await self._patch(node, latest, {"ownerReferences": refs}) or latest
        await self._delete(node, latest, "Foreground")

    async def _drop_references(self, node: Node, latest: Obj, owners: set[str]) -> None:
        kept = [r for r in owner_references(latest) if r["uid"] not in owners]
        await self._patch(node, latest, {"ownerReferences": kept or None})

    async def _finish_foreground(self, node: Node) -> None:
        blocking = self._graph.blocking_dependents(uid(node.obj))
        if blocking:
            self._look({uid(dependent.obj) for dependent in blocking if not dependent.waits_for_dependents})
            return
        await self._remove_finalizer(node, FOREGROUND)

    async def _orphan(self, node: Node) -> None:
        own = uid(node.obj)
        for dependent in list(self._graph.dependents(own)):
            latest = await self._latest(dependent)
            if latest is not None and any(r["uid"] == own for r in owner_references(latest)):
                await self._drop_references(dependent, latest, {own})
        await self._remove_finalizer(node, ORPHAN)

    async def _remove_finalizer(self, node: Node, finalizer: str) -> None:
        latest = await self._latest(node)
        if latest is None or finalizer not in finalizers(latest):
            return
        kept = [f for f in finalizers(latest) if f != finalizer]
        await self._patch(node, latest, {"finalizers": kept or None})

    async def _patch(self, node: Node, latest: Obj, metadata: Obj) -> Obj | None:
        """Only this version of this object; a conflict brings the key back."""
        version = {"uid": uid(latest), "resourceVersion": latest["metadata"]["resourceVersion"]}
        try:
            return await self._client.patch(
                node.gvr, name(latest), {"metadata": {**version, **metadata}}, namespace(latest)
            )
        except StatusError as err:
            if is_not_found(err):
                return None
            raise

    def _note_absent(self, coordinates: Coordinates) -> None:
        self._absent[coordinates] = None
        if len(self._absent) > ABSENT_CACHED:
            self._absent.popitem(last=False)


def _policy(latest: Obj) -> str:
    """A wish that stands on the object already is respected."""
    if ORPHAN in finalizers(latest):
        return "Orphan"
    return "Foreground" if FOREGROUND in finalizers(latest) else "Background"


def _coordinates(ref: Obj, scope: str) -> Coordinates:
    return ref.get("apiVersion", ""), ref.get("kind", ""), scope, ref.get("name", ""), ref["uid"]


def _coordinates_of(node: Node) -> Coordinates:
    return node.gvr.api_version, node.gvr.kind, namespace(node.obj), name(node.obj), uid(node.obj)


def _named(node: Node) -> Obj:
    return {"apiVersion": node.gvr.api_version, "kind": node.gvr.kind, "metadata": node.obj["metadata"]}
