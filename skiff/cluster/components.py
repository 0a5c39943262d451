"""The processes of a cluster and the flags each component gets: upstream's flag names, from the settings.

A component is a module with `add_flags(parser)` and `run(args)`. `skiff manager` and `skiff node` run several of them
in one process; each also runs alone under its own name.
"""

import sys
from pathlib import Path
from typing import Any

from skiff.cluster.layout import Layout, Settings

MODULES = {
    "apiserver": "skiff.apiserver.main",
    "controller-manager": "skiff.controllers.main",
    "scheduler": "skiff.scheduler.main",
    "dns": "skiff.dns.main",
    "kubelet": "skiff.kubelet.main",
    "proxy": "skiff.proxy.main",
    "network": "skiff.network.main",
}

PROCESSES = {
    "apiserver": ("apiserver",),
    "manager": ("controller-manager", "scheduler", "dns"),
    "node": ("kubelet", "proxy", "network"),
}
"""Which components share a process under `skiff up`."""


CONTROLLERS_PORT = 10257
NODE_HEALTH_PORT = 10248


def flags(component: str, layout: Layout, s: Settings) -> list[str]:
    """The command line of one component of this cluster."""
    own = {
        "apiserver": _apiserver,
        "controller-manager": _controller_manager,
        "scheduler": _scheduler,
        "dns": _dns,
        "kubelet": _kubelet,
        "proxy": _proxy,
        "network": _network,
    }[component](layout, s)
    return [f"--{name}={value}" for name, value in own.items()]


def _apiserver(layout: Layout, s: Settings) -> dict[str, Any]:
    pki = layout.pki
    return {
        "store": f"sqlite://{layout.database}",
        "bind-address": f"127.0.0.1,{s.node_ip}",
        "advertise-address": s.node_ip,
        "secure-port": s.secure_port,
        "tls-cert-file": pki / "apiserver.crt",
        "tls-private-key-file": pki / "apiserver.key",
        "client-ca-file": pki / "ca.crt",
        "service-account-key-file": pki / "sa.pub",
        "service-account-signing-key-file": pki / "sa.key",
        "service-account-issuer": f"https://kubernetes.default.svc.{s.domain}",
        "service-cluster-ip-range": s.service_cidr,
        "kubelet-client-certificate": pki / "apiserver-kubelet-client.crt",
        "kubelet-client-key": pki / "apiserver-kubelet-client.key",
        "kubelet-certificate-authority": pki / "ca.crt",
        "requestheader-client-ca-file": pki / "front-proxy-ca.crt",
        "requestheader-allowed-names": "front-proxy-client",
        "proxy-client-cert-file": pki / "front-proxy-client.crt",
        "proxy-client-key-file": pki / "front-proxy-client.key",
        "enable-bootstrap-token-auth": "true",
    }


def _controller_manager(layout: Layout, s: Settings) -> dict[str, Any]:
    return {
        "kubeconfig": layout.kubeconfig("controller-manager"),
        "cluster-cidr": s.pod_cidr,
        "service-cluster-ip-range": s.service_cidr,
        "root-ca-file": layout.pki / "ca.crt",
        "use-service-account-credentials": "true",
        "secure-port": CONTROLLERS_PORT,
        "leader-elect": "false",
        **_serving(layout),
    }


def _serving(layout: Layout) -> dict[str, Any]:
    """The certificate of the node's servers, for health and metrics on the loopback address."""
    return {"tls-cert-file": layout.pki / "kubelet.crt", "tls-private-key-file": layout.pki / "kubelet.key"}


def _scheduler(layout: Layout, s: Settings) -> dict[str, Any]:
    return {"kubeconfig": layout.kubeconfig("scheduler"), "leader-elect": "false", **_serving(layout)}


def _dns(layout: Layout, s: Settings) -> dict[str, Any]:
    return {
        "kubeconfig": layout.kubeconfig("dns"),
        "listen": f"{s.node_ip}:{s.dns_port}",
        "cluster-domain": s.domain,
        "service-ip": s.dns_ip,
    }


def _kubelet(layout: Layout, s: Settings) -> dict[str, Any]:
    pki = layout.pki
    return {
        "kubeconfig": layout.kubeconfig("kubelet"),
        "hostname-override": s.node_name,
        "node-ip": s.node_ip,
        "port": s.kubelet_port,
        "healthz-port": NODE_HEALTH_PORT,
        "root-dir": layout.node(s.node_name),
        "container-runtime-endpoint": f"unix://{layout.containerd_socket}",
        "cluster-dns": s.dns_ip,
        "cluster-domain": s.domain,
        "cgroup-root": s.cgroup_root,
        "pod-manifest-path": layout.root / "manifests",
        "client-ca-file": pki / "ca.crt",
        "tls-cert-file": pki / "kubelet.crt",
        "tls-private-key-file": pki / "kubelet.key",
    }


def _proxy(layout: Layout, s: Settings) -> dict[str, Any]:
    return {
        "kubeconfig": layout.kubeconfig("proxy"),
        "hostname-override": s.node_name,
        "cluster-cidr": s.pod_cidr,
    }


def _network(layout: Layout, s: Settings) -> dict[str, Any]:
    return {
        "kubeconfig": layout.kubeconfig("proxy"),
        "hostname-override": s.node_name,
        "cluster-cidr": s.pod_cidr,
        "service-cluster-ip-range": s.service_cidr,
        "cni-conf-dir": layout.cni_conf,
        "cni-data-dir": layout.root / "cni" / "ipam",
    }


def specs(layout: Layout, s: Settings) -> list[dict[str, Any]]:
    """What the supervisor runs, in the order of starting."""
    health = {
        "containerd": f"unix:{layout.containerd_socket}",
        "apiserver": f"https://127.0.0.1:{s.secure_port}/livez",
        "manager": f"https://127.0.0.1:{CONTROLLERS_PORT}/livez",
        "node": f"http://127.0.0.1:{NODE_HEALTH_PORT}/healthz",
    }

    def spec(name: str, argv: list[str], linger: bool = False) -> dict[str, Any]:
        log = str(layout.logs / f"{name}.log")
        return {"name": name, "argv": argv, "log": log, "linger": linger, "health": health[name]}

    containerd = ["containerd", "--config", str(layout.containerd_config)]
    ours = [spec(name, [sys.executable, "-m", "skiff", name, f"--state-dir={layout.root}"]) for name in PROCESSES]
    return [spec("containerd", containerd, linger=True), *ours]


SUPERVISOR = Path(__file__).with_name("supervisor.py")
