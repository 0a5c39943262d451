"""`skiff scheduler`: kube-scheduler's flags, as far as there is something behind them.

The profile is the default one; a configuration file (`--config`) is refused rather than read in part.
"""

import argparse
import asyncio

from skiff.client import flags, health
from skiff.client.controller import Recorder
from skiff.client.informer import Informers
from skiff.client.rest import Client
from skiff.scheduler.podinfo import DEFAULT_SCHEDULER
from skiff.scheduler.scheduler import Scheduler

NAME = "kube-scheduler"
PORT = 10259


async def run_scheduler(client: Client, *, informers: Informers | None = None, percentage_of_nodes: int = 0) -> None:
    """Until cancelled. informers: shared ones that the caller runs."""
    shared = informers or Informers(client)
    recorder = Recorder(client, DEFAULT_SCHEDULER)
    scheduler = Scheduler(client=client, informers=shared, recorder=recorder, percentage_of_nodes=percentage_of_nodes)
    try:
        async with asyncio.TaskGroup() as group:
            if informers is None:
                group.create_task(shared.run(), name="scheduler informers")
            group.create_task(scheduler.run(), name="scheduler")
    finally:
        await recorder.close()


def add_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--kubeconfig", required=True, help="path to a kubeconfig with the API server and our credentials"
    )
    parser.add_argument(
        "--percentage-of-nodes-to-score",
        default=0,
        type=int,
        help="of all nodes, how many that fit are enough to choose from; 0: fewer the larger the cluster",
    )
    flags.add_leader_election(parser, NAME)
    health.add_flags(parser, PORT)


async def run(args: argparse.Namespace) -> None:
    from skiff.client.kubeconfig import transport_from_kubeconfig

    transport = transport_from_kubeconfig(args.kubeconfig)
    client = Client(transport, user_agent=NAME)
    try:
        async with health.serving(args, client):
            await flags.while_leading(
                args, client, lambda: run_scheduler(client, percentage_of_nodes=args.percentage_of_nodes_to_score)
            )
    finally:
        await transport.close()
