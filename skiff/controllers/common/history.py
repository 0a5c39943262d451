"""ControllerRevisions: the pod templates that a DaemonSet or StatefulSet has had, each kept as the patch that brings it back.

`kubectl rollout history` and `undo` read and apply them. Source: upstream pkg/controller/history, daemon/update.go.
"""

from collections.abc import Iterable, Sequence

import orjson

from skiff.api.errors import StatusError, is_already_exists, is_not_found
from skiff.api.gvr import CONTROLLERREVISIONS
from skiff.api.meta import is_controlled_by, labels, name, namespace, new_controller_ref
from skiff.api.types import GVR, Obj
from skiff.client.rest import Client
from skiff.controllers.common.meta import spec, status
from skiff.controllers.common.templates import compute_hash, normalized

REVISION_LABEL = "controller-revision-hash"


def template_patch(owner: Obj) -> Obj:
    """A strategic merge patch that gives the owner the template it has now. Keys are sorted: upstream's clients compare
    the bytes of it."""
    patch = {"spec": {"template": {**spec(owner)["template"], "$patch": "replace"}}}
    found: Obj = orjson.loads(orjson.dumps(patch, option=orjson.OPT_SORT_KEYS))
    return found


def number(revision: Obj) -> int:
    return int(revision.get("revision") or 0)


def matching(revisions: Iterable[Obj], owner: Obj) -> list[Obj]:
    """Those with the owner's present template, oldest first."""
    wanted = normalized(template_patch(owner))
    return sorted((r for r in revisions if normalized(r.get("data")) == wanted), key=lambda r: (number(r), name(r)))


def new_revision(owner: Obj, owner_gvr: GVR, hash_label: str, value: int) -> Obj:
    template = spec(owner)["template"]
    found = compute_hash(template, status(owner).get("collisionCount"))
    return {
        "apiVersion": "apps/v1",
        "kind": "ControllerRevision",
        "metadata": {
            "name": f"{name(owner)}-{found}",
            "namespace": namespace(owner),
            "labels": {**(labels(template) or {}), hash_label: found},
            "annotations": dict(owner["metadata"].get("annotations") or {}),
            "ownerReferences": [new_controller_ref(owner, owner_gvr)],
        },
        "data": template_patch(owner),
        "revision": value,
    }


def surplus(old: Iterable[Obj], in_use: set[str], limit: int) -> list[Obj]:
    """Old revisions beyond the limit that no pod has, oldest first. in_use: their names."""
    ordered = sorted(old, key=lambda r: (number(r), name(r)))
    free = [r for r in ordered if name(r) not in in_use]
    return free[: max(0, len(free) - limit)]


class History:
    """For owners of one kind. hash_label: under which the revisions carry their hash."""

    def __init__(self, *, client: Client, owner_gvr: GVR, hash_label: str):
        self._client = client
        self._gvr = owner_gvr
        self._hash_label = hash_label

    async def current(self, owner: Obj, revisions: Sequence[Obj]) -> tuple[Obj, list[Obj]]:
        """(the revision of the owner's template, made or renumbered as needed; the others). revisions: the owner's."""
        same = matching(revisions, owner)
        old = [r for r in revisions if not same or name(r) != name(same[-1])]
        value = max((number(r) for r in old), default=0) + 1
        if not same:
            return await self._create(owner, value), list(revisions)
        found = same[-1]
        if number(found) < value:
            found = await self._client.update(CONTROLLERREVISIONS, {**found, "revision": value})
        return found, old

    async def _create(self, owner: Obj, value: int) -> Obj:
        wanted = new_revision(owner, self._gvr, self._hash_label, value)
        try:
            return await self._client.create(CONTROLLERREVISIONS, wanted, namespace(owner))
        except StatusError as err:
            if not is_already_exists(err):
                raise
            found = await self._client.get(CONTROLLERREVISIONS, name(wanted), namespace(owner))
            if is_controlled_by(found, owner) and matching([found], owner):
                return found
            count = (status(owner).get("collisionCount") or 0) + 1
            changed = {**owner, "status": {**status(owner), "collisionCount": count}}
            await self._client.update(self._gvr, changed, subresource="status")
            raise

    async def clean(self, revisions: Iterable[Obj]) -> None:
        for revision in revisions:
            try:
                await self._client.delete(CONTROLLERREVISIONS, name(revision), namespace(revision))
            except StatusError as err:
                if not is_not_found(err):
                    raise
