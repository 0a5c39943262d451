"""What becomes of a request by what a webhook answers. All words are upstream's: taken from kube-apiserver v1.36."""

import asyncio
from base64 import b64encode
from typing import Any

import orjson
import pytest

from tests.apiserver.webhooks.world import MAPS, add, allow, certificates, config_map, deny, patch, reviewed, run

CALL = 'Internal error occurred: failed calling webhook "h.example.com": '
FAILED, INVALID = f"{CALL}failed to call webhook: ", f"{CALL}received invalid webhook response: "
DENIED = 'admission webhook "h.example.com" denied the request'
META = 'type struct { APIVersion string "json:\\"apiVersion,omitempty\\""; Kind string "json:\\"kind,omitempty\\"" }'
SCHEME = 'in scheme "k8s.io/apiserver/pkg/util/webhook/client.go:71"'


def said(code: int, text: bytes = b"some words") -> Any:
    return lambda review: (code, text)


def changed(**fields: Any) -> Any:
    return lambda review: {**reviewed(review), **fields}


def without(field: str) -> Any:
    return lambda review: {k: v for k, v in reviewed(review).items() if k != field}


def raw_patch(text: bytes, **fields: Any) -> Any:
    return lambda review: reviewed(review, **{"patch": b64encode(text).decode(), "patchType": "JSONPatch", **fields})


STATUS = {"apiVersion": "v1", "kind": "Status", "status": "Failure", "message": "mm", "code": 409, "reason": "Conflict"}

