"""Which controllers there are: upstream's name → how one is made. In the order of starting."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from skiff.client.controller import Controller, Recorder
from skiff.client.informer import Informers
from skiff.client.rest import Client
from skiff.controllers.clusterroleaggregation import ClusterRoleAggregationController
from skiff.controllers.cronjob.controller import CronJobController
from skiff.controllers.daemonset.controller import DaemonSetController
from skiff.controllers.deployment.controller import DeploymentController
from skiff.controllers.disruption import DisruptionController
from skiff.controllers.endpoints import EndpointsController
from skiff.controllers.endpointslice import EndpointSliceController
from skiff.controllers.endpointslicemirroring import EndpointSliceMirroringController
from skiff.controllers.garbagecollector.controller import GarbageCollector
from skiff.controllers.job.controller import JobController
from skiff.controllers.namespace import NamespaceController
from skiff.controllers.nodeipam import NodeIPAMController
from skiff.controllers.nodelifecycle.controller import NodeLifecycleController
from skiff.controllers.nodelifecycle.health import Limits
from skiff.controllers.nodelifecycle.zones import Rates
from skiff.controllers.persistentvolume import PersistentVolumeController
from skiff.controllers.podgc import THRESHOLD, PodGC
from skiff.controllers.policystatus import PolicyStatusController
from skiff.controllers.replicaset import ReplicaSetController
from skiff.controllers.replicationcontroller import ReplicationControllerController
from skiff.controllers.resourcequota import ResourceQuotaController
from skiff.controllers.rootca import RootCAController
from skiff.controllers.serviceaccount import ServiceAccountController
from skiff.controllers.servicecidr import ServiceCIDRController
from skiff.controllers.statefulset.controller import StatefulSetController
from skiff.controllers.tainteviction import TaintEvictionController
from skiff.controllers.ttlafterfinished import TTLAfterFinishedController
from skiff.controllers.volumeprotection import (
    ClaimProtectionController,
    ClassProtectionController,
    VolumeProtectionController,
)


@dataclass(frozen=True, slots=True)
class Options:
    """What kube-controller-manager takes from its flags. root_ca: PEM text; "": nothing is published. cluster_cidrs: an
    empty list leaves pod CIDRs to others."""

    root_ca: str = ""
    cluster_cidrs: Sequence[str] = ()
    service_cidrs: Sequence[str] = ()
    node_masks: Sequence[int] = ()
    node_limits: Limits = field(default_factory=Limits)
    node_rates: Rates = field(default_factory=Rates)
    terminated_pods: int = THRESHOLD
    max_endpoints_per_slice: int = 100


class Runnable(Protocol):
    """A controller that is not a reconcile loop."""

    name: str

    async def run(self) -> None: ...


@dataclass(slots=True)
class Context:
    """What controllers are made from. client: the controller's own; informers: shared by all."""

    client: Client
    informers: Informers
    options: Options
    recorders: list[Recorder] = field(default_factory=list)

    def recorder(self, component: str) -> Recorder:
        made = Recorder(self.client, component)
        self.recorders.append(made)
        return made

    def parts(self, component: str = "") -> dict[str, Any]:
        """The usual keywords of a constructor; component: the source of its events."""
        found: dict[str, Any] = {"client": self.client, "informers": self.informers}
        return {**found, "recorder": self.recorder(component)} if component else found


Make = Callable[[Context], "Controller | Runnable | None"]
"""None: not wanted with these options."""


def _root_ca(c: Context) -> Controller | None:
    return RootCAController(**c.parts(), root_ca=c.options.root_ca) if c.options.root_ca else None


def _node_ipam(c: Context) -> Controller | None:
    o = c.options
    if not o.cluster_cidrs:
        return None
    return NodeIPAMController(
        **c.parts("cidrAllocator"),
        cluster_cidrs=o.cluster_cidrs,
        service_cidrs=o.service_cidrs,
        masks=o.node_masks,
    )


def _node_lifecycle(c: Context) -> Controller:
    return NodeLifecycleController(
        **c.parts("node-controller"), limits=c.options.node_limits, rates=c.options.node_rates
    )


def _endpoint_slices(c: Context) -> Controller:
    maximum = c.options.max_endpoints_per_slice
    return EndpointSliceController(**c.parts("endpoint-slice-controller"), max_endpoints_per_slice=maximum)


CONTROLLERS: dict[str, Make] = {
    "serviceaccount-controller": lambda c: ServiceAccountController(**c.parts()),
    "root-ca-certificate-publisher-controller": _root_ca,
    "node-ipam-controller": _node_ipam,
    "node-lifecycle-controller": _node_lifecycle,
    "taint-eviction-controller": lambda c: TaintEvictionController(**c.parts("taint-eviction-controller")),
    "endpoints-controller": lambda c: EndpointsController(**c.parts("endpoint-controller")),
    "endpointslice-controller": _endpoint_slices,
    "endpointslice-mirroring-controller": lambda c: EndpointSliceMirroringController(
        **c.parts("endpoint-slice-mirroring-controller")
    ),
    "replicationcontroller-controller": lambda c: ReplicationControllerController(**c.parts("replication-controller")),
    "replicaset-controller": lambda c: ReplicaSetController(**c.parts("replicaset-controller")),
    "daemonset-controller": lambda c: DaemonSetController(**c.parts("daemonset-controller")),
    "statefulset-controller": lambda c: StatefulSetController(**c.parts("statefulset-controller")),
    "job-controller": lambda c: JobController(**c.parts("job-controller")),
    "cronjob-controller": lambda c: CronJobController(**c.parts("cronjob-controller")),
    "ttl-after-finished-controller": lambda c: TTLAfterFinishedController(**c.parts()),
    "disruption-controller": lambda c: DisruptionController(**c.parts("controllermanager")),
    "persistentvolumeclaim-protection-controller": lambda c: ClaimProtectionController(**c.parts()),
    "persistentvolume-protection-controller": lambda c: VolumeProtectionController(**c.parts()),
    "volumeattributesclass-protection-controller": lambda c: ClassProtectionController(**c.parts()),
    "persistentvolume-binder-controller": lambda c: PersistentVolumeController(
        **c.parts("persistentvolume-controller")
    ),
    "service-cidr-controller": lambda c: ServiceCIDRController(**c.parts()),
    "resourcequota-controller": lambda c: ResourceQuotaController(**c.parts()),
    "clusterrole-aggregation-controller": lambda c: ClusterRoleAggregationController(**c.parts()),
    "validatingadmissionpolicy-status-controller": lambda c: PolicyStatusController(**c.parts()),
    "deployment-controller": lambda c: DeploymentController(**c.parts("deployment-controller")),
    "namespace-controller": lambda c: NamespaceController(**c.parts()),
    "pod-garbage-collector-controller": lambda c: PodGC(**c.parts(), threshold=c.options.terminated_pods),
    "garbage-collector-controller": lambda c: GarbageCollector(**c.parts("garbage-collector-controller")),
}


def selected(wanted: Sequence[str]) -> list[str]:
    """The names that --controllers asks for: `*` all, `name` this one, `-name` not this one. Raises ValueError."""
    unknown = {w.removeprefix("-") for w in wanted} - CONTROLLERS.keys() - {"*"}
    if unknown:
        raise ValueError(f'"{sorted(unknown)[0]}" is not in the list of known controllers')
    return [n for n in CONTROLLERS if f"-{n}" not in wanted and ("*" in wanted or n in wanted)]
