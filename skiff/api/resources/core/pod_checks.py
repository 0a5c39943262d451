"""Validation of pods and pod templates. Source: pkg/apis/core/validation/validation.go (ValidatePodSpec and around it)."""

from typing import Any

from skiff.api import labels, names
from skiff.api.resources.checks import (
    MAX_INT32,
    ErrorList,
    check_annotations,
    check_ip,
    check_labels,
)
from skiff.api.resources.core.container_checks import (
    PodContext,
    check_containers,
    check_ephemeral_containers,
    check_image_whitespace,
    check_init_containers,
)
from skiff.api.resources.core.environment_checks import check_file_volumes
from skiff.api.resources.core.pod_resource_checks import check_pod_resources
from skiff.api.resources.core.resource_checks import check_resource_requirements
from skiff.api.resources.core.scheduling_checks import check_affinity, check_spread, check_tolerations
from skiff.api.resources.core.security_checks import check_pod_security
from skiff.api.resources.core.volume_checks import check_volumes
from skiff.api.resources.core.windows_checks import check_host_process, check_system
from skiff.api.resources.fields import get, items
from skiff.api.selectors import Selector, from_label_selector
from skiff.api.types import Obj

MIRROR = "kubernetes.io/config.mirror"
DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"
PREEMPTION_POLICIES = ("PreemptLowerPriority", "Never")
DNS_POLICIES = ("ClusterFirstWithHostNet", "ClusterFirst", "Default", "None")
MAX_NAMESERVERS, MAX_SEARCHES, MAX_SEARCH_CHARACTERS = 3, 32, 2048


def check_pod(pod: Obj, errors: ErrorList) -> None:
    """A whole pod, new or changed."""
    check_pod_annotations(pod, errors)
    metadata, spec = pod.get("metadata") or {}, pod.get("spec") or {}
    check_pod_spec(spec, "spec", errors, pod_name=metadata.get("name", ""), is_pod=True)
    if not spec.get("serviceAccountName"):
        _forbid_tokens(spec, errors)
    for i, volume in enumerate(items(spec, "volumes")):
        if volume.get("image") is not None and not volume["image"].get("reference"):
            errors.required(f"spec.volumes[{i}].image.reference")
    for field in ("containers", "initContainers"):
        for i, container in enumerate(items(spec, field)):
            check_image_whitespace(container, f"spec.{field}[{i}]", errors)
    if not metadata.get("resourceVersion"):
        _check_new(spec, errors)


def check_pod_annotations(pod: Obj, errors: ErrorList) -> None:
    """Those with rules of their own."""
    annotations = get(pod, "metadata", "annotations")
    if annotations:
        _check_own_annotations(annotations, pod.get("spec") or {}, "metadata.annotations", errors)


def _check_new(spec: Obj, errors: ErrorList) -> None:
    if spec.get("ephemeralContainers"):
        errors.forbidden("spec.ephemeralContainers", "cannot be set on create")
    if spec.get("nodeName") and spec.get("schedulingGates"):
        errors.forbidden("spec.nodeName", "cannot be set until all schedulingGates have been cleared")


def check_template(template: Obj, path: str, errors: ErrorList) -> None:
    """A pod template of a workload."""
    metadata, spec = template.get("metadata") or {}, template.get("spec") or {}
    check_labels(metadata.get("labels"), f"{path}.labels", errors)
    check_annotations(metadata.get("annotations"), f"{path}.annotations", errors)
    _check_own_annotations(metadata.get("annotations") or {}, spec, f"{path}.annotations", errors)
    check_pod_spec(spec, f"{path}.spec", errors)
    if spec.get("ephemeralContainers"):
        errors.forbidden(f"{path}.spec.ephemeralContainers", "ephemeral containers not allowed in pod template")


