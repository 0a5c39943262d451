"""What the admission plugins change and refuse, in upstream's words."""

import asyncio
import contextlib

import pytest

from skiff import env
from skiff.api.errors import StatusError, conflict
from skiff.api.gvr import (
    INGRESSES,
    LEASES,
    LIMITRANGES,
    NAMESPACES,
    NODES,
    PERSISTENTVOLUMECLAIMS,
    PODS,
    PRIORITYCLASSES,
    RESOURCEQUOTAS,
    RUNTIMECLASSES,
    SERVICEACCOUNTS,
    SERVICES,
    STORAGECLASSES,
)
from skiff.api.types import GVR
from skiff.apiserver.admission import Chain, Plugin
from skiff.apiserver.admission.builtin import plugins
from skiff.apiserver.admission.certificaterequester import CertificateRequester
from skiff.apiserver.admission.defaultingressclass import INGRESSCLASSES, DefaultIngressClass
from skiff.apiserver.admission.defaultstorageclass import DefaultStorageClass
from skiff.apiserver.admission.defaulttolerationseconds import DefaultTolerationSeconds
from skiff.apiserver.admission.limitranger import LimitRanger
from skiff.apiserver.admission.namespacelifecycle import NamespaceLifecycle
from skiff.apiserver.admission.noderestriction import NodeRestriction
from skiff.apiserver.admission.persistentvolumeclaimresize import PersistentVolumeClaimResize
from skiff.apiserver.admission.priority import Priority
from skiff.apiserver.admission.resourcequota import ResourceQuota
from skiff.apiserver.admission.runtimeclass import RuntimeClass
from skiff.apiserver.admission.serviceaccount import MOUNT_PATH, ServiceAccount, token_source
from skiff.apiserver.admission.storageobjectinuseprotection import StorageObjectInUseProtection
from skiff.apiserver.admission.taintnodesbycondition import TaintNodesByCondition
from skiff.apiserver.allocators import ServiceAllocators
from skiff.apiserver.lookup import DictLookup
from skiff.apiserver.registry import Registry
from skiff.store.memory import MemoryStore
from skiff.testing import run as run_virtual
from tests.apiserver.access import ALICE, N1, admit, attributes, obj, pod, world


def run(plugin, *args, **kwargs):
    return asyncio.run(admit(plugin, attributes(*args, **kwargs)))


def refusal(plugin, *args, **kwargs):
    with pytest.raises(StatusError) as caught:
        run(plugin, *args, **kwargs)
    return caught.value


# namespaces


@pytest.mark.parametrize("name", ["default", "kube-system", "kube-public"])
def test_system_namespaces_may_not_be_deleted(name):
    error = refusal(NamespaceLifecycle(world()), "DELETE", NAMESPACES, name=name)
    assert error.message == f'namespaces "{name}" is forbidden: this namespace may not be deleted'


def test_nothing_is_created_in_a_namespace_that_is_missing():
    error = refusal(NamespaceLifecycle(world()), "CREATE", PODS, pod(namespace="nope"), namespace="nope")
    assert (error.code, error.message) == (404, 'namespaces "nope" not found')


def terminating():
    lookup = world()
    lookup.put(NAMESPACES, obj("old", status={"phase": "Terminating"}))
    return lookup


def test_nothing_is_created_in_a_namespace_that_goes():
    error = refusal(NamespaceLifecycle(terminating()), "CREATE", PODS, pod("x", namespace="old"), namespace="old")
    assert error.message == (
        'pods "x" is forbidden: unable to create new content in namespace old because it is being terminated'
    )
    assert error.status["details"]["causes"] == [
        {
            "reason": "NamespaceTerminating",
            "message": "namespace old is being terminated",
            "field": "metadata.namespace",
        }
    ]