BOTH = {
    "refusal": (deny(), 400, None, f"{DENIED} without explanation"),
    "refusal with a message": (deny(message="because"), 400, None, f"{DENIED}: because"),
    "refusal with a reason": (deny(reason="Forbidden"), 400, "Forbidden", f"{DENIED}: Forbidden"),
    "refusal with a code": (deny(message="m", code=403, reason="Forbidden"), 403, "Forbidden", f"{DENIED}: m"),
    "refusal that calls itself a success": (deny(status="Success", message="m", code=200), 400, None, f"{DENIED}: m"),
    "another uid": (
        lambda r: reviewed(r, uid="nope"),
        500,
        "InternalError",
        INVALID + 'expected response.uid="U", got "nope"',
    ),
    "no uid": (lambda r: reviewed(r, uid=""), 500, "InternalError", INVALID + 'expected response.uid="U", got ""'),
    "no response": (without("response"), 500, "InternalError", INVALID + "webhook response was absent"),
    "an empty object": (lambda r: {}, 500, "InternalError", INVALID + "webhook response was absent"),
    "no kind": (
        lambda r: {"response": reviewed(r)["response"]},
        500,
        "InternalError",
        INVALID + "expected webhook response of admission.k8s.io/v1, Kind=AdmissionReview, got /, Kind=",
    ),
    "another kind": (
        changed(apiVersion="v1", kind="Pod"),
        500,
        "InternalError",
        f'{FAILED}no kind "Pod" is registered for version "v1" {SCHEME}',
    ),
    "another version": (
        changed(apiVersion="admission.k8s.io/v1beta1"),
        500,
        "InternalError",
        f"{FAILED}converting (v1beta1.AdmissionReview) to (v1.AdmissionReview): unknown conversion",
    ),
    "an unknown version": (
        changed(apiVersion="admission.k8s.io/v2"),
        500,
        "InternalError",
        f'{FAILED}no kind "AdmissionReview" is registered for version "admission.k8s.io/v2" {SCHEME}',
    ),
    "an array": (
        lambda r: [],
        500,
        "InternalError",
        f"{FAILED}couldn't get version/kind; json parse error: json: cannot unmarshal array into Go value of {META}",
    ),
    "text": (
        said(200),
        500,
        "InternalError",
        f"{FAILED}couldn't get version/kind; json parse error: json: cannot unmarshal string into Go value of {META}",
    ),
    "nothing": (
        said(200, b""),
        500,
        "InternalError",
        f"{FAILED}0-length response with status code: 200 and content type: application/json",
    ),
    "a wrong type": (
        lambda r: reviewed(r, allowed="yes"),
        500,
        "InternalError",
        f"{FAILED}json: cannot unmarshal string into Go struct field AdmissionResponse.response.allowed of type bool",
    ),
    "a Status": (lambda r: (409, STATUS), 500, "InternalError", f"{FAILED}mm"),
    "a Status as if all were well": (
        lambda r: STATUS,
        500,
        "InternalError",
        f"{FAILED}converting (v1.Status) to (v1.AdmissionReview): unknown conversion",
    ),
    "400": (said(400), 500, "InternalError", f"{FAILED}the server rejected our request for an unknown reason"),
    "403": (said(403), 500, "InternalError", f"{FAILED}some words"),
    "404": (said(404), 500, "InternalError", f"{FAILED}the server could not find the requested resource"),
    "418": (
        said(418),
        500,
        "InternalError",
        f"{FAILED}the server responded with the status code 418 but did not return more information",
    ),
    "500": (
        said(500),
        500,
        "InternalError",
        f'{FAILED}an error on the server ("some words") has prevented the request from succeeding',
    ),
    "503": (said(503), 500, "InternalError", f"{FAILED}the server is currently unable to handle the request"),
}
MUTATING = {
    "patch without a type": (
        lambda r: reviewed(r, patch="W10="),
        500,
        "InternalError",
        INVALID + "webhook returned response.patch but not response.patchType",
    ),
    "type without a patch": (
        lambda r: reviewed(r, patchType="JSONPatch"),
        500,
        "InternalError",
        INVALID + "webhook returned response.patchType but not response.patch",
    ),
    "empty type": (
        raw_patch(b"[]", patchType=""),
        500,
        "InternalError",
        INVALID + 'webhook returned invalid response.patchType of ""',
    ),
    "type of another patch": (
        raw_patch(b'[{"op":"add","path":"/data/x","value":"y"}]', patchType="MergePatch"),
        500,
        "InternalError",
        f'{CALL}unsupported patch type "MergePatch"',
    ),
    "patch that is an object": (
        raw_patch(b"{}"),
        500,
        "InternalError",
        f"{CALL}received undecodable patch in webhook response: json: cannot unmarshal object into Go value of type "
        "jsonpatch.Patch",
    ),
    "patch that is no base64": (
        lambda r: reviewed(r, patch="%%%", patchType="JSONPatch"),
        500,
        "InternalError",
        f"{FAILED}illegal base64 data at input byte 0",
    ),
    "below what is missing": (
        patch(add("/nope/x", "y")),
        500,
        "InternalError",
        'Internal error occurred: add operation does not apply: doc is missing path: "/nope/x": missing value',
    ),
    "removal of what is missing": (
        patch({"op": "remove", "path": "/nope"}),
        500,
        "InternalError",
        "Internal error occurred: error in remove for path: '/nope': Unable to remove nonexistent key: nope: missing value",
    ),
    "a place that a list has not": (
        patch(add("/metadata/finalizers", []), add("/metadata/finalizers/7", "x")),
        500,
        "InternalError",
        "Internal error occurred: error in add for path: '/metadata/finalizers/7': Unable to access invalid index: 7: "
        "invalid index referenced",
    ),
    "a test that fails": (
        patch({"op": "test", "path": "/kind", "value": "Other"}),
        500,
        "InternalError",
        "Internal error occurred: testing value /kind failed: test failed",
    ),
    "an unknown operation": (
        patch({"op": "frob", "path": "/kind"}),
        500,
        "InternalError",
        "Internal error occurred: Unexpected kind: frob",
    ),
    "what cannot be decoded": (
        patch(add("/data", "text")),
        500,
        "InternalError",
        "Internal error occurred: json: cannot unmarshal string into Go struct field ConfigMap.data of type "
        "map[string]string",
    ),
    "an unknown kind": (
        patch(add("/kind", "Nope")),
        500,
        "InternalError",
        'Internal error occurred: no kind "Nope" is registered for version "v1" in scheme '
        '"pkg/api/legacyscheme/scheme.go:30"',
    ),
    "another namespace": (
        patch(add("/metadata/namespace", "kube-system")),
        400,
        "BadRequest",
        "the namespace of the provided object does not match the namespace sent on the request",
    ),
}
VALIDATING = {
    "a patch": (
        patch(add("/data/x", "y")),
        500,
        "InternalError",
        INVALID + "validating webhook may not return response.patch",
    ),
    "a patch type": (
        lambda r: reviewed(r, patchType="JSONPatch"),
        500,
        "InternalError",
        INVALID + "validating webhook may not return response.patchType",
    ),
}
CASES = [
    pytest.param(kind, *case, id=f"{kind}: {name}")
    for kind, cases in (
        ("Mutating", BOTH),
        ("Mutating", MUTATING),
        ("Validating", BOTH),
        ("Validating", VALIDATING),
    )
    for name, case in cases.items()
]