def _check_own_annotations(annotations: Obj, spec: Obj, path: str, errors: ErrorList) -> None:
    if MIRROR in annotations and not spec.get("nodeName"):
        why = "must set spec.nodeName if mirror pod annotation is set"
        errors.invalid(f"{path}[{MIRROR}]", annotations[MIRROR], why)
    cost = annotations.get(DELETION_COST)
    if cost is not None and not _is_int32(cost):
        errors.invalid(f"{path}[{DELETION_COST}]", cost, "must be a 32bit integer")


def _is_int32(text: str) -> bool:
    try:
        return text.isascii() and text == text.strip() and -(2**31) <= int(text) < 2**31 and not text.startswith("+")
    except ValueError:
        return False


def _forbid_tokens(spec: Obj, errors: ErrorList) -> None:
    for i, volume in enumerate(items(spec, "volumes")):
        for j, source in enumerate(items(volume, "projected", "sources")):
            if source.get("serviceAccountToken") is not None:
                path = f"spec.volumes[{i}].projected.sources[{j}].serviceAccountToken"
                errors.forbidden(path, "must not be specified when serviceAccountName is not set")


def check_pod_spec(spec: Obj, path: str, errors: ErrorList, *, pod_name: str = "", is_pod: bool = False) -> None:
    """In upstream's order: volumes, containers, then the fields that stand alone."""
    if spec.get("terminationGracePeriodSeconds") is None:
        errors.required(f"{path}.terminationGracePeriodSeconds")
    volumes = check_volumes(spec.get("volumes") or (), f"{path}.volumes", errors, pod_name=pod_name)
    claims = {c["name"] for c in spec.get("resourceClaims") or () if c.get("name")}
    pod = PodContext(spec, volumes, is_pod, claims)
    _check_claims(spec.get("resourceClaims") or (), f"{path}.resourceClaims", errors)
    check_containers(spec.get("containers") or [], f"{path}.containers", errors, pod)
    check_init_containers(spec.get("initContainers") or [], f"{path}.initContainers", errors, pod)
    check_ephemeral_containers(spec.get("ephemeralContainers") or [], f"{path}.ephemeralContainers", errors, pod)
    if spec.get("resources"):
        check_pod_resources(spec, path, errors)
    if spec.get("hostNetwork"):
        _check_host_network(spec, path, errors, is_pod=is_pod)
    _check_policy(spec.get("restartPolicy", ""), ("Always", "OnFailure", "Never"), f"{path}.restartPolicy", errors)
    _check_policy(spec.get("dnsPolicy", ""), DNS_POLICIES, f"{path}.dnsPolicy", errors)
    check_labels(spec.get("nodeSelector"), f"{path}.nodeSelector", errors)
    check_pod_security(spec, path, errors)
    check_affinity(spec.get("affinity"), f"{path}.affinity", errors)
    _check_dns(spec, f"{path}.dnsConfig", errors)
    for i, gate in enumerate(spec.get("readinessGates") or ()):
        kind = gate.get("conditionType", "")
        errors.rule(f"{path}.readinessGates[{i}].conditionType", kind, labels.key_errors(kind))
    _check_gates(spec.get("schedulingGates") or (), f"{path}.schedulingGates", errors)
    check_spread(spec.get("topologySpreadConstraints"), f"{path}.topologySpreadConstraints", errors)
    check_host_process(spec, path, errors)
    _check_host_users(spec, path, errors)
    _check_names(spec, path, errors)
    check_tolerations(spec.get("tolerations"), f"{path}.tolerations", errors)
    _check_host_aliases(spec.get("hostAliases") or (), f"{path}.hostAliases", errors)
    if spec.get("preemptionPolicy") is not None:
        _check_policy(spec["preemptionPolicy"], PREEMPTION_POLICIES, f"{path}.preemptionPolicy", errors)
    if spec.get("overhead"):
        check_resource_requirements({"limits": spec["overhead"]}, f"{path}.overhead", errors)
    if spec.get("os") is not None:
        _check_policy(
            spec["os"].get("name", ""), ("linux", "windows"), f"{path}.os", errors, required_at=f"{path}.os.name"
        )
        check_system(spec, path, errors)
    check_file_volumes(spec, path, errors)


