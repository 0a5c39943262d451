"""Validation of containers. Source: pkg/apis/core/validation/validation.go (validateContainers and what it calls)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from skiff.api import names
from skiff.api.meta import is_sidecar
from skiff.api.resources.checks import ErrorList, check_port
from skiff.api.resources.core.environment_checks import check_environment, check_environment_sources
from skiff.api.resources.core.resource_checks import check_resource_requirements
from skiff.api.resources.core.security_checks import check_container_security
from skiff.api.resources.core.volume_checks import check_relative_path
from skiff.api.resources.fields import get
from skiff.api.types import Obj

PROTOCOLS = ("SCTP", "TCP", "UDP")
PULL_POLICIES = ("Always", "IfNotPresent", "Never")
RESTART_POLICIES = ("Always", "Never", "OnFailure")
MESSAGE_POLICIES = ("File", "FallbackToLogsOnError")
HANDLERS = ("exec", "httpGet", "tcpSocket", "grpc", "sleep")
_EPHEMERAL_FORBIDDEN = (
    "ports",
    "resources",
    "lifecycle",
    "livenessProbe",
    "readinessProbe",
    "startupProbe",
    "resizePolicy",
    "restartPolicy",
    "restartPolicyRules",
)


@dataclass(slots=True)
class PodContext:
    """What a container's checks know of the pod around it. volumes: by name, only those without mistakes."""

    spec: Obj
    volumes: Mapping[str, Obj]
    is_pod: bool = False
    claims: set[str] = field(default_factory=set)

    @property
    def grace_seconds(self) -> int | None:
        seconds: int | None = self.spec.get("terminationGracePeriodSeconds")
        return seconds


def check_containers(containers: list[Obj], path: str, errors: ErrorList, pod: PodContext) -> None:
    if not containers:
        errors.required(path)
        return
    seen: set[str] = set()
    for i, container in enumerate(containers):
        here = f"{path}[{i}]"
        _check_common(container, here, errors, pod)
        name = container.get("name", "")
        if name in seen:
            errors.duplicate(f"{here}.name", name)
        seen.add(name)
        _check_lifecycle(container, here, errors, pod)
        _check_probes(container, here, errors, pod)
        _check_restart_policy(container, here, errors)
    check_host_ports(containers, path, errors)


def check_init_containers(containers: list[Obj], path: str, errors: ErrorList, pod: PodContext) -> None:
    seen = {c.get("name", "") for c in pod.spec.get("containers") or ()}
    for i, container in enumerate(containers):
        here = f"{path}[{i}]"
        _check_common(container, here, errors, pod)
        _check_restart_policy(container, here, errors)
        name = container.get("name", "")
        if name in seen:
            errors.duplicate(f"{here}.name", name)
        elif name:
            seen.add(name)
        check_host_ports([container], path, errors)
        if is_sidecar(container):
            _check_lifecycle(container, here, errors, pod)
            _check_probes(container, here, errors, pod)
            continue
        for field_name in ("lifecycle", "livenessProbe", "readinessProbe", "startupProbe"):
            if container.get(field_name) is not None:
                why = "may not be set for init containers without restartPolicy=Always"
                errors.forbidden(f"{here}.{field_name}", why)


def check_ephemeral_containers(containers: list[Obj], path: str, errors: ErrorList, pod: PodContext) -> None:
    others = {c.get("name", "") for f in ("containers", "initContainers") for c in pod.spec.get(f) or ()}
    seen = set(others)
    for i, container in enumerate(containers):
        here = f"{path}[{i}]"
        _check_common(container, here, errors, pod)
        check_image_whitespace(container, here, errors)
        name, target = container.get("name", ""), container.get("targetContainerName", "")
        if name in seen:
            errors.duplicate(f"{here}.name", name)
        seen.add(name)
        if target and target not in others:
            errors.not_found(f"{here}.targetContainerName", target)
        for field_name in _EPHEMERAL_FORBIDDEN:
            if container.get(field_name):
                errors.forbidden(f"{here}.{field_name}", "cannot be set for an Ephemeral Container")
        for j, mount in enumerate(container.get("volumeMounts") or ()):
            for field_name in ("subPath", "subPathExpr"):
                if mount.get(field_name):
                    why = "cannot be set for an Ephemeral Container"
                    errors.forbidden(f"{here}.volumeMounts[{j}].{field_name}", why)


