"""May this user do this: RBAC, the node authorizer, upstream's roles, reviews, and grants beyond one's own rights."""

import asyncio
import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skiff.api.errors import StatusError
from skiff.api.gvr import PERSISTENTVOLUMES, PODS
from skiff.apiserver.admission.rbacescalation import RBACEscalation
from skiff.apiserver.authn.serviceaccount import user_name
from skiff.apiserver.authz import Attributes, Authorization, Decision, forbidden_error, reviews
from skiff.apiserver.authz.bootstrap import load, merged, node_rules
from skiff.apiserver.authz.escalation import Escalation
from skiff.apiserver.authz.node import Graph, NodeAuthorizer
from skiff.apiserver.authz.paths import PublicPaths
from skiff.apiserver.authz.rbac import CLUSTERROLEBINDINGS, CLUSTERROLES, RBAC, ROLEBINDINGS, ROLES
from skiff.apiserver.authz.rules import Rule, compile_rules, uncovered
from skiff.apiserver.authz.superuser import SuperUser
from skiff.apiserver.lookup import DictLookup
from skiff.wire.messages import UserInfo
from tests.apiserver.access import ADMIN, ALICE, N1, admit, attributes, obj, pod, world

ANONYMOUS = UserInfo("system:anonymous", ("system:unauthenticated",))


def decide(authorizer, user, verb, resource="", group="", **rest):
    """resource: `pods` or `pods/log`."""
    plural, _, subresource = resource.partition("/")
    attrs = Attributes(user, verb, group, "v1", plural, subresource, **rest)
    return asyncio.run(authorizer.authorize(attrs))


def role(name, namespace="", **rule):
    fields = {"verbs": ["get"], "apiGroups": [""], "resources": ["pods"], **rule}
    return obj(name, namespace, rules=[fields])


