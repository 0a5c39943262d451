"""`skiff network`: the pod network of one node as a program of its own (under `skiff up` it shares `skiff node`)."""

import argparse
import asyncio
import socket
from pathlib import Path

from skiff.client.informer import Informers
from skiff.client.kubeconfig import transport_from_kubeconfig
from skiff.client.rest import Client
from skiff.network.host import held_namespaces
from skiff.network.network import Network


def add_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--kubeconfig", required=True, help="how to reach the API server")
    parser.add_argument("--hostname-override", default="", help="name of the Node object; default: the host name")
    parser.add_argument("--cluster-cidr", default="10.244.0.0/16", help="the range of all pod addresses")
    parser.add_argument("--service-cluster-ip-range", default="10.96.0.0/12", help="the range of all service addresses")
    parser.add_argument("--cni-conf-dir", type=Path, default=Path("/etc/cni/net.d"))
    parser.add_argument("--cni-data-dir", type=Path, default=Path("/var/lib/cni/networks"), help="addresses in use")
    parser.add_argument("--bridge", default="skiff0", help="the bridge that joins the nodes")
    parser.add_argument("--mtu", type=int, default=0, help="of the pods' interfaces; 0: the kernel's default")


async def run(args: argparse.Namespace) -> None:
    client = Client(transport_from_kubeconfig(args.kubeconfig), user_agent="skiff-network")
    informers = Informers(client)
    network = Network(
        client,
        informers,
        args.hostname_override or socket.gethostname().strip().lower(),
        cluster_cidr=args.cluster_cidr,
        service_cidr=args.service_cluster_ip_range,
        cni_conf_dir=args.cni_conf_dir,
        cni_data_dir=args.cni_data_dir,
        bridge=args.bridge,
        mtu=args.mtu,
    )
    try:
        with held_namespaces():
            async with asyncio.TaskGroup() as group:
                group.create_task(informers.run(), name="informers")
                group.create_task(network.run(), name="network")
    finally:
        await client.close()
