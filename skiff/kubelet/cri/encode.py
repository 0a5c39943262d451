"""From the kubelet's records to CRI messages (dicts of cri/messages.py), and back. Pure."""

from typing import Any

from skiff.kubelet.runtime import (
    POD_UID,
    Container,
    ContainerConfig,
    ContainerStats,
    Credentials,
    Image,
    Mount,
    Resources,
    Sandbox,
    SandboxConfig,
    Security,
)

Value = dict[str, Any]

_MODES = {"pod": 0, "container": 1, "node": 2, "target": 3}
_PROTOCOLS = {"TCP": 0, "UDP": 1, "SCTP": 2}
_PROPAGATION = {"": 0, "HostToContainer": 1, "Bidirectional": 2}
_STATES = ("created", "running", "exited", "unknown")

MASKED = [
    "/proc/asound", "/proc/acpi", "/proc/interrupts", "/proc/kcore", "/proc/keys", "/proc/latency_stats",
    "/proc/timer_list", "/proc/timer_stats", "/proc/sched_debug", "/proc/scsi", "/sys/firmware",
    "/sys/devices/virtual/powercap",
]  # fmt: skip
READ_ONLY = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"]


def seconds(nanoseconds: int) -> float:
    return nanoseconds / 1e9 if nanoseconds > 0 else 0.0


def _int64(value: int | None) -> Value | None:
    return None if value is None else {"value": value}


def _namespaces(s: Security) -> Value:
    return {"network": _MODES[s.network], "pid": _MODES[s.pid], "ipc": _MODES[s.ipc], "target_id": s.pid_target}


def _profile(seccomp: str) -> Value:
    """RuntimeDefault, Unconfined or a file."""
    if seccomp == "runtime":
        return {"profile_type": 0}
    return {"profile_type": 2, "localhost_ref": seccomp} if seccomp else {"profile_type": 1}


def sandbox_config(c: SandboxConfig) -> Value:
    s = c.security
    return {
        "metadata": {"name": c.name, "uid": c.uid, "namespace": c.namespace, "attempt": c.attempt},
        "hostname": c.hostname,
        "log_directory": c.log_directory,
        "dns_config": {"servers": c.dns_servers, "searches": c.dns_searches, "options": c.dns_options},
        "port_mappings": [
            {
                "protocol": _PROTOCOLS[p.protocol],
                "container_port": p.container_port,
                "host_port": p.host_port,
                "host_ip": p.host_ip,
            }
            for p in c.port_mappings
        ],
        "labels": c.labels,
        "annotations": c.annotations,
        "linux": {
            "cgroup_parent": c.cgroup_parent,
            "sysctls": c.sysctls,
            "security_context": {
                "namespace_options": _namespaces(s),
                "run_as_user": _int64(s.user),
                "run_as_group": _int64(s.group),
                "supplemental_groups": s.supplemental_groups,
                "privileged": s.privileged,
                "seccomp": _profile(s.seccomp),
            },
        },
    }


def container_config(c: ContainerConfig) -> Value:
    return {
        "metadata": {"name": c.name, "attempt": c.attempt},
        "image": {"image": c.image, "user_specified_image": c.image_name},
        "command": c.command,
        "args": c.args,
        "working_dir": c.working_dir,
        "envs": [{"key": k, "value": v} for k, v in c.env],
        "mounts": [_mount(m) for m in c.mounts],
        "devices": [
            {"container_path": d.container_path, "host_path": d.host_path, "permissions": d.permissions}
            for d in c.devices
        ],
        "labels": c.labels,
        "annotations": c.annotations,
        "log_path": c.log_path,
        "stdin": c.stdin,
        "stdin_once": c.stdin_once,
        "tty": c.tty,
        "linux": {"resources": resources(c.resources), "security_context": _security(c.security)},
    }


def _mount(m: Mount) -> Value:
    return {
        "container_path": m.container_path,
        "host_path": m.host_path,
        "readonly": m.read_only,
        "selinux_relabel": m.selinux_relabel,
        "propagation": _PROPAGATION[m.propagation],
    }


