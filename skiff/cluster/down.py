"""`skiff down`: stops everything, containers included; `--purge` also removes all that the cluster kept.

Works on whatever is left: a killed supervisor, a dead API server, a half-removed state directory.
"""

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from skiff.cluster.components import PROCESSES
from skiff.cluster.layout import Layout, Settings, default_node_name
from skiff.cluster.problem import EXIT_MISSING, EXIT_USAGE, Problem, need_root, no_cluster
from skiff.cluster.progress import console, step
from skiff.cluster.supervisor import read_pid, stop

if TYPE_CHECKING:
    from skiff.kubelet.runtime import Runtime

REMOVAL_SECONDS = 60.0
STUCK_SECONDS = 10.0
NETWORK_SECONDS = 5.0
LISTEN_SECONDS = 0.2
SHIM_SOCKETS = Path("/run/containerd/s")
SHARED_DIRECTORIES = ("/var/lib/cni/results", "/var/lib/cni", str(SHIM_SOCKETS), "/run/containerd", "/run/netns")
"""Made by containerd and CNI outside the state directory; removed when empty, for they may be another's too."""


def down(layout: Layout, *, purge: bool) -> None:
    """Raises Problem when there is no cluster; purging nothing is fine."""
    need_root("down", "it removes network interfaces, mounts and cgroups")
    if not layout.settings_file.exists() and not layout.run.is_dir():
        if not purge:
            raise no_cluster(layout.root)
        return
    with layout.locked():
        if not layout.settings_file.exists() and (strangers := layout.strangers()):
            why = f"it holds {strangers[0]} and no settings.json"
            raise Problem(f"{layout.root} is no cluster's", why, "look at it, and remove it by hand", code=EXIT_USAGE)
        with step("Stopping the cluster", "Stopped"):
            stop_all(layout)
        if purge:
            with step("Removing what it kept", f"Removed {layout.root}"):
                remove_state(layout)
        else:
            kept = f"State is kept in {layout.root}; skiff up continues from it, skiff down --purge removes it."
            console.print(kept, soft_wrap=True)


def stop_all(layout: Layout) -> None:
    """Everything that runs or is in the kernel, whatever is left of it."""
    settings = _settings(layout)
    stop_processes(layout)
    remove_pods(layout)
    stop_containerd(layout)
    remove_lost_networks(layout)
    remove_network(layout, settings)
    remove_cgroups(settings.cgroup_root)


def _settings(layout: Layout) -> Settings:
    """Where they are lost or damaged, what most clusters are made with: stopping must not fail for that."""
    with suppress(Problem):
        if settings := layout.load_settings():
            return settings
    return Settings(node_name=default_node_name())


def stop_processes(layout: Layout) -> None:
    """The supervisor stops its own; what an earlier, killed one left is stopped one by one."""
    for name in ("supervisor", *reversed(PROCESSES)):
        if pid := read_pid(layout.run / f"{name}.pid"):
            stop(pid, 30.0)


def remove_pods(layout: Layout) -> None:
    """Stops and removes every sandbox through the CRI, so that CNI gives back addresses and interfaces."""
    if not layout.containerd_config.exists():
        return
    starter: subprocess.Popen[bytes] | None = None
    pid = read_pid(layout.run / "containerd.pid")
    if pid and not layout.containerd_socket.exists():
        stop(pid)  # nobody reaches it any more; its shims and what it keeps are still there
        pid = 0
    if not pid:
        starter = _start_containerd(layout)
    try:
        asyncio.run(_remove_sandboxes(layout, starter))
    finally:
        if starter:
            starter.terminate()
            starter.wait()


def _start_containerd(layout: Layout) -> "subprocess.Popen[bytes]":
    """For the while of stopping. In a session of its own: what ends us does not end it."""
    command = ["containerd", "--config", str(layout.containerd_config)]
    layout.logs.mkdir(exist_ok=True)
    with open(layout.logs / "containerd.log", "ab") as log:
        try:
            return subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
        except FileNotFoundError as err:
            why, todo = "containerd, which stops them, is not installed", "apt-get install containerd; skiff down again"
            raise Problem("pods cannot be removed", why, todo, code=EXIT_MISSING) from err


async def _remove_sandboxes(layout: Layout, starter: "subprocess.Popen[bytes] | None") -> None:
    from skiff.kubelet.cri import CRIRuntime

    runtime = CRIRuntime(f"unix://{layout.containerd_socket}")
    refusals: dict[str, str] = {}
    try:
        async with asyncio.timeout(REMOVAL_SECONDS):
            patient_until = time.monotonic() + STUCK_SECONDS
            while not await _remove_once(runtime, refusals):
                if starter and starter.poll() is not None:
                    raise _ended(layout, starter.returncode)
                if time.monotonic() >= patient_until:
                    kill_shims(layout, refusals)
                await asyncio.sleep(0.05)
        await _wait_for_networks(layout)
    except TimeoutError as err:
        why = next(iter(refusals.values()), "containerd does not answer")
        raise Problem("a pod could not be removed", why, "skiff down again", str(layout.logs)) from err
    finally:
        await runtime.close()


def _ended(layout: Layout, code: int) -> Problem:
    why = f"containerd, which stops them, ended with code {code}"
    return Problem(
        "pods cannot be removed", why, "read the log, then skiff down again", str(layout.logs / "containerd.log")
    )


