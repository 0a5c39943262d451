"""Command line flags that several components have, with upstream's names: booleans, durations, leader election."""

import argparse
import os
import re
import socket
from collections.abc import Awaitable, Callable

from skiff import env
from skiff.client.leader import LeaderElector
from skiff.client.rest import Client

_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_PART = re.compile(r"(\d+\.?\d*|\.\d+)(ns|us|µs|ms|s|m|h)")


def boolean(text: str) -> bool:
    if text.lower() not in ("true", "false", "1", "0"):
        raise argparse.ArgumentTypeError(f"{text!r} is neither true nor false")
    return text.lower() in ("true", "1")


def duration(text: str) -> float:
    """Go's notation (`1h2m3.5s`, `300ms`, `0`), in seconds."""
    parts = _PART.findall(text)
    if text != "0" and (not parts or "".join(n + unit for n, unit in parts) != text):
        raise argparse.ArgumentTypeError(f'time: invalid duration "{text}"')
    return sum(float(number) * _UNITS[unit] for number, unit in parts)


def add_leader_election(parser: argparse.ArgumentParser, name: str) -> None:
    """name: of the lease, and so of the component."""
    add = parser.add_argument
    add("--leader-elect", nargs="?", const=True, default=True, type=boolean, help="work only while holding the lease")
    add("--leader-elect-lease-duration", default=15.0, type=duration, help="silence after which another one leads")
    add(
        "--leader-elect-renew-deadline", default=10.0, type=duration, help="time after which a leader gives up renewing"
    )
    add("--leader-elect-retry-period", default=2.0, type=duration, help="wait between two attempts")
    add("--leader-elect-resource-name", default=name, help="name of the lease")
    add("--leader-elect-resource-namespace", default="kube-system", help="namespace of the lease")


async def while_leading(args: argparse.Namespace, client: Client, lead: Callable[[], Awaitable[None]]) -> None:
    """Runs `lead`, as the flags say: at once, or while holding the lease."""
    if not args.leader_elect:
        await lead()
        return
    elector = LeaderElector(
        client,
        name=args.leader_elect_resource_name,
        namespace=args.leader_elect_resource_namespace,
        identity=f"{socket.gethostname()}_{os.getpid()}_{env.uid()}",
        lease_duration_s=args.leader_elect_lease_duration,
        renew_deadline_s=args.leader_elect_renew_deadline,
        retry_period_s=args.leader_elect_retry_period,
    )
    await elector.run(lead)
