"""Creating and deleting the pods of an owner, with the events that `kubectl describe` shows on it.

Source: upstream RealPodControl and slowStartBatch; reasons and wording are its.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from copy import deepcopy

from skiff.api.errors import StatusError, is_not_found
from skiff.api.gvr import PODS
from skiff.api.meta import name, namespace, new_controller_ref
from skiff.api.types import GVR, Obj
from skiff.client.controller import Recorder
from skiff.client.rest import Client

NAMESPACE_TERMINATING = "NamespaceTerminating"


def pod_from_template(template: Obj, owner: Obj, owner_gvr: GVR) -> Obj:
    """A pod that the owner controls, named `<owner>-<random>` by the server."""
    source = template.get("metadata") or {}
    metadata: Obj = {"generateName": f"{name(owner)}-", "ownerReferences": [new_controller_ref(owner, owner_gvr)]}
    for key in ("labels", "annotations", "finalizers"):
        if source.get(key):
            metadata[key] = deepcopy(source[key])
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": deepcopy(template.get("spec") or {})}


def has_cause(err: StatusError, reason: str) -> bool:
    causes = (err.status.get("details") or {}).get("causes") or ()
    return any(cause.get("reason") == reason for cause in causes)


def slow_start(count: int, initial: int = 1) -> Iterator[int]:
    """Sizes of batches that add up to `count`: 1, 2, 4, ... so that a hopeless creation fails once, not 500 times."""
    size = min(count, initial)
    while size > 0:
        yield size
        count -= size
        size = min(2 * size, count)


async def in_slow_batches(count: int, action: Callable[[], Awaitable[None]]) -> tuple[int, Exception | None]:
    """Calls `action` up to `count` times; after a batch with a failure no further one starts. (successes, an error)"""
    successes = 0
    for size in slow_start(count):
        results = await asyncio.gather(*(action() for _ in range(size)), return_exceptions=True)
        errors = [r for r in results if isinstance(r, BaseException)]
        successes += size - len(errors)
        for err in errors:
            if not isinstance(err, Exception):
                raise err
            return successes, err
    return successes, None


class PodControl:
    """Writes pods on behalf of owners of one kind."""

    def __init__(self, *, client: Client, recorder: Recorder, owner_gvr: GVR):
        self._client = client
        self._recorder = recorder
        self._gvr = owner_gvr

    async def create(self, owner: Obj, pod: Obj) -> Obj | None:
        """None when the namespace is going away: then nothing can be created, and nobody needs to hear of it."""
        if not pod["metadata"].get("labels"):
            raise ValueError("unable to create pods, no labels")
        try:
            made = await self._client.create(PODS, pod, namespace(owner))
        except StatusError as err:
            if has_cause(err, NAMESPACE_TERMINATING):
                return None
            self._recorder.event(owner, "Warning", "FailedCreate", f"Error creating: {err.message}")
            raise
        self._recorder.event(owner, "Normal", "SuccessfulCreate", f"Created pod: {name(made)}")
        return made

    async def create_from_template(self, owner: Obj, template: Obj) -> Obj | None:
        return await self.create(owner, pod_from_template(template, owner, self._gvr))

    async def delete(self, owner: Obj, pod_name: str) -> bool:
        """False when it is gone already."""
        try:
            await self._client.delete(PODS, pod_name, namespace(owner))
        except StatusError as err:
            if is_not_found(err):
                return False
            self._recorder.event(owner, "Warning", "FailedDelete", f"Error deleting: {err.message}")
            raise
        self._recorder.event(owner, "Normal", "SuccessfulDelete", f"Deleted pod: {pod_name}")
        return True