def check_image_whitespace(container: Obj, path: str, errors: ErrorList) -> None:
    image = container.get("image", "")
    if image != image.strip():
        errors.invalid(f"{path}.image", image, "must not have leading or trailing whitespace")


def check_host_ports(containers: list[Obj], path: str, errors: ErrorList) -> None:
    """No two containers want the same port of the host."""
    seen: set[str] = set()
    for i, container in enumerate(containers):
        for j, port in enumerate(container.get("ports") or ()):
            if port.get("hostPort"):
                key = f"{port.get('protocol', '')}/{port.get('hostIP', '')}/{port['hostPort']}"
                if key in seen:
                    errors.duplicate(f"{path}[{i}].ports[{j}].hostPort", key)
                seen.add(key)


def _check_common(container: Obj, path: str, errors: ErrorList, pod: PodContext) -> None:
    name = container.get("name", "")
    if not name:
        errors.required(f"{path}.name")
    else:
        errors.rule(f"{path}.name", name, names.is_dns1123_label(name))
    if not container.get("image"):
        errors.required(f"{path}.image")
    policy = container.get("terminationMessagePolicy", "")
    if not policy:
        errors.required(f"{path}.terminationMessagePolicy")
    else:
        errors.one_of(f"{path}.terminationMessagePolicy", policy, MESSAGE_POLICIES)
    _check_ports(container.get("ports") or (), f"{path}.ports", errors)
    check_environment(container.get("env") or (), f"{path}.env", errors)
    check_environment_sources(container.get("envFrom") or (), f"{path}.envFrom", errors)
    _check_mounts(container, f"{path}.volumeMounts", errors, pod)
    _check_devices(container, f"{path}.volumeDevices", errors, pod)
    pull = container.get("imagePullPolicy", "")
    if not pull:
        errors.required(f"{path}.imagePullPolicy")
    else:
        errors.one_of(f"{path}.imagePullPolicy", pull, PULL_POLICIES)
    resources = container.get("resources")
    if resources:
        check_resource_requirements(resources, f"{path}.resources", errors, claims=pod.claims)
    _check_resize_policy(container.get("resizePolicy") or (), f"{path}.resizePolicy", errors, pod)
    if container.get("securityContext"):
        host_users = pod.spec.get("hostUsers") is not False
        check_container_security(container["securityContext"], f"{path}.securityContext", errors, host_users=host_users)


def _check_ports(ports: Any, path: str, errors: ErrorList) -> None:
    seen: set[str] = set()
    for i, port in enumerate(ports):
        here, name = f"{path}[{i}]", port.get("name", "")
        if name:
            wrong = names.is_port_name(name)
            errors.rule(f"{here}.name", name, wrong)
            if not wrong and name in seen:
                errors.duplicate(f"{here}.name", name)
            seen.add(name)
        if not port.get("containerPort"):
            errors.required(f"{here}.containerPort")
        else:
            errors.rule(f"{here}.containerPort", port["containerPort"], names.is_port_number(port["containerPort"]))
        if port.get("hostPort"):
            errors.rule(f"{here}.hostPort", port["hostPort"], names.is_port_number(port["hostPort"]))
        errors.one_of(f"{here}.protocol", port.get("protocol", ""), PROTOCOLS)


