"""The cgroups of pods, v1 (one tree per controller) and v2 (one tree). Paths are as in qos.cgroup_path. Blocking."""

import contextlib
import os
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from skiff.kubelet.runtime import Resources

MOUNT = Path("/sys/fs/cgroup")
V1 = (
    "cpu",
    "cpuacct",
    "memory",
    "pids",
    "cpuset",
    "blkio",
    "devices",
    "freezer",
    "hugetlb",
    "net_cls",
    "net_prio",
    "perf_event",
)
NAMED = ("systemd", "unified")
"""Trees beside those of v1 without a controller that limits anything: the runtime puts containers there, too."""
V2 = ("cpu", "memory", "pids", "cpuset", "io")


@dataclass(frozen=True, slots=True)
class Tree:
    """trees: v1: the controllers' roots by name; v2: one root under the name "". named: roots without limits."""

    version: int
    trees: dict[str, Path]
    named: tuple[Path, ...] = ()

    def directories(self, path: str) -> list[Path]:
        return list({os.path.realpath(root): root / path.strip("/") for root in self.trees.values()}.values())

    def traces(self, path: str) -> list[Path]:
        """Everywhere that a cgroup may have been made, by us or by the runtime."""
        return [d for d in [*self.directories(path), *(root / path.strip("/") for root in self.named)] if d.exists()]


def detect(mount: Path = MOUNT) -> Tree:
    if (mount / "cgroup.controllers").exists():
        return Tree(2, {"": mount})
    found = {c: mount / c for c in V1 if (mount / c / "cgroup.procs").exists()}
    if not found and (mount / "unified" / "cgroup.controllers").exists():
        return Tree(2, {"": mount / "unified"})
    return Tree(1, found, tuple(mount / n for n in NAMED if (mount / n / "cgroup.procs").exists()))


def settings(tree: Tree, r: Resources) -> list[tuple[str, str, str]]:
    """(controller, file, text) for the limits of one cgroup. Pure."""
    if tree.version == 2:
        weight = 1 + (max(r.cpu_shares, 2) - 2) * 9999 // 262142
        out = [("", "cpu.weight", str(weight))]
        out.append(("", "cpu.max", f"{r.cpu_quota or 'max'} {r.cpu_period or 100000}"))
        out.append(("", "memory.max", str(r.memory_limit) if r.memory_limit else "max"))
        return out
    out = [("cpu", "cpu.shares", str(max(r.cpu_shares, 2)))]
    if r.cpu_quota:
        out.append(("cpu", "cpu.cfs_period_us", str(r.cpu_period or 100000)))
    out.append(("cpu", "cpu.cfs_quota_us", str(r.cpu_quota or -1)))
    out.append(("memory", "memory.limit_in_bytes", str(r.memory_limit or -1)))
    return out


def make(tree: Tree, path: str, resources: Resources) -> None:
    """Makes the cgroup and those above it, and sets its limits. Controllers that are not there are left out."""
    for directory in tree.directories(path):
        if tree.version == 2:
            _delegate(tree.trees[""], path)
        directory.mkdir(parents=True, exist_ok=True)
    for controller, file, text in settings(tree, resources):
        root = tree.trees.get(controller)
        if root is None:
            continue
        target = root / path.strip("/") / file
        if target.exists() and not _says(target.read_text().strip(), text):
            with contextlib.suppress(OSError):  # a kernel without the feature, or a limit below what is in use already
                target.write_text(text)


def _says(present: str, wanted: str) -> bool:
    """Whether a control file holds that value already; v1 shows "no limit" as a huge number."""
    unlimited = present.isdecimal() and int(present) >= 1 << 60
    return present == wanted or (wanted == "-1" and unlimited)


def _delegate(root: Path, path: str) -> None:
    """v2: a child may use a controller only if each cgroup above hands it down."""
    here = root
    for part in ["", *path.strip("/").split("/")[:-1]]:
        here = here / part
        here.mkdir(exist_ok=True)
        have = set((here / "cgroup.controllers").read_text().split())
        wanted = " ".join(f"+{c}" for c in V2 if c in have)
        with contextlib.suppress(OSError):  # the root of a container's own tree may not hand down
            (here / "cgroup.subtree_control").write_text(wanted)


def processes(directory: Path) -> list[int]:
    """Of the cgroup and those below it."""
    found: list[int] = []
    for at, _, _ in os.walk(directory):
        with contextlib.suppress(OSError):
            found += [int(p) for p in Path(at, "cgroup.procs").read_text().split()]
    return found


def remove(tree: Tree, path: str) -> None:
    """Kills what is left in it and removes it everywhere. Raises OSError when it stays busy."""
    directories = tree.traces(path)
    for attempt in range(40):
        if all(_remove_one(d) for d in directories):
            return
        for pid in {p for d in directories for p in processes(d)}:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.005 * min(attempt + 1, 10))
    raise OSError(f"cgroup {path} cannot be removed")


def _remove_one(directory: Path) -> bool:
    for at, names, _ in os.walk(directory, topdown=False):
        for child in [*(Path(at, n) for n in names), Path(at)]:
            try:
                child.rmdir()
            except FileNotFoundError:
                continue
            except OSError:
                return False
    return True


def read_number(path: Path) -> int:
    """A figure from a control file; 0 when it is missing or says `max`."""
    try:
        return int(path.read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return 0


def cpu_and_memory(tree: Tree, path: str) -> Sequence[int]:
    """(cpu nanoseconds, memory in use, working set in bytes) of a cgroup."""
    if tree.version == 2:
        base = tree.trees[""] / path.strip("/")
        stat = _table(base / "cpu.stat").get("usage_usec", 0) * 1000
        usage, inactive = read_number(base / "memory.current"), _table(base / "memory.stat").get("inactive_file", 0)
    else:
        stat = read_number(tree.trees.get("cpuacct", MOUNT) / path.strip("/") / "cpuacct.usage")
        memory = tree.trees.get("memory", MOUNT) / path.strip("/")
        usage, inactive = (
            read_number(memory / "memory.usage_in_bytes"),
            _table(memory / "memory.stat").get("total_inactive_file", 0),
        )
    return stat, usage, max(usage - inactive, 0)


def _table(path: Path) -> dict[str, int]:
    try:
        pairs = (line.split() for line in path.read_text().splitlines())
        return {p[0]: int(p[1]) for p in pairs if len(p) == 2}
    except (OSError, ValueError):
        return {}
