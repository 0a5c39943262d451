"""`skiff up`: from nothing, or from a stopped cluster, to a node that is Ready. Doing it twice is harmless.

What this command started, it stops again when it cannot finish: nothing half-started is left.
"""

import asyncio
import ipaddress
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from skiff.api.errors import StatusError
from skiff.api.gvr import NODES
from skiff.api.types import Obj
from skiff.client.rest import Client
from skiff.cluster import image
from skiff.cluster.access import admin_client
from skiff.cluster.components import SUPERVISOR, specs
from skiff.cluster.layout import Layout, Settings, default_node_name, write_atomically
from skiff.cluster.problem import EXIT_MISSING, EXIT_NOT_READY, EXIT_USAGE, Problem
from skiff.cluster.progress import console, step
from skiff.cluster.supervisor import read_pid
from skiff.kubelet.containerd import SANDBOX_IMAGE, config_text
from skiff.kubelet.images import busybox_archive
from skiff.network.host import NetworkError, setup_bridge
from skiff.wire.messages import Request

PROGRAMS = {"containerd": "containerd", "runc": "runc", "nft": "nftables", "ip": "iproute2", "ctr": "containerd"}
CNI_DIRECTORIES = ("/usr/lib/cni", "/opt/cni/bin")
POLL_SECONDS = 0.02
CONTROL_PLANE = "node-role.kubernetes.io/control-plane"
"""The label that kubeadm gives to nodes on which the control plane runs; kubectl shows it under ROLES."""


def up(layout: Layout, chosen: dict[str, Any], *, timeout: float) -> None:
    """Makes the cluster run and waits until it is ready, at most `timeout` seconds. Raises Problem."""
    begun = time.perf_counter()
    preflight()
    settings = choose(layout, chosen)
    running = read_pid(layout.run / "supervisor.pid") != 0
    try:
        if not running:
            prepare(layout, settings)
            start(layout)
        deadline = time.monotonic() + timeout
        with step("Starting containerd", "containerd runs"):
            wait_for(lambda: read_pid(layout.run / "supervisor.pid") != 0, layout, deadline, "supervisor")
            wait_for(lambda: _listens(layout.containerd_socket), layout, deadline, "containerd")
            install_sandbox_image(layout)
        asyncio.run(_wait_ready(layout, settings, deadline))
    except BaseException:
        if not running:
            from skiff.cluster.down import down

            down(layout, purge=False, quiet=True)
        raise
    console.print(f"Kubernetes is ready after {time.perf_counter() - begun:.1f} s. Kubeconfig: {layout.admin_conf}")


def preflight() -> None:
    """Raises Problem for what this machine lacks."""
    if os.geteuid() != 0:
        raise Problem("skiff up needs root", "it makes network interfaces, mounts and cgroups", "sudo skiff up")
    lacking = sorted({package for program, package in PROGRAMS.items() if not shutil.which(program)})
    if not any(Path(d, "bridge").exists() for d in CNI_DIRECTORIES):
        lacking.append("containernetworking-plugins")
    if lacking:
        names = " ".join(lacking)
        raise Problem("programs are missing", names, f"apt-get install {names} (make up does it)", code=EXIT_MISSING)


def choose(layout: Layout, chosen: dict[str, Any]) -> Settings:
    """The saved settings, or new ones from the flags. A running cluster's cannot be changed."""
    saved = layout.load_settings()
    if saved is None:
        settings = Settings(**{"node_name": default_node_name(), **chosen})
        layout.save_settings(settings)
        return settings
    changed = [k for k, v in chosen.items() if getattr(saved, k) != v]
    if changed:
        names = ", ".join("--" + k.replace("_", "-") for k in changed)
        why = f"{names}: other than the cluster in {layout.root} was made with"
        raise Problem("settings cannot change", why, "skiff down --purge first", code=EXIT_USAGE)
    return saved


def prepare(layout: Layout, s: Settings) -> None:
    """Everything that must be there before the first process starts; each part keeps what it finds."""
    for directory in (layout.run, layout.logs, layout.containerd, layout.cni_conf, layout.root / "manifests"):
        directory.mkdir(parents=True, exist_ok=True)
    make_network(s)
    make_certificates(layout, s)
    config = config_text(
        root=layout.containerd / "root",
        state=layout.containerd / "state",
        socket=layout.containerd_socket,
        cni_conf_dir=layout.cni_conf,
        cni_bin_dir=next(d for d in CNI_DIRECTORIES if Path(d, "bridge").exists()),
    )
    write_atomically(layout.containerd_config, config)
    write_atomically(layout.run / "processes.json", json.dumps(specs(layout), indent=1))


