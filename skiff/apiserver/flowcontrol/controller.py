"""Keeps the flow control objects (defaults.py) in the cluster, reports dangling schemas, and configures the filter.

Source: upstream pkg/registry/flowcontrol/ensurer and apiserver pkg/util/flowcontrol/apf_controller.go.
"""

import asyncio
import logging

from skiff import env
from skiff.api.errors import StatusError, is_already_exists, is_conflict, is_not_found
from skiff.api.times import format_time
from skiff.api.types import GVR, Obj
from skiff.apiserver.flowcontrol import defaults
from skiff.apiserver.flowcontrol.filter import FlowControl
from skiff.apiserver.lookup import Lookup
from skiff.client.rest import Client

log = logging.getLogger(__name__)

GROUP = "flowcontrol.apiserver.k8s.io"
SCHEMAS = GVR(GROUP, "v1", "flowschemas", "FlowSchema", False)
LEVELS = GVR(GROUP, "v1", "prioritylevelconfigurations", "PriorityLevelConfiguration", False)
RESYNC_S = 60.0
RETRY_S = 1.0


class FlowControlController:
    """`ensure` once, then `run`."""

    def __init__(self, client: Client, lookup: Lookup, flow: FlowControl):
        self._client = client
        self._lookup = lookup
        self._flow = flow
        self._changed = asyncio.Event()
        for gvr in (LEVELS, SCHEMAS):
            lookup.subscribe(gvr, self._look)

    def _look(self, old: Obj | None, new: Obj | None) -> None:
        if old is None or new is None or old["spec"] != new["spec"] or new["kind"] == SCHEMAS.kind:
            self._changed.set()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            self.configure()
            try:
                await self.ensure()
                await self._report()
                delay = RESYNC_S
            except (StatusError, ConnectionError) as e:
                log.warning("Flow control's objects could not be kept", extra={"error": str(e)})
                delay = RETRY_S
            try:
                async with asyncio.timeout(delay):
                    await self._changed.wait()
            except TimeoutError:
                continue
            self._changed.clear()

    def configure(self) -> None:
        levels, schemas = list(self._lookup.list(LEVELS)), list(self._lookup.list(SCHEMAS))
        if levels and schemas:
            self._flow.configure(levels, schemas)

    async def ensure(self) -> None:
        """Raises StatusError, ConnectionError."""
        for gvr, wanted in (*((LEVELS, o) for o in defaults.levels()), *((SCHEMAS, o) for o in defaults.schemas())):
            found = self._lookup.get(gvr, "", wanted["metadata"]["name"])
            if found is None or needs_update(found, wanted):
                await self._ensure(gvr, wanted)

    async def _ensure(self, gvr: GVR, wanted: Obj) -> None:
        try:
            found = await self._client.get(gvr, wanted["metadata"]["name"])
            if needs_update(found, wanted):
                await self._client.update(gvr, updated(found, wanted))
        except StatusError as e:
            if is_conflict(e):
                return  # the change wakes us again
            if not is_not_found(e):
                raise
            try:
                await self._client.create(gvr, wanted)
            except StatusError as e:
                if not is_already_exists(e):
                    raise

    async def _report(self) -> None:
        for schema in list(self._lookup.list(SCHEMAS)):
            wanted = dangling(schema, self._lookup.get(LEVELS, "", level_of(schema)) is not None)
            found = (schema.get("status") or {}).get("conditions") or []
            now: Obj = next((c for c in found if c["type"] == "Dangling"), {})
            if any(now.get(k) != v for k, v in wanted.items()):
                wanted["lastTransitionTime"] = format_time(env.epoch())
                others = [c for c in found if c["type"] != "Dangling"]
                status = {"conditions": [*others, wanted]}
                try:
                    await self._client.update(SCHEMAS, {**schema, "status": status}, subresource="status")
                except StatusError as e:
                    if not (is_conflict(e) or is_not_found(e)):
                        raise


def level_of(schema: Obj) -> str:
    return str((schema["spec"].get("priorityLevelConfiguration") or {}).get("name", ""))


def dangling(schema: Obj, exists: bool) -> Obj:
    """The condition, without its time."""
    start = f'This FlowSchema references the PriorityLevelConfiguration object named "{level_of(schema)}"'
    if exists:
        return {"type": "Dangling", "status": "False", "reason": "Found", "message": f"{start} and it exists"}
    message = f"{start} but there is no such object"
    return {"type": "Dangling", "status": "True", "reason": "NotFound", "message": message}


def needs_update(found: Obj, wanted: Obj) -> bool:
    """Mandatory objects always follow; others while their annotation (or being untouched) says so."""
    name = wanted["metadata"]["name"]
    annotation = (found["metadata"].get("annotations") or {}).get(defaults.AUTOUPDATE)
    if name in defaults.MANDATORY:
        return annotation != "true" or not _holds(wanted["spec"], found.get("spec"))
    follows = annotation == "true" or (annotation not in ("true", "false") and found["metadata"].get("generation") == 1)
    if annotation not in ("true", "false"):
        return True
    return follows and not _holds(wanted["spec"], found.get("spec"))


def updated(found: Obj, wanted: Obj) -> Obj:
    meta = found["metadata"]
    annotations = dict(meta.get("annotations") or {})
    name = meta["name"]
    untouched = meta.get("generation") == 1 or annotations.get(defaults.AUTOUPDATE) == "true"
    follows = name in defaults.MANDATORY or untouched
    annotations[defaults.AUTOUPDATE] = "true" if follows else "false"
    spec = wanted["spec"] if follows else found["spec"]
    return {**found, "metadata": {**meta, "annotations": annotations}, "spec": spec}


def _holds(wanted: object, found: object) -> bool:
    """Whether everything wanted is there; defaults that the server adds do not count."""
    if isinstance(wanted, dict):
        return isinstance(found, dict) and all(_holds(v, found.get(k)) for k, v in wanted.items())
    if isinstance(wanted, list):
        return isinstance(found, list) and len(wanted) == len(found) and all(map(_holds, wanted, found))
    return wanted == found
