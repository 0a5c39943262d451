"""Host ports of pods that come to one node: who collides with whom."""

import pytest

from skiff.kubelet.admission import admit

NODE = {"metadata": {"name": "n", "labels": {}}, "spec": {}, "status": {"allocatable": {"pods": "10"}}}


def pod(name: str, port: int, ip: str = "", protocol: str = "TCP"):
    ports = [{"containerPort": 80, "hostPort": port, "hostIP": ip, "protocol": protocol}]
    return {"metadata": {"name": name, "uid": name}, "spec": {"containers": [{"name": "c", "ports": ports}]}}


@pytest.mark.parametrize(
    ("newcomer", "reason"),
    [
        pytest.param(("", "TCP"), "NodePorts", id="all addresses collide with one"),
        pytest.param(("0.0.0.0", "TCP"), "NodePorts", id="all addresses, written out"),
        pytest.param(("10.0.0.1", "TCP"), "NodePorts", id="the same address"),
        pytest.param(("10.0.0.2", "TCP"), None, id="another address"),
        pytest.param(("10.0.0.1", "UDP"), None, id="another protocol"),
    ],
)
def test_host_ports(newcomer, reason):
    rejection = admit(pod("new", 8080, *newcomer), NODE, [pod("old", 8080, "10.0.0.1")])
    assert (rejection.reason if rejection else None) == reason