def make_network(s: Settings) -> None:
    with step("Making the node network", f"Network {s.node_network} on {s.bridge}"):
        prefix = ipaddress.ip_network(s.node_network).prefixlen
        try:
            setup_bridge(s.bridge, f"{s.node_ip}/{prefix}")
        except (NetworkError, OSError) as err:
            why = f"{err} (containers and some virtual machines are not allowed to)"
            raise Problem("this machine's network cannot be changed", why, "run skiff where root may") from err


def make_certificates(layout: Layout, s: Settings) -> None:
    from skiff.kubeadm.kubeconfig import write_kubeconfigs
    from skiff.kubeadm.pki import PKIError, ensure_pki

    node, ips = s.node_name, [s.node_ip]
    with step("Making certificates", f"Certificates in {layout.pki}"):
        try:
            ensure_pki(layout.pki, node_name=node, node_ips=ips, service_ip=s.kubernetes_ip, domain=s.domain)
            write_kubeconfigs(layout.root, layout.pki, server=s.server, node_name=node)
        except (PKIError, OSError) as err:
            raise Problem("certificates cannot be made", str(err), f"look at {layout.pki}") from err


def start(layout: Layout) -> None:
    """Starts the supervisor, detached from this terminal."""
    with open(layout.logs / "supervisor.log", "ab") as log:
        subprocess.Popen(
            [sys.executable, "-S", "-E", str(SUPERVISOR), str(layout.run)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            cwd="/",
        )


def wait_for(condition: Callable[[], bool], layout: Layout, deadline: float, process: str) -> None:
    while not condition():
        if time.monotonic() > deadline:
            raise _not_ready(layout, process, "it did not answer in time")
        time.sleep(POLL_SECONDS)


def install_sandbox_image(layout: Layout) -> None:
    """Builds the image that holds a pod's namespaces from the machine's static busybox, unless it is there."""
    if SANDBOX_IMAGE in image.names(layout):
        return
    archive = layout.run / "sandbox.tar"
    busybox_archive(archive, SANDBOX_IMAGE, sandbox=True)
    image.load(layout, [str(archive)])
    archive.unlink()


async def _wait_ready(layout: Layout, s: Settings, deadline: float) -> None:
    client = admin_client(layout)
    try:
        with step("Starting the API server", f"API server at {s.server}"):
            await _until(lambda: _api_ready(client), layout, deadline, "apiserver")
        with step("Waiting for the node", f"Node {s.node_name} is Ready"):
            await _until(lambda: _node_ready(client, s.node_name), layout, deadline, "node")
            await client.patch(NODES, s.node_name, {"metadata": {"labels": {CONTROL_PLANE: ""}}})
    finally:
        await client.transport.close()


async def _until(condition: Callable[[], Awaitable[bool]], layout: Layout, deadline: float, process: str) -> None:
    while True:
        try:
            async with asyncio.timeout(5):
                if await condition():
                    return
        except (ConnectionError, TimeoutError, StatusError):
            pass  # not yet: it is starting
        if time.monotonic() > deadline:
            raise _not_ready(layout, process, "it did not become ready in time")
        await asyncio.sleep(POLL_SECONDS)


async def _api_ready(client: Client) -> bool:
    return (await client.raw(Request("GET", "/readyz"))).status == 200


async def _node_ready(client: Client, name: str) -> bool:
    return is_ready(await client.get(NODES, name))


def is_ready(node: Obj) -> bool:
    conditions = node.get("status", {}).get("conditions", [])
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)


def _not_ready(layout: Layout, process: str, why: str) -> Problem:
    log = layout.logs / f"{process}.log"
    lines = log.read_text(errors="replace").strip().splitlines() if log.exists() else []
    why = f"{why}; its last words: {lines[-1]}" if lines else why
    return Problem(f"{process} is not ready", why, "read the log, then skiff up again", str(log), EXIT_NOT_READY)


def _listens(socket_path: Path) -> bool:
    import socket

    with socket.socket(socket.AF_UNIX) as s:
        try:
            s.connect(str(socket_path))
        except OSError:
            return False
    return True