def resources(r: Resources) -> Value:
    return {
        "cpu_period": r.cpu_period,
        "cpu_quota": r.cpu_quota,
        "cpu_shares": r.cpu_shares,
        "memory_limit_in_bytes": r.memory_limit,
        "oom_score_adj": r.oom_score_adj,
        "cpuset_cpus": r.cpuset,
    }


def _security(s: Security) -> Value:
    hidden = not s.privileged and not s.unmask_proc
    return {
        "capabilities": {"add_capabilities": s.add_capabilities, "drop_capabilities": s.drop_capabilities},
        "privileged": s.privileged,
        "namespace_options": _namespaces(s),
        "selinux_options": dict(s.selinux) or None,
        "run_as_user": _int64(s.user),
        "run_as_group": _int64(s.group),
        "readonly_rootfs": s.read_only_root,
        "supplemental_groups": s.supplemental_groups,
        "apparmor_profile": s.apparmor,
        "no_new_privs": s.no_new_privileges,
        "masked_paths": MASKED if hidden else [],
        "readonly_paths": READ_ONLY if hidden else [],
        "seccomp": _profile("" if s.privileged else s.seccomp),
    }


def auth(c: Credentials) -> Value:
    return {
        "username": c.username,
        "password": c.password,
        "identity_token": c.identity_token,
        "registry_token": c.registry_token,
    }


# Back


def sandbox(v: Value) -> Sandbox:
    """From a listing or a status."""
    meta = v.get("metadata") or {"name": "", "namespace": "", "uid": "", "attempt": 0}
    options = ((v.get("linux") or {}).get("namespaces") or {}).get("options") or {}
    network = v.get("network") or {}
    ips = [network.get("ip") or "", *(p["ip"] for p in network.get("additional_ips") or [])]
    return Sandbox(
        v["id"], meta["name"], meta["namespace"], meta["uid"], meta["attempt"], v["state"] == 0, seconds(v["created_at"]),
        tuple(ip for ip in ips if ip), options.get("network") == 2, v["labels"], v["annotations"],
    )  # fmt: skip


def container(v: Value) -> Container:
    """From a listing."""
    meta = v.get("metadata") or {"name": "", "attempt": 0}
    return Container(
        v["id"], v["pod_sandbox_id"], meta["name"], v["labels"].get(POD_UID, ""), meta["attempt"], _state(v["state"]),
        seconds(v["created_at"]), labels=v["labels"], annotations=v["annotations"],
    )  # fmt: skip


def container_status(v: Value) -> Container:
    meta = v.get("metadata") or {"name": "", "attempt": 0}
    image = v.get("image") or {"image": ""}
    return Container(
        v["id"], "", meta["name"], v["labels"].get(POD_UID, ""), meta["attempt"], _state(v["state"]),
        seconds(v["created_at"]), seconds(v["started_at"]), seconds(v["finished_at"]), v["exit_code"], v["reason"],
        v["message"], image["image"], v["image_ref"], v["log_path"], v["labels"], v["annotations"],
        tuple(Mount(m["container_path"], m["host_path"], m["readonly"]) for m in v["mounts"]),
    )  # fmt: skip


def _state(n: int) -> Any:
    return _STATES[n] if 0 <= n < len(_STATES) else "unknown"


def image(v: Value) -> Image:
    uid = v.get("uid")
    user = str(uid["value"]) if uid else v["username"]
    return Image(v["id"], tuple(v["repo_tags"]), tuple(v["repo_digests"]), v["size"], user, v["pinned"])


def stats(v: Value) -> ContainerStats:
    attributes = v.get("attributes") or {"id": "", "labels": {}, "metadata": None}
    cpu, memory, fs = v.get("cpu") or {}, v.get("memory") or {}, v.get("writable_layer") or {}

    def amount(part: Value, key: str) -> int:
        return int((part.get(key) or {}).get("value", 0))

    return ContainerStats(
        attributes["id"], attributes["labels"].get(POD_UID, ""), (attributes.get("metadata") or {"name": ""})["name"],
        seconds(cpu.get("timestamp", 0)), amount(cpu, "usage_core_nano_seconds"), amount(memory, "working_set_bytes"),
        amount(memory, "usage_bytes"), amount(memory, "rss_bytes"), amount(fs, "used_bytes"), amount(fs, "inodes_used"),
    )  # fmt: skip
