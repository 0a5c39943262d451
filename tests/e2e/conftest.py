"""A real cluster for the end-to-end tests: containerd, nftables, CNI, in a network namespace of its own.

The worker process itself moves into the namespace, so that everything it starts (kubectl, curl) is in it too, and a
cluster that already runs on the machine is neither seen nor disturbed. All these tests share one worker (xdist_group).
"""

import ctypes
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import kubectls
import pytest

from skiff.cluster.demo import IMAGE, install_image
from skiff.cluster.layout import Layout
from skiff.cluster.supervisor import read_pid

CLONE_NEWNET = 0x40000000
DEADLINE_SECONDS = 60.0


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.e2e)
            item.add_marker(pytest.mark.xdist_group("e2e"))


@dataclass(frozen=True)
class Kube:
    """A running cluster. image: a busybox image with all applets that is present on the node."""

    state_dir: Path
    kubeconfig: Path
    kubectl_path: str
    image: str = IMAGE

    def skiff(self, *words: str, check: bool = True, timeout: float = 120) -> subprocess.CompletedProcess[str]:
        """Runs a `skiff` command on this cluster."""
        return skiff(self.state_dir, *words, check=check, timeout=timeout)

    def kubectl(
        self, *words: str, check: bool = True, stdin: str | None = None, timeout: float = 90, program: str = ""
    ) -> subprocess.CompletedProcess[str]:
        """Runs kubectl on this cluster; with `check`, a failure is an assertion that shows its output."""
        env = {**os.environ, "KUBECONFIG": str(self.kubeconfig), "HOME": str(self.state_dir)}
        argv = [program or self.kubectl_path, *words]
        done = subprocess.run(argv, input=stdin, env=env, capture_output=True, text=True, timeout=timeout)
        assert not check or done.returncode == 0, f"{' '.join(argv)}\n{done.stdout}\n{done.stderr}"
        return done

    def pid(self, process: str) -> int:
        """The pid of one of the cluster's processes (apiserver, manager, node, containerd, supervisor); 0: not there."""
        return read_pid(self.state_dir / "run" / f"{process}.pid")


def skiff(state_dir: Path, *words: str, check: bool = True, timeout: float = 120) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "SKIFF_STATE_DIR": str(state_dir)}
    argv = [sys.executable, "-m", "skiff", *words]
    done = subprocess.run(argv, env=env, capture_output=True, text=True, timeout=timeout)
    assert not check or done.returncode == 0, f"{' '.join(argv)}\n{done.stdout}\n{done.stderr}"
    return done


def until(condition: Callable[[], object], what: str, seconds: float = DEADLINE_SECONDS) -> None:
    """Waits for a condition of the real world; fails, saying what did not come true."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"not within {seconds} s: {what}"
        time.sleep(0.05)


@pytest.fixture(scope="session")
def own_network() -> None:
    """Moves this process into a new network namespace that ends with its last process."""
    if os.geteuid() != 0:
        pytest.fail("the end-to-end tests need root")
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNET) != 0:
        pytest.fail(f"cannot make a network namespace: {os.strerror(ctypes.get_errno())}")
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)


@pytest.fixture(scope="session")
def state_dirs(own_network: None) -> Iterator[Callable[[], Path]]:
    """Makes state directories; purges at the end whatever cluster is still in them."""
    made: list[Path] = []

    def make() -> Path:
        made.append(Path(tempfile.mkdtemp(prefix="skiff-e2e-", dir="/var/lib")))
        return made[-1]

    yield make
    for path in made:
        skiff(path, "down", "--purge", check=False)
        shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(scope="session")
def kube(state_dirs: Callable[[], Path]) -> Kube:
    """A cluster that is Ready, with the busybox image loaded; one for the whole session."""
    state_dir = state_dirs()
    skiff(state_dir, "up", f"--cgroup-root=/{state_dir.name}", "--node-name=node-1")
    install_image(Layout(state_dir))
    return Kube(state_dir, state_dir / "admin.conf", kubectls.newest())
