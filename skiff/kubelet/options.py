"""What a kubelet is told about itself and its cluster. Defaults are upstream's where it has them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from skiff.api.types import Obj

VERSION = "v1.36.0"


@dataclass(frozen=True, slots=True)
class Options:
    """root: the state directory of this node. pod_logs: "" = below root. resync_seconds: how often every pod is looked at
    again without an event; 0: never. cgroup_root: of all pods; "" = pods get no cgroup parent. system_reserved: taken off
    capacity."""

    root: str = "/var/lib/kubelet"
    pod_logs: str = ""
    node_labels: Mapping[str, str] = field(default_factory=dict)
    node_taints: Sequence[Obj] = ()
    provider_id: str = ""
    register_node: bool = True
    port: int = 10250
    cluster_dns: Sequence[str] = ()
    cluster_domain: str = "cluster.local"
    resolv_conf: str = "/etc/resolv.conf"
    cgroup_root: str = ""
    max_pods: int = 110
    manifest_dir: str = ""
    manifest_seconds: float = 1.0
    lease_seconds: int = 40
    status_seconds: float = 10.0
    status_report_seconds: float = 300.0
    resync_seconds: float = 60.0
    relist_seconds: float = 10.0
    eviction_seconds: float = 10.0
    memory_available_hard: str = "100Mi"
    disk_available_hard: str = "10%"
    inodes_free_hard: str = "5%"
    image_gc_high_percent: int = 85
    image_gc_low_percent: int = 80
    container_log_max_bytes: int = 10 << 20
    container_log_max_files: int = 5
    system_reserved: Mapping[str, str] = field(default_factory=dict)
    extra_capacity: Mapping[str, str] = field(default_factory=dict)
    max_parallel_pulls: int = 5

    @property
    def logs(self) -> str:
        return self.pod_logs or f"{self.root}/logs"
