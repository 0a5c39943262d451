"""`skiff kubelet`: the node agent over a real container runtime, with kubelet's flag names."""

import argparse
import asyncio
import logging
import socket
from pathlib import Path
from typing import TYPE_CHECKING

from skiff.api.types import Obj
from skiff.kubelet.options import Options

if TYPE_CHECKING:
    from skiff.kubelet.kubelet import Kubelet

NAME = "kubelet"
log = logging.getLogger(__name__)


def add_flags(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--kubeconfig", required=True, help="path to a kubeconfig with the API server and our credentials")
    add("--hostname-override", default="", help="name of the Node object; default: the host name")
    add("--node-ip", default="", help="the node's addresses, separated by commas; default: that of the host name")
    add("--address", default="", help="the address to listen on; default: the node's IP")
    add("--port", type=int, default=10250, help="the port to listen on")
    add("--healthz-port", type=int, default=10248, help="the port of the plain health endpoint; 0: there is none")
    add("--healthz-bind-address", default="127.0.0.1", help="its address")
    add("--root-dir", type=Path, default=Path("/var/lib/kubelet"), help="directory for the files of pods")
    add("--pod-logs-dir", default="", help="directory for the logs of pods; default: below the root directory")
    add("--container-runtime-endpoint", default="unix:///run/containerd/containerd.sock", help="the CRI socket")
    add("--cluster-dns", default="", help="DNS servers for pods, separated by commas")
    add("--cluster-domain", default="cluster.local", help="domain of the cluster")
    add("--resolv-conf", default="/etc/resolv.conf", help="where pods with dnsPolicy Default get theirs from")
    add("--cgroup-root", default="", help="the cgroup below which pods get theirs; default: the runtime's")
    add("--pod-manifest-path", default="", help="directory with the manifests of static pods")
    add("--register-node", type=_boolean, default=True, help="whether to create the Node object")
    add("--node-labels", default="", help="labels of the Node object: key=value, separated by commas")
    add("--register-with-taints", default="", help="taints of the Node object: key=value:effect, separated by commas")
    add("--provider-id", default="", help="spec.providerID of the Node object")
    add("--max-pods", type=int, default=110, help="how many pods may run on this node")
    add("--client-ca-file", default="", help="the CA whose client certificates are believed")
    add("--tls-cert-file", default="", help="certificate to serve with")
    add("--tls-private-key-file", default="", help="its key")
    add("--system-reserved", default="", help="kept from pods: cpu=200m,memory=500Mi")
    add("--image-gc-high-threshold", type=int, default=85, help="disk use in percent at which images are removed")
    add("--image-gc-low-threshold", type=int, default=80, help="disk use in percent down to which they are")
    add("--container-log-max-files", type=int, default=5, help="how many log files to keep per container")
    add("--serialize-image-pulls", type=_boolean, default=False, help="pull one image at a time")


def _boolean(text: str) -> bool:
    if text.lower() not in ("true", "false", "1", "0"):
        raise argparse.ArgumentTypeError(f"{text!r} is neither true nor false")
    return text.lower() in ("true", "1")


def _pairs(text: str) -> dict[str, str]:
    """`a=1,b=2` as a dict. Raises ValueError."""
    out = {}
    for part in filter(None, text.split(",")):
        key, sign, value = part.partition("=")
        if not sign:
            raise ValueError(f"{part!r} is not key=value")
        out[key.strip()] = value.strip()
    return out


def taints(text: str) -> list[Obj]:
    """`key=value:effect,...`; the value may be missing. Raises ValueError."""
    out = []
    for part in filter(None, text.split(",")):
        head, colon, effect = part.rpartition(":")
        if not colon or effect not in ("NoSchedule", "PreferNoSchedule", "NoExecute"):
            raise ValueError(f"invalid taint {part!r}")
        key, _, value = head.partition("=")
        out.append({"key": key, "effect": effect} | ({"value": value} if value else {}))
    return out


def options_of(args: argparse.Namespace) -> Options:
    """Raises ValueError for what cannot be read."""
    return Options(
        root=str(Path(args.root_dir).absolute()),
        pod_logs=args.pod_logs_dir,
        node_labels=_pairs(args.node_labels),
        node_taints=taints(args.register_with_taints),
        provider_id=args.provider_id,
        register_node=args.register_node,
        port=args.port,
        cluster_dns=tuple(filter(None, str(args.cluster_dns).split(","))),
        cluster_domain=args.cluster_domain,
        resolv_conf=args.resolv_conf,
        cgroup_root="/" + f"{args.cgroup_root}/kubepods".strip("/") if args.cgroup_root else "",
        max_pods=args.max_pods,
        manifest_dir=str(args.pod_manifest_path),
        system_reserved=_pairs(args.system_reserved),
        image_gc_high_percent=args.image_gc_high_threshold,
        image_gc_low_percent=args.image_gc_low_threshold,
        container_log_max_files=args.container_log_max_files,
        max_parallel_pulls=1 if args.serialize_image_pulls else 5,
    )


async def run(args: argparse.Namespace) -> None:
    """Until cancelled."""
    from skiff.client import health
    from skiff.client.kubeconfig import transport_from_kubeconfig
    from skiff.client.rest import Client
    from skiff.kubelet.cri import CRIRuntime
    from skiff.kubelet.kubelet import Kubelet
    from skiff.kubelet.realhost import RealHost

    options = options_of(args)
    name = args.hostname_override or socket.gethostname().strip().lower()
    ips = [ip for ip in str(args.node_ip).split(",") if ip] or [await _own_address(name)]
    client = Client(transport_from_kubeconfig(args.kubeconfig), user_agent=NAME)
    runtime = CRIRuntime(args.container_runtime_endpoint)
    try:
        kubelet = Kubelet(
            client=client, node_name=name, runtime=runtime, host=RealHost(options.root), node_ip=ips, options=options
        )
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(kubelet.run(), name="kubelet")
            tasks.create_task(_serve(args, kubelet), name="kubelet server")
            tasks.create_task(health.serve_plain(args.healthz_bind_address, args.healthz_port), name="kubelet health")
    finally:
        await runtime.close()
        await client.transport.close()


async def _serve(args: argparse.Namespace, kubelet: "Kubelet") -> None:
    """The HTTPS face, once the parts exist."""
    from skiff.wire.server import serve
    from skiff.wire.tls import server_context

    if not (args.tls_cert_file and args.tls_private_key_file and args.client_ca_file):
        log.warning("no certificates given: the kubelet does not serve logs, exec and stats")
        return
    handler = await kubelet.server_handler()
    tls = server_context(
        str(args.tls_cert_file), str(args.tls_private_key_file), client_ca_file=str(args.client_ca_file)
    )
    server = await serve(handler, host=args.address or kubelet.node_ips[0], port=args.port, ssl=tls)
    try:
        await asyncio.Event().wait()
    finally:
        await server.close(grace_seconds=1)


async def _own_address(name: str) -> str:
    """The first address that the host name stands for, which is what upstream takes."""
    found = await asyncio.get_running_loop().getaddrinfo(name, None, family=socket.AF_INET)
    return str(found[0][4][0])