@pytest.mark.parametrize("kind, reply, code, reason, message", CASES)
def test_refusals_and_bad_answers(kind, reply, code, reason, message):
    async def main(world):
        await world.install(kind, world.hook("/h", reply))
        answer = await world("POST", MAPS, config_map())
        uid = world.requests[0]["uid"]
        found = answer.body["message"].replace(f'"{uid}"', '"U"')
        assert (answer.status, answer.body.get("reason"), found) == (code, reason, message)
        assert (await world("GET", f"{MAPS}/m")).status == 404

    run(main)


def test_a_refusal_keeps_what_its_status_says():
    details = {"name": "n", "group": "g", "kind": "k", "causes": [{"reason": "r", "message": "mm", "field": "f"}]}

    async def main(world):
        reply = deny(message="m", code=422, reason="Invalid", details=details, metadata={})
        await world.install("Validating", world.hook("/h", reply))
        answer = await world("POST", MAPS, config_map())
        assert answer.body == {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": f"{DENIED}: m",
            "reason": "Invalid",
            "details": details,
            "code": 422,
        }

    run(main)


IGNORED = {"a code": said(500), "text": said(200), "another uid": lambda r: reviewed(r, uid="nope")}


@pytest.mark.parametrize("kind", ["Mutating", "Validating"])
@pytest.mark.parametrize("reply", IGNORED.values(), ids=IGNORED)
def test_failures_that_are_ignored(kind, reply):
    async def main(world):
        await world.install(kind, world.hook("/h", reply, failurePolicy="Ignore"))
        assert (await world("POST", MAPS, config_map())).status == 201
        step = {"Mutating": "admit", "Validating": "validating"}[kind]
        assert f'apiserver_admission_webhook_fail_open_count{{name="h.example.com",type="{step}"}} 1' in world.metrics()

    run(main)


NOT_IGNORED = {"refusals": deny(), "patches that do not apply": patch(add("/nope/x", "y"))}


@pytest.mark.parametrize("reply", NOT_IGNORED.values(), ids=NOT_IGNORED)
def test_what_the_failure_policy_is_not_about(reply):
    async def main(world):
        await world.install("Mutating", world.hook("/h", reply, failurePolicy="Ignore"))
        assert (await world("POST", MAPS, config_map())).status in (400, 500)

    run(main)


def test_v1beta1_is_taken_less_strictly():
    """Source: VerifyAdmissionResponse."""

    async def main(world):
        versions = {"admissionReviewVersions": ["v9", "v1beta1", "v1"]}
        text = b64encode(orjson.dumps([add("/data/hook", "was here")])).decode()
        await world.install(
            "Mutating", world.hook("/h", lambda r: {"response": {"allowed": True, "patch": text}}, **versions)
        )
        await world.install("Validating", world.hook("/v", lambda r: {"response": {"allowed": True}}, **versions))
        made = await world("POST", MAPS, config_map())
        assert made.body["data"] == {"a": "b", "hook": "was here"}
        assert {review["apiVersion"] for _, _, review in world.seen} == {"admission.k8s.io/v1beta1"}

    run(main)


WARNINGS = {
    "each once": (["one", "two", "one"], '299 - "one", 299 - "two"'),
    "not what has control characters": (["one", "a\nb", ""], '299 - "one"'),
    "cut when together they are long": (["x" * 300, "y" * 5000], f'299 - "{"x" * 256}", 299 - "{"y" * 256}"'),
}


@pytest.mark.parametrize("warnings, header", WARNINGS.values(), ids=WARNINGS)
@pytest.mark.parametrize("allowed", [True, False])
def test_warnings(warnings, header, allowed):
    async def main(world):
        reply = lambda r: reviewed(r, allowed=allowed, warnings=warnings)  # noqa: E731
        await world.install("Validating", world.hook("/h", reply))
        assert (await world("POST", MAPS, config_map())).headers["warning"] == header

    run(main)


