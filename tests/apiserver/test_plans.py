"""What is remembered between requests, and that nothing outlives its reason: plans, standings, identities."""

import asyncio

import pytest

from skiff.api.gvr import PODS, SERVICEACCOUNTS
from skiff.apiserver import plans, requestinfo
from skiff.apiserver.authn import Authentication, tokenfile
from skiff.apiserver.authn.bearer import Bearer, Identity
from skiff.apiserver.authn.jwt import KeySet, Signer
from skiff.apiserver.authn.serviceaccount import ServiceAccountTokens
from skiff.apiserver.authn.tokens import TokenIssuer
from skiff.apiserver.authz import Attributes, Authorization, Decision
from skiff.apiserver.authz.node import Graph, NodeAuthorizer
from skiff.apiserver.authz.rbac import CLUSTERROLEBINDINGS, CLUSTERROLES, RBAC
from skiff.apiserver.flowcontrol import defaults
from skiff.apiserver.flowcontrol.filter import FlowControl
from skiff.apiserver.lookup import DictLookup
from skiff.wire.messages import Request, UserInfo
from tests.apiserver.access import ALICE, N1, obj, pod, world
from tests.apiserver.test_authn import ISSUER, P256
from tests.apiserver.test_authz import ALICE_SUBJECT, binding, role

TARGETS = [
    "/api/v1/pods",
    "/api/v1/namespaces/a/pods",
    "/api/v1/namespaces/a/pods/x",
    "/api/v1/namespaces/a/pods/y",
    "/api/v1/namespaces/a/pods/",
    "/api/v1/namespaces/a/pods/x/",
    "/api/v1/namespaces/a/pods/x/status",
    "/api/v1/namespaces/a/pods/x/proxy/",
    "/api/v1/namespaces/a/pods/x/proxy/y",
    "/api/v1/namespaces/a/pods/proxy",
    "/api/v1/namespaces/a/pods/status",
    "/api/v1/namespaces/a",
    "/api/v1/namespaces/b",
    "/api/v1/namespaces/a/status",
    "/api/v1/namespaces/a/finalize",
    "/api/v1/namespaces/a/x",
    "/api/v1/namespaces",
    "/api/v1/nodes/n",
    "/api/v1/nodes/m",
    "/api/v1/nodes/watch",
    "/api/v1/watch/nodes",
    "/api/v1/watch/nodes/n",
    "/api/v1/watch/nodes/m",
    "/api/v1/watch/namespaces/a",
    "/api/v1/watch/namespaces/a/pods/x",
    "/api/v1/watch/namespaces/a/pods/y",
    "/apis/apps/v1/namespaces/a/deployments/x",
    "/apis/apps/v1/namespaces/a/deployments/y",
    "/apis/apps/v1/namespaces/a/deployments/y/scale",
    "/apis/apps/v1/a/b/c",
    "/apis/apps/v1",
    "/apis/apps",
    "/api/v1//pods/x",
    "/api//v1/pods/x",
    "/healthz/x",
    "/healthz/y",
    "/",
    "",
    "x",
]


def test_a_plan_says_what_the_target_says(api):
    async def scenario(call):
        for targets in (TARGETS, TARGETS, TARGETS[::-1]):
            for method in ("GET", "DELETE", "POST"):
                for target in targets:
                    _, info = call.server.plans.find(method, target)
                    assert info == requestinfo.parse(method, target)

    api(scenario)


def test_objects_of_a_collection_share_a_plan(api):
    async def scenario(call):
        found = [call.server.plans.find("GET", f"/api/v1/namespaces/a/pods/p{i}")[0] for i in range(3)]
        other = call.server.plans.find("GET", "/api/v1/namespaces/b/pods/p1")[0]
        return found[0] is found[1] is found[2] is not other

    assert api(scenario)


def test_whatever_clients_ask_for_the_tables_stay_small(api):
    async def scenario(call):
        for i in range(3 * plans.PLANS):
            call.user = UserInfo(f"u{i}", ("system:authenticated",))
            await call("GET", f"/api/v1/namespaces/n{i}/pods/p")
            await call("GET", f"/apis/x{i}/" + "y" * i)
        found = call.server.plans
        return len(found._targets) + len(found._collections), len(found._standings)

    kept, standings = api(scenario)
    assert kept <= plans.PLANS
    assert standings <= plans.STANDINGS


