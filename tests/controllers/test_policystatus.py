"""What the status of a ValidatingAdmissionPolicy warns of: all as upstream's controller found it."""

import asyncio
from typing import Any

import pytest

from skiff.api.types import GVR
from skiff.controllers.policystatus import POLICIES, PolicyStatusController
from skiff.wire.messages import Request, Response
from tests.apiserver.apiextensions.builders import definition
from tests.apiserver.policies.builders import PK, rule, validating

CUSTOMRESOURCEDEFINITIONS = GVR(
    "apiextensions.k8s.io", "v1", "customresourcedefinitions", "CustomResourceDefinition", False
)
dep = rule("deployments", group="apps")
pods = rule("pods")


def policy(*validations: str, rules: Any = (dep,), **spec: Any) -> Any:
    return validating(*validations, rules=rules, **spec)


CASES = [
    (policy("object.spec.replicas > 1"), []),
    (
        policy("object.spec.replicas > '1'"),
        ["expression apps/v1, Kind=Deployment: 22: found no matching overload for '_>_' applied to '(int, string)'"],
    ),
    (
        policy("variables.x > '1'", variables=[{"name": "x", "expression": "object.spec.replicas"}]),
        ["expression apps/v1, Kind=Deployment: 13: found no matching overload for '_>_' applied to '(int, string)'"],
    ),
    (policy("variables.x == 1", variables=[{"name": "x", "expression": "object.zip"}]), []),
    (
        policy("object.spec.replicas == 'x'", rules=(dep, rule("replicasets", group="apps"), pods)),
        [
            "expression /v1, Kind=Pod: 12: undefined field 'replicas'",
            "expression apps/v1, Kind=Deployment: 22: found no matching overload for '_==_' applied to '(int, string)'",
            "expression apps/v1, Kind=ReplicaSet: 22: found no matching overload for '_==_' applied to '(int, string)'",
        ],
    ),
    (policy("object.zip == 1", rules=(rule("*", group="apps"),)), []),
    (policy("object.zip == 1", rules=(rule("deployments/scale", group="apps"),)), []),
    (
        policy("object.zip == 1", rules=(rule("events"),)),
        [
            "expression /v1, Kind=Event: 7: undefined field 'zip'",
            "expression events.k8s.io/v1, Kind=Event: 7: undefined field 'zip'",
        ],
    ),
    (
        policy("params.data.x == 1 && params.zip == 2 && params.metadata.name == 1", paramKind=PK),
        [
            "expression apps/v1, Kind=Deployment: 15: found no matching overload for '_==_' applied to '(string, int)'",
            "expression 29: undefined field 'zip'",
            "expression 63: found no matching overload for '_==_' applied to '(string, int)'",
        ],
    ),
    (policy("params.zip == 2", paramKind={"apiVersion": "nope/v1", "kind": "Nope"}), []),
    (
        policy("object.spec.ports[0].targetPort == 'x' && object.spec.ports[0].zip == 1", rules=(rule("services"),)),
        ["expression /v1, Kind=Service: 63: undefined field 'zip'"],
    ),
    (
        policy(
            "object.spec.containers[0].resources.limits.cpu == 1 && object.spec.containers.all(c, c.zip)", rules=(pods,)
        ),
        ["expression /v1, Kind=Pod: 36: undefined field 'limits'", "expression 87: undefined field 'zip'"],
    ),
    (
        policy("object.metadata.creationTimestamp == 'x' && object.metadata.managedFields[0].fieldsV1.x == 1"),
        [
            "expression apps/v1, Kind=Deployment: 35: found no matching overload for '_==_' applied to '(timestamp, string)'",
            "expression 86: undefined field 'x'",
        ],
    ),
    (policy("oldObject.zip == 1"), ["expression apps/v1, Kind=Deployment: 10: undefined field 'zip'"]),
    (
        policy("object.kind == 1 && object.apiVersion == 2"),
        [
            "expression apps/v1, Kind=Deployment: 13: found no matching overload for '_==_' applied to '(string, int)'",
            "expression 39: found no matching overload for '_==_' applied to '(string, int)'",
        ],
    ),
    (
        policy("object == 1"),
        [
            "expression apps/v1, Kind=Deployment: 8: found no matching overload for '_==_' applied to '(Deployment, int)'"
        ],
    ),
    (
        policy("object.spec == object.metadata"),
        [
            "expression apps/v1, Kind=Deployment: 13: found no matching overload for '_==_' applied to '(Deployment.spec, Deployment.metadata)'"
        ],
    ),
    (
        policy("size(object.spec.replicas) == 1"),
        ["expression apps/v1, Kind=Deployment: 5: found no matching overload for 'size' applied to '(int)'"],
    ),
    (
        policy("object.data['x'] == 1", rules=(rule("secrets"),)),
        ["expression /v1, Kind=Secret: 18: found no matching overload for '_==_' applied to '(bytes, int)'"],
    ),
    (
        policy(
            "object.spec.validation.openAPIV3Schema.properties['x'].zip == 1",
            rules=(rule("customresourcedefinitions", group="apiextensions.k8s.io"),),
        ),
        ["expression apiextensions.k8s.io/v1, Kind=CustomResourceDefinition: 12: undefined field 'validation'"],
    ),
    (
        policy(
            "object.spec.versions[0].schema.openAPIV3Schema.not.zip == 1",
            rules=(rule("customresourcedefinitions", group="apiextensions.k8s.io"),),
        ),
        ["expression apiextensions.k8s.io/v1, Kind=CustomResourceDefinition: 51: undefined field 'zip'"],
    ),
    (
        policy("object.spec.template.spec.volumes[0].emptyDir.sizeLimit == 1"),
        ["expression apps/v1, Kind=Deployment: 46: undefined field 'sizeLimit'"],
    ),
    (policy("true", matchConditions=[{"name": "a", "expression": "object.zip == 1"}]), []),
    (policy("object.zip == 1", rules=(rule("pod"),)), ["expression /v1, Kind=Pod: 7: undefined field 'zip'"]),
    (policy("object.zip == 1", rules=(rule("deployments", group="*"),)), []),
    (
        policy("object.zip == 1", rules=(rule("deployments", "deployments", "statefulsets", group="apps"), dep)),
        [
            "expression apps/v1, Kind=Deployment: 7: undefined field 'zip'",
            "expression apps/v1, Kind=StatefulSet: 7: undefined field 'zip'",
        ],
    ),
    (
        policy("object.zip == 1", rules=(rule("leases", group="coordination.k8s.io"),)),
        ["expression coordination.k8s.io/v1, Kind=Lease: 7: undefined field 'zip'"],
    ),
    (
        policy("object.spec.renewTime == 1", rules=(rule("leases", group="coordination.k8s.io"),)),
        [
            "expression coordination.k8s.io/v1, Kind=Lease: 23: found no matching overload for '_==_' applied to '(timestamp, int)'"
        ],
    ),
    (
        policy(
            "object.spec.replicas == 1",
            rules=(
                rule("horizontalpodautoscalers", group="autoscaling", version="v1"),
                rule("horizontalpodautoscalers", group="autoscaling", version="v2"),
            ),
        ),
        [
            "expression autoscaling/v1, Kind=HorizontalPodAutoscaler: 12: undefined field 'replicas'",
            "expression autoscaling/v2, Kind=HorizontalPodAutoscaler: 12: undefined field 'replicas'",
        ],
    ),
]


