"""From a pod to what the runtime is asked for: sandbox and container configurations, security contexts. Pure.

Source: API reference, PodSpec and SecurityContext. What cannot be honoured raises ConfigError (CreateContainerConfigError).
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from skiff.api.types import Obj
from skiff.kubelet import netfiles, qos
from skiff.kubelet import runtime as rt
from skiff.kubelet.environment import ConfigError, expand
from skiff.kubelet.options import Options
from skiff.kubelet.pods import (
    container_hash,
    containers,
    every_container,
    full_name,
    grace_seconds,
    init_containers,
    is_host_network,
)
from skiff.kubelet.runtime import Container, ContainerConfig, ContainerKind, Image, Mount, SandboxConfig, Security


def log_directory(pod: Obj, logs: str) -> str:
    meta = pod["metadata"]
    return f"{logs}/{meta.get('namespace', 'default')}_{meta['name']}_{meta['uid']}"


def identity_labels(pod: Obj) -> dict[str, str]:
    meta = pod["metadata"]
    return {rt.POD_NAME: meta["name"], rt.POD_NAMESPACE: meta.get("namespace", "default"), rt.POD_UID: meta["uid"]}


def sandbox_config(
    pod: Obj, attempt: int, options: Options, resolver: netfiles.Resolver, runtime_handler: str = ""
) -> SandboxConfig:
    meta, spec = pod["metadata"], pod["spec"]
    context = spec.get("securityContext") or {}
    return SandboxConfig(
        name=meta["name"],
        namespace=meta.get("namespace", "default"),
        uid=meta["uid"],
        attempt=attempt,
        hostname=netfiles.kernel_hostname(pod, options.cluster_domain),
        log_directory=log_directory(pod, options.logs),
        dns_servers=resolver.servers,
        dns_searches=resolver.searches,
        dns_options=resolver.options,
        port_mappings=tuple(_port_mappings(pod)),
        labels={**(meta.get("labels") or {}), **identity_labels(pod)},
        annotations={**(meta.get("annotations") or {}), rt.POD_GRACE: str(grace_seconds(pod))},
        cgroup_parent=qos.cgroup_path(options.cgroup_root, pod) if options.cgroup_root else "",
        sysctls={s["name"].replace("/", "."): s["value"] for s in context.get("sysctls") or []},
        security=_sandbox_security(pod, context),
        runtime_handler=runtime_handler,
    )


def _port_mappings(pod: Obj) -> list[rt.PortMapping]:
    if is_host_network(pod):
        return []
    found = []
    for c in [*init_containers(pod), *containers(pod)]:
        for p in c.get("ports") or []:
            if p.get("hostPort"):
                found.append(
                    rt.PortMapping(p["containerPort"], p["hostPort"], p.get("protocol", "TCP"), p.get("hostIP") or "")
                )
    return found


def _namespaces(pod: Obj) -> dict[str, Any]:
    spec = pod["spec"]
    pid = "node" if spec.get("hostPID") else "pod" if spec.get("shareProcessNamespace") else "container"
    return {
        "network": "node" if spec.get("hostNetwork") else "pod",
        "ipc": "node" if spec.get("hostIPC") else "pod",
        "pid": pid,
    }


def _sandbox_security(pod: Obj, context: Obj) -> Security:
    privileged = any((c.get("securityContext") or {}).get("privileged") for _, c in every_container(pod))
    return Security(
        user=context.get("runAsUser"),
        group=context.get("runAsGroup") if context.get("runAsUser") is not None else None,
        supplemental_groups=_groups(context),
        privileged=privileged,
        seccomp="runtime",
        **_namespaces(pod),
    )


def _groups(context: Obj) -> tuple[int, ...]:
    groups = list(context.get("supplementalGroups") or [])
    if context.get("fsGroup") is not None:
        groups.append(context["fsGroup"])
    return tuple(groups)


def security(pod: Obj, container: Obj, *, target_id: str = "") -> Security:
    """The container's context over the pod's. target_id: the container whose processes an ephemeral one may see."""
    whole = pod["spec"].get("securityContext") or {}
    own = container.get("securityContext") or {}
    merged = {**whole, **{k: v for k, v in own.items() if v is not None}}
    capabilities = own.get("capabilities") or {}
    namespaces = _namespaces(pod)
    if target_id and namespaces["pid"] == "container":
        namespaces["pid"] = "target"
    return Security(
        user=merged.get("runAsUser"),
        group=merged.get("runAsGroup"),
        supplemental_groups=_groups(whole),
        privileged=bool(own.get("privileged")),
        read_only_root=bool(own.get("readOnlyRootFilesystem")),
        no_new_privileges=own.get("allowPrivilegeEscalation") is False,
        add_capabilities=tuple(capabilities.get("add") or ()),
        drop_capabilities=tuple(capabilities.get("drop") or ()),
        seccomp=_seccomp(merged.get("seccompProfile")),
        apparmor=_apparmor(merged.get("appArmorProfile")),
        selinux=merged.get("seLinuxOptions") or {},
        unmask_proc=own.get("procMount") == "Unmasked",
        pid_target=target_id,
        **namespaces,
    )


def _seccomp(profile: Obj | None) -> str:
    kind = (profile or {}).get("type")
    if kind == "RuntimeDefault":
        return "runtime"
    return str(profile["localhostProfile"]) if profile and kind == "Localhost" else ""


def _apparmor(profile: Obj | None) -> str:
    kind = (profile or {}).get("type")
    if kind == "Localhost" and profile:
        return f"localhost/{profile['localhostProfile']}"
    return "unconfined" if kind == "Unconfined" else "runtime/default" if kind else ""


def check_non_root(pod: Obj, container: Obj, image: Image | None) -> None:
    """runAsNonRoot against the user that the pod or the image names. Raises ConfigError."""
    merged = {**(pod["spec"].get("securityContext") or {}), **(container.get("securityContext") or {})}
    if not merged.get("runAsNonRoot"):
        return
    where = f'(pod: "{full_name(pod)}", container: {container["name"]})'
    user = merged.get("runAsUser")
    if user is not None:
        if user == 0:
            raise ConfigError(f"container's runAsUser breaks non-root policy {where}")
        return
    name = (image.user if image else "").partition(":")[0]
    if name in ("", "0"):
        raise ConfigError(f"container has runAsNonRoot and image will run as root {where}")
    if not name.isdecimal():
        raise ConfigError(
            f"container has runAsNonRoot and image has non-numeric user ({name}), cannot verify user is non-root {where}"
        )


def container_config(
    pod: Obj,
    container: Obj,
    kind: ContainerKind,
    *,
    attempt: int,
    image: str,
    env: Mapping[str, str],
    mounts: Sequence[Mount],
    resources: rt.Resources,
    target: Container | None = None,
) -> ContainerConfig:
    """image: what the runtime resolved the name to."""
    name = container["name"]
    lifecycle = container.get("lifecycle") or {}
    annotations = {
        rt.CONTAINER_HASH: container_hash(container),
        rt.RESTART_COUNT: str(attempt),
        rt.TERMINATION_PATH: container.get("terminationMessagePath") or "/dev/termination-log",
        rt.TERMINATION_POLICY: container.get("terminationMessagePolicy") or "File",
        rt.POD_GRACE: str(grace_seconds(pod)),
    }
    if lifecycle.get("preStop"):
        annotations[rt.PRE_STOP] = json.dumps(lifecycle["preStop"])
    return ContainerConfig(
        name=name,
        attempt=attempt,
        image=image,
        image_name=container.get("image", ""),
        kind=kind,
        command=tuple(expand(a, env) for a in container.get("command") or ()),
        args=tuple(expand(a, env) for a in container.get("args") or ()),
        working_dir=container.get("workingDir") or "",
        env=tuple(env.items()),
        mounts=tuple(mounts),
        labels={**identity_labels(pod), rt.CONTAINER_NAME: name},
        annotations=annotations,
        log_path=f"{name}/{attempt}.log",
        stdin=bool(container.get("stdin")),
        stdin_once=bool(container.get("stdinOnce")),
        tty=bool(container.get("tty")),
        resources=resources,
        security=security(pod, container, target_id=target.id if target else ""),
    )
