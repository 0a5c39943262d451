"""The messages of CRI v1 that are used, as field tables. Source: k8s.io/cri-api, runtime/v1/api.proto; containerd's events API."""

from skiff.wire.protobuf import BOOL, BYTES, ENUM, INT32, INT64, STRING, UINT32, UINT64, Map, Message, Repeated

STRINGS = Repeated(STRING)
TEXTS = Map(STRING)
INT64_VALUE = Message("Int64Value", value=(1, INT64))
UINT64_VALUE = Message("UInt64Value", value=(1, UINT64))
EMPTY = Message("Empty")

# Sandboxes

NAMESPACES = Message("NamespaceOption", network=(1, ENUM), pid=(2, ENUM), ipc=(3, ENUM), target_id=(4, STRING))
PROFILE = Message("SecurityProfile", profile_type=(1, ENUM), localhost_ref=(2, STRING))
SELINUX = Message("SELinuxOption", user=(1, STRING), role=(2, STRING), type=(3, STRING), level=(4, STRING))
SANDBOX_META = Message(
    "PodSandboxMetadata", name=(1, STRING), uid=(2, STRING), namespace=(3, STRING), attempt=(4, UINT32)
)
DNS = Message("DNSConfig", servers=(1, STRINGS), searches=(2, STRINGS), options=(3, STRINGS))
PORT = Message("PortMapping", protocol=(1, ENUM), container_port=(2, INT32), host_port=(3, INT32), host_ip=(4, STRING))
SANDBOX_SECURITY = Message(
    "LinuxSandboxSecurityContext",
    namespace_options=(1, NAMESPACES), selinux_options=(2, SELINUX), run_as_user=(3, INT64_VALUE),
    readonly_rootfs=(4, BOOL), supplemental_groups=(5, Repeated(INT64)), privileged=(6, BOOL),
    run_as_group=(8, INT64_VALUE), seccomp=(9, PROFILE), apparmor=(10, PROFILE),
)  # fmt: skip
LINUX_SANDBOX = Message(
    "LinuxPodSandboxConfig", cgroup_parent=(1, STRING), security_context=(2, SANDBOX_SECURITY), sysctls=(3, TEXTS)
)
SANDBOX_CONFIG = Message(
    "PodSandboxConfig",
    metadata=(1, SANDBOX_META), hostname=(2, STRING), log_directory=(3, STRING), dns_config=(4, DNS),
    port_mappings=(5, Repeated(PORT)), labels=(6, TEXTS), annotations=(7, TEXTS), linux=(8, LINUX_SANDBOX),
)  # fmt: skip
RUN_SANDBOX = Message("RunPodSandboxRequest", config=(1, SANDBOX_CONFIG), runtime_handler=(2, STRING))
SANDBOX_ID = Message("RunPodSandboxResponse", pod_sandbox_id=(1, STRING))
"""Also the shape of StopPodSandboxRequest and RemovePodSandboxRequest."""

SANDBOX_STATUS_REQUEST = Message("PodSandboxStatusRequest", pod_sandbox_id=(1, STRING), verbose=(2, BOOL))
POD_IP = Message("PodIP", ip=(1, STRING))
SANDBOX_NETWORK = Message("PodSandboxNetworkStatus", ip=(1, STRING), additional_ips=(2, Repeated(POD_IP)))
LINUX_STATUS = Message("LinuxPodSandboxStatus", namespaces=(1, Message("Namespace", options=(2, NAMESPACES))))
SANDBOX_STATUS = Message(
    "PodSandboxStatus",
    id=(1, STRING), metadata=(2, SANDBOX_META), state=(3, ENUM), created_at=(4, INT64), network=(5, SANDBOX_NETWORK),
    linux=(6, LINUX_STATUS), labels=(7, TEXTS), annotations=(8, TEXTS),
)  # fmt: skip
SANDBOX_STATUS_RESPONSE = Message("PodSandboxStatusResponse", status=(1, SANDBOX_STATUS))
SANDBOX_FILTER = Message("PodSandboxFilter", id=(1, STRING), label_selector=(3, TEXTS))
LIST_SANDBOXES = Message("ListPodSandboxRequest", filter=(1, SANDBOX_FILTER))
SANDBOX = Message(
    "PodSandbox",
    id=(1, STRING), metadata=(2, SANDBOX_META), state=(3, ENUM), created_at=(4, INT64), labels=(5, TEXTS),
    annotations=(6, TEXTS),
)  # fmt: skip
SANDBOXES = Message("ListPodSandboxResponse", items=(1, Repeated(SANDBOX)))

# Containers