CLIENTS = {
    "nobody listens": (
        {"url": "https://127.0.0.1:1/x"},
        'Post "https://127.0.0.1:1/x?timeout=5s": dial tcp 127.0.0.1:1: connect: connection refused',
    ),
    "a service that is missing": (
        {"service": {"name": "s", "namespace": "default"}},
        'Post "https://s.default.svc:443/?timeout=5s": service "s" not found',
    ),
    "a port that is missing": (
        {"service": {"name": "hook", "namespace": "default", "port": 77, "path": "/p"}},
        'Post "https://hook.default.svc:77/p?timeout=5s": no service port 77 found for service "hook"',
    ),
    "a bundle that is none": (
        {"url": "https://127.0.0.1:1/x", "caBundle": "eA=="},
        'Post "https://127.0.0.1:1/x?timeout=5s": unable to load root certificates: unable to parse bytes as PEM block',
    ),
}


@pytest.mark.parametrize("client, words", CLIENTS.values(), ids=CLIENTS)
def test_webhooks_that_cannot_be_reached(client, words):
    async def main(world):
        await service(world, 443)
        await world.install("Validating", world.hook("/h", clientConfig={"caBundle": certificates()[1], **client}))
        answer = await world("POST", MAPS, config_map())
        assert (answer.status, answer.body["message"]) == (500, FAILED + words)

    run(main)


async def service(world: Any, port: int) -> None:
    """One whose cluster address is the webhook server's."""
    await world.api.store(
        "services",
        {
            "metadata": {"name": "hook", "namespace": "default"},
            "spec": {"clusterIP": "127.0.0.1", "ports": [{"port": port}], "type": "ClusterIP"},
        },
    )


def test_a_certificate_of_somebody_else():
    async def main(world):
        hook = world.hook("/h", allow)
        del hook["clientConfig"]["caBundle"]
        await world.install("Validating", hook)
        answer = await world("POST", MAPS, config_map())
        words = "tls: failed to verify certificate: x509: certificate signed by unknown authority"
        assert answer.body["message"] == f'{FAILED}Post "https://127.0.0.1:{world.port}/h?timeout=5s": {words}'

    run(main)


def test_a_service_is_called_by_its_name_and_connections_are_kept():
    async def main(world):
        await service(world, world.port)
        where = {"service": {"name": "hook", "namespace": "default", "path": "/p", "port": world.port}}
        hook = world.hook("/p", allow, clientConfig={**where, "caBundle": certificates()[1]})
        await world.install("Validating", hook)
        for name in "abc":
            assert (await world("POST", MAPS, config_map(name))).status == 201
        assert world.paths == ["/p"] * 3
        assert world.headers["host"] == f"hook.default.svc:{world.port}"
        assert world.headers["user-agent"] == "kube-apiserver-admission"
        plugin = next(p for p in world.api.server.admission.plugins if p.name == "ValidatingAdmissionWebhook")
        transport = plugin._configurations.hooks[0].client._transport
        assert len(transport._open) == 1, "one connection for all calls"
        await world.remove("Validating")
        assert not transport._open, "it went with the configuration"

    run(main)


def test_a_connection_that_was_closed_meanwhile_is_replaced():
    async def main(world):
        await world.install("Validating", world.hook("/h", allow))
        await world("POST", MAPS, config_map("a"))
        plugin = next(p for p in world.api.server.admission.plugins if p.name == "ValidatingAdmissionWebhook")
        for connection in plugin._configurations.hooks[0].client._transport._open:
            connection._transport.abort()
        assert (await world("POST", MAPS, config_map("b"))).status == 201

    run(main)


@pytest.mark.parametrize("kind", ["Mutating", "Validating"])
@pytest.mark.parametrize("policy", ["Fail", "Ignore"])
def test_the_request_ends_when_its_client_gives_up(kind, policy):
    """Whatever the failure policy."""

    async def main(world):
        silence = asyncio.Event()

        async def never(review):
            await silence.wait()

        await world.install(kind, world.hook("/h", never, failurePolicy=policy))
        answer = await world("POST", f"{MAPS}?timeout=200ms", config_map())
        silence.set()
        words = "Timeout: request did not complete within the allotted timeout"
        assert (answer.status, answer.body["message"]) == (504, words)
        assert world.seen[0][1] == "timeout=1s", "the webhook is told how long it has"
        assert (await world("GET", f"{MAPS}/m")).status == 404

    run(main)


