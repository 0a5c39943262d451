"""Slices for a service. Source: upstream staging k8s.io/endpointslice, reconciler_test.go for the situations."""

import pytest

from skiff.controllers import endpointslice as es
from skiff.controllers.common import services, slices
from tests.controllers.builders import at, meta, owner, pod, service

PORTS = [{"name": "http", "port": 8080, "protocol": "TCP"}]
SERVICE = service(labels={"team": "x"})
LABELS = {
    "team": "x",
    "kubernetes.io/service-name": "web",
    "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io",
}


def end(n, ready=True):
    return es.endpoint(pod(f"p{n}", ready=0 if ready else None, ips=(f"10.0.0.{n}",)), SERVICE, "IPv4", "")


def piece(name, numbers, *, labels=LABELS, ports=PORTS, family="IPv4", of="web"):
    return {
        "metadata": meta(
            name, labels=labels, ownerReferences=[owner("Service", of, "v1", controller=True, blockOwnerDeletion=True)]
        ),
        "addressType": family,
        "ports": ports,
        "endpoints": [end(n) for n in numbers],
    }


def plan(existing, wanted, maximum=3):
    found = slices.plan(es.owner_of(SERVICE), existing, {"IPv4": [(PORTS, e) for e in wanted]}, maximum=maximum)

    def sizes(slices):
        return [(s["metadata"].get("name", "new"), [e["addresses"][0][7:] for e in s["endpoints"]]) for s in slices]

    return sizes(found.create), sizes(found.update), [s["metadata"]["name"] for s in found.delete]


PLANS = [
    pytest.param([], [1, 2], ([("new", ["1", "2"])], [], []), id="creates the first slice"),
    pytest.param([], [1, 2, 3, 4], ([("new", ["1", "2", "3"]), ("new", ["4"])], [], []), id="as many as are needed"),
    pytest.param([piece("a", [1, 2])], [1, 2], ([], [], []), id="writes nothing when nothing changed"),
    pytest.param([piece("a", [1, 2])], [1], ([], [("a", ["1"])], []), id="takes out what is gone"),
    pytest.param(
        [piece("a", [1, 2, 3]), piece("b", [4])],
        [1, 2, 4, 5],
        ([], [("a", ["1", "2", "5"])], []),
        id="fills what it writes",
    ),
    pytest.param(
        [piece("a", [1, 2]), piece("b", [3])],
        [1, 2, 3, 4],
        ([], [("a", ["1", "2", "4"])], []),
        id="the fullest that fits",
    ),
    pytest.param(
        [piece("a", [1, 2, 3])],
        [1, 2, 3, 4],
        ([("new", ["4"])], [], []),
        id="leaves a full slice alone and starts another",
    ),
    pytest.param(
        [piece("a", [1]), piece("b", [2])], [1], ([], [], ["b"]), id="a slice that becomes empty goes if another stays"
    ),
    pytest.param([piece("a", [1])], [], ([], [("a", [])], []), id="the last one becomes the placeholder"),
    pytest.param(
        [piece("a", [1], labels={"team": "y"})], [1], ([], [("a", ["1"])], []), id="labels follow the service's"
    ),
    pytest.param(
        [piece("a", [1], of="another")],
        [1],
        ([("new", ["1"])], [], ["a"]),
        id="a slice of a former service is replaced",
    ),
    pytest.param([piece("a", [], ports=[])], [], ([], [], []), id="a placeholder that is there is kept"),
    pytest.param(
        [piece("a", [], family="IPv6")], [1], ([("new", ["1"])], [], ["a"]), id="a family no longer wanted goes"
    ),
]


@pytest.mark.parametrize("existing, numbers, expected", PLANS)
def test_plan(existing, numbers, expected):
    assert plan(existing, [end(n) for n in numbers]) == expected


def test_a_changed_endpoint_is_updated_in_its_slice():
    assert plan([piece("a", [1, 2])], [end(1), end(2, ready=False)]) == ([], [("a", ["1", "2"])], [])