def test_a_resource_that_is_served_no_more_is_not_found(api):
    async def scenario(call):
        before = await call("GET", "/api/v1/nodes")
        call.server.registry.remove(next(r.gvr for r in call.server.registry.resources() if r.gvr.plural == "nodes"))
        return before.status, (await call("GET", "/api/v1/nodes")).status

    assert api(scenario) == (200, 404)


def grants(*roles):
    lookup = DictLookup()
    for made in roles:
        lookup.put(CLUSTERROLES, made)
        lookup.put(CLUSTERROLEBINDINGS, binding(made["metadata"]["name"], made["metadata"]["name"], ALICE_SUBJECT))
    return lookup


@pytest.mark.parametrize(
    "revoke",
    [
        pytest.param(lambda w: w.remove(CLUSTERROLEBINDINGS, "", "r"), id="the binding is gone"),
        pytest.param(lambda w: w.remove(CLUSTERROLES, "", "r"), id="the role is gone"),
        pytest.param(lambda w: w.put(CLUSTERROLES, role("r", verbs=["list"])), id="the role allows less"),
        pytest.param(lambda w: w.put(CLUSTERROLES, role("r", resourceNames=["y"])), id="the role allows other names"),
    ],
)
def test_a_right_ends_with_the_next_request(api, revoke):
    async def scenario(call):
        lookup = grants(role("r"))
        call.server.authorization = Authorization([RBAC(lookup)])
        await call.store("pods", pod("x", namespace="a"))
        call.user = ALICE
        found = [(await call("GET", "/api/v1/namespaces/a/pods/x")).status for _ in range(2)]
        revoke(lookup)
        found.append((await call("GET", "/api/v1/namespaces/a/pods/x")).status)
        lookup.put(CLUSTERROLES, role("r"))
        lookup.put(CLUSTERROLEBINDINGS, binding("r", "r", ALICE_SUBJECT))
        return [*found, (await call("GET", "/api/v1/namespaces/a/pods/x")).status]

    assert api(scenario) == [200, 200, 403, 200]


def test_a_right_to_one_name_is_none_to_another(api):
    async def scenario(call):
        call.server.authorization = Authorization([RBAC(grants(role("r", resourceNames=["x"])))])
        await call.store("pods", pod("x", namespace="a"))
        await call.store("pods", pod("y", namespace="a"))
        call.user = ALICE
        return [(await call("GET", f"/api/v1/namespaces/a/pods/{n}")).status for n in "xyxy"]

    assert api(scenario) == [200, 403, 200, 403]


class DenyY:
    """An authorizer that looks at the name, before one that does not."""

    async def authorize(self, attrs):
        return Decision("deny") if attrs.name == "y" else Decision("none")


def test_a_decision_is_general_only_if_all_that_were_asked_are():
    async def ask(*authorizers, **attrs):
        return (await Authorization(authorizers).authorize(Attributes(**attrs))).general

    wanted = {"verb": "get", "version": "v1", "resource": "pods", "namespace": "a", "name": "x"}
    rbac = RBAC(grants(role("r")))
    assert asyncio.run(ask(rbac, user=ALICE, **wanted))
    assert not asyncio.run(ask(DenyY(), rbac, user=ALICE, **wanted))
    node = NodeAuthorizer(Graph(DictLookup()), ())
    assert asyncio.run(ask(node, rbac, user=ALICE, **wanted))
    lookup = grants(role("r"))
    lookup.put(CLUSTERROLEBINDINGS, binding("n", "r", {"kind": "User", "name": N1.name}))
    assert not asyncio.run(ask(node, RBAC(lookup), user=N1, **wanted))


def test_headers_name_the_present_flow_schema(api):
    def named(suffix):
        return [{**o, "metadata": {**o["metadata"], "uid": o["metadata"]["name"] + suffix}} for o in defaults.schemas()]

    async def scenario(call):
        call.server.flow = FlowControl()
        found = []
        for suffix in ("-1", "-1", "-2"):
            call.server.flow.configure(defaults.levels(), named(suffix))
            answer = await call("GET", "/api/v1/pods")
            found.append(answer.headers["X-Kubernetes-PF-FlowSchema-UID"])
        return found

    assert api(scenario) == ["exempt-1", "exempt-1", "exempt-2"]


