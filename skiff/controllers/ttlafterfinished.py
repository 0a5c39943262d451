"""Deletes finished jobs when their spec.ttlSecondsAfterFinished is over. Source: upstream pkg/controller/ttlafterfinished."""

from skiff import env
from skiff.api.errors import StatusError, is_not_found
from skiff.api.gvr import JOBS
from skiff.api.meta import is_being_deleted, name, namespace, uid
from skiff.api.types import Obj
from skiff.client.controller import Key, Watch, split_key
from skiff.client.informer import Informers
from skiff.client.rest import Client
from skiff.controllers.common.meta import spec, status
from skiff.controllers.common.times import seconds


def expires_at(job: Obj) -> float | None:
    """Epoch seconds; None for a job that goes on or has no limit."""
    ttl = spec(job).get("ttlSecondsAfterFinished")
    if ttl is None or is_being_deleted(job):
        return None
    for condition in status(job).get("conditions") or ():
        if condition["type"] in ("Complete", "Failed") and condition["status"] == "True":
            end = seconds(condition.get("lastTransitionTime"))
            return None if end is None else end + ttl
    return None


class TTLAfterFinishedController:
    name = "ttl-after-finished-controller"
    workers = 5

    def __init__(self, *, client: Client, informers: Informers):
        self._client = client
        self._jobs = informers.get(JOBS)

    def watches(self) -> list[Watch]:
        return [Watch(JOBS)]

    async def reconcile(self, key: Key) -> float | None:
        job = self._jobs.get(*split_key(key))
        at = expires_at(job) if job is not None else None
        if at is None:
            return None
        if (wait := at - env.epoch()) > 0:
            return wait
        try:
            fresh = await self._client.get(JOBS, *reversed(split_key(key)))
            at = expires_at(fresh)
            if at is not None and at <= env.epoch():
                await self._client.delete(JOBS, name(fresh), namespace(fresh), uid=uid(fresh), propagation="Foreground")
        except StatusError as err:
            if not is_not_found(err):
                raise
        return None
