"""Binds claims to volumes that exist: the smallest one that fits, both sides recorded, and says what became of each.

Volumes are not made here: a claim that no volume fits waits, with an event that says so; a class with
WaitForFirstConsumer waits for the scheduler's choice. A released volume keeps its data (reclaim policy Retain) or is
reported Failed (Delete, which needs a provisioner). Source: upstream pkg/controller/volume/persistentvolume.
"""

from collections.abc import Iterable

from skiff.api import quantity, selectors
from skiff.api.gvr import PERSISTENTVOLUMECLAIMS, PERSISTENTVOLUMES, STORAGECLASSES
from skiff.api.meta import annotations, is_being_deleted, labels, name, namespace, object_reference, uid
from skiff.api.types import Obj
from skiff.client.controller import Key, Recorder, Watch, key_of
from skiff.client.informer import Change, Informers
from skiff.client.rest import Client
from skiff.controllers.common.meta import spec, status

BIND_COMPLETED = "pv.kubernetes.io/bind-completed"
BOUND_BY_CONTROLLER = "pv.kubernetes.io/bound-by-controller"
SELECTED_NODE = "volume.kubernetes.io/selected-node"


def storage(amounts: Obj | None) -> int:
    return quantity.value((amounts or {}).get("storage", "0"))


def class_of(obj: Obj) -> str:
    return str(spec(obj).get("storageClassName") or "")


def belongs_to(volume: Obj, claim: Obj) -> bool:
    """The volume is meant for this claim, by name and, once bound, by uid."""
    ref = spec(volume).get("claimRef")
    if not ref or ref.get("name") != name(claim) or ref.get("namespace") != namespace(claim):
        return False
    return not ref.get("uid") or bool(ref["uid"] == uid(claim))


def fits(volume: Obj, claim: Obj) -> bool:
    wanted, have = spec(claim), spec(volume)
    if is_being_deleted(volume) or class_of(volume) != class_of(claim):
        return False
    if (wanted.get("volumeMode") or "Filesystem") != (have.get("volumeMode") or "Filesystem"):
        return False
    if not set(wanted.get("accessModes") or ()) <= set(have.get("accessModes") or ()):
        return False
    selector = wanted.get("selector")
    if selector is not None and not selectors.from_label_selector(selector).matches(labels(volume)):
        return False
    return storage(have.get("capacity")) >= storage((wanted.get("resources") or {}).get("requests"))


def choose(claim: Obj, volumes: Iterable[Obj]) -> Obj | None:
    """The volume reserved for the claim; else the smallest free one that fits, the first by name among equals."""
    volumes = sorted(volumes, key=name)
    if named := spec(claim).get("volumeName"):
        return next((v for v in volumes if name(v) == named and _is_free_for(v, claim)), None)
    reserved = [v for v in volumes if belongs_to(v, claim)]
    free = [
        v
        for v in volumes
        if not spec(v).get("claimRef") and status(v).get("phase") in (None, "", "Available", "Pending")
    ]
    candidates = [v for v in reserved or free if fits(v, claim)]
    return min(candidates, key=lambda v: storage(spec(v).get("capacity")), default=None)


def _is_free_for(volume: Obj, claim: Obj) -> bool:
    return not spec(volume).get("claimRef") or belongs_to(volume, claim)


def volume_phase(volume: Obj, claim: Obj | None) -> tuple[str, str]:
    """(phase, message). claim: the one that the volume refers to, if it still is that one."""
    ref = spec(volume).get("claimRef")
    if not ref or not ref.get("uid"):
        return "Available", ""
    if claim is not None and uid(claim) == ref["uid"]:
        return "Bound", ""
    if spec(volume).get("persistentVolumeReclaimPolicy") == "Delete":
        return "Failed", "no volume plugin deletes volumes of this kind"
    return "Released", ""