@pytest.mark.parametrize("operation", ["UPDATE", "DELETE"])
def test_what_is_there_can_be_finished(operation):
    run(NamespaceLifecycle(terminating()), operation, PODS, pod(namespace="old"), pod(namespace="old"), namespace="old")


class Stale(DictLookup):
    """A cache that trails: it still shows the namespace active."""

    def get(self, gvr, namespace, name):
        found = super().get(gvr, namespace, name)
        return {**found, "status": {"phase": "Active"}} if found and gvr == NAMESPACES else found

    async def fresh(self, gvr, namespace, name):
        return super().get(gvr, namespace, name)


def test_a_namespace_deleted_a_moment_ago_is_looked_up_afresh():
    lookup = Stale()
    lookup.put(NAMESPACES, obj("old", status={"phase": "Terminating"}))
    plugin = NamespaceLifecycle(lookup)
    run(plugin, "DELETE", NAMESPACES, name="old")
    assert refusal(plugin, "CREATE", PODS, pod(namespace="old"), namespace="old").code == 403


# service accounts


def test_a_pod_gets_the_default_account_and_its_token():
    made = run(ServiceAccount(world()), "CREATE", PODS, pod(serviceAccountName=""))
    spec = made["spec"]
    assert (spec["serviceAccountName"], spec["serviceAccount"]) == ("default", "default")
    (volume,) = spec["volumes"]
    assert volume["name"].startswith("kube-api-access-") and len(volume["name"]) == len("kube-api-access-") + 5
    assert volume["projected"] == token_source()
    mount = {"name": volume["name"], "readOnly": True, "mountPath": MOUNT_PATH}
    assert spec["containers"][0]["volumeMounts"] == [mount]


@pytest.mark.parametrize(
    "account, spec, mounted",
    [
        pytest.param({}, {"automountServiceAccountToken": False}, False, id="the pod does not want it"),
        pytest.param({"automountServiceAccountToken": False}, {}, False, id="the account does not give it"),
        pytest.param(
            {"automountServiceAccountToken": False}, {"automountServiceAccountToken": True}, True, id="the pod decides"
        ),
        pytest.param(
            {},
            {"containers": [{"name": "c", "volumeMounts": [{"name": "v", "mountPath": MOUNT_PATH}]}]},
            False,
            id="in use",
        ),
    ],
)
def test_when_the_token_is_mounted(account, spec, mounted):
    made = run(ServiceAccount(world(account=account)), "CREATE", PODS, pod(**spec))
    assert bool(made["spec"].get("volumes")) is mounted


def test_pull_secrets_come_from_the_account_unless_the_pod_has_its_own():
    lookup = world(account={"imagePullSecrets": [{"name": "pull"}]})
    assert run(ServiceAccount(lookup), "CREATE", PODS, pod())["spec"]["imagePullSecrets"] == [{"name": "pull"}]
    mine = [{"name": "mine"}]
    assert run(ServiceAccount(lookup), "CREATE", PODS, pod(imagePullSecrets=mine))["spec"]["imagePullSecrets"] == mine


def test_a_missing_account_is_refused():
    error = refusal(ServiceAccount(world()), "CREATE", PODS, pod("x", serviceAccountName="nope"))
    assert error.message == (
        'pods "x" is forbidden: error looking up service account default/nope: serviceaccount "nope" not found'
    )


def test_the_default_account_of_a_new_namespace_is_waited_for():
    async def main():
        lookup = world()
        lookup.remove(SERVICEACCOUNTS, "default", "default")
        plugin = ServiceAccount(lookup)
        asyncio.get_running_loop().call_later(0.5, lookup.put, SERVICEACCOUNTS, obj("default", "default"))
        return await admit(plugin, attributes("CREATE", PODS, pod()))

    assert run_virtual(main())["spec"]["serviceAccountName"] == "default"


MIRROR = {"annotations": {"kubernetes.io/config.mirror": "x"}}


