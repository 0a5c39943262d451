"""The core group (`""`), version v1. One module per concern; the records stand here, in discovery order."""

from collections.abc import Sequence

from skiff.api import names
from skiff.api.resources import Resource, Subresource
from skiff.api.resources.checks import update_validator, validator
from skiff.api.resources.core import checks, defaults, events, pod_prepare, pod_updates, warn
from skiff.api.resources.core.claim_checks import check_claim, check_claim_update
from skiff.api.resources.core.pod_checks import check_pod, check_pod_annotations
from skiff.api.resources.core.pod_defaults import default_pod
from skiff.api.resources.core.service_checks import check_service, check_service_update
from skiff.api.resources.core.service_defaults import default_service
from skiff.api.resources.core.service_prepare import prepare_service
from skiff.api.resources.core.simple_prepare import (
    prepare_claim,
    prepare_limit_range,
    prepare_namespace,
    prepare_node,
    prepare_persistent_volume,
    prepare_service_account,
)
from skiff.api.resources.core.storage_checks import (
    check_claim_status,
    check_persistent_volume,
    check_persistent_volume_update,
)
from skiff.api.resources.define import SCALE, STATUS, builtin, selectable, text
from skiff.api.resources.disabled import both, disabled_in_pods
from skiff.api.resources.event_checks import check_core_event
from skiff.api.resources.status_checks import check_replica_set_status, check_service_status
from skiff.api.resources.warnings import quota_warnings
from skiff.api.types import Obj

PROXY_VERBS = ("create", "delete", "get", "patch", "update")
STREAM_VERBS = ("create", "get")


def _flag(path: str) -> dict[str, object]:
    value = text(path)
    return {path: lambda obj: value(obj) or "false"}


def _pod_ip(obj: Obj) -> str:
    ips = (obj.get("status") or {}).get("podIPs") or [{}]
    return str(ips[0].get("ip", ""))


_POD_SELECTABLE = {
    **selectable(
        "spec.nodeName",
        "spec.restartPolicy",
        "spec.schedulerName",
        "spec.serviceAccountName",
        "status.phase",
        "status.nominatedNodeName",
    ),
    **_flag("spec.hostNetwork"),
    "status.podIP": _pod_ip,
    "status.podIPs": _pod_ip,
}

_POD_SUBRESOURCES = (
    Subresource("attach", "PodAttachOptions", verbs=STREAM_VERBS),
    Subresource("binding", "Binding", verbs=("create",)),
    Subresource("ephemeralcontainers"),
    Subresource("eviction", "Eviction", "policy", "v1", ("create",)),
    Subresource("exec", "PodExecOptions", verbs=STREAM_VERBS),
    Subresource("log", verbs=("get",)),
    Subresource("portforward", "PodPortForwardOptions", verbs=STREAM_VERBS),
    Subresource("proxy", "PodProxyOptions", verbs=PROXY_VERBS),
    Subresource("resize"),
    STATUS,
)

_POD_RULES = {
    "ephemeralcontainers": update_validator(pod_updates.check_ephemeral_update),
    "resize": update_validator(pod_updates.check_resize),
}

