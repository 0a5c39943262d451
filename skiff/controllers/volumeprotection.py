"""Lets claims and volumes go only when nobody uses them any more.

The API server puts a finalizer on each (admission plugin StorageObjectInUseProtection); here it is taken off: of a claim
when no pod that may still run names it, of a volume when it is bound to no claim, of a volume attributes class when
neither a claim nor a volume has or wants it. Source: upstream pkg/controller/volume/{pvc,pv,vac}protection.
"""

from collections.abc import Iterable

from skiff.api.errors import StatusError, is_not_found
from skiff.api.gvr import PERSISTENTVOLUMECLAIMS, PERSISTENTVOLUMES, PODS
from skiff.api.meta import finalizers, is_being_deleted, is_pod_terminal, name, namespace
from skiff.api.types import GVR, Obj
from skiff.client.controller import Key, Watch, split_key
from skiff.client.informer import Change, Informers
from skiff.client.rest import Client
from skiff.controllers.common.meta import spec, status
from skiff.controllers.common.pods import node_name

CLAIM_FINALIZER = "kubernetes.io/pvc-protection"
VOLUME_FINALIZER = "kubernetes.io/pv-protection"
CLASS_FINALIZER = "kubernetes.io/vac-protection"
VOLUMEATTRIBUTESCLASSES = GVR("storage.k8s.io", "v1", "volumeattributesclasses", "VolumeAttributesClass", False)
_INDEX = "claims"


def claims_of(pod: Obj) -> list[Key]:
    """The claims that a pod names, ephemeral ones included."""
    found = []
    for volume in spec(pod).get("volumes") or ():
        if source := volume.get("persistentVolumeClaim"):
            found.append(f"{namespace(pod)}/{source['claimName']}")
        elif volume.get("ephemeral"):
            found.append(f"{namespace(pod)}/{name(pod)}-{volume['name']}")
    return found


def uses(pod: Obj) -> bool:
    """Whether the pod's volumes may be in use: it is on a node and has not ended."""
    return bool(node_name(pod)) and not is_pod_terminal(pod)


class ClaimProtectionController:
    name = "persistentvolumeclaim-protection-controller"
    workers = 1

    def __init__(self, *, client: Client, informers: Informers):
        self._client = client
        self._claims = informers.get(PERSISTENTVOLUMECLAIMS)
        self._pods = informers.get(PODS)
        self._pods.add_index(_INDEX, claims_of)

    def watches(self) -> list[Watch]:
        return [Watch(PERSISTENTVOLUMECLAIMS), Watch(PODS, self._pod_changed)]

    def _pod_changed(self, change: Change) -> Iterable[Key]:
        """A pod that ended or went may have been the last one."""
        pod = change.object
        return claims_of(pod) if change.type == "deleted" or is_pod_terminal(pod) else []

    async def reconcile(self, key: Key) -> float | None:
        claim = self._claims.get(*split_key(key))
        if claim is None:
            return None
        if is_being_deleted(claim):
            if CLAIM_FINALIZER in finalizers(claim) and not await self._is_used(key):
                await drop_finalizer(self._client, PERSISTENTVOLUMECLAIMS, claim, CLAIM_FINALIZER)
        elif CLAIM_FINALIZER not in finalizers(claim):
            await add_finalizer(self._client, PERSISTENTVOLUMECLAIMS, claim, CLAIM_FINALIZER)
        return None

    async def _is_used(self, key: Key) -> bool:
        """By the cache first; that nobody uses it the server has to confirm."""
        if any(uses(pod) for pod in self._pods.by_index(_INDEX, key)):
            return True
        pods = (await self._client.list(PODS, split_key(key)[0])).items
        return any(uses(pod) and key in claims_of(pod) for pod in pods)


class VolumeProtectionController:
    name = "persistentvolume-protection-controller"
    workers = 1

    def __init__(self, *, client: Client, informers: Informers):
        self._client = client
        self._volumes = informers.get(PERSISTENTVOLUMES)

    def watches(self) -> list[Watch]:
        return [Watch(PERSISTENTVOLUMES)]

    async def reconcile(self, key: Key) -> float | None:
        volume = self._volumes.get("", key)
        if volume is None:
            return None
        if is_being_deleted(volume):
            if VOLUME_FINALIZER in finalizers(volume) and status(volume).get("phase") != "Bound":
                await drop_finalizer(self._client, PERSISTENTVOLUMES, volume, VOLUME_FINALIZER)
        elif VOLUME_FINALIZER not in finalizers(volume):
            await add_finalizer(self._client, PERSISTENTVOLUMES, volume, VOLUME_FINALIZER)
        return None


def classes_of(obj: Obj) -> set[str]:
    """The volume attributes classes that a claim or a volume has, wants, or is being changed to."""
    target = (status(obj).get("modifyVolumeStatus") or {}).get("targetVolumeAttributesClassName")
    found = (spec(obj).get("volumeAttributesClassName"), status(obj).get("currentVolumeAttributesClassName"), target)
    return {name for name in found if name}


class ClassProtectionController:
    name = "volumeattributesclass-protection-controller"
    workers = 1

    def __init__(self, *, client: Client, informers: Informers):
        self._client = client
        self._classes = informers.get(VOLUMEATTRIBUTESCLASSES)
        self._users = (informers.get(PERSISTENTVOLUMECLAIMS), informers.get(PERSISTENTVOLUMES))

    def watches(self) -> list[Watch]:
        users = [Watch(gvr, self._user_changed) for gvr in (PERSISTENTVOLUMECLAIMS, PERSISTENTVOLUMES)]
        return [Watch(VOLUMEATTRIBUTESCLASSES), *users]

    def _user_changed(self, change: Change) -> Iterable[Key]:
        """What a claim or volume no longer names may go."""
        before = classes_of(change.old) if change.old else set()
        return before if change.type == "deleted" else before - classes_of(change.object)

    async def reconcile(self, key: Key) -> float | None:
        found = self._classes.get("", key)
        if found is None:
            return None
        if is_being_deleted(found):
            used = any(key in classes_of(obj) for informer in self._users for obj in informer.items())
            if CLASS_FINALIZER in finalizers(found) and not used:
                await drop_finalizer(self._client, VOLUMEATTRIBUTESCLASSES, found, CLASS_FINALIZER)
        elif CLASS_FINALIZER not in finalizers(found):
            await add_finalizer(self._client, VOLUMEATTRIBUTESCLASSES, found, CLASS_FINALIZER)
        return None


async def drop_finalizer(client: Client, gvr: GVR, obj: Obj, finalizer: str) -> None:
    await _set(client, gvr, obj, [f for f in finalizers(obj) if f != finalizer])


async def add_finalizer(client: Client, gvr: GVR, obj: Obj, finalizer: str) -> None:
    await _set(client, gvr, obj, [*finalizers(obj), finalizer])


async def _set(client: Client, gvr: GVR, obj: Obj, wanted: list[str]) -> None:
    """By an update: upstream's roles of these controllers hold no right to patch."""
    meta = {k: v for k, v in obj["metadata"].items() if k != "finalizers"}
    if wanted:
        meta["finalizers"] = wanted
    try:
        await client.update(gvr, {**obj, "metadata": meta})
    except StatusError as err:
        if not is_not_found(err):
            raise