@pytest.mark.parametrize(
    "spec, why",
    [
        pytest.param(
            {"serviceAccountName": "default"}, "a mirror pod may not reference service accounts", id="an account"
        ),
        pytest.param(
            {"serviceAccountName": "", "volumes": [{"name": "v", "secret": {"secretName": "s"}}]},
            "a mirror pod may not reference secrets",
            id="a secret",
        ),
    ],
)
def test_mirror_pods_reference_nothing(spec, why):
    assert why in refusal(ServiceAccount(world()), "CREATE", PODS, pod(metadata=MIRROR, **spec)).message


def test_an_account_can_enforce_its_list_of_secrets():
    annotations = {"metadata": {"annotations": {"kubernetes.io/enforce-mountable-secrets": "true"}}}
    lookup = world(account={**annotations, "secrets": [{"name": "mine"}]})
    run(ServiceAccount(lookup), "CREATE", PODS, pod(volumes=[{"name": "v", "secret": {"secretName": "mine"}}]))
    error = refusal(ServiceAccount(lookup), "CREATE", PODS, pod(volumes=[{"name": "v", "secret": {"secretName": "s"}}]))
    assert error.message.endswith(
        'volume with secret.secretName="s" is not allowed because service account default does not reference that secret'
    )


# priority


def classes():
    lookup = world()
    lookup.put(
        PRIORITYCLASSES, obj("high", value=1000, preemptionPolicy="Never"), obj("low", value=-5, globalDefault=True)
    )
    return lookup


@pytest.mark.parametrize(
    "name, expected",
    [
        pytest.param("high", ("high", 1000, "Never"), id="a class"),
        pytest.param("", ("low", -5, "PreemptLowerPriority"), id="the default class"),
        pytest.param(
            "system-node-critical", ("system-node-critical", 2000001000, "PreemptLowerPriority"), id="a system class"
        ),
    ],
)
def test_priority_comes_from_the_class(name, expected):
    spec = run(Priority(classes()), "CREATE", PODS, pod(priorityClassName=name))["spec"]
    assert (spec["priorityClassName"], spec["priority"], spec["preemptionPolicy"]) == expected


def test_without_classes_the_priority_is_zero():
    spec = run(Priority(world()), "CREATE", PODS, pod())["spec"]
    assert spec["priority"] == 0 and "priorityClassName" not in spec


@pytest.mark.parametrize(
    "spec, why",
    [
        pytest.param({"priorityClassName": "nope"}, "no PriorityClass with name nope was found", id="an unknown class"),
        pytest.param({"priorityClassName": "high", "priority": 7}, "must not be provided in pod spec", id="a number"),
        pytest.param(
            {"priorityClassName": "high", "preemptionPolicy": "PreemptLowerPriority"},
            "the string value of PreemptionPolicy (PreemptLowerPriority) must not be provided",
            id="a policy",
        ),
    ],
)
def test_priority_refuses(spec, why):
    assert why in refusal(Priority(classes()), "CREATE", PODS, pod(**spec)).message


def test_there_is_one_default_class():
    error = refusal(Priority(classes()), "CREATE", PRIORITYCLASSES, obj("second", globalDefault=True))
    assert "PriorityClass low is already marked as default. Only one default can exist" in error.message
    run(Priority(classes()), "UPDATE", PRIORITYCLASSES, obj("low", globalDefault=True), obj("low"))


# small ones


def keys(spec):
    return [(t["key"], t.get("tolerationSeconds")) for t in spec["tolerations"]]


@pytest.mark.parametrize(
    "given, expected",
    [
        pytest.param(
            [], [("node.kubernetes.io/not-ready", 300), ("node.kubernetes.io/unreachable", 300)], id="neither is there"
        ),
        pytest.param(
            [{"key": "node.kubernetes.io/not-ready", "effect": "NoExecute", "tolerationSeconds": 5}],
            [("node.kubernetes.io/not-ready", 5), ("node.kubernetes.io/unreachable", 300)],
            id="one is there",
        ),
        pytest.param([{"key": "", "operator": "Exists"}], [("", None)], id="everything is tolerated"),
    ],
)
def test_default_tolerations(given, expected):
    assert keys(run(DefaultTolerationSeconds(), "CREATE", PODS, pod(tolerations=given))["spec"]) == expected


