"""What is around the expressions of policies: how refusals look, what comes and goes, who may write them."""

from typing import Any

import pytest

from skiff.api.gvr import CONFIGMAPS
from skiff.apiserver.admission import Attributes
from skiff.apiserver.authz import Authorization, Decision
from skiff.wire.messages import UserInfo
from tests.apiserver.apiextensions.builders import definition, established, foo, schema, version
from tests.apiserver.conftest import ADMIN, Api
from tests.apiserver.policies.builders import (
    CM,
    GROUP,
    NAMESPACE,
    PK,
    RULE,
    apply_,
    ask,
    cm,
    create,
    labelled,
    match,
    mutating,
    patch_,
    play,
    ref,
    rule,
    said,
    settled,
    validating,
)

VP, VB = (f"{GROUP}/validatingadmissionpolic{end}" for end in ("ies", "ybindings"))
MP, MB = (f"{GROUP}/mutatingadmissionpolic{end}" for end in ("ies", "ybindings"))


def test_a_refusal_by_a_validating_policy():
    async def scenario(api: Api) -> Any:
        await create(api, "validating", validating({"expression": "false", "reason": "Forbidden", "message": "no"}), {})
        return (await ask(api, "POST", CM, cm())).body

    words = "ValidatingAdmissionPolicy 'policy' with binding 'binding-0' denied request: no"
    assert play(scenario) == {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": f'configmaps "c" is forbidden: {words}',
        "reason": "Forbidden",
        "details": {"name": "c", "kind": "configmaps", "causes": [{"message": words}]},
        "code": 403,
    }


def test_a_refusal_by_a_mutating_policy():
    async def scenario(api: Api) -> Any:
        await create(api, "mutating", mutating(labelled("x: object.data.y")), {})
        await create(api, "mutating", mutating(apply_("Object{nope: 1}")), {}, name="policy2")
        return (await ask(api, "POST", CM, cm())).body

    first = (
        "policy 'policy' with binding 'binding-0' denied request: expression 'Object{metadata: Object.metadata{labels: "
        "Object.metadata.labels{x: object.data.y}}}' resulted in error: no such key: data"
    )
    second = (
        "policy 'policy2' with binding 'binding2-0' denied request: error applying patch: failed to convert patch object "
        "to typed object: .nope: field not declared in schema"
    )
    assert play(scenario) == {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": first,
        "reason": "Invalid",
        "details": {"name": "c", "kind": "configmaps", "causes": [{"message": first}, {"message": second}]},
        "code": 403,
    }


def test_notes_for_the_audit_log():
    async def scenario(api: Api) -> dict[str, str]:
        annotated = {
            **validating("object.metadata.name != 'c'", "true", "object.data.x == '<'"),
            "auditAnnotations": [
                {"key": "name", "valueExpression": "' is ' + object.metadata.name"},
                {"key": "nothing", "valueExpression": "object.metadata.name == 'd' ? '' : 'x'"},
            ],
        }
        await create(api, "validating", annotated, {"validationActions": ["Audit", "Warn"]}, {})
        attrs = Attributes(operation="CREATE", gvr=CONFIGMAPS, namespace=NAMESPACE, name="d", obj=cm("d"), user=ADMIN)
        with pytest.raises(Exception, match="no such key: x"):
            await api.server.admission.validate(attrs)
        return attrs.annotations

    assert play(scenario) == {
        "policy/name": "is d",
        "validation.policy.admission.k8s.io/validation_failure": (
            '[{"message":"expression \'object.data.x == \'\\u003c\'\' resulted in error: no such key: x","policy":"policy",'
            '"binding":"binding-0","expressionIndex":2,"validationActions":["Audit","Warn"]}]'
        ),
    }


def test_policies_and_bindings_come_and_go():
    async def scenario(api: Api) -> list[str]:
        found = []

        async def note() -> None:
            await settled(api)
            found.append(said(await ask(api, "POST", f"{CM}?dryRun=All", cm())))

        binding = {"metadata": {"name": "b"}, "spec": {"policyName": "policy", "validationActions": ["Deny"]}}
        assert (await api("POST", VB, binding)).status == 201
        await note()
        await create(api, "validating", validating({"expression": "false", "message": "one"}))
        await note()
        change = {"spec": validating({"expression": "false", "message": "two"})}
        assert (await api("PATCH", f"{VP}/policy", change, type="application/merge-patch+json")).status == 200
        await note()
        change = {"spec": {"validationActions": ["Warn"]}}
        assert (await api("PATCH", f"{VB}/b", change, type="application/merge-patch+json")).status == 200
        await note()
        assert (await api("DELETE", f"{VB}/b")).status == 200
        await note()
        return found

    assert play(scenario) == ["201", "422 Invalid: one", "422 Invalid: two", "201 | two", "201"]


