"""The list of what is served: complete, consistent, and with upstream's particulars."""

import copy

import pytest

from skiff.api import gvr
from skiff.api.decode import checker
from skiff.api.resources import ALL_VERBS, Resource
from skiff.api.resources.builtin import RESOURCES, by_gvr, by_kind, by_plural
from skiff.api.schema import load
from skiff.api.types import GVR

GROUPS = [
    "",
    "apiregistration.k8s.io",
    "apps",
    "events.k8s.io",
    "authentication.k8s.io",
    "authorization.k8s.io",
    "autoscaling",
    "batch",
    "certificates.k8s.io",
    "networking.k8s.io",
    "policy",
    "rbac.authorization.k8s.io",
    "storage.k8s.io",
    "admissionregistration.k8s.io",
    "apiextensions.k8s.io",
    "scheduling.k8s.io",
    "coordination.k8s.io",
    "node.k8s.io",
    "discovery.k8s.io",
    "resource.k8s.io",
    "flowcontrol.apiserver.k8s.io",
]

every = pytest.mark.parametrize(
    "resource", [pytest.param(r, id=f"{r.gvr.version}-{r.gvr.group_resource}") for r in RESOURCES]
)


def record(plural: str, group: str = "", version: str = "v1") -> Resource:
    return by_plural[group, version, plural]


def test_groups_stand_in_discovery_order() -> None:
    assert list(dict.fromkeys(r.gvr.group for r in RESOURCES)) == GROUPS
    assert len(RESOURCES) == 68


def test_no_two_records_share_a_name() -> None:
    assert len(by_gvr) == len(by_plural) == len(RESOURCES)
    assert len(by_kind) == len(RESOURCES)


def test_the_names_that_components_use_are_served() -> None:
    named = [v for v in vars(gvr).values() if isinstance(v, GVR)]
    assert named
    assert [g for g in named if g not in by_gvr] == []


@every
def test_each_has_a_schema_and_a_printer(resource: Resource) -> None:
    node = load().node(resource.schema)
    assert node.kind == "object"
    assert resource.printer is not None
    assert resource.has_status == (resource.subresource("status") is not None)


@every
def test_defaulting_is_idempotent_and_survives_emptiness(resource: Resource) -> None:
    obj = {"apiVersion": resource.gvr.api_version, "kind": resource.gvr.kind, "metadata": {"name": "x", "uid": "u"}}
    resource.default(obj)
    once = copy.deepcopy(obj)
    resource.default(obj)
    assert obj == once
    resource.prepare(obj, None)
    resource.validate(obj)
    resource.validate_update(obj, copy.deepcopy(obj))
    resource.validate_status_update(obj, copy.deepcopy(obj))


@every
def test_what_defaulting_makes_fits_the_schema(resource: Resource) -> None:
    obj = {"apiVersion": resource.gvr.api_version, "kind": resource.gvr.kind, "metadata": {"name": "x"}}
    resource.default(obj)
    checker(load(), resource.schema).check(obj, validation="Strict")


@pytest.mark.parametrize(
    ("plural", "group", "short", "categories", "subresources"),
    [
        pytest.param(
            "pods",
            "",
            ("po",),
            ("all",),
            "attach binding ephemeralcontainers eviction exec log portforward proxy resize status",
            id="pods",
        ),
        pytest.param("deployments", "apps", ("deploy",), ("all",), "scale status", id="deployments"),
        pytest.param("namespaces", "", ("ns",), (), "finalize status", id="namespaces"),
        pytest.param("serviceaccounts", "", ("sa",), (), "token", id="service accounts"),
        pytest.param(
            "customresourcedefinitions",
            "apiextensions.k8s.io",
            ("crd", "crds"),
            ("api-extensions",),
            "status",
            id="CRDs",
        ),
        pytest.param(
            "certificatesigningrequests", "certificates.k8s.io", ("csr",), (), "approval status", id="signing requests"
        ),
    ],
)
def test_names_and_subresources(plural: str, group: str, short: object, categories: object, subresources: str) -> None:
    found = record(plural, group)
    assert (found.short_names, found.categories) == (short, categories)
    assert " ".join(s.name for s in found.subresources) == subresources


