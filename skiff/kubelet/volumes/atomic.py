"""Replaces the files of a volume all at once: readers see the old set or the new one, never a mixture.

Layout as upstream's, because programs watch it: files lie in `..<timestamp>/`, `..data` links to that directory, and each
visible top-level name links to `..data/<name>`. A rename of `..data` is the moment of change. Blocking.
"""

import os
from collections.abc import Callable, Mapping

from skiff import env
from skiff.kubelet.host import File
from skiff.kubelet.volumes.mounts import remove_tree

DATA = "..data"


def check_name(path: str) -> None:
    """Raises OSError for a path that would leave the volume or collide with our own names."""
    parts = path.split("/")
    if not path or path.startswith("/") or ".." in parts or "" in parts or parts[0].startswith(".."):
        raise OSError(f"invalid path {path!r}")


def write(directory: str, files: Mapping[str, File], own: Callable[[str], None]) -> None:
    """Makes the directory show exactly these files. `own` sets group and mode bits of the new set before it is shown."""
    for path in files:
        check_name(path)
    current = _current(directory)
    if current is not None and _same(current, files):
        return
    fresh = os.path.join(directory, f"..{env.now():%Y_%m_%d_%H_%M_%S}.{env.rng().getrandbits(32):010d}")
    os.mkdir(fresh, 0o755)
    for path, file in files.items():
        _write_file(os.path.join(fresh, path), file)
    own(fresh)
    _swap(directory, os.path.basename(fresh), DATA)
    _link_names(directory, {path.split("/")[0] for path in files})
    if current is not None:
        remove_tree(current)


def _current(directory: str) -> str | None:
    """The directory that is shown now."""
    try:
        return os.path.join(directory, os.readlink(os.path.join(directory, DATA)))
    except OSError:
        return None


def _same(current: str, files: Mapping[str, File]) -> bool:
    here = {os.path.relpath(os.path.join(d, f), current) for d, _, names in os.walk(current) for f in names}
    if here != set(files):
        return False
    return all(_content(os.path.join(current, path)) == file.data for path, file in files.items())


def _content(path: str) -> bytes | None:
    try:
        with open(path, "rb") as f:
            return f.read()
    except OSError:
        return None


def _write_file(path: str, file: File) -> None:
    os.makedirs(os.path.dirname(path), 0o755, exist_ok=True)
    fd = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(fd, "wb") as f:
        f.write(file.data)
    os.chmod(path, file.mode)
    if file.uid is not None:
        os.chown(path, file.uid, -1)


def _swap(directory: str, target: str, name: str) -> None:
    temporary = os.path.join(directory, name + "_tmp")
    if os.path.lexists(temporary):
        os.unlink(temporary)
    os.symlink(target, temporary)
    os.rename(temporary, os.path.join(directory, name))


def _link_names(directory: str, wanted: set[str]) -> None:
    here = {n for n in os.listdir(directory) if not n.startswith("..")}
    for name in wanted - here:
        os.symlink(f"{DATA}/{name}", os.path.join(directory, name))
    for name in here - wanted:
        os.unlink(os.path.join(directory, name))
