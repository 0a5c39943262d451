"""The controller manager: kube-controller-manager's flags, and all controllers in one task group.

`run_manager` is what a cluster inside a test process uses as well.
"""

import argparse
import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import cast

from skiff.client import flags, health
from skiff.client.controller import run_controllers
from skiff.client.informer import Informers
from skiff.client.queue import WorkQueue
from skiff.client.rest import Client
from skiff.controllers.nodelifecycle.health import Limits
from skiff.controllers.nodelifecycle.zones import Rates
from skiff.controllers.podgc import THRESHOLD
from skiff.controllers.registry import CONTROLLERS, Context, Options, Runnable, selected

NAME = "kube-controller-manager"
PORT = 10257


async def run_manager(
    client_for: Callable[[str], Client],
    *,
    options: Options | None = None,
    controllers: Sequence[str] = ("*",),
    informers: Informers | None = None,
    queues: dict[str, WorkQueue] | None = None,
) -> None:
    """Until cancelled. client_for: a controller's name → its client. informers: shared ones that the caller runs.
    queues: filled as by `run_controllers`."""
    shared = informers or Informers(client_for("shared-informers"))
    contexts = [Context(client_for(name), shared, options or Options()) for name in selected(controllers)]
    made = [CONTROLLERS[name](context) for name, context in zip(selected(controllers), contexts, strict=True)]
    try:
        async with asyncio.TaskGroup() as group:
            if informers is None:
                group.create_task(shared.run(), name="shared informers")
            loops = [c for c in made if c is not None and not hasattr(c, "run")]
            work = run_controllers(client_for(NAME), shared, loops, queues=queues)
            group.create_task(work, name="controllers")
            for runs in (cast(Runnable, c) for c in made if hasattr(c, "run")):
                group.create_task(runs.run(), name=runs.name)
    finally:
        for recorder in [r for context in contexts for r in context.recorders]:
            await recorder.close()


def add_flags(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--kubeconfig", required=True, help="path to a kubeconfig with the API server and our credentials")
    add(
        "--use-service-account-credentials",
        nargs="?",
        const=True,
        default=False,
        type=flags.boolean,
        help="let each controller act as a service account of its own",
    )
    add("--controllers", default="*", type=_list, help="controllers to run: '*', 'name', '-name'")
    add("--cluster-cidr", default="", type=_list, help="CIDRs of the pods; nodes get blocks of them")
    add("--service-cluster-ip-range", default="", type=_list, help="CIDRs of the services")
    add("--allocate-node-cidrs", default=True, type=flags.boolean, help="give nodes blocks of --cluster-cidr")
    add("--node-cidr-mask-size", default=0, type=int, help="size of a node's block; 0: 24 for IPv4, 64 for IPv6")
    add("--root-ca-file", default="", help="published to every namespace as the config map kube-root-ca.crt")
    add("--node-monitor-grace-period", default=50.0, type=flags.duration, help="silence after which a node is lost")
    add(
        "--node-startup-grace-period", default=60.0, type=flags.duration, help="the same for a node that never reported"
    )
    add("--node-eviction-rate", default=0.1, type=float, help="nodes emptied per second in a healthy zone")
    add("--secondary-node-eviction-rate", default=0.01, type=float, help="the same in a large unhealthy zone")
    add("--unhealthy-zone-threshold", default=0.55, type=float, help="part of lost nodes that makes a zone unhealthy")
    add("--large-cluster-size-threshold", default=50, type=int, help="nodes above which a zone is large")
    add("--terminated-pod-gc-threshold", default=THRESHOLD, type=int, help="finished pods that are kept; 0: all")
    add("--max-endpoints-per-slice", default=100, type=int, help="addresses in one EndpointSlice")
    flags.add_leader_election(parser, NAME)
    health.add_flags(parser, PORT)


def _list(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def options_from(args: argparse.Namespace) -> Options:
    cidrs = args.cluster_cidr if args.allocate_node_cidrs else []
    return Options(
        root_ca=Path(args.root_ca_file).read_text() if args.root_ca_file else "",
        cluster_cidrs=cidrs,
        service_cidrs=args.service_cluster_ip_range,
        node_masks=[args.node_cidr_mask_size] * len(cidrs) if args.node_cidr_mask_size else (),
        node_limits=Limits(args.node_monitor_grace_period, args.node_startup_grace_period),
        node_rates=Rates(
            args.node_eviction_rate,
            args.secondary_node_eviction_rate,
            args.unhealthy_zone_threshold,
            args.large_cluster_size_threshold,
        ),
        terminated_pods=args.terminated_pod_gc_threshold,
        max_endpoints_per_slice=args.max_endpoints_per_slice,
    )


async def run(args: argparse.Namespace) -> None:
    from skiff.controllers.credentials import Clients

    selected(args.controllers)  # a wrong name is told before anything starts
    options = options_from(args)
    clients = Clients(args.kubeconfig, NAME, accounts=args.use_service_account_credentials)

    async def lead() -> None:
        await run_manager(clients.of, options=options, controllers=args.controllers)

    try:
        async with health.serving(args, clients.own(NAME)):
            await flags.while_leading(args, clients.own("leader-election"), lead)
    finally:
        await clients.close()
