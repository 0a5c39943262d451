"""A running cluster as the end-to-end tests see it: its kubectl, its `skiff`, its processes."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from skiff.cluster.demo import IMAGE
from skiff.cluster.supervisor import read_pid

DEADLINE_SECONDS = 60.0


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


def until(condition: Callable[[], object], what: object, seconds: float = DEADLINE_SECONDS) -> None:
    """Waits for a condition of the real world; fails, saying what did not come true (what: printed only then)."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"not within {seconds} s: {what}"
        time.sleep(0.05)