def binding(name, role_name, *subjects, namespace="", kind="ClusterRole"):
    ref = {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": role_name}
    return obj(name, namespace, roleRef=ref, subjects=list(subjects))


ALICE_SUBJECT = {"kind": "User", "name": "alice"}


def rbac_world():
    lookup = DictLookup()
    lookup.put(CLUSTERROLES, role("reader"), role("logs", resources=["*/log"]), role("one", resourceNames=["x"]))
    lookup.put(CLUSTERROLES, obj("urls", rules=[{"verbs": ["get"], "nonResourceURLs": ["/metrics", "/debug/*"]}]))
    lookup.put(ROLES, role("writer", "a", verbs=["*"]))
    lookup.put(CLUSTERROLEBINDINGS, binding("urls", "urls", {"kind": "Group", "name": "dev"}))
    lookup.put(CLUSTERROLEBINDINGS, binding("gone", "missing", {"kind": "User", "name": "bob"}))
    lookup.put(ROLEBINDINGS, binding("w", "writer", ALICE_SUBJECT, namespace="a", kind="Role"))
    lookup.put(ROLEBINDINGS, binding("r", "reader", {"kind": "ServiceAccount", "name": "sa"}, namespace="b"))
    lookup.put(ROLEBINDINGS, binding("l", "logs", ALICE_SUBJECT, namespace="b"))
    lookup.put(ROLEBINDINGS, binding("o", "one", ALICE_SUBJECT, namespace="c"))
    return lookup


SA = UserInfo("system:serviceaccount:b:sa", ("system:serviceaccounts",))
RBAC_CASES = [
    pytest.param(ALICE, "delete", "pods", {"namespace": "a"}, True, id="a role in its namespace"),
    pytest.param(ALICE, "delete", "pods", {"namespace": "b"}, False, id="a role in another namespace"),
    pytest.param(ALICE, "delete", "pods", {}, False, id="a role cluster-wide"),
    pytest.param(ALICE, "delete", "pods/log", {"namespace": "a"}, False, id="a subresource is not the resource"),
    pytest.param(ALICE, "get", "pods/log", {"namespace": "b"}, True, id="a subresource of everything"),
    pytest.param(ALICE, "get", "pods", {"namespace": "b"}, False, id="but not the thing itself"),
    pytest.param(ALICE, "get", "pods", {"namespace": "c", "name": "x"}, True, id="the named object"),
    pytest.param(ALICE, "get", "pods", {"namespace": "c", "name": "y"}, False, id="another object"),
    pytest.param(ALICE, "get", "pods", {"namespace": "c"}, False, id="no object at all"),
    pytest.param(ALICE, "get", "", {"path": "/metrics"}, True, id="a path"),
    pytest.param(ALICE, "get", "", {"path": "/debug/pprof"}, True, id="a path below"),
    pytest.param(ALICE, "get", "", {"path": "/metrics/x"}, False, id="a path that only starts alike"),
    pytest.param(ALICE, "get", "pods", {"namespace": "a", "group": "apps"}, False, id="another group"),
    pytest.param(SA, "get", "pods", {"namespace": "b"}, True, id="a service account of the binding's namespace"),
    pytest.param(ANONYMOUS, "get", "pods", {"namespace": "b"}, False, id="somebody else"),
]


@pytest.mark.parametrize("user, verb, resource, rest, allowed", RBAC_CASES)
def test_rbac(user, verb, resource, rest, allowed):
    assert decide(RBAC(rbac_world()), user, verb, resource, **rest).allowed is allowed


def test_rbac_says_why():
    rbac = RBAC(rbac_world())
    allowed = decide(rbac, ALICE, "get", "pods", namespace="a")
    assert allowed.reason == 'RBAC: allowed by RoleBinding "w/a" of Role "writer" to User "alice"'
    refused = decide(rbac, UserInfo("bob"), "get", "pods")
    assert refused.reason == 'RBAC: clusterrole.rbac.authorization.k8s.io "missing" not found'


def test_rbac_follows_changes():
    lookup = rbac_world()
    rbac = RBAC(lookup)

    def may(verb):
        return decide(rbac, ALICE, verb, "pods", namespace="a").allowed

    assert may("delete")
    lookup.put(ROLES, role("writer", "a", verbs=["get"]))
    assert (may("delete"), may("get")) == (False, True)
    lookup.remove(ROLEBINDINGS, "a", "w")
    assert not may("get")
    lookup.put(ROLEBINDINGS, binding("w", "reader", {"kind": "Group", "name": "dev"}, namespace="a"))
    assert may("get")
    lookup.put(ROLEBINDINGS, binding("w", "reader", {"kind": "Group", "name": "ops"}, namespace="a"))
    assert not may("get")


def test_rbac_never_takes_one_name_for_another():
    lookup = rbac_world()
    rbac = RBAC(lookup)
    named = {"verbs": ["get"], "apiGroups": [""], "resources": ["pods"], "resourceNames": ["x"]}
    lookup.put(ROLES, {"metadata": {"name": "writer", "namespace": "a"}, "rules": [named]})
    lookup.put(ROLEBINDINGS, binding("w", "writer", {"kind": "User", "name": "dora"}, kind="Role", namespace="a"))
    answers = [decide(rbac, UserInfo("dora"), "get", "pods", namespace="a", name=n).allowed for n in ("x", "y", "x")]
    assert answers == [True, False, True]


words = st.sampled_from(["a", "b", "c"])
rule_lists = st.lists(
    st.builds(
        Rule,
        st.frozensets(st.sampled_from(["get", "list", "*"]), min_size=1),
        st.frozensets(st.sampled_from(["", "apps", "*"]), min_size=1),
        st.frozensets(st.sampled_from(["pods", "pods/log", "*/log", "*"]), min_size=1),
        st.frozensets(words),
    ),
    max_size=4,
)


@given(rule_lists, rule_lists)
def test_what_is_covered_allows_nothing_new(owner, wanted):
    """If nothing is uncovered, every request that `wanted` allows is allowed by `owner`."""
    if uncovered(owner, wanted):
        return
    for verb in ("get", "list", "delete"):
        for group in ("", "apps", "batch"):
            for resource, subresource in (("pods", ""), ("pods", "log"), ("jobs", "log"), ("jobs", "")):
                for name in ("", "a", "d"):
                    attrs = Attributes(ALICE, verb, group, "v1", resource, subresource, name=name)
                    if any(r.allows(attrs) for r in wanted):
                        assert any(r.allows(attrs) for r in owner)


# upstream's roles


def cluster():
    lookup = DictLookup()
    for gvr, found in load().objects():
        lookup.put(gvr, found)
    return lookup


KCM, SCHEDULER, PROXY = (
    UserInfo(f"system:kube-{n}", ("system:authenticated",)) for n in ("controller-manager", "scheduler", "proxy")
)
DNS = UserInfo("system:dns", ("system:authenticated",))


def account(name):
    return UserInfo(user_name("kube-system", name), ("system:serviceaccounts", "system:authenticated"))


COMPONENTS = [
    pytest.param(SCHEDULER, "create", "pods/binding", True, id="the scheduler binds pods"),
    pytest.param(SCHEDULER, "list", "secrets", False, id="the scheduler sees no secrets"),
    pytest.param(KCM, "delete", "pods", False, id="the manager itself deletes no pods"),
    pytest.param(KCM, "watch", "pods", True, id="the manager's informers watch everything"),
    pytest.param(KCM, "create", "serviceaccounts/token", True, id="the manager gets its controllers' tokens"),
    pytest.param(account("replicaset-controller"), "delete", "pods", True, id="a controller deletes pods"),
    pytest.param(account("replicaset-controller"), "delete", "nodes", False, id="a controller has its own role only"),
    pytest.param(account("namespace-controller"), "delete", "nodes", True, id="the namespace controller deletes all"),
    pytest.param(KCM, "create", "serviceaccounts", True, id="the manager makes accounts"),
    pytest.param(KCM, "impersonate", "users", False, id="controllers are nobody else"),
    pytest.param(PROXY, "watch", "services", True, id="the proxy watches services"),
    pytest.param(PROXY, "create", "services", False, id="the proxy writes none"),
    pytest.param(DNS, "watch", "endpoints", True, id="DNS watches endpoints"),
    pytest.param(ALICE, "list", "pods", False, id="anybody gets nothing"),
    pytest.param(ANONYMOUS, "list", "pods", False, id="nobody gets nothing"),
]


@pytest.mark.parametrize("user, verb, resource, allowed", COMPONENTS)
def test_components_run_under_their_roles(user, verb, resource, allowed):
    assert decide(RBAC(cluster()), user, verb, resource).allowed is allowed


def test_aggregated_roles_hold_what_they_are_made_of():
    roles = load().cluster_roles
    view, edit, admin = (compile_rules(roles[n]["rules"]) for n in ("view", "edit", "admin"))
    assert not uncovered(edit, view) and not uncovered(admin, edit) and uncovered(view, edit)


def test_every_binding_has_its_role():
    policy = load()
    roles = {(r["metadata"]["namespace"], r["metadata"]["name"]) for r in policy.roles}
    for found in policy.bindings:
        name = found["roleRef"]["name"]
        if found["kind"] == "RoleBinding":
            assert (found["metadata"]["namespace"], name) in roles
        else:
            assert name in policy.cluster_roles


def test_reconciling_adds_and_never_takes_away():
    wanted = load().cluster_roles["system:kube-dns"]
    existing = {
        **wanted,
        "metadata": {"name": "system:kube-dns", "labels": {"mine": "x"}},
        "rules": wanted["rules"][:0],
    }
    mine = {"verbs": ["get"], "apiGroups": [""], "resources": ["secrets"]}
    out = merged({**existing, "rules": [mine]}, wanted)
    assert out["rules"] == [mine, *wanted["rules"]]
    assert out["metadata"]["labels"] == {"mine": "x", "kubernetes.io/bootstrapping": "rbac-defaults"}
    assert merged(out, wanted) == out


# the others


@pytest.mark.parametrize(
    "user, verb, path, allowed",
    [
        pytest.param(ANONYMOUS, "get", "/healthz", True, id="health"),
        pytest.param(ANONYMOUS, "get", "/readyz/etcd", False, id="a part of health"),
        pytest.param(ANONYMOUS, "head", "/version", True, id="the version"),
        pytest.param(ANONYMOUS, "get", "/healthzz", False, id="a path that only starts alike"),
        pytest.param(ANONYMOUS, "post", "/healthz", False, id="a write"),
        pytest.param(ANONYMOUS, "get", "/metrics", False, id="metrics"),
        pytest.param(ADMIN, "get", "/metrics", True, id="a master"),
    ],
)
def test_paths(user, verb, path, allowed):
    chain = Authorization([SuperUser(), PublicPaths()])
    assert decide(chain, user, verb, path=path).allowed is allowed


MESSAGES = [
    pytest.param(
        Attributes(ALICE, "list", "", "v1", "pods", namespace="default"),
        'pods is forbidden: User "alice" cannot list resource "pods" in API group "" in the namespace "default"',
        id="in a namespace",
    ),
    pytest.param(
        Attributes(ALICE, "get", "apps", "v1", "deployments", "scale", "ns", "web"),
        'deployments.apps "web" is forbidden: User "alice" cannot get resource "deployments/scale" in API group "apps" '
        'in the namespace "ns"',
        id="a subresource of a group",
    ),
    pytest.param(
        Attributes(ANONYMOUS, "list", "", "v1", "nodes"),
        'nodes is forbidden: User "system:anonymous" cannot list resource "nodes" in API group "" at the cluster scope',
        id="cluster scope",
    ),
    pytest.param(
        Attributes(ANONYMOUS, "get", path="/metrics"),
        'forbidden: User "system:anonymous" cannot get path "/metrics"',
        id="a path",
    ),
]


@pytest.mark.parametrize("attrs, message", MESSAGES)
def test_refusals_are_worded_as_upstream(attrs, message):
    error = forbidden_error(attrs)
    assert (error.code, error.reason, error.message) == (403, "Forbidden", message)


# nodes


def node_world():
    lookup = world()
    lookup.put(
        PODS,
        pod(
            "used",
            node="n1",
            imagePullSecrets=[{"name": "pull"}],
            serviceAccountName="builder",
            containers=[
                {
                    "name": "c",
                    "envFrom": [{"configMapRef": {"name": "env"}}],
                    "env": [{"name": "X", "valueFrom": {"secretKeyRef": {"name": "key"}}}],
                }
            ],
            volumes=[
                {"name": "a", "secret": {"secretName": "vol"}},
                {"name": "b", "projected": {"sources": [{"configMap": {"name": "proj"}}]}},
                {"name": "d", "persistentVolumeClaim": {"claimName": "claim"}},
            ],
        ),
        pod("elsewhere", node="n2", volumes=[{"name": "a", "secret": {"secretName": "theirs"}}]),
        pod("pending", volumes=[{"name": "a", "secret": {"secretName": "later"}}]),
        pod(
            "mirror",
            node="n1",
            metadata={"annotations": {"kubernetes.io/config.mirror": "x"}},
            volumes=[{"name": "a", "secret": {"secretName": "sneaked"}}],
        ),
    )
    csi = {"driver": "d", "nodeStageSecretRef": {"name": "stage", "namespace": "kube-system"}}
    claim = {"name": "claim", "namespace": "default"}
    lookup.put(PERSISTENTVOLUMES, obj("pv", spec={"claimRef": claim, "csi": csi}))
    return lookup


def on_node(verb, resource, name="", namespace="default", lookup=None, **rest):
    authorizer = NodeAuthorizer(Graph(lookup or node_world()), node_rules())
    return decide(authorizer, N1, verb, resource, name=name, namespace=namespace, **rest).allowed


@pytest.mark.parametrize(
    "resource, name, namespace, allowed",
    [
        pytest.param("secrets", "vol", "default", True, id="a secret in a volume"),
        pytest.param("secrets", "key", "default", True, id="a secret in a variable"),
        pytest.param("secrets", "pull", "default", True, id="a pull secret"),
        pytest.param("configmaps", "env", "default", True, id="a config map of variables"),
        pytest.param("configmaps", "proj", "default", True, id="a projected config map"),
        pytest.param("persistentvolumeclaims", "claim", "default", True, id="a claim"),
        pytest.param("persistentvolumes", "pv", "", True, id="the volume of a claim"),
        pytest.param("secrets", "stage", "kube-system", True, id="the secret of a volume of a claim"),
        pytest.param("secrets", "theirs", "default", False, id="a secret of another node's pod"),
        pytest.param("secrets", "later", "default", False, id="a secret of a pod not bound yet"),
        pytest.param("secrets", "sneaked", "default", False, id="a secret of a mirror pod"),
        pytest.param("secrets", "vol", "other", False, id="the same name in another namespace"),
        pytest.param("secrets", "", "default", False, id="all secrets"),
    ],
)
def test_a_node_reads_what_its_pods_need(resource, name, namespace, allowed):
    assert on_node("get", resource, name, namespace) is allowed


def test_a_node_loses_what_no_pod_needs_any_more():
    lookup = node_world()
    authorizer = NodeAuthorizer(Graph(lookup), node_rules())

    def may():
        return decide(authorizer, N1, "get", "secrets", name="vol", namespace="default").allowed

    lookup.put(PODS, pod("second", node="n1", volumes=[{"name": "a", "secret": {"secretName": "vol"}}]))
    lookup.remove(PODS, "default", "used")
    assert may()
    lookup.remove(PODS, "default", "second")
    assert not may()


OWN = [
    pytest.param("get", "nodes", {"name": "n1"}, True, id="its own node"),
    pytest.param("get", "nodes", {"name": "n2"}, False, id="another node"),
    pytest.param("list", "nodes", {}, False, id="all nodes"),
    pytest.param("patch", "nodes/status", {"name": "n1"}, True, id="its status"),
    pytest.param("list", "pods", {"field_selector": "spec.nodeName=n1"}, True, id="its pods"),
    pytest.param("list", "pods", {"field_selector": "spec.nodeName=n2"}, False, id="the pods of another"),
    pytest.param("list", "pods", {}, False, id="all pods"),
    pytest.param("get", "pods", {"name": "used"}, True, id="one of its pods"),
    pytest.param("get", "pods", {"name": "elsewhere"}, False, id="a pod of another"),
    pytest.param("create", "serviceaccounts/token", {"name": "builder"}, True, id="a token for a pod's account"),
    pytest.param("create", "serviceaccounts/token", {"name": "admin"}, False, id="a token for another account"),
    pytest.param("create", "events", {}, True, id="an event"),
    pytest.param("delete", "nodes", {"name": "n1"}, False, id="deleting itself"),
    pytest.param("create", "deployments", {}, False, id="a deployment"),
]


@pytest.mark.parametrize("verb, resource, rest, allowed", OWN)
def test_a_node_minds_its_own_business(verb, resource, rest, allowed):
    assert on_node(verb, resource, **rest) is allowed


def test_a_node_keeps_its_lease():
    authorizer = NodeAuthorizer(Graph(DictLookup()), node_rules())

    def may(name, namespace="kube-node-lease"):
        rest = {"group": "coordination.k8s.io", "namespace": namespace, "name": name}
        return decide(authorizer, N1, "update", "leases", **rest).allowed

    assert [may("n1"), may("n2"), may("n1", "default")] == [True, False, False]


# reviews


def review(target, **who):
    return {"kind": "SubjectAccessReview", "apiVersion": "authorization.k8s.io/v1", "spec": {**target, **who}}


RESOURCE = {"resourceAttributes": {"verb": "delete", "resource": "pods", "namespace": "a"}}


def test_subject_access_review():
    chain = Authorization([SuperUser(), RBAC(rbac_world())])
    answer = asyncio.run(reviews.subject_access_review(chain, review(RESOURCE, user="alice")))["status"]
    assert answer["allowed"] is True and answer["reason"].startswith("RBAC: allowed by")
    answer = asyncio.run(reviews.subject_access_review(chain, review(RESOURCE, user="bob")))["status"]
    assert answer["allowed"] is False
    path = {"nonResourceAttributes": {"verb": "get", "path": "/metrics"}}
    assert asyncio.run(reviews.self_subject_access_review(chain, ALICE, review(path)))["status"]["allowed"]


@pytest.mark.parametrize(
    "body, message",
    [
        pytest.param(review(RESOURCE), "at least one of user or group", id="about nobody"),
        pytest.param(
            review({}, user="a"), "exactly one of nonResourceAttributes or resourceAttributes", id="about nothing"
        ),
        pytest.param(
            {**review(RESOURCE, user="a"), "metadata": {"name": "x"}}, "metadata: Invalid value", id="with a name"
        ),
    ],
)
def test_wrong_reviews(body, message):
    with pytest.raises(StatusError) as caught:
        asyncio.run(reviews.subject_access_review(Authorization([]), body))
    assert caught.value.code == 422 and message in caught.value.message


def selecting(kind, **selector):
    return review({"resourceAttributes": {**RESOURCE["resourceAttributes"], kind: selector}}, user="alice")


FIELD = {"key": "spec.nodeName", "operator": "In", "values": ["n1"]}
BOTH = "may not specified at the same time as requirements"
NEITHER = "when spec.resourceAttributes.{} is specified, requirements or rawSelector is required"
WRONG_SELECTORS = [
    pytest.param(selecting("fieldSelector"), NEITHER.format("fieldSelector"), id="an empty field selector"),
    pytest.param(selecting("labelSelector"), NEITHER.format("labelSelector"), id="an empty label selector"),
    pytest.param(selecting("fieldSelector", rawSelector="a=b", requirements=[FIELD]), BOTH, id="both forms"),
    pytest.param(selecting("fieldSelector", requirements=[{**FIELD, "key": ""}]), "requirements[0].key: Required value: must be specified", id="no key"),
    pytest.param(selecting("fieldSelector", requirements=[{**FIELD, "values": []}]), "must be specified when `operator` is 'In' or 'NotIn'", id="no values"),
    pytest.param(selecting("fieldSelector", requirements=[{**FIELD, "operator": "Exists"}]), "may not be specified when `operator` is 'Exists'", id="needless values"),
    pytest.param(selecting("labelSelector", requirements=[{**FIELD, "key": "a b"}]), "requirements[0].key: Invalid value", id="no label"),
]  # fmt: skip


@pytest.mark.parametrize("body, message", WRONG_SELECTORS)
def test_wrong_selectors_in_reviews(body, message):
    """pkg/apis/authorization/validation (KEP-4601); the refusal names no kind."""
    with pytest.raises(StatusError) as caught:
        asyncio.run(reviews.subject_access_review(Authorization([]), body))
    assert caught.value.code == 422 and message in caught.value.message
    assert caught.value.message.startswith('.authorization.k8s.io "" is invalid')


UNDERSTOOD = [
    pytest.param(selecting("fieldSelector", requirements=[FIELD]), "spec.nodeName=n1", None, id="a requirement"),
    pytest.param(selecting("fieldSelector", rawSelector="a=b"), "a=b", None, id="text"),
    pytest.param(selecting("fieldSelector", requirements=[FIELD, {**FIELD, "operator": "Like"}]), "spec.nodeName=n1", "fieldSelector partially ignored", id="one that is understood"),
    pytest.param(selecting("fieldSelector", rawSelector="a"), "", "fieldSelector ignored due to parse error", id="text that is no selector"),
    pytest.param(selecting("labelSelector", rawSelector="a in b"), "", "labelSelector ignored due to parse error", id="labels that are no selector"),
]  # fmt: skip


@pytest.mark.parametrize("body, expected, problem", UNDERSTOOD)
def test_selectors_reach_the_authorizers_as_far_as_they_are_understood(body, expected, problem):
    asked = []

    class Notes:
        async def authorize(self, attrs):
            asked.append(attrs.field_selector)
            return Decision("allow")

    status = asyncio.run(reviews.subject_access_review(Authorization([Notes()]), body))["status"]
    assert asked == [expected]
    assert (problem or "") in status.get("evaluationError", "")
    assert bool(problem) == ("evaluationError" in status)


def test_local_review_stays_in_its_namespace():
    body = {**review(RESOURCE, user="alice"), "metadata": {"namespace": "b"}}
    with pytest.raises(StatusError, match="must match"):
        asyncio.run(reviews.local_subject_access_review(Authorization([]), "b", body))


def test_rules_review_lists_what_one_may():
    answer = reviews.self_subject_rules_review(RBAC(rbac_world()), ALICE, {"spec": {"namespace": "a"}})["status"]
    assert answer["resourceRules"] == [{"verbs": ["*"], "apiGroups": [""], "resources": ["pods"]}]
    assert answer["nonResourceRules"][0]["nonResourceURLs"] == ["/debug/*", "/metrics"]
    assert answer["incomplete"] is False


# escalation


def escalation_plugin(*more):
    lookup = rbac_world()
    for gvr, found in more:
        lookup.put(gvr, found)
    rbac = RBAC(lookup)
    return RBACEscalation(Escalation(rbac, Authorization([SuperUser(), rbac])))


POWER = {
    "verbs": ["escalate", "bind"],
    "apiGroups": ["rbac.authorization.k8s.io"],
    "resources": ["roles", "clusterroles"],
}
GRANTS = [
    pytest.param(ROLES, role("new", "a", verbs=["get"]), ALICE, (), True, id="a role with what one has"),
    pytest.param(ROLES, role("new", "a", resources=["secrets"]), ALICE, (), False, id="a role with more"),
    pytest.param(ROLES, role("new", "a", resources=["secrets"]), ADMIN, (), True, id="a master gives anything"),
    pytest.param(
        ROLEBINDINGS, binding("n", "reader", ALICE_SUBJECT, namespace="a"), ALICE, (), True, id="binding what one has"
    ),
    pytest.param(
        ROLEBINDINGS,
        binding("n", "reader", ALICE_SUBJECT, namespace="c"),
        ALICE,
        (),
        False,
        id="binding more than one has",
    ),
    pytest.param(
        ROLEBINDINGS,
        binding("n", "nothing", ALICE_SUBJECT, namespace="a"),
        ALICE,
        (),
        False,
        id="binding what is not there",
    ),
    pytest.param(
        CLUSTERROLES,
        role("new", resources=["secrets"]),
        ALICE,
        ((CLUSTERROLES, obj("power", rules=[POWER])), (CLUSTERROLEBINDINGS, binding("power", "power", ALICE_SUBJECT))),
        True,
        id="one who may escalate",
    ),
]


@pytest.mark.parametrize("gvr, new, user, more, allowed", GRANTS)
def test_nobody_grants_what_he_does_not_hold(gvr, new, user, more, allowed):
    attrs = attributes("CREATE", gvr, new, user=user, namespace=new["metadata"].get("namespace", ""))
    refusal = contextlib.nullcontext() if allowed else pytest.raises(StatusError, match=r"forbidden|not found")
    with refusal:
        asyncio.run(admit(escalation_plugin(*more), attrs))


def test_the_refusal_names_what_is_missing():
    attrs = attributes("CREATE", ROLES, role("new", "a", verbs=["get", "list"], resources=["secrets"]), namespace="a")
    with pytest.raises(StatusError) as caught:
        asyncio.run(admit(escalation_plugin(), attrs))
    assert caught.value.message == (
        'roles.rbac.authorization.k8s.io "new" is forbidden: user "alice" (groups=["dev" "system:authenticated"]) is '
        "attempting to grant RBAC permissions not currently held:\n"
        '{APIGroups:[""], Resources:["secrets"], Verbs:["get" "list"]}'
    )


def test_a_node_waits_for_the_pods_to_be_known(api):
    async def scenario(call):
        await call.store("pods", pod("p", node="n1", volumes=[{"name": "v", "secret": {"secretName": "s"}}]))
        authorizer = NodeAuthorizer(Graph(call.server.registry.lookup), node_rules())
        wanted = {"namespace": "default", "version": "v1", "resource": "secrets"}
        return [(await authorizer.authorize(Attributes(N1, "get", name=name, **wanted))).allowed for name in ("s", "t")]

    assert api(scenario) == [True, False]


def test_who_binds_a_role_that_is_not_there_is_told_so():
    """404 about the bindings' own kind, as upstream."""
    lookup = rbac_world()
    rbac = RBAC(lookup)
    escalation = Escalation(rbac, Authorization([rbac]))
    made = binding("w", "nowhere", {"kind": "User", "name": "alice"}, kind="Role", namespace="a")
    with pytest.raises(StatusError) as caught:
        asyncio.run(escalation.of_binding(UserInfo("bob"), made, None))
    assert (caught.value.code, caught.value.message) == (
        404,
        'rolebindings.rbac.authorization.k8s.io "nowhere" not found',
    )
