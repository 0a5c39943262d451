"""`skiff up`: from nothing, or from a stopped cluster, to a node that is Ready. Doing it twice is harmless.

What this command started, it stops again when it cannot finish: nothing half-started is left.
"""

import asyncio
import ipaddress
import json
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from skiff.api.errors import StatusError
from skiff.api.gvr import NODES
from skiff.api.names import is_dns1123_subdomain
from skiff.api.types import Obj
from skiff.client.rest import Client
from skiff.cluster import image
from skiff.cluster.access import admin_client
from skiff.cluster.components import SUPERVISOR, specs
from skiff.cluster.layout import Layout, Settings, default_node_name, write_atomically
from skiff.cluster.problem import EXIT_MISSING, EXIT_NOT_READY, EXIT_USAGE, Problem, need_root
from skiff.cluster.progress import console, step
from skiff.cluster.supervisor import read_pid, write_pid
from skiff.kubelet.containerd import SANDBOX_IMAGE, config_text
from skiff.kubelet.images import busybox_archive
from skiff.network.host import NetworkError, setup_bridge
from skiff.wire.messages import Request

PROGRAMS = {"containerd": "containerd", "runc": "runc", "nft": "nftables", "ip": "iproute2", "ctr": "containerd"}
CNI_DIRECTORIES = ("/usr/lib/cni", "/opt/cni/bin")
POLL_SECONDS = 0.02
NODE_PREFIX = 24
"""How many pods' addresses the controller manager gives to each node."""
ENDINGS = (signal.SIGTERM, signal.SIGHUP)
CONTROL_PLANE = "node-role.kubernetes.io/control-plane"
"""The label that kubeadm gives to nodes on which the control plane runs; kubectl shows it under ROLES."""


def up(layout: Layout, chosen: dict[str, Any], *, timeout: float) -> None:
    """Makes the cluster run and waits until it is ready, at most `timeout` seconds. Raises Problem."""
    begun = time.perf_counter()
    preflight()
    with layout.locked():
        settings = choose(layout, chosen)
        running = read_pid(layout.run / "supervisor.pid") != 0
        with nullcontext() if running else undone(layout):
            if not running:
                prepare(layout, settings)
            make_certificates(layout, settings)
            if not running:
                start(layout)
            deadline = time.monotonic() + timeout
            with step("Starting containerd", "containerd runs"):
                wait_for(lambda: _listens(layout.containerd_socket), layout, deadline, "containerd")
                install_sandbox_image(layout)
            asyncio.run(_wait_ready(layout, settings, deadline))
    console.print(
        f"Kubernetes is ready after {time.perf_counter() - begun:.1f} s. Kubeconfig: {layout.admin_conf}",
        soft_wrap=True,
    )


@contextmanager
def undone(layout: Layout) -> Iterator[None]:
    """What the body started is stopped again when it cannot finish, also when this process is asked to end."""

    def end(number: int, _frame: object) -> None:
        raise SystemExit(128 + number)

    before = [signal.signal(s, end) for s in ENDINGS]
    try:
        yield
    except BaseException:
        from skiff.cluster.down import stop_all

        for s in (*ENDINGS, signal.SIGINT):
            signal.signal(s, signal.SIG_IGN)  # stopping takes a second or two and is not to be cut short
        console.print("Stopping what was started.")
        try:
            stop_all(layout)
        except Problem as problem:
            print(problem, file=sys.stderr)
        raise
    finally:
        for s, handler in zip(ENDINGS, before, strict=True):
            signal.signal(s, handler)


def preflight() -> None:
    """Raises Problem for what this machine lacks."""
    need_root("up", "it makes network interfaces, mounts and cgroups")
    lacking = sorted({package for program, package in PROGRAMS.items() if not shutil.which(program)})
    if not any(Path(d, "bridge").exists() for d in CNI_DIRECTORIES):
        lacking.append("containernetworking-plugins")
    if lacking:
        names = " ".join(lacking)
        raise Problem("programs are missing", names, f"apt-get install {names} (make up does it)", code=EXIT_MISSING)


