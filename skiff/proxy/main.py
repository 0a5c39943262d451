"""`skiff proxy`: the service proxy of one node, with kube-proxy's flag names for what it has; and its removal."""

import argparse
import asyncio
import contextlib
import logging
import shutil
import socket
import subprocess

from skiff.client.informer import Informers
from skiff.client.kubeconfig import transport_from_kubeconfig
from skiff.client.rest import Client
from skiff.proxy.health import proxy_answer
from skiff.proxy.metrics import metrics_answer
from skiff.proxy.proxy import Proxy
from skiff.wire.messages import Handler
from skiff.wire.server import serve

log = logging.getLogger(__name__)


def add_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--kubeconfig", default="", help="how to reach the API server")
    parser.add_argument("--hostname-override", default="", help="name of the Node object; default: the host name")
    parser.add_argument("--cluster-cidr", default="", help="the range of all pod addresses")
    parser.add_argument("--masquerade-all", action="store_true", help="SNAT all traffic to cluster IPs")
    parser.add_argument("--proxy-mode", choices=("nftables",), default="nftables")
    parser.add_argument("--healthz-bind-address", default="127.0.0.1:10256", help="empty: no health server")
    parser.add_argument("--metrics-bind-address", default="127.0.0.1:10249", help="empty: no metrics server")
    parser.add_argument("--cleanup", action="store_true", help="remove our nftables tables and exit")


async def run(args: argparse.Namespace) -> None:
    if args.cleanup:
        await asyncio.to_thread(cleanup)
        return
    if not args.kubeconfig:
        raise SystemExit("proxy: --kubeconfig is required")
    client = Client(transport_from_kubeconfig(args.kubeconfig), user_agent="skiff-proxy")
    informers = Informers(client)
    proxy = Proxy(
        client,
        informers,
        node_name=args.hostname_override or socket.gethostname().strip().lower(),
        cluster_cidr=args.cluster_cidr,
        masquerade_all=args.masquerade_all,
    )
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(client.close)
        for address, answer in (
            (args.healthz_bind_address, proxy_answer),
            (args.metrics_bind_address, metrics_answer),
        ):
            if address:
                await _serve(address, answer, stack)
        async with asyncio.TaskGroup() as group:
            group.create_task(informers.run(), name="informers")
            group.create_task(proxy.run(), name="proxy")


async def _serve(address: str, answer: Handler, stack: contextlib.AsyncExitStack) -> None:
    """Services matter more than telling of them: without the port the proxy works on, as upstream's does."""
    host, _, port = address.rpartition(":")
    try:
        server = await serve(answer, host=host.strip("[]"), port=int(port))
    except OSError as e:
        log.error("no server at %s: %s", address, e)
    else:
        stack.push_async_callback(server.close, 0)


def cleanup() -> None:
    """Removes both tables; harmless when there are none. Raises subprocess.CalledProcessError."""
    if not shutil.which("nft"):
        return  # then no table was ever made
    tables = ("ip skiff", "ip6 skiff")
    script = "".join(f"add table {table}\ndelete table {table}\n" for table in tables)
    subprocess.run(["nft", "-f", "-"], input=script, text=True, check=True, timeout=60, capture_output=True)
