"""Our CNI configuration with the real plugins of the distribution: a pod's interface, its route, its address back."""

import ipaddress
import json
import os
import subprocess
from contextlib import ExitStack
from pathlib import Path

import pytest

from skiff.network import cni

PLUGINS = Path("/usr/lib/cni")


@pytest.fixture
def namespaces():
    """A node's and a pod's network namespace."""
    with ExitStack() as stack:
        names = [f"skiff-{os.getpid()}-{n}" for n in ("cni-node", "cni-pod")]
        for name in names:
            subprocess.run(["ip", "netns", "add", name], check=True)
            stack.callback(subprocess.run, ["ip", "netns", "delete", name], check=True)
        yield names


def test_a_pod_gets_its_interface_and_gives_it_back(namespaces, tmp_path):
    node, pod = namespaces
    conflist = json.loads(cni.conflist("10.244.7.0/24", tmp_path))
    plugin = {"cniVersion": conflist["cniVersion"], "name": conflist["name"], **conflist["plugins"][0]}

    def call(command):
        env = {
            "CNI_COMMAND": command,
            "CNI_CONTAINERID": "pod1",
            "CNI_NETNS": f"/run/netns/{pod}",
            "CNI_IFNAME": "eth0",
            "CNI_PATH": str(PLUGINS),
            "PATH": os.environ["PATH"],
        }
        argv = ["ip", "netns", "exec", node, str(PLUGINS / plugin["type"])]
        done = subprocess.run(argv, input=json.dumps(plugin), env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    result = json.loads(call("ADD"))
    address = ipaddress.ip_interface(result["ips"][0]["address"])
    assert address in ipaddress.ip_network("10.244.7.0/24")
    assert result["ips"][0]["gateway"] == "10.244.7.1"
    routes = subprocess.run(["ip", "-n", pod, "route"], capture_output=True, text=True, check=True).stdout
    assert "default via 10.244.7.1 dev eth0" in routes
    bridge = subprocess.run(
        ["ip", "-n", node, "-d", "link", "show", "master", "skiff-cni0"], capture_output=True, text=True, check=True
    )
    assert "hairpin on" in bridge.stdout
    call("DEL")
    assert not (tmp_path / "skiff" / str(address.ip)).exists()
