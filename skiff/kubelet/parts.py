"""What the workers of a kubelet share: one record, built once in kubelet.py, handed to those who act on pods."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from skiff.api.types import Obj
from skiff.client.controller import Recorder
from skiff.kubelet.backoff import Backoff
from skiff.kubelet.host import Host
from skiff.kubelet.imagepuller import ImagePuller
from skiff.kubelet.lifecycle import Hooks
from skiff.kubelet.netfiles import Resolver
from skiff.kubelet.objects import ApiObjects
from skiff.kubelet.options import Options
from skiff.kubelet.podcache import PodCache
from skiff.kubelet.prober import Prober
from skiff.kubelet.runtime import Runtime
from skiff.kubelet.statusmanager import StatusManager
from skiff.kubelet.volumes.manager import VolumeManager


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """services: of the cluster, for environment variables. resolver, hosts_text: of the node, as read at start.
    node: the Node object as last seen; refresh_node: reads it again. api_pod: the API's object of a pod (a static pod's mirror), None if there is none.
    burstable_milli: CPU requests of all Burstable pods.
    allocatable: of the node, as a ResourceList."""

    node_name: str
    node_ips: Sequence[str]
    runtime_name: str
    options: Options
    runtime: Runtime
    host: Host
    recorder: Recorder
    cache: PodCache
    objects: ApiObjects
    volumes: VolumeManager
    images: ImagePuller
    hooks: Hooks
    prober: Prober
    statuses: StatusManager
    backoff: Backoff
    services: Callable[[], Sequence[Obj]]
    node: Callable[[], Obj | None]
    refresh_node: Callable[[], Awaitable[None]]
    api_pod: Callable[[Obj], Obj | None]
    burstable_milli: Callable[[], int]
    allocatable: dict[str, str]
    memory: int
    resolver: Resolver
    hosts_text: str