def _check_mounts(container: Obj, path: str, errors: ErrorList, pod: PodContext) -> None:
    devices = container.get("volumeDevices") or ()
    seen: set[str] = set()
    for i, mount in enumerate(container.get("volumeMounts") or ()):
        here, name, target = f"{path}[{i}]", mount.get("name", ""), mount.get("mountPath", "")
        if not name:
            errors.required(f"{here}.name")
        if name not in pod.volumes:
            errors.not_found(f"{here}.name", name)
        if not target:
            errors.required(f"{here}.mountPath")
        if target in seen:
            errors.invalid(f"{here}.mountPath", target, "must be unique")
        seen.add(target)
        if any(d.get("name") == name for d in devices):
            errors.invalid(f"{here}.name", name, "must not already exist in volumeDevices")
        if any(d.get("devicePath") == target for d in devices):
            errors.invalid(f"{here}.mountPath", target, "must not already exist as a path in volumeDevices")
        if mount.get("subPath"):
            check_relative_path(mount["subPath"], f"{path}.subPath", errors)
        if mount.get("subPathExpr"):
            if mount.get("subPath"):
                why = "subPathExpr and subPath are mutually exclusive"
                errors.invalid(f"{here}.subPathExpr", mount["subPathExpr"], why)
            check_relative_path(mount["subPathExpr"], f"{path}.subPathExpr", errors)
        _check_propagation(mount, container, path, errors)


def _check_propagation(mount: Obj, container: Obj, path: str, errors: ErrorList) -> None:
    propagation, recursive = mount.get("mountPropagation"), mount.get("recursiveReadOnly")
    if propagation is not None:
        here = f"{path}.mountPropagation"
        errors.one_of(here, propagation, ("Bidirectional", "HostToContainer", "None"))
        if propagation == "Bidirectional" and not get(container, "securityContext", "privileged"):
            errors.forbidden(here, "Bidirectional mount propagation is available only to privileged containers")
    if recursive is not None:
        here = f"{path}.recursiveReadOnly"
        errors.one_of(here, recursive, ("Disabled", "Enabled", "IfPossible"))
        if recursive in ("Enabled", "IfPossible"):
            if not mount.get("readOnly"):
                errors.forbidden(here, "may only be specified when readOnly is true")
            if propagation not in (None, "None"):
                errors.forbidden(here, "may only be specified when mountPropagation is None or not specified")


def _check_devices(container: Obj, path: str, errors: ErrorList, pod: PodContext) -> None:
    mounts = container.get("volumeMounts") or ()
    seen_names: set[str] = set()
    seen_paths: set[str] = set()
    for i, device in enumerate(container.get("volumeDevices") or ()):
        here, name, target = f"{path}[{i}]", device.get("name", ""), device.get("devicePath", "")
        volume = pod.volumes.get(name)
        if not name:
            errors.required(f"{here}.name")
        if name in seen_names:
            errors.invalid(f"{here}.name", name, "must be unique")
        if volume is None:
            errors.not_found(f"{here}.name", name)
        elif "persistentVolumeClaim" not in volume and "ephemeral" not in volume:
            why = "can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode"
            errors.invalid(f"{here}.name", name, why)
        if not target:
            errors.required(f"{here}.devicePath")
        if target in seen_paths:
            errors.invalid(f"{here}.devicePath", target, "must be unique")
        if ".." in target.split("/"):
            errors.invalid(f"{here}.devicePath", target, "can not contain backsteps ('..')")
        if any(m.get("name") == name for m in mounts):
            errors.invalid(f"{here}.name", name, "must not already exist in volumeMounts")
        if any(m.get("mountPath") == target for m in mounts):
            errors.invalid(f"{here}.devicePath", target, "must not already exist as a path in volumeMounts")
        seen_names.add(name)
        seen_paths.add(target)


def _check_resize_policy(policies: Any, path: str, errors: ErrorList, pod: PodContext) -> None:
    seen: set[str] = set()
    for i, policy in enumerate(policies):
        resource, restart = policy.get("resourceName", ""), policy.get("restartPolicy", "")
        if resource in seen:
            errors.duplicate(f"{path}[{i}]", resource)
        seen.add(resource)
        for value, allowed in ((resource, ("cpu", "memory")), (restart, ("NotRequired", "RestartContainer"))):
            if value:
                errors.one_of(path, value, allowed)
            else:
                errors.required(path)
        if pod.spec.get("restartPolicy") == "Never" and restart != "NotRequired":
            errors.invalid(path, restart, "must be 'NotRequired' when pod `restartPolicy` is 'Never'")