RESOURCES: Sequence[Resource] = (
    builtin("", "v1", "bindings", "Binding", verbs=("create",)),
    builtin(
        "",
        "v1",
        "componentstatuses",
        "ComponentStatus",
        namespaced=False,
        short_names=("cs",),
        verbs=("get", "list"),
        warnings=("v1 ComponentStatus is deprecated in v1.19+",),
    ),
    builtin(
        "",
        "v1",
        "configmaps",
        "ConfigMap",
        validate=validator(checks.check_config_map),
        validate_update=update_validator(checks.check_config_map_update),
        short_names=("cm",),
    ),
    builtin(
        "",
        "v1",
        "endpoints",
        "Endpoints",
        validate=validator(checks.check_endpoints),
        short_names=("ep",),
        warn=warn.endpoints,
        warnings=("v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice",),
        default=defaults.default_endpoints,
        create_on_update=True,
    ),
    builtin(
        "",
        "v1",
        "events",
        "Event",
        validate=validator(check_core_event),
        short_names=("ev",),
        default=events.default_core_event,
        selectable=events.CORE_SELECTABLE,
        create_on_update=True,
        ttl_seconds=events.EVENT_TTL_SECONDS,
        default_propagation="Unsupported",
    ),
    builtin(
        "",
        "v1",
        "limitranges",
        "LimitRange",
        validate=validator(checks.check_limit_range),
        short_names=("limits",),
        default=defaults.default_limit_range,
        prepare=prepare_limit_range,
        create_on_update=True,
    ),
    builtin(
        "",
        "v1",
        "namespaces",
        "Namespace",
        validate=validator(checks.check_namespace),
        validate_status_update=update_validator(checks.check_namespace_status),
        subresource_rules={"finalize": update_validator(checks.check_namespace_finalize)},
        name_rule=names.is_dns1123_label,
        namespaced=False,
        short_names=("ns",),
        verbs=("create", "delete", "get", "list", "patch", "update", "watch"),
        subresources=(Subresource("finalize", verbs=("update",)), STATUS),
        default=defaults.default_namespace,
        defaults_by_metadata=True,
        prepare=prepare_namespace,
        selectable=selectable("status.phase"),
    ),
    builtin(
        "",
        "v1",
        "nodes",
        "Node",
        validate=validator(checks.check_node),
        validate_update=update_validator(checks.check_node_update),
        validate_status_update=update_validator(checks.check_node_update),
        namespaced=False,
        short_names=("no",),
        warn=warn.node,
        subresources=(Subresource("proxy", "NodeProxyOptions", verbs=PROXY_VERBS), STATUS),
        default=defaults.default_node,
        prepare=prepare_node,
        status_on_create=True,
        selectable=_flag("spec.unschedulable"),
    ),
    builtin(
        "",
        "v1",
        "persistentvolumeclaims",
        "PersistentVolumeClaim",
        validate=validator(check_claim),
        validate_update=update_validator(check_claim_update),
        validate_status_update=update_validator(check_claim_status),
        short_names=("pvc",),
        warn=warn.claim,
        subresources=(STATUS,),
        default=defaults.default_persistent_volume_claim,
        prepare=prepare_claim,
    ),
    builtin(
        "",
        "v1",
        "persistentvolumes",
        "PersistentVolume",
        validate=validator(check_persistent_volume),
        validate_update=update_validator(check_persistent_volume_update),
        namespaced=False,
        short_names=("pv",),
        warn=warn.persistent_volume,
        subresources=(STATUS,),
        default=defaults.default_persistent_volume,
        prepare=prepare_persistent_volume,
    ),
    builtin(
        "",
        "v1",
        "pods",
        "Pod",
        validate=validator(check_pod),
        validate_words=validator(check_pod_annotations),
        validate_update=update_validator(pod_updates.check_pod_update),
        validate_status_update=update_validator(pod_updates.check_status_update),
        subresource_rules=_POD_RULES,
        short_names=("po",),
        warn=warn.pod,
        warn_status=warn.pod_status,
        categories=("all",),
        subresources=_POD_SUBRESOURCES,
        default=default_pod,
        prepare=both(disabled_in_pods("spec"), pod_prepare.prepare_pod),
        selectable=_POD_SELECTABLE,
        indexed=("spec.nodeName",),
        has_generation=True,
    ),
    builtin(
        "",
        "v1",
        "podtemplates",
        "PodTemplate",
        validate=validator(checks.check_pod_template),
        default=defaults.default_pod_template,
        prepare=disabled_in_pods("template.spec"),
        warn=warn.template("template"),
        has_generation=True,
    ),
    builtin(
        "",
        "v1",
        "replicationcontrollers",
        "ReplicationController",
        validate=validator(checks.check_replication_controller),
        validate_status_update=update_validator(check_replica_set_status),
        short_names=("rc",),
        warn=warn.workload("spec.template"),
        categories=("all",),
        subresources=(SCALE, STATUS),
        default=defaults.default_replication_controller,
        defaults_by_metadata=True,
        prepare=disabled_in_pods("spec.template.spec"),
        selectable={"status.replicas": lambda obj: text("status.replicas")(obj) or "0"},
        has_generation=True,
        default_propagation="Orphan",
    ),
    builtin(
        "",
        "v1",
        "resourcequotas",
        "ResourceQuota",
        validate=validator(checks.check_resource_quota),
        validate_update=update_validator(checks.check_resource_quota_update),
        validate_status_update=update_validator(checks.check_resource_quota_status),
        short_names=("quota",),
        warn=quota_warnings,
        subresources=(STATUS,),
        default=defaults.default_resource_quota,
    ),
    builtin(
        "",
        "v1",
        "secrets",
        "Secret",
        validate=validator(checks.check_secret),
        validate_update=update_validator(checks.check_secret_update),
        default=defaults.default_secret,
        warn=warn.secret,
        selectable=selectable("type"),
    ),
    builtin(
        "",
        "v1",
        "serviceaccounts",
        "ServiceAccount",
        short_names=("sa",),
        warn=warn.service_account,
        prepare=prepare_service_account,
        subresources=(Subresource("token", "TokenRequest", "authentication.k8s.io", "v1", ("create",)),),
    ),
    builtin(
        "",
        "v1",
        "services",
        "Service",
        validate=validator(check_service),
        validate_update=update_validator(check_service_update),
        validate_status_update=update_validator(check_service_status),
        name_rule=names.is_dns1123_label,
        short_names=("svc",),
        warn=warn.service,
        warn_status=warn.load_balancer,
        categories=("all",),
        subresources=(Subresource("proxy", "ServiceProxyOptions", verbs=PROXY_VERBS), STATUS),
        default=default_service,
        prepare=prepare_service,
        selectable=selectable("spec.clusterIP", "spec.type"),
        create_on_update=True,
    ),
)