class PersistentVolumeController:
    """Keys are `claim/NAMESPACE/NAME` and `volume/NAME`."""

    name = "persistentvolume-binder-controller"
    workers = 1

    def __init__(self, *, client: Client, informers: Informers, recorder: Recorder):
        self._client = client
        self._recorder = recorder
        self._volumes = informers.get(PERSISTENTVOLUMES)
        self._claims = informers.get(PERSISTENTVOLUMECLAIMS)
        self._classes = informers.get(STORAGECLASSES)

    def watches(self) -> list[Watch]:
        return [
            Watch(PERSISTENTVOLUMECLAIMS, self._claim_changed),
            Watch(PERSISTENTVOLUMES, self._volume_changed),
            Watch(STORAGECLASSES, lambda change: ()),
        ]

    def _claim_changed(self, change: Change) -> Iterable[Key]:
        yield f"claim/{key_of(change.object)}"
        for claim in (change.old, change.new):
            if claim is not None and spec(claim).get("volumeName"):
                yield f"volume/{spec(claim)['volumeName']}"

    def _volume_changed(self, change: Change) -> Iterable[Key]:
        """A free volume may be what waiting claims wait for."""
        yield f"volume/{name(change.object)}"
        ref = spec(change.object).get("claimRef")
        if ref:
            yield f"claim/{ref.get('namespace', '')}/{ref.get('name', '')}"
            return
        for claim in self._claims.items():
            if status(claim).get("phase") != "Bound" and class_of(claim) == class_of(change.object):
                yield f"claim/{key_of(claim)}"

    async def reconcile(self, key: Key) -> float | None:
        kind, _, rest = key.partition("/")
        if kind == "volume":
            await self._settle_volume(rest)
        else:
            await self._settle_claim(*rest.split("/"))
        return None

    async def _settle_volume(self, own: str) -> None:
        volume = self._volumes.get("", own)
        if volume is None:
            return
        ref = spec(volume).get("claimRef") or {}
        claim = self._claims.get(ref.get("namespace", ""), ref.get("name", "")) if ref else None
        phase, message = volume_phase(volume, claim)
        if status(volume).get("phase") != phase:
            new = {"phase": phase, **({"message": message} if message else {})}
            await self._client.update(PERSISTENTVOLUMES, {**volume, "status": new}, subresource="status")

    async def _settle_claim(self, scope: str, own: str) -> None:
        claim = self._claims.get(scope, own)
        if claim is None or is_being_deleted(claim):
            return
        if annotations(claim).get(BIND_COMPLETED):
            await self._check_bound(claim)
            return
        if self._waits_for_consumer(claim):
            text = "waiting for first consumer to be created before binding"
            self._recorder.event(claim, "Normal", "WaitForFirstConsumer", text)
            return
        volume = choose(claim, self._volumes.items())
        if volume is None:
            await self._tell_waiting(claim)
            return
        await self._bind(claim, volume)

    def _waits_for_consumer(self, claim: Obj) -> bool:
        found = self._classes.get("", class_of(claim)) if class_of(claim) else None
        late = found is not None and found.get("volumeBindingMode") == "WaitForFirstConsumer"
        return late and not spec(claim).get("volumeName") and SELECTED_NODE not in annotations(claim)

    async def _tell_waiting(self, claim: Obj) -> None:
        found = self._classes.get("", class_of(claim)) if class_of(claim) else None
        if found is not None and found.get("provisioner") not in (None, "kubernetes.io/no-provisioner"):
            by = found["provisioner"]
            text = (
                f"Waiting for a volume to be created either by the external provisioner '{by}' or manually by the system "
                "administrator. If volume creation is delayed, please verify that the provisioner is running and "
                "correctly registered."
            )
            self._recorder.event(claim, "Normal", "ExternalProvisioning", text)
        elif class_of(claim) and found is None:
            text = f'storageclass.storage.k8s.io "{class_of(claim)}" not found'
            self._recorder.event(claim, "Warning", "ProvisioningFailed", text)
        else:
            text = "no persistent volumes available for this claim and no storage class is set"
            self._recorder.event(claim, "Normal", "FailedBinding", text)

    async def _bind(self, claim: Obj, volume: Obj) -> None:
        """Volume first, then claim: each write may be the last one before a crash, and the next attempt goes on from it."""
        ref = spec(volume).get("claimRef")
        if not ref or not ref.get("uid"):
            changed = {**volume, "spec": {**spec(volume), "claimRef": object_reference(claim, PERSISTENTVOLUMECLAIMS)}}
            if not ref:
                changed["metadata"] = _noted(volume, BOUND_BY_CONTROLLER)
            volume = await self._client.update(PERSISTENTVOLUMES, changed)
        metadata = _noted(claim, BIND_COMPLETED)
        if not spec(claim).get("volumeName"):
            metadata["annotations"][BOUND_BY_CONTROLLER] = "yes"
        bound = {**claim, "metadata": metadata, "spec": {**spec(claim), "volumeName": name(volume)}}
        claim = await self._client.update(PERSISTENTVOLUMECLAIMS, bound)
        await self._write_bound(claim, volume)

    async def _write_bound(self, claim: Obj, volume: Obj) -> None:
        new = {
            **{k: v for k, v in status(claim).items() if k == "conditions"},
            "phase": "Bound",
            "accessModes": spec(volume).get("accessModes") or [],
            "capacity": spec(volume).get("capacity") or {},
        }
        if new != status(claim):
            await self._client.update(PERSISTENTVOLUMECLAIMS, {**claim, "status": new}, subresource="status")

    async def _check_bound(self, claim: Obj) -> None:
        """A bound claim whose volume is gone, or another's, has lost its data."""
        volume = self._volumes.get("", str(spec(claim).get("volumeName") or ""))
        if volume is not None and belongs_to(volume, claim):
            await self._write_bound(claim, volume)
        elif status(claim).get("phase") != "Lost":
            await self._client.update(
                PERSISTENTVOLUMECLAIMS, {**claim, "status": {"phase": "Lost"}}, subresource="status"
            )
            text = "Bound claim has lost its PersistentVolume. Data on the volume is lost!"
            self._recorder.event(claim, "Warning", "ClaimLost", text)


def _noted(obj: Obj, key: str) -> Obj:
    return {**obj["metadata"], "annotations": {**annotations(obj), key: "yes"}}
