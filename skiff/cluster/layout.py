"""Where things lie and which numbers are in force: the state directory, and the settings saved in it.

`Settings` are chosen at the first `skiff up` and kept in `<state-dir>/settings.json`, so that every later command finds
the cluster as it was made.
"""

import fcntl
import json
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from skiff.cluster.problem import Problem

DEFAULT_STATE_DIR = "/var/lib/skiff"
OWN = frozenset(
    [
        "pki",
        "run",
        "log",
        "containerd",
        "cni",
        "nodes",
        "manifests",
        "buildah",
        "settings.json",
        "state.db",
        "state.db-wal",
        "state.db-shm",
        "lost+found",
    ]
)
"""What a cluster keeps in its state directory, its kubeconfigs and locks aside."""


@dataclass(frozen=True, slots=True)
class Settings:
    """One cluster's addresses and names. Two clusters on one machine need a network namespace each, and differ in
    state directory and cgroup root."""

    node_name: str
    node_ip: str = "10.89.0.1"
    node_network: str = "10.89.0.0/24"
    bridge: str = "skiff0"
    secure_port: int = 6443
    kubelet_port: int = 10250
    pod_cidr: str = "10.244.0.0/16"
    service_cidr: str = "10.96.0.0/12"
    kubernetes_ip: str = "10.96.0.1"
    dns_ip: str = "10.96.0.10"
    dns_port: int = 5353
    domain: str = "cluster.local"
    cgroup_root: str = "/skiff"

    @property
    def server(self) -> str:
        """The API server's URL for people on this machine."""
        return f"https://127.0.0.1:{self.secure_port}"


def default_node_name() -> str:
    """As upstream's kubelet: the lower-case host name."""
    return socket.gethostname().strip().lower() or "localhost"


@dataclass(frozen=True, slots=True)
class Layout:
    """Paths below one state directory."""

    root: Path

    @property
    def settings_file(self) -> Path:
        return self.root / "settings.json"

    @property
    def pki(self) -> Path:
        return self.root / "pki"

    @property
    def run(self) -> Path:
        return self.root / "run"

    @property
    def logs(self) -> Path:
        return self.root / "log"

    @property
    def containerd(self) -> Path:
        return self.root / "containerd"

    @property
    def containerd_socket(self) -> Path:
        return self.containerd / "containerd.sock"

    @property
    def containerd_config(self) -> Path:
        return self.containerd / "config.toml"

    @property
    def cni_conf(self) -> Path:
        return self.root / "cni" / "net.d"

    @property
    def database(self) -> Path:
        return self.root / "state.db"

    @property
    def admin_conf(self) -> Path:
        return self.root / "admin.conf"

    def kubeconfig(self, component: str) -> Path:
        return self.root / f"{component}.conf"

    def node(self, name: str) -> Path:
        return self.root / "nodes" / name

    def load_settings(self) -> Settings | None:
        """The settings of the cluster that was made here, None if there is none. Raises Problem when they are damaged."""
        try:
            saved = json.loads(self.settings_file.read_text())
            known = {f.name: f.type for f in fields(Settings)}
            chosen = {k: v for k, v in saved.items() if k in known}
            wrong = [k for k, v in chosen.items() if not isinstance(v, known[k])]  # type: ignore[arg-type]
            if wrong or "node_name" not in chosen:
                raise ValueError(f"{', '.join(wrong) or 'node_name'} is not as it should be")
        except FileNotFoundError:
            return None
        except (ValueError, AttributeError) as err:
            todo = "put back a copy of it; or skiff down --purge, and all that the cluster kept is gone"
            raise Problem(f"{self.settings_file} is damaged", str(err), todo) from err
        return Settings(**chosen)

    def strangers(self) -> list[str]:
        """What lies in the state directory and is no cluster's. Raises OSError."""
        found = sorted(p.name for p in self.root.iterdir()) if self.root.exists() else []
        return [name for name in found if name not in OWN and not name.endswith((".conf", ".lock"))]

    @contextmanager
    def locked(self) -> Iterator[None]:
        """One command at a time makes or stops the cluster. A directory in which none was made is not kept. Raises OSError."""
        self.root.mkdir(parents=True, exist_ok=True, mode=0o711)
        path = self.root / "cluster.lock"
        lock = _lock(path)
        try:
            yield
        finally:
            if not self.settings_file.exists():
                path.unlink(missing_ok=True)
                with suppress(OSError):
                    self.root.rmdir()
            os.close(lock)

    def save_settings(self, settings: Settings) -> None:
        self.root.mkdir(parents=True, exist_ok=True, mode=0o711)
        write_atomically(self.settings_file, json.dumps(asdict(settings), indent=1) + "\n")


def write_atomically(path: Path, text: str, mode: int = 0o600) -> None:
    """The file holds the old text or the new one, whenever the machine stops."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(fd, "w") as f:
        f.write(text)
        f.flush()
        os.fsync(f.fileno())
    os.replace(temporary, path)


def _lock(path: Path) -> int:
    """Waits for the file's lock; the descriptor that holds it. Whoever held it before may have removed the file."""
    while True:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o711)
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"Waiting for another skiff command that works on {path.parent} ...", file=sys.stderr)
            fcntl.flock(fd, fcntl.LOCK_EX)
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(fd), os.stat(path)):
                return fd
        os.close(fd)
