"""The writes of the deployment controller: the new set, sizes, history, status. Each may be repeated after a crash.

Source: upstream pkg/controller/deployment/sync.go.
"""

from collections.abc import Sequence

from skiff import env
from skiff.api.errors import StatusError, is_already_exists, is_not_found
from skiff.api.gvr import DEPLOYMENTS, REPLICASETS
from skiff.api.meta import annotations, get_condition, is_controlled_by, name, namespace
from skiff.api.types import Obj
from skiff.client.controller import Recorder
from skiff.client.rest import Client
from skiff.controllers.common.meta import spec, status
from skiff.controllers.common.podcontrol import NAMESPACE_TERMINATING, has_cause
from skiff.controllers.common.templates import equal_ignoring_hash
from skiff.controllers.deployment import revision, sizes
from skiff.controllers.deployment import status as reports


class Sync:
    """Works on the caller's own copy of a deployment and keeps its resourceVersion and status current."""

    def __init__(self, *, client: Client, recorder: Recorder):
        self._client = client
        self._recorder = recorder

    async def find_sets(self, d: Obj, sets: Sequence[Obj], *, create: bool) -> tuple[Obj | None, list[Obj]]:
        """(the new set, the old ones). The new set gets its annotations and revision, and is created if asked for."""
        new = revision.find_new(d, sets)
        old = revision.find_old(sets, new)
        number = revision.next_revision(old)
        if new is not None:
            new = await self._adjust(d, new, number)
        elif create:
            new = await self._create(d, old, number)
        return new, old

    async def _adjust(self, d: Obj, new: Obj, number: int) -> Obj:
        present = dict(annotations(new))
        wanted = revision.new_annotations(d, present, number)
        min_ready = spec(d).get("minReadySeconds", 0)
        if wanted != present or spec(new).get("minReadySeconds", 0) != min_ready:
            changed = {**new, "metadata": {**new["metadata"], "annotations": wanted}}
            changed["spec"] = {**new["spec"], "minReadySeconds": min_ready}
            return await self._client.update(REPLICASETS, changed)
        update = self._note_revision(d, present.get(revision.REVISION, ""))
        if reports.has_deadline(d) and get_condition(d, "Progressing") is None:
            text = f'Found new replica set "{name(new)}"'
            found = reports.new_condition("Progressing", "True", "FoundNewReplicaSet", text, env.epoch())
            update = reports.set_condition(d, found) or update
        if update:
            await self.write_status(d, status(d))
        return new

    def _note_revision(self, d: Obj, number: str) -> bool:
        if annotations(d).get(revision.REVISION, "") == number:
            return False
        d["metadata"] = {**d["metadata"], "annotations": {**annotations(d), revision.REVISION: number}}
        return True

    async def _create(self, d: Obj, old: list[Obj], number: int) -> Obj:
        wanted = revision.new_set(d, old, number)
        try:
            made = await self._client.create(REPLICASETS, wanted, namespace(d))
        except StatusError as err:
            if not is_already_exists(err):
                await self._report_failure(d, name(wanted), err)
                raise
            existing = await self._existing(d, wanted, err)
            if self._note_revision(d, str(number)):
                await self.write_status(d, status(d))
            return existing
        if size := sizes.replicas(wanted):
            self._event(d, f"Scaled up replica set {name(made)} from 0 to {size}")
        update = self._note_revision(d, str(number))
        if reports.has_deadline(d):
            text = f'Created new replica set "{name(made)}"'
            created = reports.new_condition("Progressing", "True", "NewReplicaSetCreated", text, env.epoch())
            update = reports.set_condition(d, created) or update
        if update:
            await self.write_status(d, status(d))
        return made

    async def _existing(self, d: Obj, wanted: Obj, err: StatusError) -> Obj:
        """The set of that name, if it is ours after all (the cache was late). Else the hash collided: another count
        gives another name at the next attempt."""
        found = await self._client.get(REPLICASETS, name(wanted), namespace(d))
        if is_controlled_by(found, d) and equal_ignoring_hash(spec(found)["template"], spec(d)["template"]):
            return found
        count = (status(d).get("collisionCount") or 0) + 1
        await self.write_status(d, {**status(d), "collisionCount": count})
        raise err

    async def _report_failure(self, d: Obj, set_name: str, err: StatusError) -> None:
        if has_cause(err, NAMESPACE_TERMINATING):
            return
        text = f'Failed to create new replica set "{set_name}": {err.message}'
        self._recorder.event(d, "Warning", "ReplicaSetCreateError", text)
        if reports.has_deadline(d):
            failed = reports.new_condition("Progressing", "False", "ReplicaSetCreateError", text, env.epoch())
            reports.set_condition(d, failed)
            await self.write_status(d, status(d))

    async def scale(self, d: Obj, sets: Sequence[Obj], scales: Sequence[sizes.Scale]) -> bool:
        """Whether any set got another size. The sets are the caller's; several scales of one set follow each other."""
        by_name = {name(s): s for s in sets}
        scaled = False
        for step in scales:
            before = by_name[step.name]
            size = sizes.replicas(before)
            noted = {**annotations(before), **sizes.size_annotations(d)}
            if size == step.replicas and not (step.always and noted != annotations(before)):
                continue
            changed = {**before, "metadata": {**before["metadata"], "annotations": noted}}
            changed["spec"] = {**before["spec"], "replicas": step.replicas}
            by_name[step.name] = await self._client.update(REPLICASETS, changed)
            if size != step.replicas:
                scaled = True
                direction = "up" if size < step.replicas else "down"
                self._event(d, f"Scaled {direction} replica set {step.name} from {size} to {step.replicas}")
        return scaled

    async def clean_history(self, d: Obj, old: Sequence[Obj]) -> None:
        for s in revision.surplus_history(d, old):
            try:
                await self._client.delete(REPLICASETS, name(s), namespace(s))
            except StatusError as err:
                if not is_not_found(err):
                    raise

    async def write_status(self, d: Obj, new: Obj) -> None:
        """Together with the deployment's revision annotation."""
        written = await self._client.update(DEPLOYMENTS, {**d, "status": new}, subresource="status")
        d["status"] = new
        d["metadata"] = {**d["metadata"], "resourceVersion": written["metadata"]["resourceVersion"]}

    def _event(self, d: Obj, message: str) -> None:
        self._recorder.event(d, "Normal", "ScalingReplicaSet", message)
