"""`python -m bench`: measures a fresh cluster in a network namespace of its own and prints one table.

Start-up (command to node Ready, everything installed and the images present), memory of everything skiff starts,
the API's rates, and pod latencies. Nothing else should run on the machine meanwhile. Needs root and wrk.
"""

import argparse
import asyncio
import ctypes
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench import api
from bench.pods import PodBench
from bench.target import Row, Target
from skiff.cluster.demo import IMAGE, install_image
from skiff.cluster.layout import Layout
from skiff.cluster.status import processes

CLONE_NEWNET = 0x40000000


def skiff(state_dir: Path, *words: str) -> str:
    env = {**os.environ, "SKIFF_STATE_DIR": str(state_dir)}
    done = subprocess.run([sys.executable, "-m", "skiff", *words], env=env, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stdout + done.stderr)
    return done.stdout


def start_up(state_dir: Path, times: int = 5) -> Iterator[Row]:
    """`skiff up` on a stopped cluster, again and again. The first start, which makes everything, is a row of its own."""
    took = []
    for _ in range(times + 1):
        begun = time.perf_counter()
        skiff(state_dir, "up", f"--cgroup-root=/{state_dir.name}")
        took.append(time.perf_counter() - begun)
        if len(took) <= times:
            skiff(state_dir, "down")
    yield Row("first start, command to node Ready", took[0], "s")
    yield Row("start, command to node Ready, median", statistics.median(took[1:]), "s")


def memory(state_dir: Path, when: str) -> Iterator[Row]:
    """Resident memory (RSS) of each process that skiff starts; containerd is not counted in the sum."""
    found = processes(Layout(state_dir))
    for process in found:
        yield Row(f"memory {when}, {process.name}", process.resident, "MB")
    total = sum(p.resident for p in found if p.name != "containerd")
    yield Row(f"memory {when}, all but containerd", total, "MB")


def token(state_dir: Path) -> str:
    """A bearer token with all rights: wrk knows no client certificates."""
    config = str(state_dir / "admin.conf")
    env = {**os.environ, "KUBECONFIG": config}
    account = ["-n", "kube-system", "bench"]

    def kubectl(*words: str, stdin: str | None = None) -> str:
        command = [sys.executable, "-m", "skiff", "kubectl", *words]
        env["SKIFF_STATE_DIR"] = str(state_dir)
        return subprocess.run(command, input=stdin, env=env, capture_output=True, text=True, check=True).stdout

    kubectl("create", "serviceaccount", *account)
    kubectl(
        "create", "clusterrolebinding", "bench", "--clusterrole=cluster-admin", "--serviceaccount=kube-system:bench"
    )
    request = json.dumps({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}})
    path = "/api/v1/namespaces/kube-system/serviceaccounts/bench/token"
    answer = kubectl("create", "--raw", path, "-f", "-", stdin=request)
    return str(json.loads(answer)["status"]["token"])


def settle(seconds: float) -> None:
    """Idle memory is what remains when start-up's garbage is gone."""
    time.sleep(seconds)


def measure(state_dir: Path, pods: int) -> Iterator[Row]:
    layout = Layout(state_dir)
    yield from start_up(state_dir)
    install_image(layout)
    settle(10)
    yield from memory(state_dir, "idle")
    settings = layout.load_settings()
    assert settings is not None
    target = Target(settings.server, token(state_dir))
    yield from asyncio.run(PodBench(target, IMAGE).run())
    yield from api.measure(target, pods)
    yield from memory(state_dir, f"with {pods} pods and what the bench wrote")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--pods", type=int, default=5000, help="how many pods the API holds while it is measured")
    parser.add_argument("--json", metavar="FILE", help="also write the rows there")
    args = parser.parse_args()
    if ctypes.CDLL(None).unshare(CLONE_NEWNET) != 0:
        raise SystemExit("cannot make a network namespace: run as root")
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    state_dir = Path(tempfile.mkdtemp(prefix="skiff-bench-", dir="/var/lib"))
    console, rows = Console(), []
    try:
        for row in measure(state_dir, args.pods):
            rows.append(row)
            console.print(f"[dim]{row.name}: {row.value:.2f} {row.unit}[/]")
    finally:
        skiff(state_dir, "down", "--purge")
    table = Table("MEASURED", "VALUE", "UNIT", box=None, header_style="bold")
    for row in rows:
        table.add_row(row.name, f"{row.value:,.2f}" if row.value < 100 else f"{row.value:,.0f}", row.unit)
    console.print(table)
    if args.json:
        Path(args.json).write_text(json.dumps({r.name: [r.value, r.unit] for r in rows}, indent=1))


if __name__ == "__main__":
    main()