def _check_policy(value: str, allowed: tuple[str, ...], path: str, errors: ErrorList, required_at: str = "") -> None:
    if not value:
        errors.required(required_at or path)
    else:
        errors.one_of(path, value, allowed)


_CLAIM_SOURCES = ("resourceClaimName", "resourceClaimTemplateName")


def _check_claims(claims: Any, path: str, errors: ErrorList) -> None:
    seen: set[str] = set()
    for i, claim in enumerate(claims):
        here, name = f"{path}[{i}]", claim.get("name", "")
        if not name:
            errors.required(f"{here}.name")
        elif name in seen:
            errors.duplicate(f"{here}.name", name)
        else:
            errors.rule(f"{here}.name", name, names.is_dns1123_label(name))
        seen.add(name)
        given = [f for f in _CLAIM_SOURCES if claim.get(f) is not None]
        shown = {"Name": name} | {f[0].upper() + f[1:]: claim.get(f) for f in _CLAIM_SOURCES}
        if len(given) > 1:
            why = "at most one of `resourceClaimName` or `resourceClaimTemplateName` may be specified"
            errors.invalid(here, shown, why)
        elif not given:
            why = "must specify one of: `resourceClaimName`, `resourceClaimTemplateName`"
            errors.invalid(here, shown, why)
        for field in given:
            errors.rule(f"{here}.{field}", claim[field], names.is_dns1123_subdomain(claim[field]))


def _check_host_network(spec: Obj, path: str, errors: ErrorList, *, is_pod: bool) -> None:
    for i, container in enumerate(items(spec, "containers")):
        for j, port in enumerate(items(container, "ports")):
            wanted, given = port.get("containerPort", 0), port.get("hostPort", 0)
            if (is_pod or given) and given != wanted:
                why = "must match `containerPort` when `hostNetwork` is true"
                errors.invalid(f"{path}.containers[{i}].ports[{j}].hostPort", given, why)


def _check_dns(spec: Obj, path: str, errors: ErrorList) -> None:
    config, policy = spec.get("dnsConfig"), spec.get("dnsPolicy")
    if policy == "None":
        if config is None:
            errors.required(path, "must provide `dnsConfig` when `dnsPolicy` is None")
            return
        if not config.get("nameservers"):
            why = "must provide at least one DNS nameserver when `dnsPolicy` is None"
            errors.required(f"{path}.nameservers", why)
            return
    if config is None:
        return
    servers, searches = config.get("nameservers") or [], config.get("searches") or []
    if len(servers) > MAX_NAMESERVERS:
        errors.invalid(f"{path}.nameservers", servers, f"must not have more than {MAX_NAMESERVERS} nameservers")
    for i, server in enumerate(servers):
        check_ip(server, f"{path}.nameservers[{i}]", errors)
    if len(searches) > MAX_SEARCHES:
        errors.invalid(f"{path}.searches", searches, f"must not have more than {MAX_SEARCHES} search paths")
    if len(" ".join(searches)) > MAX_SEARCH_CHARACTERS:
        why = f"must not have more than {MAX_SEARCH_CHARACTERS} characters (including spaces) in the search list"
        errors.invalid(f"{path}.searches", searches, why)
    for i, search in enumerate(searches):
        if search != ".":
            bare = search.removesuffix(".")
            errors.rule(f"{path}.searches[{i}]", bare, names.is_dns1123_subdomain_with_underscore(bare))
    for i, option in enumerate(config.get("options") or ()):
        if not option.get("name"):
            errors.required(f"{path}.options[{i}]", "must not be empty")


def _check_gates(gates: Any, path: str, errors: ErrorList) -> None:
    seen: set[str] = set()
    for i, gate in enumerate(gates):
        name = gate.get("name", "")
        errors.rule(f"{path}[{i}]", name, labels.key_errors(name))
        if name in seen:
            errors.duplicate(f"{path}[{i}]", name)
        seen.add(name)


