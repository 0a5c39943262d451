"""The CNI configuration: the reference plugins bridge and host-local, one file, written atomically.

Masquerading and host ports are ours (nftables.py): the plugins' own ways (`ipMasq`, portmap) need iptables.
"""

import json
import os
from pathlib import Path

from skiff.network.host import POD_BRIDGE

FILE = "10-skiff.conflist"


def conflist(pod_cidr: str, data_dir: Path, mtu: int = 0) -> str:
    """The text of the configuration for a node whose pods get addresses of `pod_cidr`."""
    bridge = {
        "type": "bridge",
        "bridge": POD_BRIDGE,
        "isDefaultGateway": True,
        "hairpinMode": True,
        "ipMasq": False,
        "ipam": {"type": "host-local", "dataDir": str(data_dir), "ranges": [[{"subnet": pod_cidr}]]},
    }
    if mtu:
        bridge["mtu"] = mtu
    return json.dumps({"cniVersion": "1.0.0", "name": "skiff", "plugins": [bridge]}, indent=2) + "\n"


def write(directory: Path, text: str) -> None:
    """A reader sees the old text or the new one."""
    path = directory / FILE
    if path.exists() and path.read_text() == text:
        return
    directory.mkdir(parents=True, exist_ok=True)
    temporary = directory / f".{FILE}.{os.getpid()}"
    temporary.write_text(text)
    os.replace(temporary, path)