class Nothing:
    """Informers and a client without a server."""

    def get(self, gvr: Any) -> Any:
        return None

    async def raw(self, request: Request) -> Response:
        return Response(404)


def controller() -> PolicyStatusController:
    return PolicyStatusController(client=Nothing(), informers=Nothing())  # type: ignore[arg-type]


def test_what_is_warned_of():
    """In one line each: the field, the kind, the column and the mistake."""
    for spec, wanted in CASES:
        warnings = asyncio.run(controller()._warnings(spec))
        found = []
        for warning in warnings:
            lines = [line for line in warning["warning"].split("\n") if line and not line.startswith(" |")]
            field = warning["fieldRef"].removeprefix("spec.validations[0].")
            found += [f"{field} {line.replace('ERROR: <input>:1:', '')}" for line in lines]
        assert found == wanted, spec


def test_the_whole_text():
    (warning,) = asyncio.run(controller()._warnings(policy("object.spec.replicas > '1'")))
    assert warning == {
        "fieldRef": "spec.validations[0].expression",
        "warning": (
            "apps/v1, Kind=Deployment: ERROR: <input>:1:22: found no matching overload for '_>_' applied to '(int, string)'"
            "\n | object.spec.replicas > '1'\n | .....................^\n"
        ),
    }


@pytest.mark.cluster(nodes=0)
async def test_policies_get_their_status(cluster: Any):
    wanted = definition()
    crds = CUSTOMRESOURCEDEFINITIONS
    await cluster.client.create(crds, wanted)

    async def established() -> bool:
        status = (await cluster.client.get(crds, wanted["metadata"]["name"])).get("status") or {}
        return any(c["type"] == "Established" and c["status"] == "True" for c in status.get("conditions", ()))

    await cluster.until(established)
    foos = rule("foos", group="example.com")
    made = {"metadata": {"name": "p"}, "spec": policy("object.spec.replicas == 'x' && object.spec.zip", rules=(foos,))}
    await cluster.client.create(POLICIES, made)

    async def told() -> Any:
        status = (await cluster.client.get(POLICIES, "p")).get("status") or {}
        return status if status.get("observedGeneration") == 1 else None

    status = await cluster.until(told)
    (warning,) = status["typeChecking"]["expressionWarnings"]
    assert "example.com/v1, Kind=Foo: ERROR" in warning["warning"] and "undefined field 'zip'" in warning["warning"]