def test_verbs_that_differ() -> None:
    assert record("pods").verbs == ALL_VERBS
    assert "deletecollection" not in record("namespaces").verbs
    assert record("tokenreviews", "authentication.k8s.io").verbs == ("create",)
    assert record("componentstatuses").verbs == ("get", "list")


def test_update_may_create_only_where_upstream_says_so() -> None:
    found = {r.gvr.plural for r in RESOURCES if r.create_on_update}
    assert found == {
        "clusterrolebindings",
        "clusterroles",
        "endpoints",
        "events",
        "leases",
        "limitranges",
        "rolebindings",
        "roles",
        "runtimeclasses",
        "services",
    }


def test_field_selectors_of_pods() -> None:
    pod = {
        "spec": {"nodeName": "n", "hostNetwork": True},
        "status": {"phase": "Running", "podIPs": [{"ip": "1.2.3.4"}]},
    }
    values = {label: value(pod) for label, value in record("pods").selectable.items()}
    assert values["spec.nodeName"] == "n"
    assert values["spec.hostNetwork"] == "true"
    assert values["status.podIP"] == "1.2.3.4"
    assert values["spec.serviceAccountName"] == ""
    assert record("pods").indexed == ("spec.nodeName",)
    assert record("nodes").selectable["spec.unschedulable"]({}) == "false"
    assert record("jobs", "batch").selectable["status.successful"]({}) == "0"


EVENT = {
    "apiVersion": "v1",
    "kind": "Event",
    "metadata": {"name": "e"},
    "involvedObject": {"kind": "Pod", "name": "p"},
    "reason": "Started",
    "message": "m",
    "source": {"component": "kubelet"},
    "count": 2,
    "reportingComponent": "",
    "reportingInstance": "",
}


def test_events_have_two_spellings() -> None:
    other = record("events", "events.k8s.io")
    assert other.from_storage
    assert other.to_storage
    seen = other.from_storage(EVENT)
    assert seen["apiVersion"] == "events.k8s.io/v1"
    assert (seen["regarding"], seen["note"], seen["deprecatedCount"]) == (EVENT["involvedObject"], "m", 2)
    times = {"eventTime": None, "firstTimestamp": None, "lastTimestamp": None}  # always written
    assert other.to_storage(seen) == {**EVENT, **times}
    for selectable in (record("events").selectable["involvedObject.name"], other.selectable["regarding.name"]):
        assert selectable(EVENT) == "p"
    assert record("events").selectable["source"](EVENT) == "kubelet"


def test_autoscalers_of_v1_carry_what_only_v2_knows() -> None:
    v1 = record("horizontalpodautoscalers", "autoscaling", "v1")
    assert v1.to_storage
    assert v1.from_storage
    obj = {
        "apiVersion": "autoscaling/v1",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "h"},
        "spec": {"maxReplicas": 3, "minReplicas": 1, "targetCPUUtilizationPercentage": 50},
        "status": {},
    }
    stored = v1.to_storage(obj)
    assert stored["apiVersion"] == "autoscaling/v2"
    assert stored["spec"]["metrics"][0]["resource"]["target"] == {"type": "Utilization", "averageUtilization": 50}
    assert v1.from_storage(stored) == obj
    memory = {
        "type": "Resource",
        "resource": {"name": "memory", "target": {"type": "AverageValue", "averageValue": "1Gi"}},
    }
    stored["spec"]["metrics"].append(memory)
    stored["spec"]["behavior"] = {"scaleUp": {"selectPolicy": "Max"}}
    assert v1.to_storage(v1.from_storage(stored))["spec"]["behavior"] == stored["spec"]["behavior"]
    assert memory in v1.to_storage(v1.from_storage(stored))["spec"]["metrics"]