def test_pods_with_other_ports_get_slices_of_their_own():
    other = [{"name": "http", "port": 9090, "protocol": "TCP"}]
    desired = {"IPv4": [(PORTS, end(1)), (other, end(2))]}
    found = slices.plan(es.owner_of(SERVICE), [], desired, maximum=100)
    assert [(s["ports"][0]["port"], len(s["endpoints"])) for s in found.create] == [(8080, 1), (9090, 1)]


def test_the_inputs_stay_as_they_were():
    existing = piece("a", [1])
    before = repr(existing)
    plan([existing], [end(1), end(2)])
    assert repr(existing) == before


CONDITIONS = [
    pytest.param(pod("p", ready=0), {}, (True, True, False), id="ready"),
    pytest.param(pod("p"), {}, (False, False, False), id="not ready"),
    pytest.param(pod("p", ready=0, deletionTimestamp=at(0)), {}, (False, True, True), id="terminating but serving"),
    pytest.param(pod("p"), {"publishNotReadyAddresses": True}, (True, False, False), id="published although not ready"),
]


@pytest.mark.parametrize("given, spec, expected", CONDITIONS)
def test_conditions(given, spec, expected):
    found = es.endpoint(given, service(**spec), "IPv4", "")["conditions"]
    assert (found["ready"], found["serving"], found["terminating"]) == expected


def test_an_endpoint_is_complete():
    given = pod("p", ready=0, ips=("10.0.0.1", "fd00::1"), spec={"hostname": "h", "subdomain": "web"})
    assert es.endpoint(given, SERVICE, "IPv6", "z1") == {
        "addresses": ["fd00::1"],
        "conditions": {"ready": True, "serving": True, "terminating": False},
        "hostname": "h",
        "nodeName": "n1",
        "targetRef": {"kind": "Pod", "namespace": "default", "name": "p", "uid": "uid-p"},
        "zone": "z1",
    }


NAMED = {"containers": [{"name": "c", "ports": [{"name": "web", "containerPort": 8000, "protocol": "TCP"}]}]}
SIDECAR = {"initContainers": [{"name": "s", "restartPolicy": "Always", "ports": NAMED["containers"][0]["ports"]}]}
PORT_CASES = [
    pytest.param({"port": 80, "targetPort": 8080}, {}, 8080, id="a number"),
    pytest.param({"port": 80, "targetPort": "web"}, NAMED, 8000, id="a name"),
    pytest.param({"port": 80, "targetPort": "web", "protocol": "UDP"}, NAMED, None, id="a name of another protocol"),
    pytest.param({"port": 80, "targetPort": "web"}, SIDECAR, 8000, id="a sidecar's name"),
    pytest.param({"port": 80, "targetPort": "gone"}, NAMED, None, id="a name that nobody has"),
]


@pytest.mark.parametrize("port, spec, expected", PORT_CASES)
def test_find_port(port, spec, expected):
    assert services.find_port(pod("p", spec=spec), port) == expected


def test_a_headless_service_is_labelled():
    assert es.slice_labels(service(clusterIP="None"))["service.kubernetes.io/headless"] == ""
    assert "service.kubernetes.io/headless" not in es.slice_labels(SERVICE)


FAMILIES = [
    pytest.param({"ipFamilies": ["IPv6", "IPv4"]}, ["IPv6", "IPv4"], id="as the service says"),
    pytest.param({"ipFamilies": None, "clusterIP": "fd00::7"}, ["IPv6"], id="as its address says"),
    pytest.param(
        {"ipFamilies": None, "clusterIP": "None"}, ["IPv4", "IPv6"], id="both, for a headless one that says nothing"
    ),
]


@pytest.mark.parametrize("spec, expected", FAMILIES)
def test_families(spec, expected):
    assert services.families(service(**spec)) == expected


def test_trigger_time_is_the_earliest_news():
    triggers = services.Triggers()
    assert triggers.observe(SERVICE, [pod("a", ready=5)]) == at(0), "a new service counts from its creation"
    assert triggers.observe(SERVICE, [pod("a", ready=5)]) == ""
    assert triggers.observe(SERVICE, [pod("a", ready=9), pod("b", ready=7)]) == at(7)
