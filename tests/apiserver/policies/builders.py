"""Policies, bindings and requests for the tests of admission policies, and a server that has them."""

import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from skiff.api.jsonpath import parse
from skiff.api.resources.builtin import RESOURCES
from skiff.apiserver.admission import Chain
from skiff.apiserver.assemble import admit
from skiff.apiserver.authn import Authentication
from skiff.apiserver.authz import Attributes, Authorization, Decision
from skiff.apiserver.authz.superuser import SuperUser
from skiff.apiserver.registry import Registry
from skiff.apiserver.server import APIServer
from skiff.store.memory import MemoryStore
from skiff.testing import run
from tests.apiserver.conftest import Answer, Api

GROUP = "/apis/admissionregistration.k8s.io/v1"
NAMESPACE = "ns"
CM = "configmaps"
DEPLOYMENTS = "apps/v1:deployments"
HPAS = "autoscaling/v2:horizontalpodautoscalers"
RULE = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE", "UPDATE"], "resources": [CM]}
PK = {"apiVersion": "v1", "kind": "ConfigMap"}
POD = {
    "kind": "Pod",
    "apiVersion": "v1",
    "metadata": {"name": "p"},
    "spec": {"containers": [{"name": "a", "image": "x"}]},
}
DEP = {
    "kind": "Deployment",
    "apiVersion": "apps/v1",
    "metadata": {"name": "d"},
    "spec": {
        "replicas": 3,
        "selector": {"matchLabels": {"a": "b"}},
        "template": {
            "metadata": {"labels": {"a": "b"}},
            "spec": {"containers": [{"name": "a", "image": "x"}, {"name": "b", "image": "y"}]},
        },
    },
}
HPA = {
    "metadata": {"name": "h"},
    "spec": {
        "maxReplicas": 3,
        "scaleTargetRef": {"kind": "Deployment", "name": "d", "apiVersion": "apps/v1"},
        "metrics": [
            {
                "type": "Resource",
                "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 55}},
            }
        ],
    },
}
EVENT = {
    "metadata": {"name": "e", "namespace": NAMESPACE},
    "involvedObject": {"kind": "Pod", "namespace": NAMESPACE, "name": "x"},
}
SHOWN = [
    "metadata.labels", "metadata.annotations", "data", "immutable", "spec.replicas", "spec.containers[*].name",
    "spec.containers[*].imagePullPolicy", "spec.containers[*].env", "spec.initContainers[*].name", "spec.ports[*].port",
    "spec.ports[*].targetPort", "spec.ports[*].protocol", "spec.selector", "status.phase", "status.message",
]  # fmt: skip
"""What of an object an answer is told by."""


def rule(
    *resources: str, group: str = "", version: str = "v1", operations: Any = ("CREATE", "UPDATE"), **more: Any
) -> Any:
    made = {"apiGroups": [group], "apiVersions": [version], "operations": list(operations)}
    return {**made, "resources": list(resources), **more}


def match(*rules: Any, **more: Any) -> Any:
    return {"resourceRules": list(rules) or [RULE], **more}


def validating(*validations: Any, rules: Any = (RULE,), **spec: Any) -> Any:
    made = [{"expression": v} if isinstance(v, str) else v for v in validations]
    return {"matchConstraints": spec.pop("matchConstraints", match(*rules)), "validations": made, **spec}


def mutating(*mutations: Any, rules: Any = (RULE,), **spec: Any) -> Any:
    constraints = spec.pop("matchConstraints", match(*rules))
    return {"matchConstraints": constraints, "mutations": list(mutations), "reinvocationPolicy": "Never", **spec}


def apply_(expression: str) -> Any:
    return {"patchType": "ApplyConfiguration", "applyConfiguration": {"expression": expression}}


def patch_(expression: str) -> Any:
    return {"patchType": "JSONPatch", "jsonPatch": {"expression": expression}}


def labelled(fields: str) -> Any:
    """Sets labels."""
    return apply_(f"Object{{metadata: Object.metadata{{labels: Object.metadata.labels{{{fields}}}}}}}")


def ref(**reference: Any) -> Any:
    """Of a binding that wants parameters."""
    return {"paramRef": {"parameterNotFoundAction": "Deny", **reference}}


def cm(name: str = "c", labels: Any = None, **data: str) -> Any:
    meta = {"name": name, **({"labels": labels} if labels else {})}
    return {"kind": "ConfigMap", "apiVersion": "v1", "metadata": meta, "data": data}


def nested(depth: int, inner: str) -> str:
    """An expression that goes through ten numbers, for each of them again, and so on."""
    for name in "fedcba"[6 - depth :]:
        inner = f"[1,2,3,4,5,6,7,8,9,10].all({name},{inner})"
    return inner