# --- identities, which requests with equal headers on one connection share


def again(first):
    return Request("GET", "/", headers=first.headers, peer_cert=first.peer_cert, notes=first.notes)


def account_token(lookup):
    issuer = TokenIssuer(Signer(P256), issuer=ISSUER, audiences=[ISSUER], lookup=lookup)
    bound = {"apiVersion": "v1", "kind": "Pod", "name": "p"}
    made = asyncio.run(issuer.create("default", "default", {"spec": {"boundObjectRef": bound}}))
    return made["status"]["token"]


@pytest.mark.parametrize(
    "end",
    [
        pytest.param(lambda w: w.remove(PODS, "default", "p"), id="the pod is gone"),
        pytest.param(lambda w: w.put(PODS, obj("p", "default", metadata={"uid": "other"})), id="the pod is another"),
        pytest.param(lambda w: w.remove(SERVICEACCOUNTS, "default", "default"), id="the account is gone"),
    ],
)
def test_a_token_ends_with_what_it_is_bound_to(end):
    lookup = world()
    tokens = ServiceAccountTokens(KeySet([P256]), issuers=[ISSUER], audiences=[ISSUER], lookup=lookup)
    authentication = Authentication([Bearer([tokens])])
    first = Request("GET", "/", headers={"authorization": f"Bearer {account_token(lookup)}"})
    assert authentication.known(first) is None
    user = asyncio.run(authentication.authenticate(first))
    assert authentication.known(again(first)) is user
    end(lookup)
    assert authentication.known(again(first)) is None


def test_a_change_of_the_account_does_not_end_its_tokens():
    lookup = world()
    tokens = ServiceAccountTokens(KeySet([P256]), issuers=[ISSUER], audiences=[ISSUER], lookup=lookup)
    authentication = Authentication([Bearer([tokens])])
    first = Request("GET", "/", headers={"authorization": f"Bearer {account_token(lookup)}"})
    user = asyncio.run(authentication.authenticate(first))
    lookup.put(SERVICEACCOUNTS, obj("default", "default", metadata={"labels": {"a": "b"}}))
    assert asyncio.run(authentication.authenticate(again(first))) == user
    assert authentication.known(again(first)) == user


class Once:
    """A token authenticator that accepts each token one time, as if it were revoked then."""

    def __init__(self):
        self.asked = 0

    async def authenticate_token(self, token, audiences):
        self.asked += 1
        return Identity(UserInfo("u")) if self.asked == 1 else None


def test_who_does_not_say_how_long_is_asked_each_time():
    tokens = Once()
    authentication = Authentication([Bearer([tokens])])
    first = Request("GET", "/", headers={"authorization": "Bearer x"})
    assert asyncio.run(authentication.authenticate(first)).name == "u"
    assert authentication.known(again(first)) is None


def test_impersonation_is_looked_at_each_time(api, tmp_path):
    (tmp_path / "tokens.csv").write_text("t,alice,u\n")

    async def scenario(call):
        call.server.authentication = Authentication([Bearer([tokenfile.load(tmp_path / "tokens.csv")])])
        lookup = grants({**role("r"), "rules": [{"verbs": ["impersonate"], "apiGroups": [""], "resources": ["users"]}]})
        call.server.authorization = Authorization([RBAC(lookup)])
        headers = {"authorization": "Bearer t", "impersonate-user": "bob"}
        notes, found = {}, []
        for _ in range(2):
            request = Request("GET", "/api/v1/nodes", headers=headers, notes=notes)
            await call.server.handler(request)
            found.append(request.user.name)
        assert not call.server.plans._standings, "such users do not come again"
        lookup.remove(CLUSTERROLEBINDINGS, "", "r")
        answer = await call.server.handler(Request("GET", "/api/v1/nodes", headers=headers, notes=notes))
        return [*found, b"cannot impersonate" in answer.body]

    assert api(scenario) == ["bob", "bob", True]