def test_a_new_node_is_tainted_once():
    plugin = TaintNodesByCondition()
    made = run(plugin, "CREATE", NODES, obj("n"))
    assert run(plugin, "CREATE", NODES, made)["spec"]["taints"] == [
        {"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}
    ]


def test_a_certificate_request_says_who_makes_it():
    gvr = GVR("certificates.k8s.io", "v1", "certificatesigningrequests", "CertificateSigningRequest", namespaced=False)
    forged = obj("a", spec={"signerName": "a.b/c", "username": "admin", "uid": "7", "extra": {"a": ["b"]}})
    spec = run(CertificateRequester(), "CREATE", gvr, forged)["spec"]
    assert spec == {"signerName": "a.b/c", "username": "alice", "groups": ["dev", "system:authenticated"]}


def storage(**annotations):
    marked = {"annotations": {"storageclass.kubernetes.io/is-default-class": "true"}}
    lookup = world()
    lookup.put(
        STORAGECLASSES,
        obj("a", metadata={**marked, "creationTimestamp": "2026-01-01T00:00:00Z"}, allowVolumeExpansion=True),
        obj("b", metadata={**marked, "creationTimestamp": "2026-01-02T00:00:00Z"}),
        obj("c", metadata={"creationTimestamp": "2026-01-03T00:00:00Z"}),
    )
    return lookup


def claim(size="1Gi", phase="Bound", **spec):
    return obj("c", "default", spec={"resources": {"requests": {"storage": size}}, **spec}, status={"phase": phase})


@pytest.mark.parametrize(
    "spec, expected",
    [
        pytest.param({}, "b", id="the default created last"),
        pytest.param({"storageClassName": ""}, "", id="explicitly none"),
        pytest.param({"storageClassName": "c"}, "c", id="a class of its own"),
    ],
)
def test_default_storage_class(spec, expected):
    made = run(DefaultStorageClass(storage()), "CREATE", PERSISTENTVOLUMECLAIMS, claim(**spec))
    assert made["spec"]["storageClassName"] == expected


@pytest.mark.parametrize(
    "new, old, why",
    [
        pytest.param(claim("2Gi", storageClassName="a"), claim(storageClassName="a"), "", id="a class that allows it"),
        pytest.param(
            claim("1024Mi", storageClassName="b"), claim(storageClassName="b"), "", id="the same in other words"
        ),
        pytest.param(
            claim("2Gi", storageClassName="b"),
            claim(storageClassName="b"),
            "must support resize",
            id="a class that does not",
        ),
        pytest.param(
            claim("2Gi", storageClassName="a"),
            claim(phase="Pending", storageClassName="a"),
            "Only bound",
            id="not bound yet",
        ),
    ],
)
def test_claims_grow(new, old, why):
    expected = pytest.raises(StatusError, match=why) if why else contextlib.nullcontext()
    with expected:
        run(PersistentVolumeClaimResize(storage()), "UPDATE", PERSISTENTVOLUMECLAIMS, new, old)


def test_claims_are_protected_while_in_use():
    made = run(StorageObjectInUseProtection(), "CREATE", PERSISTENTVOLUMECLAIMS, claim())
    assert made["metadata"]["finalizers"] == ["kubernetes.io/pvc-protection"]


def test_default_ingress_class():
    lookup = world()
    marked = {"annotations": {"ingressclass.kubernetes.io/is-default-class": "true"}}
    lookup.put(INGRESSCLASSES, obj("nginx", metadata=marked))
    plugin = DefaultIngressClass(lookup)
    assert run(plugin, "CREATE", INGRESSES, obj("i", "default", spec={}))["spec"]["ingressClassName"] == "nginx"
    old = obj("i", "default", spec={}, metadata={"annotations": {"kubernetes.io/ingress.class": "x"}})
    assert "ingressClassName" not in run(plugin, "CREATE", INGRESSES, old)["spec"]


def test_runtime_class_gives_overhead_and_placement():
    lookup = world()
    scheduling = {"nodeSelector": {"kata": "yes"}, "tolerations": [{"key": "k"}]}
    lookup.put(RUNTIMECLASSES, obj("kata", overhead={"podFixed": {"cpu": "250m"}}, scheduling=scheduling))
    plugin = RuntimeClass(lookup)
    spec = run(plugin, "CREATE", PODS, pod(runtimeClassName="kata", nodeSelector={"a": "b"}))["spec"]
    assert spec["overhead"] == {"cpu": "250m"}
    assert spec["nodeSelector"] == {"a": "b", "kata": "yes"}
    assert spec["tolerations"] == [{"key": "k"}]
    assert 'RuntimeClass "nope" not found' in refusal(plugin, "CREATE", PODS, pod(runtimeClassName="nope")).message
    assert (
        "conflict" in refusal(plugin, "CREATE", PODS, pod(runtimeClassName="kata", nodeSelector={"kata": "no"})).message
    )
    assert "Overhead set without" in refusal(plugin, "CREATE", PODS, pod(overhead={"cpu": "1"})).message


# limits


def limited(**item):
    lookup = world()
    lookup.put(LIMITRANGES, obj("l", "default", spec={"limits": [{"type": "Container", **item}]}))
    return LimitRanger(lookup)


def container(requests=None, limits=None):
    resources = {k: v for k, v in (("requests", requests), ("limits", limits)) if v}
    return {"containers": [{"name": "c", "image": "i", "resources": resources}]}


def test_limit_ranger_fills_in_and_notes_it():
    made = run(
        limited(default={"cpu": "1"}, defaultRequest={"cpu": "100m", "memory": "1Gi"}),
        "CREATE",
        PODS,
        pod(**container({"memory": "2Gi"})),
    )
    assert made["spec"]["containers"][0]["resources"] == {
        "requests": {"cpu": "100m", "memory": "2Gi"},
        "limits": {"cpu": "1"},
    }
    assert made["metadata"]["annotations"]["kubernetes.io/limit-ranger"] == (
        "LimitRanger plugin set: cpu request for container c; cpu limit for container c"
    )


BOUNDS = [
    pytest.param(
        {"min": {"cpu": "200m"}},
        {},
        "minimum cpu usage per Container is 200m.  No request is specified",
        id="no request",
    ),
    pytest.param(
        {"min": {"cpu": "200m"}},
        {"requests": {"cpu": "100m"}},
        "minimum cpu usage per Container is 200m, but request is 100m",
        id="a small request",
    ),
    pytest.param(
        {"max": {"cpu": "1"}}, {}, "maximum cpu usage per Container is 1.  No limit is specified", id="no limit"
    ),
    pytest.param(
        {"max": {"cpu": "1"}},
        {"limits": {"cpu": "1500m"}},
        "maximum cpu usage per Container is 1, but limit is 1500m",
        id="a big limit",
    ),
    pytest.param(
        {"maxLimitRequestRatio": {"cpu": "2"}},
        {"requests": {"cpu": "100m"}, "limits": {"cpu": "300m"}},
        "cpu max limit to request ratio per Container is 2, but provided ratio is 3.000000",
        id="too far apart",
    ),
]


@pytest.mark.parametrize("item, resources, message", BOUNDS)
def test_limit_ranger_bounds(item, resources, message):
    assert (
        refusal(limited(**item), "CREATE", PODS, pod("x", **container(**resources))).message
        == f'pods "x" is forbidden: {message}'
    )


# quota


class Books:
    """A client that writes quota status, in conflict as often as told."""

    def __init__(self, lookup, conflicts=0):
        self.lookup = lookup
        self.conflicts = conflicts

    async def update(self, gvr, quota, *, subresource=""):
        await asyncio.sleep(0)
        if self.conflicts:
            self.conflicts -= 1
            raise conflict(gvr, quota["metadata"]["name"])
        self.lookup.put(gvr, quota)
        return quota


def quota_world(hard, used=None, **spec):
    lookup = world()
    zero = dict.fromkeys(hard, "0")
    lookup.put(
        RESOURCEQUOTAS,
        obj("q", "default", spec={"hard": hard, **spec}, status={"hard": hard, "used": {**zero, **(used or {})}}),
    )
    return lookup


def used(lookup):
    return lookup.get(RESOURCEQUOTAS, "default", "q")["status"]["used"]


def test_quota_books_what_a_pod_uses():
    lookup = quota_world({"pods": "5", "requests.cpu": "1", "count/pods": "9"}, {"pods": "1"})
    run(ResourceQuota(lookup, Books(lookup)), "CREATE", PODS, pod(**container({"cpu": "300m"})))
    assert used(lookup) == {"pods": "2", "requests.cpu": "300m", "count/pods": "1"}


def test_quota_refuses_in_upstreams_words():
    lookup = quota_world({"requests.cpu": "1"}, {"requests.cpu": "800m"})
    error = refusal(ResourceQuota(lookup, Books(lookup)), "CREATE", PODS, pod("x", **container({"cpu": "300m"})))
    assert error.message == (
        'pods "x" is forbidden: exceeded quota: q, requested: requests.cpu=300m, used: requests.cpu=800m, '
        "limited: requests.cpu=1"
    )
    assert used(lookup) == {"requests.cpu": "800m"}


def test_quota_wants_amounts_stated():
    lookup = quota_world({"limits.cpu": "1"})
    error = refusal(ResourceQuota(lookup, Books(lookup)), "CREATE", PODS, pod("x", **container()))
    assert error.message == 'pods "x" is forbidden: failed quota: q: must specify limits.cpu for: c'


@pytest.mark.parametrize("conflicts", [0, 3])
def test_quota_holds_exactly_however_many_come_at_once(conflicts):
    lookup = quota_world({"pods": "3"})
    plugin = ResourceQuota(lookup, Books(lookup, conflicts))

    async def main():
        tries = [admit(plugin, attributes("CREATE", PODS, pod(f"p{i}"))) for i in range(10)]
        return await asyncio.gather(*tries, return_exceptions=True)

    refused = [r for r in asyncio.run(main()) if isinstance(r, StatusError)]
    assert len(refused) == 7
    assert used(lookup) == {"pods": "3"}


def test_quota_of_a_dry_run_is_checked_and_not_booked():
    lookup = quota_world({"pods": "1"})
    run(ResourceQuota(lookup, Books(lookup)), "CREATE", PODS, pod(), dry_run=True)
    assert used(lookup) == {"pods": "0"}


def test_quota_scopes():
    lookup = quota_world({"pods": "0"}, scopes=["BestEffort"])
    run(ResourceQuota(lookup, Books(lookup)), "CREATE", PODS, pod(**container({"cpu": "1"})))
    assert refusal(ResourceQuota(lookup, Books(lookup)), "CREATE", PODS, pod(**container())).code == 403


def test_quota_of_services_counts_what_an_update_adds():
    lookup = quota_world({"services": "9", "services.nodeports": "2"}, {"services": "1"})
    old = obj("s", "default", spec={"type": "ClusterIP", "ports": [{"port": 1}, {"port": 2}]})
    new = {**old, "spec": {**old["spec"], "type": "NodePort"}}
    run(ResourceQuota(lookup, Books(lookup)), "UPDATE", SERVICES, new, old)
    assert used(lookup) == {"services": "1", "services.nodeports": "2"}


# nodes


def node(name="n1", **meta):
    return obj(name, metadata=meta, spec={})


OWN = {"ownerReferences": [{"apiVersion": "v1", "kind": "Node", "name": "n1", "uid": "uid-n1", "controller": True}]}
MIRROR_META = {**MIRROR, **OWN}
BARE = {"serviceAccountName": ""}
NODE_CASES = [
    pytest.param("CREATE", NODES, node(labels={"kubernetes.io/hostname": "n1"}), None, {}, "", id="registers itself"),
    pytest.param("CREATE", NODES, node("n2"), None, {}, 'not allowed to modify node "n2"', id="registers another"),
    pytest.param(
        "CREATE",
        NODES,
        node(labels={"node-restriction.kubernetes.io/x": "1"}),
        None,
        {},
        "set the following labels",
        id="a restricted label",
    ),
    pytest.param(
        "UPDATE",
        NODES,
        node(labels={"node-role.kubernetes.io/x": ""}),
        node(),
        {},
        "not allowed to modify labels",
        id="a role",
    ),
    pytest.param("UPDATE", NODES, node(labels={"example.com/x": "1"}), node(), {}, "", id="a label of anybody"),
    pytest.param(
        "UPDATE",
        NODES,
        node(),
        {**node(), "spec": {"taints": [{"key": "a"}]}},
        {},
        "not allowed to modify taints",
        id="takes off a taint",
    ),
    pytest.param("CREATE", PODS, pod(node="n1"), None, {}, "can only create mirror pods", id="a plain pod"),
    pytest.param("CREATE", PODS, pod(node="n1", metadata=MIRROR_META, **BARE), None, {}, "", id="a mirror pod"),
    pytest.param(
        "CREATE",
        PODS,
        pod(node="n2", metadata=MIRROR_META, **BARE),
        None,
        {},
        "spec.nodeName set to itself",
        id="a mirror pod elsewhere",
    ),
    pytest.param(
        "CREATE",
        PODS,
        pod(node="n1", metadata=MIRROR, **BARE),
        None,
        {},
        "an owner reference set to itself",
        id="without an owner",
    ),
    pytest.param(
        "CREATE",
        PODS,
        pod(node="n1", metadata=MIRROR_META, **BARE, volumes=[{"name": "v", "secret": {"secretName": "s"}}]),
        None,
        {},
        "can not create pods that reference secrets",
        id="a mirror pod with a secret",
    ),
    pytest.param("DELETE", PODS, None, pod(node="n1"), {}, "", id="deletes its pod"),
    pytest.param("DELETE", PODS, None, pod(node="n2"), {}, "can only delete pods", id="deletes another's pod"),
    pytest.param("UPDATE", PODS, pod(node="n1"), pod(node="n1"), {"subresource": "status"}, "", id="its pod's status"),
    pytest.param(
        "UPDATE",
        PODS,
        pod(node="n2"),
        pod(node="n2"),
        {"subresource": "status"},
        "can only update pod status",
        id="another's status",
    ),
    pytest.param(
        "UPDATE",
        PODS,
        pod(node="n1", metadata={"labels": {"a": "b"}}),
        pod(node="n1"),
        {"subresource": "status"},
        "cannot update labels through pod status",
        id="labels through status",
    ),
    pytest.param(
        "UPDATE", PODS, pod(node="n1"), pod(node="n1"), {}, "can only create and delete mirror pods", id="a pod's spec"
    ),
    pytest.param("CREATE", PODS, obj("p"), None, {"subresource": "eviction", "name": "p"}, "", id="evicts its pod"),
    pytest.param(
        "CREATE",
        SERVICEACCOUNTS,
        {"metadata": {}, "spec": {"boundObjectRef": {"apiVersion": "v1", "kind": "Pod", "name": "p", "uid": "uid-p"}}},
        None,
        {"subresource": "token", "name": "default"},
        "",
        id="a token for its pod",
    ),
    pytest.param(
        "CREATE",
        SERVICEACCOUNTS,
        {"metadata": {}, "spec": {}},
        None,
        {"subresource": "token", "name": "default"},
        "node requested token not bound to a pod",
        id="a token for no pod",
    ),
    pytest.param(
        "CREATE", LEASES, obj("n1", "kube-node-lease"), None, {"namespace": "kube-node-lease"}, "", id="its lease"
    ),
    pytest.param(
        "CREATE",
        LEASES,
        obj("n2", "kube-node-lease"),
        None,
        {"namespace": "kube-node-lease"},
        "same name as the requesting node",
        id="another lease",
    ),
]


@pytest.mark.parametrize("operation, gvr, new, old, rest, why", NODE_CASES)
def test_node_restriction(operation, gvr, new, old, rest, why):
    expected = pytest.raises(StatusError) if why else contextlib.nullcontext()
    with expected as caught:
        run(NodeRestriction(world()), operation, gvr, new, old, user=N1, **rest)
    assert why in (caught.value.message if caught else "")


def test_nobody_but_nodes_is_restricted():
    run(NodeRestriction(world()), "UPDATE", NODES, node("n2"), {**node("n2"), "spec": {"taints": []}}, user=ALICE)


# the chain


class Note(Plugin):
    def __init__(self, name, notes, **what):
        self.name = name
        self.notes = notes
        for key, value in what.items():
            setattr(self, key, value)

    async def mutate(self, attrs):
        self.notes.append(self.name)

    async def validate(self, attrs):
        self.notes.append(f"{self.name}?")


def test_the_chain_runs_interested_plugins_in_order():
    notes = []
    chain = Chain(
        [
            Note("a", notes),
            Note("b", notes, resources=frozenset(("services",))),
            Note("c", notes, operations=frozenset(("DELETE",))),
            Note("d", notes, resources=frozenset(("pods", "pods/resize"))),
        ]
    )
    for attrs in (attributes("CREATE", PODS, pod()), attributes("UPDATE", PODS, pod(), pod(), subresource="status")):
        asyncio.run(chain.mutate(attrs))
        asyncio.run(chain.validate(attrs))
    assert notes == ["a", "d", "a?", "d?", "a", "a?"]


def builtin(**options):
    lookup = world()
    allocators = ServiceAllocators(lookup, service_cidrs=["10.96.0.0/12"])
    registry = Registry(MemoryStore(), [])
    return [p.name for p in plugins(lookup, client=None, allocators=allocators, registry=registry, **options)]


def test_builtin_order_and_switches():
    names = builtin()
    assert names[:2] == ["CertificateRequester", "NamespaceLifecycle"]
    assert names[-7:] == [
        "MutatingAdmissionPolicy",
        "MutatingAdmissionWebhook",
        "ServiceAllocation",
        "PolicyParamAccess",
        "ValidatingAdmissionPolicy",
        "ValidatingAdmissionWebhook",
        "ResourceQuota",
    ]
    assert "ValidatingAdmissionPolicy" not in builtin(disable=["ValidatingAdmissionPolicy"])
    assert "MutatingAdmissionWebhook" not in builtin(disable=["MutatingAdmissionWebhook"])
    assert "Priority" not in builtin(disable=["Priority"])
    assert "ServiceAllocation" in builtin(disable=["ServiceAllocation"])
    with pytest.raises(ValueError, match="unknown admission plugins: Nonsense"):
        builtin(enable=["Nonsense"])


def test_a_plugin_uses_the_seeded_source_for_names():
    """Two runs of one seed make the same pod."""

    def made():
        async def main():
            env.rng().seed(7)
            return await admit(ServiceAccount(world()), attributes("CREATE", PODS, pod()))

        return run_virtual(main())

    assert made() == made()
