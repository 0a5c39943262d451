"""The node's own network devices: made idempotently, removed without a trace. Synchronous, with iproute2's `ip`.

Switches that other programs may have come to rely on (IPv4 forwarding, netfilter on bridges) are turned on and stay on.
"""

import contextlib
import logging
import os
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

log = logging.getLogger(__name__)

POD_BRIDGE = "skiff-cni0"
TABLE = "skiff-network"
PROTOCOL = "189"
"""Marks the routes that we made (rtm_protocol), so that no other route is ever removed."""
NAMESPACES = Path("/run/netns")
"""Where `ip netns` and containerd keep network namespaces, each a mount."""


class NetworkError(Exception):
    """The machine refused a change of its network; says which one and why."""


def ip(*words: str) -> str:
    """Runs `ip`; its output. Raises NetworkError."""
    return _run(["ip", *words])


def setup_bridge(name: str, address: str, mtu: int = 0) -> None:
    """A bridge with the address (`10.89.0.1/24`), up, forwarding allowed. Does nothing where it is so already."""
    if not exists(name):
        # The kernel would otherwise take the least port's address, and change it whenever a pod comes or goes.
        ip("link", "add", name, "address", hardware_address(address), "type", "bridge")
    if mtu:
        ip("link", "set", name, "mtu", str(mtu))
    ip("address", "replace", address, "dev", name)
    ip("link", "set", name, "up")
    _sysctl("net/ipv4/ip_forward", "1")
    # Lets 127.0.0.1:NODEPORT reach pods; what the other end could do with it, our nftables table drops.
    _sysctl(f"net/ipv4/conf/{name}/route_localnet", "1")
    _filter_bridged_packets()


@contextlib.contextmanager
def held_namespaces(directory: Path = NAMESPACES) -> Iterator[None]:
    """The directory is a shared mount of its own, as the first `ip netns add` makes it, and stays one meanwhile. Made
    that while pods run, it would mount their namespaces a second time, and containerd could not remove them."""
    directory.mkdir(parents=True, exist_ok=True)
    if not _is_mount(directory) and not any(directory.iterdir()):
        _run(["mount", "--bind", str(directory), str(directory)])
        _run(["mount", "--make-rshared", str(directory)])
    held = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield
    finally:
        os.close(held)


def release_namespaces(directory: Path = NAMESPACES) -> None:
    """Takes that mount away when no namespace is left in it and nobody holds it."""
    if directory.is_dir() and _is_mount(directory) and not any(directory.iterdir()):
        with contextlib.suppress(NetworkError):  # it is held
            _run(["umount", str(directory)])


def _is_mount(directory: Path) -> bool:
    """os.path.ismount does not see what is bound to its own file system, and the list of mounts also shows hidden ones."""
    return _mount_id(directory) != _mount_id(directory.parent)


def _mount_id(directory: Path) -> str:
    """The kernel's number of the mount in which the directory lies."""
    opened = os.open(directory, os.O_PATH | os.O_DIRECTORY)
    try:
        told = Path(f"/proc/self/fdinfo/{opened}").read_text()
    finally:
        os.close(opened)
    return told.partition("mnt_id:")[2].split()[0]


def exists(name: str) -> bool:
    """Whether this network namespace has the device. (sysfs shows the namespace in which it was mounted.)"""
    try:
        socket.if_nametoindex(name)
    except OSError:
        return False
    return True


def hardware_address(address: str) -> str:
    """A locally administered one, from the IPv4 address, as the CNI bridge plugin makes them."""
    octets = [int(part) for part in address.split("/")[0].split(".")]
    return "02:58:" + ":".join(f"{octet:02x}" for octet in octets)


def _filter_bridged_packets() -> None:
    """Two pods of one node answer each other across the bridge; only if netfilter sees those packets are answers of a
    Service translated back."""
    if not Path("/proc/sys/net/bridge").exists():
        with contextlib.suppress(FileNotFoundError):
            subprocess.run(["modprobe", "br_netfilter"], capture_output=True, check=False)
    try:
        _sysctl("net/bridge/bridge-nf-call-iptables", "1")
        _sysctl("net/bridge/bridge-nf-call-ip6tables", "1")
    except NetworkError as e:
        log.warning("pods will not reach pods of their own node through Services: %s", e)


def _sysctl(name: str, value: str) -> None:
    path = Path("/proc/sys", name)
    try:
        if path.read_text().strip() != value:
            path.write_text(value)
    except OSError as e:
        raise NetworkError(f"cannot set {path} to {value}: {e.strerror}") from e


def teardown(bridge: str = "skiff0") -> None:
    """Removes the bridges with their routes, and our nftables table. Harmless when nothing is there."""
    for name in (POD_BRIDGE, bridge):
        if exists(name):
            ip("link", "delete", name)
    remove_table(TABLE)


def remove_table(name: str, family: str = "ip") -> None:
    """Adding first makes the deletion harmless when there is none."""
    with contextlib.suppress(FileNotFoundError):  # without nft there is no table of ours
        script = f"add table {family} {name}\ndelete table {family} {name}\n"
        _run(["nft", "-f", "-"], script)


def _run(argv: list[str], stdin: str = "") -> str:
    done = subprocess.run(argv, input=stdin, capture_output=True, text=True, timeout=30, check=False)
    if done.returncode:
        raise NetworkError(f"{' '.join(argv)}: {done.stderr.strip() or f'exit code {done.returncode}'}")
    return done.stdout