def test_no_policy_sees_policies_and_reviews():
    async def scenario(api: Api) -> list[int]:
        every = rule("*", group="*", version="*", operations=["*"])
        await create(api, "validating", validating("false", rules=(every,)), {})
        review = {"spec": {"resourceAttributes": {"verb": "get", "resource": "pods"}}}
        return [
            (await api("POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", review)).status,
            (await api("POST", VP, {"metadata": {"name": "p2"}, "spec": validating("true")})).status,
            (await api("DELETE", f"{VB}/binding-0")).status,
            (await api("DELETE", f"{VP}/policy")).status,
        ]

    assert play(scenario) == [201, 201, 200, 200]


def test_who_mutates_again():
    """`a` wants to see what others made, `b` does not; `c` changes what both depend on."""

    async def scenario(api: Api) -> Any:
        for name, again in (("policya", "IfNeeded"), ("policyb", "Never")):
            expression = f"{name}: object.data.n + string('x' in object.metadata.?labels.orValue({{}}))"
            await create(api, "mutating", mutating(labelled(expression), reinvocationPolicy=again), {}, name=name)
        await create(api, "mutating", mutating(labelled("x: 'y'")), {}, name="policyc")
        return (await ask(api, "POST", CM, cm(n="n"))).body["metadata"]["labels"]

    assert play(scenario) == {"policya": "ntrue", "policyb": "nfalse", "x": "y"}


def test_a_mutated_object_is_validated():
    async def scenario(api: Api) -> list[str]:
        await create(api, "mutating", mutating(apply_("Object{data: {'a': 'b'}}")), {})
        await create(api, "validating", validating("object.data.a != 'b'"), {})
        return [said(await ask(api, "POST", CM, cm()))]

    assert play(scenario) == ["422 Invalid: failed expression: object.data.a != 'b'"]


def test_what_is_counted():
    async def scenario(api: Api) -> set[str]:
        conditions = [{"name": "c", "expression": "object.data.x == 'y'"}]
        await create(api, "validating", validating("false", "true", "object.data.x == 'z'", failurePolicy="Ignore"), {})
        await create(api, "validating", validating("true", matchConditions=conditions), {}, name="policy2")
        await create(
            api,
            "mutating",
            mutating(labelled("x: 'y'"), patch_("[JSONPatch{op: 'test', path: '/data', value: null}]")),
            {},
        )
        await ask(api, "POST", CM, cm())
        text = (await api("GET", "/metrics")).body
        return {
            line for line in text.splitlines() if "admission_policy_check_total{" in line or "match_condition" in line
        }

    found = play(scenario)
    prefix = "apiserver_validating_admission_policy_check_total"
    wanted = {
        f'{prefix}{{policy="policy",policy_binding="binding-0",error_type="invalid_error",enforcement_action="{action}"}} 1'
        for action in ("deny", "allow")
    }
    wanted |= {
        f'{prefix}{{policy="policy2",policy_binding="binding2-0",error_type="invalid_error",enforcement_action="deny"}} 1',
        'apiserver_mutating_admission_policy_check_total{policy="policy",policy_binding="binding-0",'
        'error_type="no_error"} 2',
        'apiserver_admission_match_condition_evaluation_errors_total{name="policy2",kind="policy",type="validate",'
        'operation="CREATE"} 1',
        'apiserver_admission_match_condition_evaluation_seconds_count{name="policy2",kind="policy",type="validate",'
        'operation="CREATE"} 1',
    }
    assert wanted <= found


