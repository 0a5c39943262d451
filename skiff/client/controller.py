"""The reconcile idiom, once: what is watched becomes keys, keys are worked on one at a time each, failures back off.

A controller is level-triggered: `reconcile(key)` compares what is with what should be and makes the difference smaller.
It may be called at any time, twice, or after a crash. It returns None, or seconds after which to look again; what it
raises is logged once and the key retried with exponential back-off (5 ms doubling to 1000 s, as upstream's default).
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

from skiff.api.types import GVR, Obj
from skiff.client.informer import Change, Informers
from skiff.client.rest import Client

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
    """What a controller module offers. Constructed by keyword with what it uses: client, informers, recorder."""

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
    raise NotImplementedError


async def run_controllers(client: Client, informers: Informers, controllers: list[Controller]) -> None:
    """Waits until the caches that a controller watches are synced, then works until cancelled."""
    raise NotImplementedError


class Recorder:
    """Writes events (events.k8s.io semantics in core/v1 shape), folding repeats into `count` and `lastTimestamp`, never
    blocking and never failing its caller. `component` becomes source.component and reportingComponent."""

    def __init__(self, client: Client, component: str, host: str = ""):
        raise NotImplementedError

    def event(self, obj: Obj, type: str, reason: str, message: str, *, field_path: str = "") -> None:
        """type: Normal or Warning. field_path: for example `spec.containers{web}`."""
