"""A real cluster for the end-to-end tests: containerd, nftables, CNI, in a network namespace of its own.

The worker process itself moves into the namespace, so that everything it starts (kubectl, curl) is in it too, and a
cluster that already runs on the machine is neither seen nor disturbed. All these tests share one worker (xdist_group).
"""

import ctypes
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import kubectls
import pytest
from kube import Kube, skiff

from skiff.cluster.demo import install_image
from skiff.cluster.layout import Layout

CLONE_NEWNET = 0x40000000


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.e2e)
            item.add_marker(pytest.mark.xdist_group("e2e"))


@pytest.fixture(scope="session")
def own_network() -> None:
    """Moves this process into a new network namespace that ends with its last process."""
    if os.geteuid() != 0:
        pytest.fail("the end-to-end tests need root")
    kubectls.every()  # downloaded now: the new network leads nowhere
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