CONTAINER_META = Message("ContainerMetadata", name=(1, STRING), attempt=(2, UINT32))
IMAGE_SPEC = Message("ImageSpec", image=(1, STRING), annotations=(2, TEXTS), user_specified_image=(18, STRING))
KEY_VALUE = Message("KeyValue", key=(1, STRING), value=(2, STRING))
MOUNT = Message(
    "Mount",
    container_path=(1, STRING), host_path=(2, STRING), readonly=(3, BOOL), selinux_relabel=(4, BOOL), propagation=(5, ENUM),
)  # fmt: skip
DEVICE = Message("Device", container_path=(1, STRING), host_path=(2, STRING), permissions=(3, STRING))
RESOURCES = Message(
    "LinuxContainerResources",
    cpu_period=(1, INT64), cpu_quota=(2, INT64), cpu_shares=(3, INT64), memory_limit_in_bytes=(4, INT64),
    oom_score_adj=(5, INT64), cpuset_cpus=(6, STRING),
)  # fmt: skip
CAPABILITIES = Message("Capability", add_capabilities=(1, STRINGS), drop_capabilities=(2, STRINGS))
CONTAINER_SECURITY = Message(
    "LinuxContainerSecurityContext",
    capabilities=(1, CAPABILITIES), privileged=(2, BOOL), namespace_options=(3, NAMESPACES), selinux_options=(4, SELINUX),
    run_as_user=(5, INT64_VALUE), run_as_username=(6, STRING), readonly_rootfs=(7, BOOL),
    supplemental_groups=(8, Repeated(INT64)), apparmor_profile=(9, STRING), no_new_privs=(11, BOOL),
    run_as_group=(12, INT64_VALUE), masked_paths=(13, STRINGS), readonly_paths=(14, STRINGS), seccomp=(15, PROFILE),
    apparmor=(16, PROFILE),
)  # fmt: skip
LINUX_CONTAINER = Message("LinuxContainerConfig", resources=(1, RESOURCES), security_context=(2, CONTAINER_SECURITY))
CONTAINER_CONFIG = Message(
    "ContainerConfig",
    metadata=(1, CONTAINER_META), image=(2, IMAGE_SPEC), command=(3, STRINGS), args=(4, STRINGS), working_dir=(5, STRING),
    envs=(6, Repeated(KEY_VALUE)), mounts=(7, Repeated(MOUNT)), devices=(8, Repeated(DEVICE)), labels=(9, TEXTS),
    annotations=(10, TEXTS), log_path=(11, STRING), stdin=(12, BOOL), stdin_once=(13, BOOL), tty=(14, BOOL),
    linux=(15, LINUX_CONTAINER),
)  # fmt: skip
CREATE_CONTAINER = Message(
    "CreateContainerRequest",
    pod_sandbox_id=(1, STRING),
    config=(2, CONTAINER_CONFIG),
    sandbox_config=(3, SANDBOX_CONFIG),
)
CONTAINER_ID = Message("CreateContainerResponse", container_id=(1, STRING))
"""Also the shape of StartContainerRequest, RemoveContainerRequest and ReopenContainerLogRequest."""

STOP_CONTAINER = Message("StopContainerRequest", container_id=(1, STRING), timeout=(2, INT64))
CONTAINER_FILTER = Message("ContainerFilter", id=(1, STRING), pod_sandbox_id=(3, STRING), label_selector=(4, TEXTS))
LIST_CONTAINERS = Message("ListContainersRequest", filter=(1, CONTAINER_FILTER))
CONTAINER = Message(
    "Container",
    id=(1, STRING), pod_sandbox_id=(2, STRING), metadata=(3, CONTAINER_META), state=(6, ENUM), created_at=(7, INT64),
    labels=(8, TEXTS), annotations=(9, TEXTS),
)  # fmt: skip
CONTAINERS = Message("ListContainersResponse", containers=(1, Repeated(CONTAINER)))
CONTAINER_STATUS = Message(
    "ContainerStatus",
    id=(1, STRING), metadata=(2, CONTAINER_META), state=(3, ENUM), created_at=(4, INT64), started_at=(5, INT64),
    finished_at=(6, INT64), exit_code=(7, INT32), image=(8, IMAGE_SPEC), image_ref=(9, STRING), reason=(10, STRING),
    message=(11, STRING), labels=(12, TEXTS), annotations=(13, TEXTS), mounts=(14, Repeated(MOUNT)), log_path=(15, STRING),
)  # fmt: skip
CONTAINER_STATUS_REQUEST = Message("ContainerStatusRequest", container_id=(1, STRING), verbose=(2, BOOL))
CONTAINER_STATUS_RESPONSE = Message("ContainerStatusResponse", status=(1, CONTAINER_STATUS), info=(2, TEXTS))
UPDATE_RESOURCES = Message("UpdateContainerResourcesRequest", container_id=(1, STRING), linux=(2, RESOURCES))

