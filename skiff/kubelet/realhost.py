"""The machine that the kubelet runs on. Implements host.Host; what blocks runs in a thread, here and nowhere else."""

import asyncio
import os
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from skiff.kubelet import cgroups, machine, netprobe
from skiff.kubelet.host import Machine, Ownership, ProbeResult, ProbeTarget, Usage, VolumePlan
from skiff.kubelet.runtime import Resources
from skiff.kubelet.volumes import mounts, setup

P = ParamSpec("P")
T = TypeVar("T")


class RealHost:
    """root: the kubelet's state directory; pods live below `root`/pods."""

    keeps_files = True

    def __init__(self, root: str):
        self._root = os.path.abspath(root)
        self._machine = machine.describe(self._root)
        self._cgroups = cgroups.detect()

    def machine(self) -> Machine:
        return self._machine

    async def _blocking(self, do: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        return await asyncio.to_thread(do, *args, **kwargs)

    async def usage(self) -> Usage:
        return machine.usage(self._root)

    # Small file operations are quicker than a switch of threads

    async def make_directory(self, path: str, mode: int = 0o755) -> None:
        os.makedirs(path, mode, exist_ok=True)

    async def write_file(self, path: str, data: bytes, mode: int = 0o644) -> None:
        os.makedirs(os.path.dirname(path), 0o750, exist_ok=True)
        fd = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
        with os.fdopen(fd, "wb") as f:
            f.write(data)
        os.chmod(path, mode)

    async def read_file(self, path: str, limit: int, *, tail: bool = False) -> bytes:
        try:
            fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            return b""  # not there: as the contract says
        with os.fdopen(fd, "rb") as f:
            if tail:
                f.seek(max(0, os.fstat(fd).st_size - limit))
            return f.read(limit) or b""

    async def highest_log(self, directory: str) -> int:
        try:
            names = os.listdir(directory)
        except OSError:
            return -1
        numbers = [int(n.split(".")[0]) for n in names if n.endswith(".log") and n.split(".")[0].isdecimal()]
        return max(numbers, default=-1)

    # Volumes

    async def set_up_volume(self, path: str, plan: VolumePlan, ownership: Ownership) -> str:
        return await self._blocking(setup.set_up, path, plan, ownership)

    async def sub_path(self, volume: str, relative: str, target: str) -> str:
        return await self._blocking(mounts.bind_sub_path, volume, relative, target)

    async def directory_bytes(self, path: str) -> int:
        return await self._blocking(_bytes_below, path)

    async def pod_directories(self) -> list[str]:
        try:
            return os.listdir(f"{self._root}/pods")
        except FileNotFoundError:
            return []

    async def remove_pod(self, uid: str) -> None:
        await self._blocking(_unmount_and_remove, f"{self._root}/pods/{uid}")

    async def remove_logs(self, directory: str) -> None:
        await self._blocking(mounts.remove_tree, directory)

    # Cgroups

    async def make_cgroup(self, path: str, resources: Resources) -> None:
        cgroups.make(self._cgroups, path, resources)

    async def remove_cgroup(self, path: str) -> None:
        await self._blocking(cgroups.remove, self._cgroups, path)

    def cgroup_usage(self, path: str) -> tuple[int, int, int]:
        """(cpu nanoseconds, memory, working set) of a cgroup."""
        cpu, memory, working_set = cgroups.cpu_and_memory(self._cgroups, path)
        return cpu, memory, working_set

    async def probe(self, target: ProbeTarget) -> ProbeResult:
        return await netprobe.probe(target)


def _bytes_below(path: str) -> int:
    total = 0
    for directory, _, files in os.walk(path):
        for name in files:
            try:
                total += os.lstat(os.path.join(directory, name)).st_blocks * 512
            except FileNotFoundError:
                continue  # removed while we counted
    return total


def _unmount_and_remove(path: str) -> None:
    if not os.path.isdir(path):
        return
    for point in mounts.mount_points(path):
        mounts.unmount(point)
    mounts.remove_tree(path)
