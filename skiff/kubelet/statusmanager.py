"""Writes pod statuses to the API: the smallest patch, one in flight per pod, the latest wins. Deletes finished pods.

`set` never blocks. What is not written yet (API down) is retried with back-off until it is, or the pod is gone.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from skiff.api.errors import StatusError, is_not_found
from skiff.api.gvr import PODS
from skiff.api.types import Obj
from skiff.client.rest import Client
from skiff.kubelet.status import OWN_CONDITIONS

log = logging.getLogger(__name__)


def patch(old: Obj, new: Obj) -> Obj:
    """The strategic merge patch of status that leads from old to new; {} if nothing differs.

    Conditions are merged by type, so those of other writers are not touched; lists of containers are replaced whole.
    """
    out: Obj = {}
    for key in sorted(set(old) | set(new)):
        before, after = old.get(key), new.get(key)
        if before == after or key == "resourceClaimStatuses":
            continue
        if key == "conditions":
            changed = _conditions(before or [], after or [])
            if changed:
                out[key] = changed
        elif key == "podIPs":
            out[key] = [
                *(after or []),
                *({"ip": p["ip"], "$patch": "delete"} for p in before or [] if p not in (after or [])),
            ]
        else:
            out[key] = after
    return out


def _conditions(before: list[Obj], after: list[Obj]) -> list[Obj]:
    old = {c["type"]: c for c in before}
    changed = []
    for c in after:
        was = old.get(c["type"])
        if was == c or (was is not None and c["type"] not in OWN_CONDITIONS and c["type"] != "DisruptionTarget"):
            continue
        gone = {k: None for k in (was or {}) if k not in c}
        changed.append({**c, **gone})
    return changed


@dataclass(slots=True)
class _Entry:
    """known: the status that the API has, as far as we know. delete: remove the object once the status is written."""

    namespace: str
    name: str
    uid: str
    known: Obj
    wanted: Obj
    delete: bool = False
    task: asyncio.Task[None] | None = None


class StatusManager:
    """`on_gone(uid)` is called when the API no longer has the pod."""

    def __init__(self, *, client: Client, tasks: asyncio.TaskGroup, on_gone: Callable[[str], None]):
        self._client = client
        self._tasks = tasks
        self._on_gone = on_gone
        self._entries: dict[str, _Entry] = {}

    def get(self, uid: str) -> Obj | None:
        """The status last set."""
        entry = self._entries.get(uid)
        return entry.wanted if entry else None

    def set(self, pod: Obj, status: Obj) -> None:
        """`pod` is the API's object (the mirror of a static pod)."""
        entry = self._entry(pod)
        entry.wanted = status
        self._kick(entry)

    def observe(self, pod: Obj) -> None:
        """A version of the pod from the watch: what the API has now."""
        entry = self._entries.get(pod["metadata"]["uid"])
        if entry is not None and entry.task is None:
            entry.known = pod.get("status") or {}

    def delete(self, pod: Obj) -> None:
        """Remove the pod's object (grace 0) after its last status has been written."""
        entry = self._entry(pod)
        entry.delete = True
        self._kick(entry)

    def forget(self, uid: str) -> None:
        entry = self._entries.pop(uid, None)
        if entry is not None and entry.task is not None:
            entry.task.cancel()

    def _entry(self, pod: Obj) -> _Entry:
        meta = pod["metadata"]
        entry = self._entries.get(meta["uid"])
        if entry is None:
            status = pod.get("status") or {}
            entry = _Entry(meta["namespace"], meta["name"], meta["uid"], status, status)
            self._entries[meta["uid"]] = entry
        return entry

    def _kick(self, entry: _Entry) -> None:
        if entry.task is None and (entry.delete or patch(entry.known, entry.wanted)):
            entry.task = self._tasks.create_task(self._write(entry), name=f"status {entry.namespace}/{entry.name}")

    async def _write(self, entry: _Entry) -> None:
        failures = 0
        try:
            while True:
                try:
                    if not await self._write_once(entry):
                        return
                    failures = 0
                except (StatusError, ConnectionError) as e:
                    log.warning("status of pod %s/%s not written: %s", entry.namespace, entry.name, e)
                    failures += 1
                    await asyncio.sleep(min(0.2 * 2**failures, 10.0))
        finally:
            entry.task = None

    async def _write_once(self, entry: _Entry) -> bool:
        """True: there may be more to do."""
        changes = patch(entry.known, entry.wanted)
        try:
            if changes:
                body: Any = {"metadata": {"uid": entry.uid}, "status": changes}
                answer = await self._client.patch(
                    PODS, entry.name, body, entry.namespace, type="strategic", subresource="status"
                )
                entry.known = answer.get("status") or {}
                remaining = patch(entry.known, entry.wanted)
                if remaining == changes:  # the server keeps it otherwise: asking again would change nothing
                    entry.known = entry.wanted
                return entry.delete or (bool(remaining) and remaining != changes)
            if entry.delete:
                await self._client.delete(PODS, entry.name, entry.namespace, uid=entry.uid, grace_seconds=0)
        except StatusError as e:
            if not is_not_found(e) and not self._other_pod(e):
                raise
            self._entries.pop(entry.uid, None)
            self._on_gone(entry.uid)
        return False

    def _other_pod(self, e: StatusError) -> bool:
        """A pod of the same name with another uid has taken its place."""
        return e.reason == "Conflict" and "uid" in e.message.lower()
