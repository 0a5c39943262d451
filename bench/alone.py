"""The API server by itself, as a process over a state directory: start-up time, memory, CPU time per request, rates.

    python -m bench.alone [--pods 5000] [--config-maps 50000] [--only start,memory,cpu,reads,writes] [--serve]

`--serve` only starts it with the pods in place and prints how to reach it. CPU time per request is the server
process's own, so it also tells something on a machine that does other things meanwhile. Needs wrk; no root.
"""

import argparse
import asyncio
import contextlib
import json
import os
import signal
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from bench import api
from bench.target import NAMESPACE, Row, Target, gathered
from skiff.kubeadm.pki import ensure_pki

ADMIN = "bench-admin"
TICK = os.sysconf("SC_CLK_TCK")
MAP_BYTES = 600


class Server:
    """`skiff apiserver` with the flags that a cluster gives it. `start` returns how long it took to be ready."""

    def __init__(self, directory: Path, port: int):
        self.directory, self.port = directory, port
        self.url = f"https://127.0.0.1:{port}"
        self._process: subprocess.Popen[bytes] | None = None
        ensure_pki(directory / "pki", node_name="bench", node_ips=["127.0.0.1"], service_ip="10.96.0.1")
        (directory / "tokens.csv").write_text(f"{ADMIN},bench,1,system:masters\n")

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def _command(self) -> list[str]:
        pki = self.directory / "pki"
        flags = {
            "store": f"sqlite://{self.directory}/state.db",
            "bind-address": "127.0.0.1",
            "secure-port": self.port,
            "tls-cert-file": pki / "apiserver.crt",
            "tls-private-key-file": pki / "apiserver.key",
            "client-ca-file": pki / "ca.crt",
            "service-account-key-file": pki / "sa.pub",
            "service-account-signing-key-file": pki / "sa.key",
            "service-account-issuer": "https://kubernetes.default.svc.cluster.local",
            "service-cluster-ip-range": "10.96.0.0/12",
            "requestheader-client-ca-file": pki / "front-proxy-ca.crt",
            "requestheader-allowed-names": "front-proxy-client",
            "proxy-client-cert-file": pki / "front-proxy-client.crt",
            "proxy-client-key-file": pki / "front-proxy-client.key",
            "enable-bootstrap-token-auth": "true",
            "token-auth-file": self.directory / "tokens.csv",
        }
        return [sys.executable, "-m", "skiff", "apiserver", *(f"--{name}={value}" for name, value in flags.items())]

    def start(self) -> float:
        """Seconds from starting the process to the first 200 of /readyz."""
        context = ssl._create_unverified_context()
        begun = time.perf_counter()
        with open(self.directory / "log", "ab") as log:
            self._process = subprocess.Popen(self._command(), stderr=log)
        while time.perf_counter() - begun < 60:
            with contextlib.suppress(urllib.error.URLError, OSError):
                urllib.request.urlopen(f"{self.url}/readyz", timeout=1, context=context).read()
                return time.perf_counter() - begun
            if self._process.poll() is not None:
                break
            time.sleep(0.002)
        raise SystemExit((self.directory / "log").read_text())

    def stop(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)
            self._process.wait()
            self._process = None

    def cpu(self) -> float:
        """Seconds of CPU time that the process has used."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICK

    def resident(self) -> float:
        """MB."""
        return int(Path(f"/proc/{self.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


async def service_account(target: Target) -> str:
    """The token of a service account with all rights, as pods use one."""
    async with target.session() as session:
        call = partial(target.call, session, "POST")
        await target.prepare(session)
        subject = {"kind": "ServiceAccount", "name": "default", "namespace": NAMESPACE}
        role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"}
        binding = {"metadata": {"name": "bench"}, "roleRef": role, "subjects": [subject]}
        await call("/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", binding, ok=(201, 409))
        path = f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts/default/token"
        answer = await call(path, {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}})
    return str(answer["status"]["token"])


async def fill(target: Target, pods: int, config_maps: int) -> None:
    def config_map(i: int) -> dict[str, Any]:
        return {"metadata": {"name": f"m{i:06d}", "labels": {"a": "b"}}, "data": {"k": "v" * MAP_BYTES}}

    async with target.session() as session:
        make = partial(target.call, session, "POST", ok=(201, 409))
        await gathered([partial(make, api.PODS, api.pod(f"p{i:05d}", i)) for i in range(pods)], 32)
        await gathered([partial(make, api.CONFIGMAPS, config_map(i)) for i in range(config_maps)], 64)


async def read_all(target: Target) -> None:
    """So that the server has everything in its caches."""
    async with target.session() as session:
        for path in (api.PODS, api.CONFIGMAPS):
            await target.call(session, "GET", f"{path}?resourceVersion=0")


def starts(server: Server, what: str, times: int = 5) -> Iterator[Row]:
    took = []
    for _ in range(times):
        server.stop()
        took.append(server.start())
    yield Row(f"start to /readyz ok, {what}, median", statistics.median(took), "s")


def memory(server: Server, what: str) -> Iterator[Row]:
    yield Row(f"resident memory, {what}", server.resident(), "MB")


READS = {
    "GET one pod": (f"{api.PODS}/p00001", 16),
    "LIST from cache": (f"{api.PODS}?resourceVersion=0", 4),
    "consistent page, limit=500": (f"{api.PODS}?limit=500", 4),
    "selector matching 10 %": (f"{api.PODS}?labelSelector=idx%3D3&resourceVersion=0", 4),
}


def costs(server: Server, target: Target, seconds: int = 3) -> Iterator[Row]:
    for name, (path, connections) in READS.items():
        api.wrk(target, path, connections, 1)
        before = server.cpu()
        rate = api.wrk(target, path, connections, seconds)[0]
        yield Row(f"CPU per request, {name}", (server.cpu() - before) / (rate * seconds) * 1e6, "us")
        yield Row(f"rate, {name}", rate, "requests/s")


def measure(server: Server, only: set[str], pods: int, config_maps: int) -> Iterator[Row]:
    if "start" in only:
        yield from starts(server, "empty")
    else:
        server.start()
    if "memory" in only:
        time.sleep(25)
        yield from memory(server, "idle")
    admin = Target(server.url, ADMIN)
    target = Target(server.url, asyncio.run(service_account(admin)))
    asyncio.run(fill(target, pods, 0))
    if "cpu" in only:
        yield from costs(server, target)
    if "reads" in only:
        yield from api.reads(target, pods)
    if "writes" in only:
        yield from api.writes(target)
        yield from asyncio.run(api.FanOut(target, 200, 400).run())
    if config_maps:
        asyncio.run(fill(target, pods, config_maps))
    what = f"{pods} pods and {config_maps} config maps"
    if "memory" in only:
        asyncio.run(read_all(target))
        time.sleep(45)
        yield from memory(server, what)
    if "start" in only:
        yield from starts(server, what)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pods", type=int, default=5000, help="at least 500 for the rows of writes")
    parser.add_argument("--config-maps", type=int, default=50000)
    parser.add_argument("--port", type=int, default=16443)
    parser.add_argument("--only", default="start,memory,cpu,reads,writes")
    parser.add_argument("--serve", action="store_true")
    parser.add_argument("--directory", type=Path, help="keep the state here")
    args = parser.parse_args()
    with contextlib.ExitStack() as stack:
        directory = args.directory or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="skiff-bench-")))
        server = Server(directory, args.port)
        stack.callback(server.stop)
        signal.signal(signal.SIGTERM, lambda *_: sys.exit())  # so that the server is stopped, too
        if args.serve:
            server.start()
            target = Target(server.url, asyncio.run(service_account(Target(server.url, ADMIN))))
            asyncio.run(fill(target, args.pods, args.config_maps))
            print(json.dumps({"server": server.url, "token": target.token, "pid": server.pid}), flush=True)
            signal.pause()
        for row in measure(server, set(args.only.split(",")), args.pods, args.config_maps):
            print(f"{row.name:70s} {row.value:12.2f} {row.unit}", flush=True)


if __name__ == "__main__":
    main()