def test_a_webhook_that_takes_too_long():
    async def main(world):
        silence = asyncio.Event()

        async def never(review):
            await silence.wait()

        await world.install("Validating", world.hook("/h", never, timeoutSeconds=1))
        answer = await world("POST", MAPS, config_map())
        silence.set()
        words = f'{FAILED}Post "https://127.0.0.1:{world.port}/h?timeout=1s": context deadline exceeded'
        assert (answer.status, answer.body["message"]) == (500, words)

    run(main)


def test_all_validating_webhooks_are_asked_at_once_and_one_refusal_refuses():
    async def main(world):
        both = asyncio.Barrier(2)

        async def meet(review):
            await both.wait()
            return reviewed(review)

        await world.install("Validating", world.hook("/a", meet), world.hook("/b", meet))
        assert (await world("POST", MAPS, config_map("x"))).status == 201
        await world.install("Validating", world.hook("/c", deny(message="no")), name="d")
        answer = await world("POST", MAPS, config_map("y"))
        assert answer.body["message"] == 'admission webhook "c.example.com" denied the request: no'
        assert sorted(world.paths[2:]) == ["/a", "/b", "/c"], "a refusal does not end the others"

    run(main)


def test_calls_are_counted():
    async def main(world):
        await world.install("Mutating", world.hook("/m", allow))
        await world.install("Validating", world.hook("/v", deny(message="m", code=403)))
        await world("POST", MAPS, config_map())
        world.replies["/v"] = said(503)
        await world("POST", MAPS, config_map())
        world.replies["/m"] = patch(add("/nope/x", 1))
        await world("POST", MAPS, config_map())
        mutating, validating = 'name="m.example.com",type="admit"', 'name="v.example.com",type="validating"'
        prefix, operation = "apiserver_admission_webhook_", 'operation="CREATE"'
        assert world.metrics() == [
            f'{prefix}admission_duration_seconds_count{{{mutating},{operation},rejected="false"}} 2',
            f'{prefix}admission_duration_seconds_count{{{mutating},{operation},rejected="true"}} 1',
            f'{prefix}admission_duration_seconds_count{{{validating},{operation},rejected="true"}} 2',
            f'{prefix}rejection_count{{{mutating},{operation},error_type="apiserver_internal_error",rejection_code="0"}} 1',
            f'{prefix}rejection_count{{{validating},{operation},error_type="calling_webhook_error",rejection_code="503"}} 1',
            f'{prefix}rejection_count{{{validating},{operation},error_type="no_error",rejection_code="403"}} 1',
            f'{prefix}request_total{{{mutating},{operation},code="0",rejected="true"}} 1',
            f'{prefix}request_total{{{mutating},{operation},code="200",rejected="false"}} 2',
            f'{prefix}request_total{{{validating},{operation},code="403",rejected="true"}} 1',
            f'{prefix}request_total{{{validating},{operation},code="503",rejected="true"}} 1',
        ]

    run(main)


def test_conditions_are_counted():
    async def main(world):
        for i, expression in enumerate(("false", "object.nope == 1")):
            condition = {"name": "a", "expression": expression}
            hook = world.hook(f"/{'fe'[i]}", allow, matchConditions=[condition], failurePolicy="Ignore")
            await world.install("Validating", hook, name=f"c{i}")
        await world("POST", MAPS, config_map())
        prefix = "apiserver_admission_match_condition_"
        names = [f'name="{n}.example.com",kind="webhook"' for n in ("e", "f")]
        assert world.metrics() == [
            f'{prefix}evaluation_errors_total{{{names[0]},type="validating",operation="CREATE"}} 1',
            *(f'{prefix}exclusions_total{{{n},type="validate",operation="CREATE"}} 1' for n in names),
            *(f'{prefix}evaluation_seconds_count{{{n},type="validating",operation="CREATE"}} 1' for n in names),
        ]

    run(main)