async def _remove_once(runtime: "Runtime", refusals: dict[str, str]) -> bool:
    """Tries to remove every sandbox; True when none is left. What is refused is tried again: a container that was about
    to start when the node agent was stopped cannot be removed for a moment. refusals: filled with the reasons."""
    from skiff.kubelet.runtime import NotFound, RuntimeFailure

    async def remove(sandbox_id: str) -> None:
        try:
            await runtime.remove_sandbox(sandbox_id)
        except NotFound:
            return
        except RuntimeFailure as failure:
            refusals[sandbox_id] = str(failure)

    refusals.clear()
    try:
        sandboxes = await runtime.list_sandboxes()
    except RuntimeFailure as failure:
        refusals["list"] = str(failure)
        return False
    removals = {asyncio.create_task(remove(s.id)): s.id for s in sandboxes}
    if removals:
        _, pending = await asyncio.wait(removals, timeout=STUCK_SECONDS)
        refusals.update((removals[late], "its shim does not answer") for late in pending)
    return not refusals


async def _wait_for_networks(layout: Layout) -> None:
    """A sandbox that was being made when the node agent stopped is in no list; containerd takes back its network by and
    by, and must not be stopped before."""
    deadline = time.monotonic() + NETWORK_SECONDS
    while addresses(layout) and time.monotonic() < deadline:  # noqa: ASYNC110 - nothing tells when containerd is done
        await asyncio.sleep(0.05)


def addresses(layout: Layout) -> dict[str, str]:
    """The pods' addresses in use, as the CNI plugin host-local keeps them: address → sandbox id."""
    found = {}
    for file in (layout.root / "cni" / "ipam").glob("*/*.*.*.*"):
        with suppress(OSError, IndexError):  # it is given back, or just being written
            found[file.name] = file.read_text().split()[0]
    return found


def remove_lost_networks(layout: Layout) -> None:
    """What a containerd that was killed in the middle has left: the network namespace of a pod, and CNI's notes on it."""
    for address, sandbox in addresses(layout).items():
        for namespace in Path("/run/netns").glob("cni-*"):
            shown = subprocess.run(
                ["nsenter", f"--net={namespace}", "ip", "-o", "-4", "address", "show", "dev", "eth0"],
                capture_output=True, text=True, check=False,
            )  # fmt: skip
            if f" {address}/" in shown.stdout:
                subprocess.run(["umount", namespace], check=False, capture_output=True)
                namespace.unlink(missing_ok=True)
        for note in Path("/var/lib/cni/results").glob(f"*-{sandbox}-*"):
            note.unlink(missing_ok=True)


def stop_containerd(layout: Layout) -> None:
    """containerd, and shims that outlived it."""
    if pid := read_pid(layout.run / "containerd.pid"):
        stop(pid)
    (layout.run / "containerd.pid").unlink(missing_ok=True)
    for pid in _shims(layout):
        stop(pid, 2.0)


def kill_shims(layout: Layout, sandboxes: Iterable[str]) -> None:
    """Of pods that cannot be removed: containerd cleans up behind a dead one. What ran in it ends with its cgroup."""
    for pid, sandbox in _shims(layout).items():
        if sandbox in sandboxes:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def _shims(layout: Layout) -> dict[int, str]:
    """pid → sandbox id."""
    found = {}
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it ends as we look
            words = (process / "cmdline").read_bytes().decode(errors="replace").split("\0")
            if "containerd-shim" in words[0] and str(layout.containerd_socket) in words:
                found[int(process.name)] = words[words.index("-id") + 1]
    return found


def remove_network(layout: Layout, s: Settings) -> None:
    from skiff.network.host import teardown
    from skiff.proxy.main import cleanup

    cleanup()
    teardown(s.bridge)


def remove_cgroups(root: str) -> None:
    """The pods' cgroups in every mounted hierarchy, the innermost first, and what may still run in them."""
    for line in Path("/proc/mounts").read_text().splitlines():
        _, mount, kind, *_rest = line.split()
        top = Path(mount + root)
        if not kind.startswith("cgroup") or not top.is_dir():
            continue
        for directory, _, _ in os.walk(top, topdown=False):
            if Path(directory).is_relative_to(top / "kubepods"):
                _end_processes(Path(directory))
            with suppress(OSError):
                os.rmdir(directory)


def _end_processes(cgroup: Path) -> None:
    with suppress(OSError):  # it goes as we look
        for pid in (cgroup / "cgroup.procs").read_text().split():
            stop(int(pid), 0.0)


def remove_state(layout: Layout) -> None:
    from skiff.network.host import release_namespaces

    for mount in _mounts_below(layout.root):
        subprocess.run(["umount", "--lazy", mount], check=False, capture_output=True)
    for entry in layout.root.iterdir():
        shutil.rmtree(entry) if entry.is_dir() and not entry.is_symlink() else entry.unlink()
    with suppress(OSError):  # it is a mount
        layout.root.rmdir()
    release_namespaces()
    remove_dead_sockets()
    for shared in SHARED_DIRECTORIES:
        try:
            os.rmdir(shared)
        except OSError:
            continue  # not there, or somebody else's too


def remove_dead_sockets() -> None:
    """Shims listen outside the state directory, and one that was killed leaves its socket there. What nobody listens on is
    of no use to another containerd either; its shim may be about to listen, so it is asked twice."""
    dead = [path for path in SHIM_SOCKETS.glob("*") if not _listens(path)]
    if dead:
        time.sleep(LISTEN_SECONDS)
    for path in dead:
        if not _listens(path):
            path.unlink(missing_ok=True)


def _listens(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as s:
        try:
            s.connect(str(path))
        except ConnectionRefusedError:
            return False
        except OSError:
            return True  # it is gone, or busy
    return True


def _mounts_below(root: Path) -> list[str]:
    """Mount points below a directory, the innermost first."""
    points = [
        line.split()[1].encode().decode("unicode_escape") for line in Path("/proc/mounts").read_text().splitlines()
    ]
    return sorted((p for p in points if p.startswith(f"{root}/")), key=len, reverse=True)