@dataclass(frozen=True)
class Case:
    """steps: (method, resource or path below the namespace, body, what is answered). bindings: what each says beyond
    the policy's name."""

    policy: Any
    steps: Any
    bindings: Any = field(default_factory=dict)


def case(name: str, policy: Any, steps: Any, bindings: Any = None) -> Any:
    return pytest.param(Case(policy, steps, bindings or {}), id=name)


class MayNothing:
    async def authorize(self, attrs: Attributes) -> Decision:
        return Decision("none")


async def serve() -> AsyncIterator[Api]:
    """All built-in plugins; only administrators may anything."""
    store = MemoryStore()
    registry = Registry(store, RESOURCES)
    server = APIServer(
        registry,
        authentication=Authentication([]),
        authorization=Authorization([SuperUser(), MayNothing()]),
        admission=Chain([]),
    )
    admit(server, service_cidrs=["10.96.0.0/12"])
    await server.start()
    api = Api(server)
    try:
        labels = {"case": "x"}
        for name in (NAMESPACE, "default"):
            made = await api("POST", "/api/v1/namespaces", {"metadata": {"name": name, "labels": labels}})
            assert made.status == 201, made.body
        made = await api("POST", f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts", {"metadata": {"name": "default"}})
        assert made.status == 201, made.body
        yield api
    finally:
        await server.close()
        await store.close()


async def settled(api: Api) -> None:
    """Until the server knows what has been written."""
    await api.server.registry.hub.caught_up()


async def create(api: Api, kind: str, policy: Any, *bindings: Any, name: str = "policy") -> None:
    """A policy (kind: validating, mutating) and its bindings, at work."""
    made = await api("POST", f"{GROUP}/{kind}admissionpolicies", {"metadata": {"name": name}, "spec": policy})
    assert made.status == 201, made.body
    for i, more in enumerate(bindings):
        spec = {"policyName": name, **({"validationActions": ["Deny"]} if kind == "validating" else {}), **more}
        body = {"metadata": {"name": f"{name.replace('policy', 'binding')}-{i}"}, "spec": spec}
        made = await api("POST", f"{GROUP}/{kind}admissionpolicybindings", body)
        assert made.status == 201, made.body
    await settled(api)


TYPES = {"PATCH": ("PATCH", "application/merge-patch+json"), "APPLY": ("PATCH", "application/apply-patch+yaml")}


async def ask(api: Api, method: str, target: str, body: Any = None) -> Answer:
    """target: `plural/name`, with its group version before a colon unless that is v1."""
    version, _, rest = target.rpartition(":")
    root = f"/apis/{version}" if version else "/api/v1"
    verb, kind = TYPES.get(method, (method, "application/json"))
    query = "?fieldManager=t" if method == "APPLY" else ""
    answer = await api(verb, f"{root}/namespaces/{NAMESPACE}/{rest}{query}", body, type=kind)
    await settled(api)
    return answer


def said(answer: Answer, *, shown: bool = False) -> str:
    """An answer in one line: the code, the reason and the end of the message of a refusal, or (shown) what counts of an
    object; then warnings."""
    if answer.status >= 400:
        message = answer.body["message"]
        text = f"{answer.status} {answer.body.get('reason', '')}: {message.partition('denied request: ')[2] or message}"
    else:
        found = _found(answer.body) if shown else {}
        text = f"{answer.status} {json.dumps(found, sort_keys=True)}" if found else str(answer.status)
    for warning in answer.headers.get("warning", "").split('299 - "')[1:]:
        text += " | " + warning.rstrip(', "').partition("': ")[2]
    return text


def _found(obj: Any) -> Any:
    found = {}
    for path in SHOWN:
        values = parse(f".{path}").find(obj) if _has(obj, path) else []
        if values and not (path == "spec.selector" and obj["kind"] == "Deployment"):
            found[path] = values if "[*]" in path else values[0]
    return found


def _has(obj: Any, path: str) -> bool:
    for name in path.partition("[")[0].split("."):
        if not isinstance(obj, dict) or name not in obj:
            return False
        obj = obj[name]
    return True


def play(scenario: Callable[[Api], Any]) -> Any:
    """Runs a scenario against a fresh server on the virtual clock."""

    async def main() -> Any:
        async for api in serve():
            return await scenario(api)

    return run(main())


def answers(kind: str, case: Case) -> list[str]:
    """What a case's requests are answered."""

    async def scenario(api: Api) -> list[str]:
        bindings = case.bindings if isinstance(case.bindings, list) else [case.bindings]
        await create(api, kind, case.policy, *bindings)
        return [said(await ask(api, *step[:3]), shown=kind == "mutating") for step in case.steps]

    found: list[str] = play(scenario)
    return found
