"""An API server as a process of its own, without controllers and nodes: what a client sees is the server's doing alone."""

import socket
import ssl
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from skiff.kubeadm.kubeconfig import write_kubeconfigs
from skiff.kubeadm.pki import ensure_pki

START_SECONDS = 60.0


@dataclass(frozen=True)
class Server:
    """url: of the API server. kubeconfig: the administrator's."""

    url: str
    kubeconfig: Path
    directory: Path


@contextmanager
def running(directory: Path) -> Iterator[Server]:
    """Ready when entered; ended when left."""
    pki = directory / "pki"
    url = f"https://127.0.0.1:{_free_port()}"
    ensure_pki(pki, node_name="node-1", node_ips=["127.0.0.1"], service_ip="10.96.0.1")
    write_kubeconfigs(directory, pki, server=url, node_name="node-1")
    server = Server(url, directory / "admin.conf", directory)
    with (directory / "apiserver.log").open("wb") as log:
        argv = [sys.executable, "-m", "skiff", "apiserver", "--store=memory", *_flags(pki, url)]
        process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        _wait_ready(server, process)
        yield server
    finally:
        process.terminate()
        process.wait(timeout=30)


def _flags(pki: Path, url: str) -> list[str]:
    return [
        "--bind-address=127.0.0.1",
        f"--secure-port={url.rpartition(':')[2]}",
        f"--tls-cert-file={pki / 'apiserver.crt'}",
        f"--tls-private-key-file={pki / 'apiserver.key'}",
        f"--client-ca-file={pki / 'ca.crt'}",
        "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
        f"--service-account-key-file={pki / 'sa.pub'}",
        f"--service-account-signing-key-file={pki / 'sa.key'}",
        "--service-cluster-ip-range=10.96.0.0/12",
        "--shutdown-grace-seconds=0",
    ]


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def _wait_ready(server: Server, process: "subprocess.Popen[bytes]") -> None:
    context = ssl.create_default_context(cafile=str(server.directory / "pki" / "ca.crt"))
    end = time.monotonic() + START_SECONDS
    while process.poll() is None:
        try:
            with urllib.request.urlopen(f"{server.url}/readyz", context=context, timeout=5) as answer:
                answer.read()
                return
        except OSError:
            assert time.monotonic() < end, "the API server is not ready in time"
            time.sleep(0.05)
    raise AssertionError((server.directory / "apiserver.log").read_text())