def _check_restart_policy(container: Obj, path: str, errors: ErrorList) -> None:
    policy, rules = container.get("restartPolicy"), container.get("restartPolicyRules") or []
    if policy is None:
        if rules:
            errors.required(f"{path}.restartPolicy", "must specify restartPolicy when restart rules are used")
    else:
        errors.one_of(f"{path}.restartPolicy", policy, RESTART_POLICIES)
    if len(rules) > 20:
        errors.too_many(f"{path}.restartPolicyRules", len(rules), 20)
    for i, rule in enumerate(rules):
        here = f"{path}.restartPolicyRules[{i}]"
        errors.one_of(f"{here}.action", rule.get("action", ""), ("Restart", "RestartAllContainers"))
        codes = rule.get("exitCodes")
        if codes is None:
            errors.required(f"{here}.exitCodes", "must be specified")
        else:
            errors.one_of(f"{here}.exitCodes.operator", codes.get("operator", ""), ("In", "NotIn"))
            if len(codes.get("values") or ()) > 255:
                errors.too_many(f"{here}.exitCodes.values", len(codes["values"]), 255)


def _check_lifecycle(container: Obj, path: str, errors: ErrorList, pod: PodContext) -> None:
    lifecycle = container.get("lifecycle")
    if not lifecycle:
        return
    for name in ("postStart", "preStop"):
        if lifecycle.get(name) is not None:
            _check_handler(lifecycle[name], f"{path}.lifecycle.{name}", errors, pod)
    if lifecycle.get("stopSignal") is not None and not get(pod.spec, "os", "name"):
        errors.forbidden(f"{path}.lifecycle.stopSignal", "may not be set for containers with empty `spec.os.name`")


def _check_probes(container: Obj, path: str, errors: ErrorList, pod: PodContext) -> None:
    for name in ("livenessProbe", "readinessProbe", "startupProbe"):
        probe = container.get(name)
        if probe is None:
            continue
        here = f"{path}.{name}"
        _check_handler(probe, here, errors, pod)
        for number in (
            "initialDelaySeconds",
            "timeoutSeconds",
            "periodSeconds",
            "successThreshold",
            "failureThreshold",
        ):
            errors.not_negative(f"{here}.{number}", probe.get(number))
        grace = probe.get("terminationGracePeriodSeconds")
        if grace is not None and grace <= 0:
            errors.invalid(f"{here}.terminationGracePeriodSeconds", grace, "must be greater than 0")
        if name == "readinessProbe":
            if grace is not None:
                errors.invalid(f"{here}.terminationGracePeriodSeconds", grace, "must not be set for readinessProbes")
        elif probe.get("successThreshold", 1) != 1:
            errors.invalid(f"{here}.successThreshold", probe["successThreshold"], "must be 1")


def _check_handler(handler: Obj, path: str, errors: ErrorList, pod: PodContext) -> None:
    given = [h for h in HANDLERS if handler.get(h) is not None]
    if not given:
        errors.required(path, "must specify a handler type")
        return
    _check_action(given[0], handler[given[0]], f"{path}.{given[0]}", errors, pod)
    for name in given[1:]:
        errors.forbidden(f"{path}.{name}", "may not specify more than 1 handler type")


def _check_action(name: str, action: Obj, path: str, errors: ErrorList, pod: PodContext) -> None:
    if name == "exec":
        if not action.get("command"):
            errors.required(f"{path}.command")
    elif name == "httpGet":
        if not action.get("path"):
            errors.required(f"{path}.path")
        check_port(action.get("port", 0), f"{path}.port", errors)
        errors.one_of(f"{path}.scheme", action.get("scheme", ""), ("HTTP", "HTTPS"))
        for header in action.get("httpHeaders") or ():
            errors.rule(
                f"{path}.httpHeaders", header.get("name", ""), names.is_http_header_name(header.get("name", ""))
            )
    elif name == "sleep":
        grace, seconds = pod.grace_seconds, action.get("seconds", 0)
        if grace is not None and not 0 <= seconds <= grace:
            why = f"must be non-negative and less than terminationGracePeriodSeconds ({grace})"
            errors.invalid(path, seconds, why)
    else:
        check_port(action.get("port", 0), f"{path}.port", errors)