def choose(layout: Layout, chosen: dict[str, Any]) -> Settings:
    """The saved settings, or new ones from the flags, saved. A cluster's cannot be changed."""
    saved = layout.load_settings()
    if saved is not None:
        changed = [k for k, v in chosen.items() if getattr(saved, k) != v]
        if changed:
            names = ", ".join("--" + k.replace("_", "-") for k in changed)
            why = f"{names}: other than the cluster in {layout.root} was made with"
            raise Problem("settings cannot change", why, "skiff down --purge first", code=EXIT_USAGE)
        if not read_pid(layout.run / "apiserver.pid"):
            free_port(
                saved, chosen="make the cluster anew with another one: skiff down --purge; skiff up --secure-port PORT"
            )
        return saved
    settings = Settings(**{"node_name": default_node_name(), **chosen})
    if errors := wrong(settings):
        raise Problem("settings are wrong", "; ".join(errors), "skiff up --help names the flags", code=EXIT_USAGE)
    if strangers := layout.strangers():
        why = f"it holds {strangers[0]}, and skiff down --purge would remove everything in it"
        raise Problem(f"{layout.root} is no cluster's", why, "choose an empty --state-dir", code=EXIT_USAGE)
    free_port(settings, chosen="choose another one: skiff up --secure-port PORT")
    layout.save_settings(settings)
    return settings


def wrong(s: Settings) -> list[str]:
    """What is wrong with what a person may choose. Pure."""
    found = []
    if errors := is_dns1123_subdomain(s.node_name):
        found.append(f"--node-name {s.node_name}: {errors[0]}")
    if not 0 < s.secure_port < 65536:
        found.append(f"--secure-port {s.secure_port}: not from 1 to 65535")
    if not re.fullmatch(r"(/[\w.@:-]*[\w@:-])+", s.cgroup_root):
        found.append(f"--cgroup-root {s.cgroup_root}: not an absolute path below /")
    try:
        pods = ipaddress.IPv4Network(s.pod_cidr)
    except ValueError as err:
        return [*found, f"--pod-cidr {s.pod_cidr}: {err}"]
    if pods.prefixlen > NODE_PREFIX:
        found.append(f"--pod-cidr {s.pod_cidr}: has no room for a node's /{NODE_PREFIX}")
    for what, taken in (("services", s.service_cidr), ("the node", s.node_network)):
        if pods.overlaps(ipaddress.IPv4Network(taken)):
            found.append(f"--pod-cidr {s.pod_cidr}: overlaps with the addresses of {what}, {taken}")
    return found


def free_port(s: Settings, *, chosen: str) -> None:
    """Raises Problem when another program listens where the API server should. chosen: what to do about it."""
    import socket

    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", s.secure_port))
        except OSError as err:
            why = f"127.0.0.1:{s.secure_port}: {err.strerror} (ss -ltnp shows by whom)"
            raise Problem(f"port {s.secure_port} is taken", why, f"stop that program, or {chosen}") from err


def prepare(layout: Layout, s: Settings) -> None:
    """Everything that must be there before the first process starts; each part keeps what it finds."""
    for directory in (layout.run, layout.logs, layout.containerd, layout.cni_conf, layout.root / "manifests"):
        directory.mkdir(parents=True, exist_ok=True)
    make_network(s)
    config = config_text(
        root=layout.containerd / "root",
        state=layout.containerd / "state",
        socket=layout.containerd_socket,
        cni_conf_dir=layout.cni_conf,
        cni_bin_dir=next(d for d in CNI_DIRECTORIES if Path(d, "bridge").exists()),
    )
    write_atomically(layout.containerd_config, config)
    write_atomically(layout.run / "processes.json", json.dumps(specs(layout, s), indent=1))


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
    with open(layout.logs / "supervisor.log", "ab") as log, uninterrupted():
        supervisor = subprocess.Popen(
            [sys.executable, "-S", "-E", str(SUPERVISOR), str(layout.run)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            cwd="/",
        )
        write_pid(layout.run / "supervisor.pid", supervisor.pid)  # it does so itself, but may be stopped before


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Signals that come during the body are delivered after it: what it starts is known to whoever stops it."""
    came: list[int] = []
    before = {s: signal.signal(s, lambda number, _: came.append(number)) for s in (signal.SIGINT, *ENDINGS)}
    try:
        yield
    finally:
        for s, handler in before.items():
            signal.signal(s, handler)
        for number in came:
            signal.raise_signal(number)


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