def _check_host_users(spec: Obj, path: str, errors: ErrorList) -> None:
    if spec.get("hostUsers") is not False:
        return
    for field, shown in (("hostNetwork", "hostNetwork"), ("hostPID", "HostPID"), ("hostIPC", "HostIPC")):
        if spec.get(field):
            errors.forbidden(f"{path}.{shown}", "when `hostUsers` is false")
    for field in ("initContainers", "containers"):
        for i, container in enumerate(items(spec, field)):
            if container.get("volumeDevices"):
                errors.forbidden(f"{path}.{field}[{i}].volumeDevices", "when `hostUsers` is false")


_NAME_FIELDS: tuple[tuple[str, names.NameRule], ...] = (
    ("serviceAccountName", names.is_dns1123_subdomain),
    ("nodeName", names.is_dns1123_subdomain),
    ("hostname", names.is_dns1123_label),
    ("subdomain", names.is_dns1123_label),
    ("priorityClassName", names.is_dns1123_subdomain),
    ("runtimeClassName", names.is_dns1123_subdomain),
)


def _check_names(spec: Obj, path: str, errors: ErrorList) -> None:
    for field, rule in _NAME_FIELDS:
        value = spec.get(field)
        if value or (value == "" and field == "runtimeClassName"):
            errors.rule(f"{path}.{field}", value, rule(value))
    seconds = spec.get("activeDeadlineSeconds")
    if seconds is not None:
        errors.rule(f"{path}.activeDeadlineSeconds", seconds, names.between(seconds, 1, MAX_INT32))
    override = spec.get("hostnameOverride")
    if override is None:
        return
    if spec.get("setHostnameAsFQDN"):
        errors.forbidden(f"{path}.hostnameOverride", "may not be specified when setHostnameAsFQDN is true")
    if spec.get("hostNetwork"):
        errors.forbidden(f"{path}.hostnameOverride", "may not be specified when hostNetwork is true")
    if len(override) > 64:
        errors.too_long(f"{path}.hostnameOverride", 64)
    errors.rule(f"{path}.hostnameOverride", override, names.is_dns1123_subdomain(override))


def _check_host_aliases(aliases: Any, path: str, errors: ErrorList) -> None:
    for i, alias in enumerate(aliases):
        check_ip(alias.get("ip", ""), f"{path}[{i}].ip", errors)
        for j, name in enumerate(alias.get("hostnames") or ()):
            errors.rule(f"{path}[{i}].hostnames[{j}]", name, names.is_dns1123_subdomain(name))


def check_selected_template(
    template: Obj | None, selector: Obj | Selector | None, path: str, errors: ErrorList, *, owner: str
) -> None:
    """The template of a workload that keeps pods running: matched by its selector, always restarted, no deadline.

    selector: a LabelSelector, or one that is not checked any more; None selects nothing. owner: the kind, as upstream's sentence names it.
    """
    if template is None:
        errors.required(path)
        return
    if isinstance(selector, Selector):
        _check_selected(template, selector, path, errors)
    else:
        check_selector_matches(template, selector, path, errors)
    check_template(template, path, errors)
    spec = template.get("spec") or {}
    errors.one_of(f"{path}.spec.restartPolicy", spec.get("restartPolicy", ""), ("Always",))
    if spec.get("activeDeadlineSeconds") is not None:
        why = f"activeDeadlineSeconds in {owner} is not Supported"
        errors.forbidden(f"{path}.spec.activeDeadlineSeconds", why)


def check_selector_matches(template: Obj, selector: Obj | None, path: str, errors: ErrorList) -> None:
    try:
        _check_selected(template, from_label_selector(selector), path, errors)
    except ValueError:
        return


def _check_selected(template: Obj, selector: Selector, path: str, errors: ErrorList) -> None:
    found = get(template, "metadata", "labels") or {}
    if not selector.matches(found):
        shown = dict(sorted(found.items())) or None
        errors.invalid(f"{path}.metadata.labels", shown, "`selector` does not match template `labels`")
