"""Figures about the machine, from /proc and /sys. Blocking, but quick."""

import os
import platform
import shutil
from pathlib import Path

from skiff.kubelet.host import Machine, Usage


def _first_line(*paths: str) -> str:
    for path in paths:
        try:
            text = Path(path).read_text().strip()
        except OSError:
            continue
        if text:
            return text.splitlines()[0]
    return ""


def meminfo() -> dict[str, int]:
    """/proc/meminfo in bytes."""
    out = {}
    for line in Path("/proc/meminfo").read_text().splitlines():
        name, _, rest = line.partition(":")
        fields = rest.split()
        if fields:
            out[name] = int(fields[0]) * (1024 if fields[-1] == "kB" else 1)
    return out


def _os_image() -> str:
    try:
        return platform.freedesktop_os_release().get("PRETTY_NAME", "Linux")
    except OSError:
        return "Linux"


def _hugepages() -> dict[str, int]:
    """Bytes reserved per size, as the node's capacity names them."""
    names = {2048: "hugepages-2Mi", 1048576: "hugepages-1Gi"}
    out = {}
    for size, name in names.items():
        count = _first_line(f"/sys/kernel/mm/hugepages/hugepages-{size}kB/nr_hugepages")
        if count.isdecimal() and int(count):
            out[name] = int(count) * size * 1024
    return out


def describe(root: str) -> Machine:
    """root: where the kubelet's data lies; that file system's size is the node's ephemeral storage."""
    os.makedirs(root, exist_ok=True)
    uname = os.uname()
    machine_id = _first_line("/etc/machine-id", "/var/lib/dbus/machine-id")
    return Machine(
        hostname=uname.nodename,
        cpu=os.cpu_count() or 1,
        memory=meminfo()["MemTotal"],
        disk=shutil.disk_usage(root).total,
        pids=int(_first_line("/proc/sys/kernel/pid_max") or 32768),
        machine_id=machine_id,
        system_uuid=_first_line("/sys/class/dmi/id/product_uuid") or machine_id,
        boot_id=_first_line("/proc/sys/kernel/random/boot_id"),
        kernel=uname.release,
        os_image=_os_image(),
        architecture={"x86_64": "amd64", "aarch64": "arm64"}.get(uname.machine, uname.machine),
        hugepages=_hugepages(),
    )


def usage(root: str) -> Usage:
    memory = meminfo()
    disk = os.statvfs(root)
    running = _first_line("/proc/loadavg").split()[3].partition("/")[2]
    pids = int(_first_line("/proc/sys/kernel/pid_max") or 32768)
    fields = _first_line("/proc/stat").split()[1:8]
    busy = sum(int(f) for i, f in enumerate(fields) if i not in (3, 4))
    return Usage(
        memory_available=memory["MemAvailable"],
        disk_available=disk.f_bavail * disk.f_frsize,
        disk_capacity=disk.f_blocks * disk.f_frsize,
        inodes_free=disk.f_ffree,
        inodes=disk.f_files,
        pids_available=pids - int(running or 0),
        memory_capacity=memory["MemTotal"],
        cpu_ns=busy * (1_000_000_000 // os.sysconf("SC_CLK_TCK")),
    )