# Streams

EXEC_SYNC = Message("ExecSyncRequest", container_id=(1, STRING), cmd=(2, STRINGS), timeout=(3, INT64))
EXEC_SYNC_RESPONSE = Message("ExecSyncResponse", stdout=(1, BYTES), stderr=(2, BYTES), exit_code=(3, INT32))
EXEC = Message(
    "ExecRequest",
    container_id=(1, STRING), cmd=(2, STRINGS), tty=(3, BOOL), stdin=(4, BOOL), stdout=(5, BOOL), stderr=(6, BOOL),
)  # fmt: skip
ATTACH = Message(
    "AttachRequest", container_id=(1, STRING), stdin=(2, BOOL), tty=(3, BOOL), stdout=(4, BOOL), stderr=(5, BOOL)
)
PORT_FORWARD = Message("PortForwardRequest", pod_sandbox_id=(1, STRING), port=(2, Repeated(INT32)))
URL = Message("ExecResponse", url=(1, STRING))

# Figures

FS_ID = Message("FilesystemIdentifier", mountpoint=(1, STRING))
FS_USAGE = Message(
    "FilesystemUsage",
    timestamp=(1, INT64),
    fs_id=(2, FS_ID),
    used_bytes=(3, UINT64_VALUE),
    inodes_used=(4, UINT64_VALUE),
)
CPU = Message("CpuUsage", timestamp=(1, INT64), usage_core_nano_seconds=(2, UINT64_VALUE))
MEMORY = Message(
    "MemoryUsage",
    timestamp=(1, INT64), working_set_bytes=(2, UINT64_VALUE), usage_bytes=(4, UINT64_VALUE), rss_bytes=(5, UINT64_VALUE),
)  # fmt: skip
ATTRIBUTES = Message("ContainerAttributes", id=(1, STRING), metadata=(2, CONTAINER_META), labels=(3, TEXTS))
STATS = Message(
    "ContainerStats", attributes=(1, ATTRIBUTES), cpu=(2, CPU), memory=(3, MEMORY), writable_layer=(4, FS_USAGE)
)
STATS_LIST = Message("ListContainerStatsResponse", stats=(1, Repeated(STATS)))
VERSION = Message(
    "VersionResponse",
    version=(1, STRING), runtime_name=(2, STRING), runtime_version=(3, STRING), runtime_api_version=(4, STRING),
)  # fmt: skip
CONDITION = Message("RuntimeCondition", type=(1, STRING), status=(2, BOOL), reason=(3, STRING), message=(4, STRING))
STATUS = Message("StatusResponse", status=(1, Message("RuntimeStatus", conditions=(1, Repeated(CONDITION)))))

# Images

AUTH = Message(
    "AuthConfig",
    username=(1, STRING), password=(2, STRING), auth=(3, STRING), server_address=(4, STRING), identity_token=(5, STRING),
    registry_token=(6, STRING),
)  # fmt: skip
IMAGE = Message(
    "Image",
    id=(1, STRING), repo_tags=(2, STRINGS), repo_digests=(3, STRINGS), size=(4, UINT64), uid=(5, INT64_VALUE),
    username=(6, STRING), pinned=(8, BOOL),
)  # fmt: skip
IMAGE_REQUEST = Message("ImageStatusRequest", image=(1, IMAGE_SPEC))
"""Also the shape of RemoveImageRequest."""

IMAGE_STATUS = Message("ImageStatusResponse", image=(1, IMAGE))
PULL = Message("PullImageRequest", image=(1, IMAGE_SPEC), auth=(2, AUTH), sandbox_config=(3, SANDBOX_CONFIG))
PULLED = Message("PullImageResponse", image_ref=(1, STRING))
IMAGES = Message("ListImagesResponse", images=(1, Repeated(IMAGE)))
IMAGE_FS = Message("ImageFsInfoResponse", image_filesystems=(1, Repeated(FS_USAGE)))

# Events: CRI's own (runtimes that have them), and containerd's

CRI_EVENT = Message("ContainerEventResponse", container_id=(1, STRING), container_event_type=(2, ENUM), pod_sandbox_status=(4, SANDBOX_STATUS))  # fmt: skip
ANY = Message("Any", type_url=(1, STRING), value=(2, BYTES))
SUBSCRIBE = Message("SubscribeRequest", filters=(1, STRINGS))
ENVELOPE = Message("Envelope", namespace=(2, STRING), topic=(3, STRING), event=(4, ANY))
TASK_EXIT = Message("TaskExit", container_id=(1, STRING), id=(2, STRING), pid=(3, UINT32))