def test_custom_resources_as_parameters():
    async def scenario(api: Api) -> list[str]:
        await established(api)
        policy = validating(
            {"expression": "size(object.data) <= params.spec.replicas", "messageExpression": "'of ' + params.kind"},
            paramKind={"apiVersion": "example.com/v1", "kind": "Foo"},
        )
        policy["validations"][0]["messageExpression"] = "'of ' + string(params.kind)"
        await create(api, "validating", policy, ref(name="limit"))
        found = [said(await ask(api, "POST", CM, cm(a="1", b="2")))]
        found.append(said(await ask(api, "POST", "example.com/v1:foos", foo("limit"))))
        found.append(said(await ask(api, "POST", CM, cm(a="1", b="2"))))
        return [*found, said(await ask(api, "POST", CM, cm("d", a="1")))]

    missing = "no params found for policy binding with `Deny` parameterNotFoundAction"
    assert play(scenario) == [
        f"422 Invalid: failed to configure binding: {missing}",
        "201",
        "422 Invalid: of Foo",
        "201",
    ]


def test_custom_resources_are_mutated_as_their_schema_says():
    async def scenario(api: Api) -> Any:
        await established(api)
        foos = rule("foos", group="example.com")
        ports = "[Object.spec.ports{name: 'a', number: 2}, Object.spec.ports{name: 'b'}]"
        await create(
            api, "mutating", mutating(apply_(f"Object{{spec: Object.spec{{ports: {ports}}}}}"), rules=(foos,)), {}
        )
        made = await ask(api, "POST", "example.com/v1:foos", foo(spec={"ports": [{"name": "a", "number": 1}]}))
        return made.body["spec"]

    assert play(scenario) == {"replicas": 1, "ports": [{"name": "a", "number": 2}, {"name": "b"}]}


def test_a_policy_about_another_version_of_a_custom_resource():
    async def scenario(api: Api) -> list[Any]:
        older = version("v1alpha1", storage=False, schema={"openAPIV3Schema": schema()})
        await established(api, definition(versions=[version(), older]))
        about = rule("foos", group="example.com", version="v1alpha1")
        labels = labelled("made: object.apiVersion.replace('/', '.'), asked: request.requestResource.version")
        await create(api, "mutating", mutating(labels, rules=(about,)), {})
        made = (await ask(api, "POST", "example.com/v1:foos", foo())).body
        return [made["apiVersion"], made["metadata"]["labels"]]

    assert play(scenario) == ["example.com/v1", {"made": "example.com.v1alpha1", "asked": "v1"}]


def test_cluster_scoped_objects_and_namespaced_parameters():
    async def scenario(api: Api) -> list[str]:
        about = rule("namespaces", "persistentvolumes", "priorityclasses", group="*")
        await create(api, "validating", validating("params.data.a == 'x'", paramKind=PK, rules=(about,)), ref(name="p"))
        await ask(api, "POST", CM, cm("p", a="x"))
        scheduling = "/apis/scheduling.k8s.io/v1/priorityclasses"
        one = await api("POST", scheduling, {"metadata": {"name": "pc"}, "value": 1})
        two = await api("PUT", f"/api/v1/namespaces/{NAMESPACE}", {"metadata": {"name": NAMESPACE}})
        return [said(one), said(two)]

    why = "cannot use namespaced paramRef in policy binding that matches cluster-scoped resources"
    assert play(scenario) == [f"422 Invalid: failed to configure binding: {why}", "200"]


class Reader:
    """Lets everybody write, and `reader` read config maps."""

    async def authorize(self, attrs: Any) -> Decision:
        reads = attrs.verb in ("get", "list") and attrs.resource in (CM, "nopes", "*")
        allowed = not reads or (attrs.user.name == "reader" and attrs.resource == CM)
        return Decision("allow" if allowed else "none")


BOB, READER = (UserInfo(name, ("system:authenticated",)) for name in ("bob", "reader"))
NOPE = {"apiVersion": "none.example.com/v1", "kind": "Nope"}


