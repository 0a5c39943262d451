"""Host ports, routes and the texts made of them."""

import json
from pathlib import Path

import pytest

from skiff.network import cni
from skiff.network.host import hardware_address
from skiff.network.hostports import HostPort, host_ports, slim_pod
from skiff.network.nftables import table
from skiff.network.routes import changes, wanted


def pod(
    name="a",
    ip="10.244.0.5",
    phase="Running",
    created="2026-01-01T00:00:00Z",
    ports=({"containerPort": 80, "hostPort": 8080},),
    **spec,
):
    return {
        "metadata": {"name": name, "namespace": "default", "creationTimestamp": created, "annotations": {"big": "x"}},
        "spec": {"containers": [{"name": "c", "image": "i", "ports": list(ports)}], **spec},
        "status": {"phase": phase, **({"podIP": ip} if ip else {})},
    }


def port(number=8080, **more):
    return {"containerPort": 80, "hostPort": number, **more}


PORTS = [
    pytest.param([pod()], ["tcp 8080 * 10.244.0.5:80"], id="one port, on every address"),
    pytest.param([pod(ports=[port(protocol="UDP")])], ["udp 8080 * 10.244.0.5:80"], id="another protocol"),
    pytest.param([pod(ports=[port(hostIP="192.0.2.1")])], ["tcp 8080 192.0.2.1 10.244.0.5:80"], id="on one address"),
    pytest.param([pod(ports=[port(hostIP="0.0.0.0")])], ["tcp 8080 * 10.244.0.5:80"], id="on the unspecified address"),
    pytest.param([pod(ports=[port(hostIP="::1")])], [], id="on an IPv6 address"),
    pytest.param([pod(ports=[{"containerPort": 80}])], [], id="no host port"),
    pytest.param([pod(hostNetwork=True)], [], id="the pod is in the node's network"),
    pytest.param([pod(ip="")], [], id="no address yet"),
    pytest.param([pod(phase="Succeeded")], [], id="the pod is done"),
    pytest.param(
        [pod(initContainers=[{"name": "s", "restartPolicy": "Always", "ports": [port(9090)]}], ports=[])],
        ["tcp 9090 * 10.244.0.5:80"],
        id="of a sidecar",
    ),
    pytest.param(
        [pod("new", "10.244.0.6", created="2026-01-02T00:00:00Z"), pod("old")],
        ["tcp 8080 * 10.244.0.6:80"],
        id="of two pods with one port the younger has it",
    ),
]


@pytest.mark.parametrize("pods, lines", PORTS)
def test_host_ports(pods, lines):
    kept = [slim for p in pods if (slim := slim_pod(p)) is not None]
    assert [f"{p.protocol} {p.port} {p.host_ip or '*'} {p.pod_ip}:{p.pod_port}" for p in host_ports(kept)] == lines


def test_a_pod_is_kept_without_what_is_not_needed():
    assert "big" not in json.dumps(slim_pod(pod()))


def node(name, cidr="", ip="", **more):
    addresses = [{"type": "Hostname", "address": name}] + ([{"type": "InternalIP", "address": ip}] if ip else [])
    return {"metadata": {"name": name}, "spec": {"podCIDR": cidr, **more}, "status": {"addresses": addresses}}


ROUTES = [
    pytest.param([node("n2", "10.244.1.0/24", "10.89.0.2")], {"10.244.1.0/24": "10.89.0.2"}, id="another node"),
    pytest.param([node("n1", "10.244.0.0/24", "10.89.0.1")], {}, id="this node"),
    pytest.param([node("n2", "", "10.89.0.2")], {}, id="no pod CIDR yet"),
    pytest.param([node("n2", "10.244.1.0/24")], {}, id="no address yet"),
    pytest.param(
        [node("n2", "fd00::/64", "10.89.0.2", podCIDRs=["fd00::/64", "10.244.1.0/24"])],
        {"10.244.1.0/24": "10.89.0.2"},
        id="two families",
    ),
    pytest.param([node("n2", "0.0.0.0/0", "10.89.0.2")], {}, id="nobody gets all routes"),
    pytest.param([node("n2", "10.244.1.0/24", "127.0.0.1")], {}, id="a gateway that is none"),
    pytest.param([node("n2", "10.244.1.0/24 via x", "10.89.0.2")], {}, id="a network that is none"),
]


@pytest.mark.parametrize("nodes, routes", ROUTES)
def test_wanted_routes(nodes, routes):
    assert wanted(nodes, "n1") == routes


def test_route_changes():
    have = [
        {"dst": "10.244.1.0/24", "gateway": "10.89.0.2"},
        {"dst": "10.244.2.0/24", "gateway": "10.89.0.3"},
        {"dst": "10.244.3.0/24", "gateway": "10.89.0.4"},
    ]
    want = {"10.244.1.0/24": "10.89.0.2", "10.244.2.0/24": "10.89.0.9", "10.244.4.0/24": "10.89.0.5"}
    assert changes(have, want) == (
        ["10.244.3.0/24"],
        [("10.244.2.0/24", "10.89.0.9"), ("10.244.4.0/24", "10.89.0.5")],
    )


def test_the_table_names_every_port_once():
    ports = [HostPort("tcp", 80, "", "10.244.0.5", 8080), HostPort("udp", 53, "192.0.2.1", "10.244.0.5", 5353)]
    text = table("10.244.0.0/24", "10.244.0.0/16", ports)
    assert "elements = { tcp . 80 : 10.244.0.5 . 8080 }" in text
    assert "elements = { 192.0.2.1 . udp . 53 : 10.244.0.5 . 5353 }" in text
    assert "elements = { 10.244.0.5 . 10.244.0.5 }" in text
    assert text.startswith("add table ip skiff-network\ndelete table ip skiff-network\n")


def test_the_cni_configuration_is_written_once(tmp_path):
    text = cni.conflist("10.244.0.0/24", Path("/data"), mtu=1400)
    bridge = json.loads(text)["plugins"][0]
    assert (bridge["ipam"]["ranges"], bridge["ipam"]["dataDir"], bridge["mtu"]) == (
        [[{"subnet": "10.244.0.0/24"}]],
        "/data",
        1400,
    )
    cni.write(tmp_path / "net.d", text)
    first = (tmp_path / "net.d" / cni.FILE).stat()
    cni.write(tmp_path / "net.d", text)
    assert (tmp_path / "net.d" / cni.FILE).stat().st_ino == first.st_ino
    assert [p.name for p in (tmp_path / "net.d").iterdir()] == [cni.FILE]


def test_a_bridges_hardware_address_is_locally_administered():
    assert hardware_address("10.244.0.1/24") == "02:58:0a:f4:00:01"
