"""The reconcile idiom, once: what is watched becomes keys, keys are worked on one at a time each, failures back off.

A controller is level-triggered: `reconcile(key)` compares what is with what should be and makes the difference smaller.
It may be called at any time, twice, or after a crash. It returns None, or seconds after which to look again; what it
raises is logged once and the key retried with exponential back-off (5 ms doubling to 1000 s, as upstream's default).
"""

import asyncio
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

from skiff import env
from skiff.api.errors import StatusError, is_conflict
from skiff.api.types import GVR, Obj
from skiff.client.informer import Change, Informer, Informers
from skiff.client.queue import WorkQueue
from skiff.client.recorder import Recorder
from skiff.client.rest import Client

__all__ = ["Controller", "Key", "Recorder", "Watch", "key_of", "owner_keys", "run_controllers", "split_key"]

log = logging.getLogger(__name__)

Key = str
"""`namespace/name`, or `name` for cluster scope."""


@dataclass(frozen=True, slots=True)
class Watch:
    """Changes of `gvr` lead to `keys(change)`; None: the changed object's own key."""

    gvr: GVR
    keys: Callable[[Change], Iterable[Key]] | None = None
    labels: str = ""
    fields: str = ""


class Controller(Protocol):
    """What a controller module offers. Constructed by keyword with what it uses: client, informers, recorder.

    `reconcile` is called only when the caches of all watches are synced: a cache that is only read is declared as a
    Watch whose `keys` gives nothing.
    """

    name: str
    workers: int

    def watches(self) -> list[Watch]: ...

    async def reconcile(self, key: Key) -> float | None: ...


def key_of(obj: Obj) -> Key:
    meta = obj["metadata"]
    return f"{meta['namespace']}/{meta['name']}" if meta.get("namespace") else str(meta["name"])


def split_key(key: Key) -> tuple[str, str]:
    """(namespace, name); namespace "" for cluster scope."""
    namespace, _, name = key.rpartition("/")
    return namespace, name


def owner_keys(kind: str) -> Callable[[Change], Iterable[Key]]:
    """For Watch.keys: the key of the controlling owner (ownerReferences with controller: true) of the given kind, of
    the old and of the new version."""

    def keys(change: Change) -> Iterable[Key]:
        found: dict[Key, None] = {}
        for obj in (change.old, change.new):
            if obj is not None and (owner := _controller_ref(obj)) and owner["kind"] == kind:
                namespace = obj["metadata"].get("namespace", "")
                found[f"{namespace}/{owner['name']}" if namespace else owner["name"]] = None
        return found

    return keys


def _controller_ref(obj: Obj) -> Obj | None:
    references = obj["metadata"].get("ownerReferences") or ()
    return next((r for r in references if r.get("controller")), None)


async def run_controllers(
    client: Client, informers: Informers, controllers: list[Controller], *, queues: dict[str, WorkQueue] | None = None
) -> None:
    """Waits until the caches that a controller watches are synced, then works until cancelled. The informers are run by
    the caller. `queues`, if given, is filled with each controller's queue under its name (for whoever asks if all is
    quiet); one that is there already is used."""
    async with asyncio.TaskGroup() as group:
        for controller in controllers:
            queue = _queue(controller.name, queues)
            watched = [_connect(informers, watch, queue) for watch in controller.watches()]
            group.create_task(_run_controller(controller, queue, watched), name=f"controller {controller.name}")


def _queue(name: str, queues: dict[str, WorkQueue] | None) -> WorkQueue:
    """Measured under upstream's name, which lacks the word controller."""
    found = queues.get(name) if queues is not None else None
    if found is None:
        found = WorkQueue(name=name.removesuffix("-controller"))
        if queues is not None:
            queues[name] = found
    return found


def _connect(informers: Informers, watch: Watch, queue: WorkQueue) -> Informer:
    informer = informers.get(watch.gvr, labels=watch.labels, fields=watch.fields)
    keys = watch.keys

    def handle(change: Change) -> None:
        if keys is None:
            queue.add(key_of(change.object))
        else:
            for key in keys(change):
                queue.add(key)

    informer.add_handler(handle)
    return informer


async def _run_controller(controller: Controller, queue: WorkQueue, watched: list[Informer]) -> None:
    try:
        for informer in watched:
            await informer.wait_synced()
        async with asyncio.TaskGroup() as group:
            for number in range(controller.workers):
                group.create_task(_work(controller, queue), name=f"worker {controller.name} {number}")
    finally:
        queue.close()


async def _work(controller: Controller, queue: WorkQueue) -> None:
    while True:
        key, cause = await queue.get()
        env.cause.set(cause)
        try:
            again = await controller.reconcile(key)
        except Exception as e:
            _log_failure(controller.name, key, e, queue.retry(key))
        else:
            queue.forget(key)
            if again is not None:
                queue.add_after(key, again)
        finally:
            queue.done(key)
            env.cause.set("")
        # Keys that need no request follow one another: the others in this process are to live, too.
        await asyncio.sleep(0)


def _log_failure(name: str, key: Key, error: Exception, wait: float) -> None:
    """A conflict is everyday life, another refusal the world's fault, and only the rest a bug of ours."""
    if is_conflict(error):
        log.debug("%s: %s changed meanwhile, again in %.3g s", name, key, wait)
    elif isinstance(error, StatusError | ConnectionError):
        log.warning("%s: %s failed, again in %.3g s: %s", name, key, wait, error)
    else:
        log.error("%s: reconciling %s failed, again in %.3g s", name, key, wait, exc_info=error)