@pytest.mark.parametrize(
    ("user", "path", "spec", "why"),
    [
        pytest.param(READER, VP, validating("true", paramKind=PK), "", id="reads the kind"),
        pytest.param(
            BOB, VP, validating("true", paramKind=PK),
            'spec.paramKind: Forbidden: user &{bob  [system:authenticated] map[]} must have "get" permission on all objects '
            "of the referenced paramKind (kind=ConfigMap, apiVersion=v1)",
            id="does not read the kind",
        ),
        pytest.param(BOB, VP, validating("true"), "", id="no kind"),
        pytest.param(ADMIN, MP, mutating(labelled("x: 'y'"), paramKind=NOPE), "", id="an administrator"),
        pytest.param(READER, VB, {"policyName": "policy", "validationActions": ["Deny"], **ref(name="x")}, "", id="reads"),
        pytest.param(
            BOB, VB, {"policyName": "policy", "validationActions": ["Deny"], **ref(name="x")},
            "spec.paramRef: Forbidden: user &{bob  [system:authenticated] map[]} does not have \"get\" permission on the "
            "object referenced by paramRef",
            id="does not read",
        ),
        pytest.param(
            BOB, MB, {"policyName": "none", **ref(selector={})},
            "spec.paramRef: Forbidden: unable to get policy none to determine minimum required permissions and user &{bob  "
            '[system:authenticated] map[]} does not have "list" permission for all groups, versions and resources',
            id="no policy",
        ),
        pytest.param(
            BOB, VB, {"policyName": "nope", "validationActions": ["Deny"], **ref(name="x")},
            "spec.paramRef: Forbidden: unable to resolve paramKind &{none.example.com/v1 Nope} to determine minimum required "
            'permissions and user &{bob  [system:authenticated] map[]} does not have "get" permission for all groups, '
            "versions and resources",
            id="a kind that is not there",
        ),
        pytest.param(
            BOB, MB, {"policyName": "policy", **ref(name="x")},
            'spec.paramRef: Forbidden: user get does not have "&{bob  [system:authenticated] map[]}" permission on the object '
            "referenced by paramRef",
            id="upstream mixes up the words here",
        ),
    ],
)  # fmt: skip
def test_who_may_name_parameters(user: UserInfo, path: str, spec: Any, why: str):
    async def scenario(api: Api) -> tuple[int, str]:
        await create(api, "validating", validating("true", paramKind=PK))
        await create(api, "validating", validating("true", paramKind=NOPE), name="nope")
        await create(api, "mutating", mutating(labelled("x: 'y'"), paramKind=PK))
        authorizers: Authorization = api.server.authorization
        authorizers.authorizers[1:] = [Reader()]
        answer = await Api(api.server, user)("POST", path, {"metadata": {"name": "new"}, "spec": spec})
        return answer.status, answer.body.get("message", "").partition("is invalid: ")[2]

    assert play(scenario) == ((422, why) if why else (201, ""))


def test_stored_conditions_stay():
    """An update that leaves conditions alone is not asked whether they would be allowed today."""
    spec = validating("true", matchConditions=[{"name": "c", "expression": "noSuchThing()"}], failurePolicy="Fail")
    old = {"kind": "ValidatingAdmissionPolicy", "metadata": {"name": "old", "uid": "1", "generation": 1}, "spec": spec}
    spec["matchConstraints"] = match(
        {**RULE, "scope": "*"}, matchPolicy="Equivalent", namespaceSelector={}, objectSelector={}
    )

    async def scenario(api: Api) -> list[Any]:
        await api.store("validatingadmissionpolicies", old)
        found = []
        for change in ({"validations": [{"expression": "1 == 1"}]}, {"paramKind": PK}):
            kind = "application/merge-patch+json"
            answer = await api("PATCH", f"{VP}/old", {"spec": change}, type=kind)
            found.append((answer.status, [c["field"] for c in answer.body.get("details", {}).get("causes", [])]))
        return found

    assert play(scenario) == [(200, []), (422, ["spec.matchConditions[0].expression"])]


def test_the_status_of_a_policy_is_checked():
    async def scenario(api: Api) -> Any:
        await create(api, "validating", validating("true"))
        warnings = [
            {"fieldRef": "spec.validations[0].expression", "warning": "w"},
            {"fieldRef": " ", "warning": ""},
            {"fieldRef": "spec[", "warning": "w"},
        ]
        status = {"status": {"typeChecking": {"expressionWarnings": warnings}}}
        answer = await api("PATCH", f"{VP}/policy/status", status, type="application/merge-patch+json")
        return [c["field"] for c in answer.body["details"]["causes"]]

    path = "status.typeChecking.expressionWarnings"
    assert play(scenario) == [f"{path}[1].warning", f"{path}[1].fieldRef", f"{path}[2].fieldRef"]
