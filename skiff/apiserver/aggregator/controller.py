"""Which groups are answered elsewhere, and the upkeep of APIService objects: local ones made, others checked.

`find` tells the server in its chain; `run` keeps the objects. Source: upstream kube-aggregator.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Any

from skiff import env
from skiff.api.errors import StatusError, is_already_exists, is_conflict, is_not_found
from skiff.api.gvr import ENDPOINTSLICES, SERVICES
from skiff.api.resources.apiregistration import LOCAL, condition
from skiff.api.times import format_time
from skiff.api.types import GVR, Obj
from skiff.apiserver.aggregator import availability
from skiff.apiserver.aggregator.registration import (
    ALWAYS,
    APISERVICES,
    MANAGED,
    local_service,
    same_spec,
)
from skiff.apiserver.aggregator.remote import Remote
from skiff.apiserver.registry import Registry
from skiff.client.rest import Client

log = logging.getLogger(__name__)

CUSTOM = GVR("apiextensions.k8s.io", "v1", "customresourcedefinitions", "CustomResourceDefinition", False)
RECHECK_S = 30.0
SETTLE_S = 0.05
"""Several changes at a time are looked at once."""


class Aggregator:
    """certificate: the files of our front-proxy certificate and its key. routing: to endpoints, not to cluster IPs."""

    def __init__(
        self, registry: Registry, client: Client, *, certificate: tuple[str, str] = ("", ""), routing: bool = False
    ):
        self._registry = registry
        self._lookup = registry.lookup
        self._client = client
        self._certificate = certificate
        self._routing = routing
        self._builtin = {gv for gv in registry.table if gv[0] != APISERVICES.group}
        self._changed = asyncio.Event()
        self._started = False
        self._lookup.subscribe(APISERVICES, self._look)
        for gvr in (SERVICES, ENDPOINTSLICES, CUSTOM):
            self._lookup.subscribe(gvr, self._wake)

    # --- what is answered elsewhere

    def find(self, path: str) -> Remote | None:
        """The server that answers for a path below /apis (or /openapi/v3/apis), if it is not this one."""
        parts = path.removeprefix("/openapi/v3").split("/", 4)
        if len(parts) < 4 or parts[1] != "apis":
            return None
        return self._registry.remote.get((parts[2], parts[3]))

    def _look(self, old: Obj | None, new: Obj | None) -> None:
        obj = new or old
        assert obj is not None
        spec = obj["spec"]
        key = (spec.get("group", ""), spec["version"])
        table: dict[tuple[str, str], Any] = self._registry.remote
        found: Remote | None = table.get(key)
        if new is None or not spec.get("service"):
            if found is not None:
                self._forget(key, found)
        elif found is None or found.spec != spec:
            if found is not None:
                self._registry.spawn(found.close(), "close a transport")
            table[key] = found = Remote(spec, self._addresses, self._certificate)
            self._registry.generation += 1
        if new is not None and found is not None and key in table:
            before = found.available
            found.update(new)
            self._registry.generation += found.available is not before
        self._changed.set()

    def _forget(self, key: tuple[str, str], found: Remote) -> None:
        del self._registry.remote[key]
        self._registry.generation += 1
        self._registry.spawn(found.close(), "close a transport")

    def _wake(self, old: Obj | None, new: Obj | None) -> None:
        if self._registry.remote or (new or old or {}).get("kind") == CUSTOM.kind:
            self._changed.set()

    def _service(self, reference: Obj) -> Obj | None:
        return self._lookup.get(SERVICES, reference["namespace"], reference["name"])

    def _slices(self, reference: Obj) -> list[Obj]:
        found = self._lookup.list(ENDPOINTSLICES, reference["namespace"])
        name = reference["name"]
        return [s for s in found if (s["metadata"].get("labels") or {}).get("kubernetes.io/service-name") == name]

    def _addresses(self, reference: Obj) -> list[tuple[str, int]]:
        slices = self._slices(reference) if self._routing else []
        return availability.address(reference, self._service(reference), slices)

    # --- the objects

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            self._changed.clear()
            delay = RECHECK_S
            try:
                await self.ensure()
                await self._check_all()
            except (StatusError, ConnectionError) as e:
                log.warning("APIServices could not be kept", extra={"error": str(e)})
                delay = 1.0
            try:
                async with asyncio.timeout(delay):
                    await self._changed.wait()
            except TimeoutError:
                continue
            await asyncio.sleep(SETTLE_S)

    async def ensure(self) -> None:
        """The objects of local groups exist and say so; those of built-in groups are left alone once they have been made.
        Raises StatusError, ConnectionError."""
        wanted = {
            f"{version}.{group}": local_service(group, version, (group, version) in self._builtin)
            for group, version in self._registry.table
            if group != APISERVICES.group
        }
        found = {o["metadata"]["name"]: o for o in self._lookup.list(APISERVICES)}
        for name, obj in wanted.items():
            if not self._started or obj["metadata"]["labels"][MANAGED] == ALWAYS:
                await self._ensure(obj, found.get(name))
        self._started = True
        for name, obj in found.items():
            if name not in wanted and (obj["metadata"].get("labels") or {}).get(MANAGED) == ALWAYS:
                await _unless(is_not_found, self._client.delete(APISERVICES, name))
            elif not obj["spec"].get("service"):
                await self._say(obj, LOCAL)

    async def _ensure(self, wanted: Obj, found: Obj | None) -> None:
        if found is None:
            found = await _unless(is_already_exists, self._client.create(APISERVICES, wanted))
        elif (found["metadata"].get("labels") or {}).get(MANAGED) and not same_spec(wanted, found):
            found = await _unless(is_conflict, self._client.update(APISERVICES, {**found, "spec": wanted["spec"]}))
        if found is not None and not found["spec"].get("service"):
            await self._say(found, LOCAL)

    async def _check_all(self) -> None:
        remotes = [o for o in self._lookup.list(APISERVICES) if o["spec"].get("service")]
        await asyncio.gather(*[self._check(o) for o in remotes])

    async def _check(self, obj: Obj) -> None:
        spec = obj["spec"]
        remote: Remote | None = self._registry.remote.get((spec.get("group", ""), spec["version"]))
        if remote is None or remote.spec != spec:
            return
        reference = spec["service"]
        found = availability.precheck(reference, self._service(reference), self._slices(reference))
        if found is None:
            before = (remote.resources, remote.openapi)
            wrong = await remote.check()
            found = condition("False", "FailedDiscoveryCheck", wrong) if wrong else availability.PASSED
            if (remote.resources, remote.openapi) != before:
                self._registry.generation += 1
        await self._say(obj, found)

    async def _say(self, obj: Obj, wanted: Obj) -> None:
        """Sets the condition Available; its time changes with its status only."""
        conditions = (obj.get("status") or {}).get("conditions") or []
        now: Obj = next((c for c in conditions if c["type"] == wanted["type"]), {})
        if all(now.get(k) == v for k, v in wanted.items()):
            return
        same = now.get("status") == wanted["status"]
        since = now["lastTransitionTime"] if same else format_time(env.epoch())
        others = [c for c in conditions if c["type"] != wanted["type"]]
        status = {"conditions": [*others, {**wanted, "lastTransitionTime": since}]}
        answer = self._client.update(APISERVICES, {**obj, "status": status}, subresource="status")
        await _unless(lambda e: is_conflict(e) or is_not_found(e), answer)


async def _unless(expected: Callable[[StatusError], bool], answer: Any) -> Any:
    """The answer; None for an error that another change explains, which wakes us again."""
    try:
        return await answer
    except StatusError as e:
        if not expected(e):
            raise
        return None
