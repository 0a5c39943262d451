"""apps/v1: workloads. Defaults: pkg/apis/apps/v1/defaults.go."""

from collections.abc import Sequence

from skiff.api import names
from skiff.api.resources import Resource, status_checks
from skiff.api.resources import apps_checks as checks
from skiff.api.resources.checks import update_validator, validator
from skiff.api.resources.core import warn
from skiff.api.resources.core.defaults import default_claim_spec
from skiff.api.resources.core.pod_defaults import default_template
from skiff.api.resources.define import SCALE, STATUS, builtin
from skiff.api.resources.disabled import both, disabled, disabled_in_pods
from skiff.api.resources.fields import Rule, child, each, empty_status, get, nil, rules, struct, zero
from skiff.api.types import Obj


def _rolling(values: dict[str, object]) -> Rule:
    """Rules for a strategy: rolling update unless said otherwise, and then its numbers."""

    def apply(strategy: Obj) -> None:
        zero(type="RollingUpdate")(strategy)
        if strategy["type"] == "RollingUpdate":
            nil(**values)(child(strategy, "rollingUpdate"))

    return apply


default_deployment = rules(
    struct(
        "spec",
        nil(replicas=1, revisionHistoryLimit=10, progressDeadlineSeconds=600),
        struct("strategy", _rolling({"maxUnavailable": "25%", "maxSurge": "25%"})),
        struct("template", default_template),
    ),
    empty_status(),
)

default_replica_set = rules(
    struct("spec", nil(replicas=1), struct("template", default_template)),
    empty_status("replicas"),
)

TEMPLATE_GENERATION = "deprecated.daemonset.template.generation"


def _template_generation(obj: Obj) -> None:
    """Upstream has a number behind the annotation, so it is there before anybody has set it."""
    child(child(obj, "metadata"), "annotations").setdefault(TEMPLATE_GENERATION, "0")


default_daemon_set = rules(
    _template_generation,
    struct(
        "spec",
        nil(revisionHistoryLimit=10),
        struct("updateStrategy", _rolling({"maxUnavailable": 1, "maxSurge": 0})),
        struct("template", default_template),
    ),
    empty_status("currentNumberScheduled", "desiredNumberScheduled", "numberMisscheduled", "numberReady"),
)


def _stateful_strategy(strategy: Obj) -> None:
    if not strategy.get("type"):
        strategy["type"] = "RollingUpdate"
        child(strategy, "rollingUpdate")
    if strategy["type"] == "RollingUpdate" and strategy.get("rollingUpdate") is not None:
        nil(partition=0)(strategy["rollingUpdate"])


def _claim_template(claim: Obj) -> None:
    """Templates are written with kind, apiVersion and status, as upstream does."""
    claim |= {"apiVersion": "v1", "kind": "PersistentVolumeClaim"}
    default_claim_spec(child(claim, "spec"))
    zero(phase="Pending")(child(claim, "status"))


default_stateful_set = rules(
    struct(
        "spec",
        zero(podManagementPolicy="OrderedReady"),
        struct("updateStrategy", _stateful_strategy),
        struct("persistentVolumeClaimRetentionPolicy", zero(whenDeleted="Retain", whenScaled="Retain")),
        nil(replicas=1, revisionHistoryLimit=10),
        struct("template", default_template),
        each("volumeClaimTemplates", _claim_template),
    ),
    empty_status("replicas", "availableReplicas"),
)

default_controller_revision = zero(revision=0)


def prepare_deployment(new: Obj, old: Obj | None) -> None:
    """Changed annotations count as a new generation too: the controller copies them to replica sets."""
    if old is not None and (get(new, "metadata", "annotations") or {}) != (get(old, "metadata", "annotations") or {}):
        new["metadata"]["generation"] = (get(old, "metadata", "generation") or 0) + 1


def prepare_daemon_set(new: Obj, old: Obj | None) -> None:
    """The deprecated templateGeneration is kept as an annotation, counting changes of the template."""
    annotations = child(child(new, "metadata"), "annotations")
    before = get(old, "metadata", "annotations", TEMPLATE_GENERATION) if old else annotations.get(TEMPLATE_GENERATION)
    count = int(before) if before and before.isdigit() else 0
    changed = old is not None and new["spec"].get("template") != old["spec"].get("template")
    annotations[TEMPLATE_GENERATION] = str(max(1, count) + changed)


_in_template = disabled_in_pods("spec.template.spec")

RESOURCES: Sequence[Resource] = (
    builtin(
        "apps",
        "v1",
        "controllerrevisions",
        "ControllerRevision",
        validate=validator(checks.check_controller_revision),
        validate_create=validator(checks.check_new_controller_revision),
        validate_update=update_validator(checks.check_controller_revision_update),
        default=default_controller_revision,
    ),
    builtin(
        "apps",
        "v1",
        "daemonsets",
        "DaemonSet",
        validate=validator(checks.check_daemon_set),
        validate_update=update_validator(checks.check_selector_kept),
        validate_status_update=update_validator(status_checks.check_daemon_set_status),
        short_names=("ds",),
        warn=warn.template("spec.template"),
        categories=("all",),
        subresources=(STATUS,),
        default=default_daemon_set,
        defaults_by_metadata=True,
        prepare=both(_in_template, prepare_daemon_set),
        prepare_status=prepare_daemon_set,
        has_generation=True,
    ),
    builtin(
        "apps",
        "v1",
        "deployments",
        "Deployment",
        validate=validator(checks.check_deployment),
        validate_update=update_validator(checks.check_selector_kept),
        validate_status_update=update_validator(status_checks.check_deployment_status),
        short_names=("deploy",),
        warn=warn.workload("spec.template"),
        categories=("all",),
        subresources=(SCALE, STATUS),
        default=default_deployment,
        prepare=both(_in_template, prepare_deployment),
        has_generation=True,
    ),
    builtin(
        "apps",
        "v1",
        "replicasets",
        "ReplicaSet",
        validate=validator(checks.check_replica_set),
        validate_update=update_validator(checks.check_selector_kept),
        validate_status_update=update_validator(status_checks.check_replica_set_status),
        short_names=("rs",),
        warn=warn.workload("spec.template"),
        categories=("all",),
        subresources=(SCALE, STATUS),
        default=default_replica_set,
        prepare=_in_template,
        has_generation=True,
    ),
    builtin(
        "apps",
        "v1",
        "statefulsets",
        "StatefulSet",
        name_rule=names.is_dns1123_label,
        validate=validator(checks.check_stateful_set),
        validate_update=update_validator(checks.check_stateful_set_update),
        validate_status_update=update_validator(status_checks.check_stateful_set_status),
        short_names=("sts",),
        warn=warn.stateful_set,
        categories=("all",),
        subresources=(SCALE, STATUS),
        default=default_stateful_set,
        prepare=both(_in_template, disabled("spec.updateStrategy.rollingUpdate.maxUnavailable")),
        has_generation=True,
    ),
)
