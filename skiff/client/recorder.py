"""Events: what a component tells people about an object. Written in the background; never blocks or fails its caller.

Repeats are folded: the same sentence about the same object counts up `count` and `lastTimestamp`; many different sentences
with one reason become "(combined from similar events)"; one object gets at most 25 events at once and then one per five
minutes from one component. Shape: core/v1 Event. Source: upstream's client-go tools/record (figures from events_cache.go).
"""

import asyncio
import logging
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from skiff import env
from skiff.api.errors import StatusError, is_not_found
from skiff.api.gvr import EVENTS
from skiff.api.types import Obj
from skiff.client.rest import Client

log = logging.getLogger(__name__)

K = TypeVar("K")
V = TypeVar("V")

CACHED = 4096
PENDING = 1000
BURST = 25
REFILL_S = 300.0
SIMILAR = 10
SIMILAR_WINDOW_S = 600.0


@dataclass(slots=True)
class _Written:
    """An event that exists, to be counted up when it repeats."""

    name: str
    first: str
    count: int


@dataclass(slots=True)
class _Similar:
    """Sentences of one (object, type, reason)."""

    since: float
    messages: set[str] = field(default_factory=set)


@dataclass(slots=True)
class _Bucket:
    tokens: float
    at: float


class Recorder:
    """Writes events (events.k8s.io semantics in core/v1 shape), folding repeats into `count` and `lastTimestamp`, never
    blocking and never failing its caller. `component` becomes source.component and reportingComponent.

    It owns the one task that writes, which lives while events wait; `close` ends it."""

    def __init__(self, client: Client, component: str, host: str = ""):
        self._client = client
        self._component = component
        self._host = host
        self._pending: deque[Obj] = deque()
        self._task: asyncio.Task[None] | None = None
        self._written: OrderedDict[tuple[str, ...], _Written] = OrderedDict()
        self._similar: OrderedDict[tuple[str, ...], _Similar] = OrderedDict()
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()

    def event(self, obj: Obj, type: str, reason: str, message: str, *, field_path: str = "") -> None:
        """type: Normal or Warning. field_path: for example `spec.containers{web}`."""
        involved = _reference(obj, field_path)
        if len(self._pending) >= PENDING or not self._allowed(involved.get("uid") or involved.get("name", "")):
            log.debug("dropping event %s of %s %s", reason, involved["kind"], involved.get("name"))
            return
        message = self._combined(involved, type, reason, message)
        self._pending.append({"involvedObject": involved, "type": type, "reason": reason, "message": message[:1024]})
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._write_all(), name=f"events {self._component}")

    @property
    def idle(self) -> bool:
        return not self._pending and (self._task is None or self._task.done())

    async def close(self) -> None:
        """Drops what is not yet written."""
        self._pending.clear()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def _allowed(self, about: str) -> bool:
        now = env.epoch()
        bucket = _recall(self._buckets, about, lambda: _Bucket(BURST, now))
        bucket.tokens = min(BURST, bucket.tokens + (now - bucket.at) / REFILL_S)
        bucket.at = now
        if bucket.tokens < 1:
            return False
        bucket.tokens -= 1
        return True

    def _combined(self, involved: Obj, type: str, reason: str, message: str) -> str:
        now = env.epoch()
        similar = _recall(self._similar, (*_identity(involved), type, reason), lambda: _Similar(now))
        if now - similar.since > SIMILAR_WINDOW_S:
            similar.messages.clear()
        similar.since = now
        if message not in similar.messages and len(similar.messages) >= SIMILAR - 1:
            return f"(combined from similar events): {message}"
        similar.messages.add(message)
        return message

    async def _write_all(self) -> None:
        while self._pending:
            event = self._pending.popleft()
            try:
                await self._write(event)
            except (StatusError, ConnectionError) as e:
                log.warning("event %s of %s not written: %s", event["reason"], event["involvedObject"].get("name"), e)

    async def _write(self, event: Obj) -> None:
        involved = event["involvedObject"]
        combined = event["message"].startswith("(combined from")
        key = (*_identity(involved), event["type"], event["reason"], "" if combined else event["message"])
        now = env.now().strftime("%Y-%m-%dT%H:%M:%SZ")
        written = self._written.get(key)
        if written is not None:
            written.count += 1
            patch = {"count": written.count, "lastTimestamp": now, "message": event["message"]}
            try:
                await self._client.patch(EVENTS, written.name, patch, _namespace(involved), type="strategic")
                return
            except StatusError as e:
                if not is_not_found(e):  # it has expired: write it anew, counting on
                    raise
        fresh = _Written(_event_name(involved), written.first if written else now, written.count if written else 1)
        await self._client.create(EVENTS, self._object(event, fresh, now), _namespace(involved))
        self._written[key] = fresh
        _limit(self._written)

    def _object(self, event: Obj, written: _Written, now: str) -> Obj:
        source = {"component": self._component}
        if self._host:
            source["host"] = self._host
        return {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": written.name, "namespace": _namespace(event["involvedObject"])},
            **event,
            "source": source,
            "firstTimestamp": written.first,
            "lastTimestamp": now,
            "count": written.count,
            "reportingComponent": self._component,
            "reportingInstance": self._host,
        }


def _reference(obj: Obj, field_path: str) -> Obj:
    """An ObjectReference to the object, which may itself be one."""
    meta = obj.get("metadata", obj)
    found = {
        "kind": obj.get("kind", ""),
        "namespace": meta.get("namespace", ""),
        "name": meta.get("name", ""),
        "uid": meta.get("uid", ""),
        "apiVersion": obj.get("apiVersion", ""),
        "resourceVersion": meta.get("resourceVersion", ""),
        "fieldPath": field_path,
    }
    return {k: v for k, v in found.items() if v or k == "kind"}


def _identity(involved: Obj) -> tuple[str, ...]:
    return tuple(involved.get(k, "") for k in ("kind", "namespace", "name", "uid", "fieldPath"))


def _namespace(involved: Obj) -> str:
    return str(involved.get("namespace") or "default")


def _event_name(involved: Obj) -> str:
    """The object's name and the time in nanoseconds, of which the last bits are random: a virtual clock stands still
    between two events."""
    nanos = int(env.epoch() * 1e9) & ~0xFFFFF | env.rng().getrandbits(20)
    return f"{involved.get('name', '')}.{nanos:x}"


def _recall(cache: OrderedDict[K, V], key: K, make: Callable[[], V]) -> V:
    """The cached value, made if there is none, now the most recently used."""
    found = cache.get(key)
    if found is None:
        found = cache[key] = make()
        _limit(cache)
    cache.move_to_end(key)
    return found


def _limit(cache: OrderedDict[K, V]) -> None:
    while len(cache) > CACHED:
        cache.popitem(last=False)
