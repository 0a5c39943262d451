"""Makes a planned volume on this machine: directories, tmpfs, hostPath checks, ownership for fsGroup. Blocking."""

import os
import stat

from skiff.kubelet.host import EmptyDir, HostPath, Ownership, Payload, VolumePlan
from skiff.kubelet.volumes import atomic, mounts

ON_TMPFS = ("kubernetes.io~secret", "kubernetes.io~projected", "kubernetes.io~downward-api")
"""Kinds whose files may hold secrets and therefore never reach a disk."""


def set_up(path: str, plan: VolumePlan, ownership: Ownership) -> str:
    """Returns what is to be mounted into containers. Raises OSError."""
    if isinstance(plan, HostPath):
        check_host_path(plan)
        if ownership.group is not None:
            own(plan.path, ownership, read_only=False)
        return plan.path
    os.makedirs(path, 0o755, exist_ok=True)
    if isinstance(plan, EmptyDir):
        _empty_dir(path, plan, ownership)
    else:
        _payload(path, plan, ownership)
    return path


def _empty_dir(path: str, plan: EmptyDir, ownership: Ownership) -> None:
    if plan.medium == "Memory":
        mounts.tmpfs(path, plan.size)
    elif plan.medium:
        raise OSError(f"unsupported storage medium {plan.medium!r}")
    os.chmod(path, 0o777)
    if ownership.group is not None:
        own(path, ownership, read_only=False)


def _payload(path: str, plan: Payload, ownership: Ownership) -> None:
    if any(kind in path for kind in ON_TMPFS):
        mounts.tmpfs(path, mode=0o755)
    os.chmod(path, 0o777)
    if ownership.group is not None:
        _own_one(path, ownership.group, read_only=True)
    fresh = Ownership(ownership.group)
    atomic.write(path, plan.files, lambda new: own(new, fresh, read_only=True) if fresh.group is not None else None)


_KINDS = {
    "File": (stat.S_ISREG, "a file"),
    "Directory": (stat.S_ISDIR, "a directory"),
    "Socket": (stat.S_ISSOCK, "a socket file"),
    "CharDevice": (stat.S_ISCHR, "a character device"),
    "BlockDevice": (stat.S_ISBLK, "a block device"),
}


def check_host_path(plan: HostPath) -> None:
    """Raises OSError unless the path is what its type asks for; makes it for ...OrCreate, and a directory when missing
    without a type (as runtimes do)."""
    path, wanted = plan.path, plan.type
    if ".." in path.split("/"):
        raise OSError(f"hostPath {path} must not contain '..'")
    if wanted in ("DirectoryOrCreate", "") and not os.path.exists(path):
        os.makedirs(path, 0o755, exist_ok=True)
    if wanted == "FileOrCreate" and not os.path.exists(path):
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o644))
    kind = wanted.removesuffix("OrCreate")
    if kind in _KINDS:
        matches, words = _KINDS[kind]
        if not os.path.exists(path) or not matches(os.stat(path).st_mode):
            raise OSError(f"hostPath type check failed: {path} is not {words}")


def own(path: str, ownership: Ownership, *, read_only: bool) -> None:
    """Gives a tree to the fsGroup: the group, read (and write) permission, setgid on directories."""
    group = ownership.group
    assert group is not None
    info = os.stat(path)
    if not ownership.always and info.st_gid == group and info.st_mode & stat.S_ISGID:
        return
    for directory, names, files in os.walk(path):
        for name in files + [n for n in names if os.path.islink(os.path.join(directory, n))]:
            _own_one(os.path.join(directory, name), group, read_only=read_only)
        _own_one(directory, group, read_only=read_only)


def _own_one(path: str, group: int, *, read_only: bool) -> None:
    info = os.lstat(path)
    os.chown(path, -1, group, follow_symlinks=False)
    if stat.S_ISLNK(info.st_mode):
        return
    mask = 0o440 if read_only else 0o660
    if stat.S_ISDIR(info.st_mode):
        mask |= stat.S_ISGID | 0o110
    os.chmod(path, stat.S_IMODE(info.st_mode) | mask)
