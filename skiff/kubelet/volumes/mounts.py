"""Mounting by system call, and safe ways into a volume. Blocking; called from one thread at a time per volume."""

import ctypes
import os
import stat
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

MS_RDONLY, MS_NOSUID, MS_NODEV, MS_REMOUNT, MS_BIND = 1, 2, 4, 32, 4096
MNT_DETACH, UMOUNT_NOFOLLOW = 2, 8
O_PATH = getattr(os, "O_PATH", 0o10000000)

_libc = ctypes.CDLL(None, use_errno=True)


def _check(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def mount(source: str, target: str, kind: str = "", flags: int = 0, data: str = "") -> None:
    result = _libc.mount(source.encode(), target.encode(), kind.encode() or None, flags, data.encode() or None)
    _check(result, f"mount {source} on {target}")


def unmount(target: str) -> None:
    """Detached at once, even when busy."""
    _check(_libc.umount2(target.encode(), MNT_DETACH | UMOUNT_NOFOLLOW), f"unmount {target}")


def mount_points(below: str) -> Iterator[str]:
    """Mount points at or below a path, the deepest first."""
    prefix = below.rstrip("/") + "/"
    found = []
    for line in Path("/proc/self/mountinfo").read_text(errors="surrogateescape").splitlines():
        point = _unescape(line.split(" ", 5)[4])
        if point == below or point.startswith(prefix):
            found.append(point)
    yield from sorted(found, key=len, reverse=True)


def _unescape(text: str) -> str:
    """mountinfo writes space, tab, newline and backslash as octal."""
    for code, char in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        text = text.replace(code, char)
    return text


def is_mount(path: str) -> bool:
    return path in mount_points(path)


def tmpfs(path: str, size: int = 0, mode: int = 0o777) -> None:
    """A tmpfs at path, unless there is a mount already. size 0: the kernel's default."""
    if is_mount(path):
        return
    options = f"mode={mode:o}" + (f",size={size}" if size else "")
    mount("tmpfs", path, "tmpfs", 0, options)


def remove_tree(path: str) -> None:
    """Removes a directory and what it contains, but never crosses into another file system. Missing: nothing to do."""
    try:
        device = os.lstat(path).st_dev
    except FileNotFoundError:
        return
    for name in os.listdir(path) if not os.path.islink(path) else []:
        child = os.path.join(path, name)
        info = os.lstat(child)
        if not stat.S_ISDIR(info.st_mode):
            os.unlink(child)
        elif info.st_dev != device or is_mount(child):
            raise OSError(f"{child} is still mounted")
        else:
            remove_tree(child)
    os.rmdir(path)


def bind_sub_path(volume: str, relative: str, target: str) -> str:
    """Binds the part `relative` of a volume onto `target` and returns that.

    The part is made (a directory) if it is missing. It must lie inside the volume after all symlinks; it is opened step by
    step without following any, so that a container that swaps one in at the last moment gains nothing.
    """
    root = os.path.realpath(volume)
    wanted = os.path.realpath(os.path.join(root, relative))
    if wanted != root and not wanted.startswith(root + "/"):
        raise OSError(f"subpath {relative!r} not within volume path {volume!r}")
    steps = [s for s in wanted[len(root) :].split("/") if s]
    with ExitStack() as stack:
        fd = os.open(root, O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
        stack.callback(os.close, fd)
        for step in steps:
            fd = _enter(fd, step)
            stack.callback(os.close, fd)
        is_directory = stat.S_ISDIR(os.fstat(fd).st_mode)
        _make_target(target, is_directory)
        if is_mount(target):  # of an earlier run of the container; the volume may have changed since
            unmount(target)
        mount(f"/proc/self/fd/{fd}", target, flags=MS_BIND)
    return target


def _enter(parent: int, name: str) -> int:
    flags = O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        fd = os.open(name, flags, dir_fd=parent)
    except FileNotFoundError:
        os.mkdir(name, 0o750, dir_fd=parent)
        os.chmod(f"/proc/self/fd/{parent}/{name}", stat.S_IMODE(os.fstat(parent).st_mode))
        fd = os.open(name, flags | os.O_DIRECTORY, dir_fd=parent)
    if stat.S_ISLNK(os.fstat(fd).st_mode):
        os.close(fd)
        raise OSError(f"{name} has become a symbolic link")
    return fd


def _make_target(target: str, is_directory: bool) -> None:
    if is_directory:
        os.makedirs(target, 0o750, exist_ok=True)
    else:
        os.makedirs(os.path.dirname(target), 0o750, exist_ok=True)
        os.close(os.open(target, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o640))
