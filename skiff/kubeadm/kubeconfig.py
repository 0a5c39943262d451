"""The kubeconfigs of the administrator and the components, each with its own client certificate, self-contained, 0600.

Guarantees: a file whose certificate is good, and whose server and authority are the present ones, is left alone.
"""

import base64
from pathlib import Path

from skiff.kubeadm import files, pki
from skiff.kubeadm.pki import Authority, Spec

CLUSTER = "kubernetes"


def users(node_name: str) -> dict[str, Spec]:
    """File name → who it is for."""
    return {
        "admin.conf": Spec("kubernetes-admin", ("system:masters",)),
        "controller-manager.conf": Spec("system:kube-controller-manager"),
        "scheduler.conf": Spec("system:kube-scheduler"),
        "kubelet.conf": Spec(f"system:node:{node_name}", ("system:nodes",)),
        "proxy.conf": Spec("system:kube-proxy"),
        "dns.conf": Spec("system:dns"),
    }


def write_kubeconfigs(directory: Path, pki_directory: Path, *, server: str, node_name: str) -> None:
    """Completes the kubeconfigs below `directory`. server: the API server's URL. Raises PKIError, OSError."""
    authority = pki.load_authority(pki_directory)
    with files.locked(directory):
        for name, spec in users(node_name).items():
            path = directory / name
            if not _is_current(path, authority, spec, server):
                certificate, key = pki.issue(authority, spec)
                text = render(server, authority.pem, spec.common_name, certificate, key)
                files.write(path, text.encode(), mode=0o600)


def render(server: str, ca: bytes, user: str, certificate: bytes, key: bytes) -> str:
    """A kubeconfig with one cluster, one user, and the context of both (named as kubeadm does)."""
    return f"""apiVersion: v1
kind: Config
clusters:
- cluster:
    certificate-authority-data: {_b64(ca)}
    server: {server}
  name: {CLUSTER}
contexts:
- context:
    cluster: {CLUSTER}
    user: {user}
  name: {user}@{CLUSTER}
current-context: {user}@{CLUSTER}
preferences: {{}}
users:
- name: {user}
  user:
    client-certificate-data: {_b64(certificate)}
    client-key-data: {_b64(key)}
"""


def _is_current(path: Path, authority: Authority, spec: Spec, server: str) -> bool:
    try:
        text = path.read_text()
    except (FileNotFoundError, UnicodeDecodeError):
        return False
    fields = dict(line.strip().split(": ", 1) for line in text.splitlines() if ": " in line)
    try:
        found = [
            base64.b64decode(fields[name], validate=True)
            for name in ("certificate-authority-data", "client-certificate-data", "client-key-data")
        ]
    except (KeyError, ValueError):
        return False
    if found[0] != authority.pem or fields.get("server") != server:
        return False
    path.chmod(0o600)
    return pki.usable(found[1], found[2], authority, spec)


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode()
