"""Makes a pod's volumes be there, and keeps them current: fetch what they name, decide, let the host act.

Idempotent: called at every sync of the pod. Raises VolumeError with the sentence of the FailedMount event.
"""

import asyncio
from dataclasses import dataclass, field

from skiff.api.errors import StatusError, is_not_found
from skiff.api.gvr import CONFIGMAPS, PERSISTENTVOLUMECLAIMS, PERSISTENTVOLUMES, SECRETS
from skiff.api.types import Obj
from skiff.kubelet.environment import ConfigError
from skiff.kubelet.host import Host, HostPath, Ownership, VolumePlan
from skiff.kubelet.objects import ApiObjects
from skiff.kubelet.volumes import payload

KINDS = {"configmap": CONFIGMAPS, "secret": SECRETS}


class VolumeError(Exception):
    """One volume cannot be set up (now)."""


@dataclass(frozen=True, slots=True)
class Mounted:
    """A volume that stands ready at `path`. writable: False for what the kubelet writes itself."""

    path: str
    writable: bool = True


@dataclass(slots=True)
class _Set:
    """What is set up for one pod: volume name → (plan, result)."""

    done: dict[str, tuple[VolumePlan, Mounted]] = field(default_factory=dict)


class VolumeManager:
    def __init__(self, *, host: Host, objects: ApiObjects, root: str, node_name: str, allocatable: dict[str, str]):
        self._host = host
        self._objects = objects
        self._root = root
        self._node_name = node_name
        self._allocatable = allocatable
        self._pods: dict[str, _Set] = {}

    async def mount(self, pod: Obj) -> dict[str, Mounted]:
        """All volumes of the pod, by name."""
        volumes = pod["spec"].get("volumes") or []
        done = self._pods.setdefault(pod["metadata"]["uid"], _Set()).done
        results = await asyncio.gather(*(self._mount(pod, v, done) for v in volumes), return_exceptions=True)
        for volume, result in zip(volumes, results, strict=True):
            if isinstance(result, (VolumeError, ConfigError, StatusError, OSError)):
                text = getattr(result, "message", None) or str(result)
                raise VolumeError(f'MountVolume.SetUp failed for volume "{volume["name"]}" : {text}') from result
            if isinstance(result, BaseException):
                raise result
        return {name: mounted for name, (_, mounted) in done.items()}

    async def _mount(self, pod: Obj, volume: Obj, done: dict[str, tuple[VolumePlan, Mounted]]) -> None:
        plan = await self._plan(pod, volume)
        before = done.get(volume["name"])
        if before is not None and before[0] == plan:
            return
        context = pod["spec"].get("securityContext") or {}
        always = context.get("fsGroupChangePolicy") != "OnRootMismatch"
        ownership = Ownership(
            None if isinstance(plan, HostPath) and "hostPath" in volume else context.get("fsGroup"), always
        )
        path = f"{self._root}/pods/{pod['metadata']['uid']}/volumes/{_plugin(volume)}/{volume['name']}"
        mounted = await self._host.set_up_volume(path, plan, ownership)
        done[volume["name"]] = (plan, Mounted(mounted, not payload.is_payload(volume)))

    async def _plan(self, pod: Obj, volume: Obj) -> VolumePlan:
        if volume.get("persistentVolumeClaim") or volume.get("ephemeral"):
            return await self._claim(pod, volume)
        namespace = pod["metadata"]["namespace"]
        found: dict[tuple[str, str], Obj | None] = {}
        for kind, name in payload.references(volume):
            found[kind, name] = await self._fetch(kind, namespace, name)
        tokens = {}
        if self._host.keeps_files:
            for audience, seconds in payload.tokens(volume):
                tokens[audience, seconds] = await self._objects.token(pod, audience, seconds)
        return payload.plan(pod, volume, payload.Sources(found, tokens, self._allocatable))

    async def _fetch(self, kind: str, namespace: str, name: str) -> Obj | None:
        try:
            return await self._objects.get(KINDS[kind], namespace, name)
        except StatusError as e:
            if is_not_found(e):
                return None
            raise

    async def _claim(self, pod: Obj, volume: Obj) -> VolumePlan:
        """A claim's volume: hostPath or local."""
        namespace = pod["metadata"]["namespace"]
        source = volume.get("persistentVolumeClaim") or {}
        name = source.get("claimName") or f"{pod['metadata']['name']}-{volume['name']}"
        claim = await self._objects.get(PERSISTENTVOLUMECLAIMS, namespace, name)
        bound = claim["spec"].get("volumeName")
        if (claim.get("status") or {}).get("phase") != "Bound" or not bound:
            raise VolumeError(f'PVC "{namespace}/{name}" is not bound')
        spec = (await self._objects.get(PERSISTENTVOLUMES, "", bound))["spec"]
        if spec.get("hostPath"):
            return HostPath(spec["hostPath"]["path"], spec["hostPath"].get("type") or "")
        if spec.get("local"):
            return HostPath(spec["local"]["path"], "Directory")
        raise VolumeError(f"no volume plugin matched the source of persistent volume {bound}")

    def forget(self, uid: str) -> None:
        self._pods.pop(uid, None)

    async def sizes(self, pod: Obj) -> dict[str, int]:
        """Bytes in each emptyDir on disk, for eviction by sizeLimit."""
        mounted = self._pods.get(pod["metadata"]["uid"], _Set()).done
        names = [v["name"] for v in pod["spec"].get("volumes") or [] if v.get("emptyDir") is not None]
        return {n: await self._host.directory_bytes(mounted[n][1].path) for n in names if n in mounted}


_PLUGINS = {
    "configMap": "kubernetes.io~configmap",
    "secret": "kubernetes.io~secret",
    "downwardAPI": "kubernetes.io~downward-api",
    "projected": "kubernetes.io~projected",
    "emptyDir": "kubernetes.io~empty-dir",
    "hostPath": "kubernetes.io~host-path",
    "persistentVolumeClaim": "kubernetes.io~local-volume",
    "ephemeral": "kubernetes.io~local-volume",
}


def _plugin(volume: Obj) -> str:
    """The directory name upstream uses for the kind."""
    return next((name for key, name in _PLUGINS.items() if key in volume), "kubernetes.io~unknown")
