"""`skiff dns`: the cluster's DNS server as a program of its own (under `skiff up` it shares `skiff manager`)."""

import argparse
import asyncio
from pathlib import Path

from skiff.client.informer import Informers
from skiff.client.kubeconfig import transport_from_kubeconfig
from skiff.client.rest import Client
from skiff.dns.dns import DNS


def address(text: str) -> tuple[str, int]:
    """10.89.0.1:5353, [fd00::1]:53"""
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not ADDRESS:PORT")
    return host.strip("[]"), int(port)


def add_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--kubeconfig", required=True, help="how to reach the API server")
    parser.add_argument("--listen", type=address, action="append", required=True, help="ADDRESS:PORT, UDP and TCP")
    parser.add_argument("--cluster-domain", default="cluster.local")
    parser.add_argument(
        "--service-ip", default="", help="publish the Service kube-system/kube-dns with this cluster IP"
    )
    parser.add_argument(
        "--resolv-conf", type=Path, default=Path("/etc/resolv.conf"), help="where other names are asked"
    )


async def run(args: argparse.Namespace) -> None:
    client = Client(transport_from_kubeconfig(args.kubeconfig), user_agent="skiff-dns")
    informers = Informers(client)
    dns = DNS(
        client,
        informers,
        listen=args.listen,
        domain=args.cluster_domain,
        service_ip=args.service_ip,
        resolv_conf=args.resolv_conf,
    )
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(informers.run(), name="informers")
            group.create_task(dns.run(), name="dns")
    finally:
        await client.close()
