"""The job controller. Source: upstream pkg/controller/job."""

import asyncio
from collections.abc import Iterable
from copy import deepcopy

from skiff import env
from skiff.api import selectors
from skiff.api.errors import StatusError, is_not_found
from skiff.api.gvr import JOBS, PODS
from skiff.api.meta import (
    controller_of,
    finalizers,
    find_condition,
    is_being_deleted,
    labels,
    name,
    namespace,
    owner_references,
    uid,
)
from skiff.api.types import Obj
from skiff.client.controller import Key, Recorder, Watch, key_of, split_key
from skiff.client.expectations import Expectations
from skiff.client.informer import Change, Informers
from skiff.client.rest import Client
from skiff.controllers.common import indexes as podindexes
from skiff.controllers.common.freshness import Freshness
from skiff.controllers.common.meta import spec, status
from skiff.controllers.common.owners import claim
from skiff.controllers.common.podcontrol import PodControl, in_slow_batches, pod_from_template
from skiff.controllers.common.routing import OwnerRoutes
from skiff.controllers.job import indexes
from skiff.controllers.job.plan import Plan, is_finished, next_status, plan
from skiff.controllers.job.tally import FINALIZER, Tally, tally

MANAGED_BY = "kubernetes.io/job-controller"


class JobController:
    name = "job-controller"
    workers = 5

    def __init__(self, *, client: Client, informers: Informers, recorder: Recorder):
        self._client = client
        self._recorder = recorder
        self._jobs = informers.get(JOBS)
        self._pods = podindexes.owned_informer(informers, PODS)
        self._routes = OwnerRoutes(self._jobs, "Job", self._selector)
        self._control = PodControl(client=client, recorder=recorder, owner_gvr=JOBS)
        self._expectations = Expectations()
        self._fresh = Freshness(self._jobs)
        self._released: dict[Key, set[str]] = {}

    def watches(self) -> list[Watch]:
        return [Watch(JOBS), Watch(PODS, self._pod_changed)]

    def _selector(self, owner: Obj) -> selectors.Selector:
        return selectors.from_label_selector(spec(owner).get("selector"))

    def _pod_changed(self, change: Change) -> Iterable[Key]:
        """Also notes what the cache has now shown. A pod whose job is gone comes under the job's key."""
        pod = change.object
        if (owner := self._routes.owner(pod)) is not None:
            if change.type == "deleted" or is_being_deleted(pod):
                self._expectations.deletion_observed(key_of(owner), key_of(pod))
            elif change.type == "added":
                self._expectations.creation_observed(key_of(owner))
            if change.type == "deleted" or FINALIZER not in finalizers(pod):
                self._released.get(key_of(owner), set()).discard(uid(pod))
            return self._routes.keys(change)
        ref = controller_of(pod)
        if ref is not None and ref.get("kind") == "Job" and FINALIZER in finalizers(pod):
            return [f"{namespace(pod)}/{ref['name']}"]
        return self._routes.keys(change)

    async def reconcile(self, key: Key) -> float | None:
        job = self._jobs.get(*split_key(key))
        if job is None or is_finished(job):
            await self._let_go(key, job)
            return None
        if spec(job).get("managedBy") not in (None, MANAGED_BY) or not self._fresh.fresh(key):
            return None
        selector = self._selector(job)
        found = podindexes.owned_or_orphaned(self._pods, job)
        pods = await claim(self._client, job, JOBS, PODS, lambda pod: selector.matches(labels(pod)), found)
        pods.sort(key=name)
        now = env.epoch()
        ending = any(find_condition(status(job).get("conditions"), t) for t in ("FailureTarget", "SuccessCriteriaMet"))
        counted = tally(job, pods, self._released.get(key, ()), ending=ending)
        todo = plan(job, pods, counted, now)
        try:
            if self._expectations.satisfied(key):
                await self._act(key, job, todo)
        finally:
            await self._report(key, job, next_status(job, pods, counted, todo.verdict, now))
        await self._release(key, job, counted)
        return todo.again

    async def _let_go(self, key: Key, job: Obj | None) -> None:
        """Pods of a job that is over or gone need no counting any more."""
        self._expectations.forget(key)
        if job is None:
            self._fresh.forget(key)
            self._released.pop(key, None)
            pods = [p for p in self._pods.items(split_key(key)[0]) if _was_of(p, split_key(key)[1])]
        else:
            pods = podindexes.owned_by(self._pods, job)
        for pod in pods:
            if FINALIZER in finalizers(pod):
                await self._drop_finalizer(pod)

    async def _act(self, key: Key, job: Obj, todo: Plan) -> None:
        if todo.delete:
            keys = {pod: f"{namespace(job)}/{pod}" for pod in todo.delete}
            self._expectations.expect(key, deletions=set(keys.values()))
            steps = [self._delete(key, job, pod, pod_key) for pod, pod_key in keys.items()]
            for failure in await asyncio.gather(*steps, return_exceptions=True):
                if isinstance(failure, BaseException):
                    raise failure
        elif todo.create:
            await self._create(key, job, todo.create)

    async def _create(self, key: Key, job: Obj, places: list[int | None]) -> None:
        self._expectations.expect(key, creations=len(places))
        queue = iter(places)

        async def one() -> None:
            if await self._control.create(job, self._pod(job, next(queue))) is None:
                self._expectations.creation_observed(key)

        successes, error = await in_slow_batches(len(places), one)
        for _ in range(len(places) - successes):
            self._expectations.creation_observed(key)
        if error is not None:
            raise error

    def _pod(self, job: Obj, index: int | None) -> Obj:
        made = pod_from_template(spec(job)["template"], job, JOBS)
        metadata = made["metadata"]
        metadata["finalizers"] = [*(metadata.get("finalizers") or ()), FINALIZER]
        if index is not None:
            failures = self._failures(job, index)
            _give_index(made, job, index, failures)
        return made

    def _failures(self, job: Obj, index: int) -> int | None:
        """How often the index has failed, for jobs that limit that."""
        if spec(job).get("backoffLimitPerIndex") is None:
            return None
        before = [p for p in podindexes.owned_by(self._pods, job) if indexes.index_of(p) == index]
        return max((indexes.failure_count(p) + 1 for p in before), default=0)

    async def _delete(self, key: Key, job: Obj, pod: str, pod_key: str) -> None:
        try:
            if not await self._control.delete(job, pod):
                self._expectations.deletion_observed(key, pod_key)
        except BaseException:
            self._expectations.deletion_observed(key, pod_key)
            raise

    async def _report(self, key: Key, job: Obj, new: Obj) -> None:
        if new == status(job):
            return
        self._fresh.wrote(key, await self._client.update(JOBS, {**job, "status": new}, subresource="status"))
        for condition in new.get("conditions") or ():
            if condition not in (status(job).get("conditions") or ()):
                self._tell(job, condition)

    def _tell(self, job: Obj, condition: Obj) -> None:
        match condition["type"], condition["status"]:
            case "Complete", _:
                self._recorder.event(job, "Normal", "Completed", "Job completed")
            case "Failed", _:
                self._recorder.event(job, "Warning", condition["reason"], condition["message"])
            case "Suspended", "True":
                self._recorder.event(job, "Normal", "Suspended", "Job suspended")
            case "Suspended", _:
                self._recorder.event(job, "Normal", "Resumed", "Job resumed")

    async def _release(self, key: Key, job: Obj, counted: Tally) -> None:
        """Only after the status that accounts for the pods has been written."""
        for pod in counted.release:
            await self._drop_finalizer(pod)
            self._released.setdefault(key, set()).add(uid(pod))

    async def _drop_finalizer(self, pod: Obj) -> None:
        kept = [f for f in finalizers(pod) if f != FINALIZER]
        patch = {"metadata": {"uid": uid(pod), "finalizers": kept or None}}
        try:
            await self._client.patch(PODS, name(pod), patch, namespace(pod))
        except StatusError as err:
            if not is_not_found(err):
                raise


def _was_of(pod: Obj, job: str) -> bool:
    return any(r.get("kind") == "Job" and r.get("name") == job for r in owner_references(pod))


def _give_index(pod: Obj, job: Obj, index: int, failures: int | None) -> None:
    """Name, hostname, labels and environment tell the pod which piece of the work is its own."""
    metadata, wanted = pod["metadata"], pod["spec"]
    metadata["generateName"] = f"{name(job)}-{index}-"
    metadata["labels"] = {**(metadata.get("labels") or {}), indexes.INDEX: str(index)}
    notes = {indexes.INDEX: str(index)}
    if failures is not None:
        notes[indexes.FAILURE_COUNT] = str(failures)
    metadata["annotations"] = {**(metadata.get("annotations") or {}), **notes}
    wanted.setdefault("hostname", f"{name(job)}-{index}")
    source = {"fieldRef": {"fieldPath": f"metadata.labels['{indexes.INDEX}']"}}
    variable = {"name": "JOB_COMPLETION_INDEX", "valueFrom": source}
    for container in [*(wanted.get("initContainers") or ()), *wanted["containers"]]:
        env_vars = container.get("env") or []
        if all(v["name"] != variable["name"] for v in env_vars):
            container["env"] = [*env_vars, deepcopy(variable)]
