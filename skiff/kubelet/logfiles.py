"""Keeps log files small: rotates the logs of running containers, removes the oldest. Source: kubelet's containerLogMaxSize and
containerLogMaxFiles (10Mi, 5)."""

import asyncio
import gzip
import logging
import os
import shutil

from skiff import env
from skiff.kubelet.options import Options
from skiff.kubelet.podcache import PodCache
from skiff.kubelet.runtime import RuntimeFailure, Sandboxes

log = logging.getLogger(__name__)

CHECK_S = 10.0


class LogRotation:
    def __init__(self, *, cache: PodCache, runtime: Sandboxes, options: Options):
        self._cache = cache
        self._runtime = runtime
        self._options = options

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await asyncio.sleep(CHECK_S)
            for uid in self._cache.uids():
                for c in self._cache.get(uid).containers:
                    if c.state == "running" and c.log_path:
                        await self._check(c.id, c.log_path)

    async def _check(self, container_id: str, path: str) -> None:
        try:
            if os.stat(path).st_size < self._options.container_log_max_bytes:
                return
            await asyncio.to_thread(clean, path, self._options.container_log_max_files - 2)
            moved = f"{path}.{env.now():%Y%m%d-%H%M%S}"
            os.rename(path, moved)
            try:
                await self._runtime.reopen_log(container_id)
            except RuntimeFailure:
                os.rename(moved, path)  # the container goes on writing to the old file
                raise
        except (OSError, RuntimeFailure) as e:
            log.warning("log %s not rotated: %s", path, e)


def rotated(path: str) -> list[str]:
    """The older files of a log, oldest first."""
    directory, name = os.path.split(path)
    names = [n for n in os.listdir(directory) if n.startswith(name + ".") and not n.endswith(".tmp")]
    return [os.path.join(directory, n) for n in sorted(names)]


def clean(path: str, keep: int) -> None:
    """Removes all but the newest `keep` older files and compresses those; the very newest stays readable."""
    older = rotated(path)
    for file in older[: max(0, len(older) - keep)]:
        os.unlink(file)
    for file in older[max(0, len(older) - keep) :]:
        if not file.endswith(".gz"):
            with open(file, "rb") as source, gzip.open(file + ".tmp", "wb") as target:
                shutil.copyfileobj(source, target)
            os.rename(file + ".tmp", file + ".gz")
            os.unlink(file)
