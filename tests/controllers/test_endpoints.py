"""Subsets of Endpoints. Source: upstream pkg/controller/endpoint and pkg/api/v1/endpoints."""

import pytest

from skiff.controllers.endpoints import subsets, truncate, wanted_labels
from tests.controllers.builders import at, pod, service

TWO = [
    {"name": "a", "port": 80, "targetPort": 8080, "protocol": "TCP"},
    {"name": "b", "port": 81, "targetPort": "web", "protocol": "TCP"},
]
NAMED = {"containers": [{"name": "c", "ports": [{"name": "web", "containerPort": 8000, "protocol": "TCP"}]}]}
A = {"name": "a", "port": 8080, "protocol": "TCP"}
B = {"name": "b", "port": 8000, "protocol": "TCP"}


def address(n):
    ref = {"kind": "Pod", "namespace": "default", "name": f"p{n}", "uid": f"uid-p{n}"}
    return {"ip": f"10.0.0.{n}", "nodeName": "n1", "targetRef": ref}


def p(n, **more):
    return pod(f"p{n}", ips=(f"10.0.0.{n}",), **{"ready": 0, **more})


SUBSETS = [
    pytest.param(
        [p(2), p(1)], [{"addresses": [address(1), address(2)], "ports": [A]}], id="addresses with one port, sorted"
    ),
    pytest.param(
        [p(1), p(2, ready=None)],
        [{"addresses": [address(1)], "notReadyAddresses": [address(2)], "ports": [A]}],
        id="ready and not ready apart",
    ),
    pytest.param(
        [p(1, spec=NAMED), p(2)],
        [{"addresses": [address(1), address(2)], "ports": [A]}, {"addresses": [address(1)], "ports": [B]}],
        id="a port that only some have makes a subset",
    ),
    pytest.param(
        [p(1, spec=NAMED)], [{"addresses": [address(1)], "ports": [A, B]}], id="ports of the same pods together"
    ),
    pytest.param(
        [p(1, deletionTimestamp=at(0)), p(2, phase="Failed"), pod("x")], [], id="ending, ended and unaddressed ones not"
    ),
]


@pytest.mark.parametrize("pods, expected", SUBSETS)
def test_subsets(pods, expected):
    assert subsets(service(ports=TWO), pods) == expected


def test_a_headless_service_without_ports_has_addresses_without_ports():
    assert subsets(service(ports=[], clusterIP="None"), [p(1)]) == [{"addresses": [address(1)]}]
    assert subsets(service(ports=[]), [p(1)]) == []


def test_unready_pods_are_published_when_asked_for():
    assert subsets(service(publishNotReadyAddresses=True), [p(1, ready=None, deletionTimestamp=at(0))])[0]["addresses"]


TRUNCATED = [
    pytest.param([(3, 2)], 5, False, [(3, 2)], id="what fits stays"),
    pytest.param([(3, 2)], 4, True, [(3, 1)], id="unready ones are cut first"),
    pytest.param([(6, 2), (3, 1)], 6, True, [(4, 0), (2, 0)], id="ready ones in proportion"),
]


@pytest.mark.parametrize("sizes, maximum, cut, expected", TRUNCATED)
def test_truncate(sizes, maximum, cut, expected):
    found = [{"addresses": [{}] * ready, "notReadyAddresses": [{}] * other} for ready, other in sizes]
    assert truncate(found, maximum) is cut
    assert [(len(s.get("addresses", ())), len(s.get("notReadyAddresses", ()))) for s in found] == expected


def test_labels():
    assert wanted_labels(service(clusterIP="None", labels={"x": "y"})) == {
        "x": "y",
        "service.kubernetes.io/headless": "",
        "endpoints.kubernetes.io/managed-by": "endpoint-controller",
    }
