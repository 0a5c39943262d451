"""Removes images that nothing uses when the disk gets full, those unused for longest first. Source: Kubernetes docs, "Garbage
Collection", images (high and low thresholds in percent, at least two minutes old)."""

import asyncio
import logging
from collections.abc import Iterable, Mapping, Sequence

from skiff import env
from skiff.kubelet.containerd import SANDBOX_IMAGE
from skiff.kubelet.host import Host, Usage
from skiff.kubelet.imagepuller import with_default_tag
from skiff.kubelet.options import Options
from skiff.kubelet.podmanager import PodManager
from skiff.kubelet.pods import every_container
from skiff.kubelet.runtime import Image, Images, RuntimeFailure

log = logging.getLogger(__name__)

CHECK_S = 300.0
MINIMUM_AGE_S = 120.0


def to_free(usage: Usage, high_percent: int, low_percent: int) -> int:
    """Bytes above the low threshold once the high one is passed, else 0."""
    if not usage.disk_capacity:
        return 0
    used = usage.disk_capacity - usage.disk_available
    if used * 100 < usage.disk_capacity * high_percent:
        return 0
    return used - usage.disk_capacity * low_percent // 100


def victims(
    images: Sequence[Image], last_used: Mapping[str, float], in_use: Iterable[str], now: float, free: int
) -> list[Image]:
    """The images to remove until `free` bytes are gained. last_used: image id → when it was last seen in use (or first seen)."""
    busy = set(in_use)
    idle = [
        i
        for i in images
        if i.id not in busy and not i.pinned and not busy & {*i.tags, *i.digests}
        and SANDBOX_IMAGE not in i.tags and now - last_used.get(i.id, now) >= MINIMUM_AGE_S
    ]  # fmt: skip
    chosen = []
    for image in sorted(idle, key=lambda i: (last_used.get(i.id, now), i.id)):
        if free <= 0:
            break
        chosen.append(image)
        free -= image.size
    return chosen


class ImageGarbage:
    def __init__(self, *, images: Images, host: Host, pods: PodManager, options: Options):
        self._images = images
        self._host = host
        self._pods = pods
        self._options = options
        self._last_used: dict[str, float] = {}

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await asyncio.sleep(CHECK_S)
            try:
                await self._collect()
            except (RuntimeFailure, OSError) as e:
                log.warning("image garbage: %s", e)

    async def _collect(self) -> None:
        now, images, in_use = env.epoch(), await self._images.list_images(), self._in_use()
        for image in images:
            if image.id not in self._last_used or in_use & {image.id, *image.tags, *image.digests}:
                self._last_used[image.id] = now
        usage = await self._host.usage()
        free = to_free(usage, self._options.image_gc_high_percent, self._options.image_gc_low_percent)
        for image in victims(images, self._last_used, in_use, now, free) if free else []:
            await self._images.remove_image(image.id)
            self._last_used.pop(image.id, None)

    def _in_use(self) -> set[str]:
        """Names that pods of this node use, as their authors and as the runtime writes them."""
        found: set[str] = set()
        for pod in self._pods.pods():
            for _, c in every_container(pod):
                found.add(c.get("image", ""))
                try:
                    found.add(with_default_tag(c.get("image", "")))
                except ValueError:
                    continue  # cannot be an image that is here
            for key in ("containerStatuses", "initContainerStatuses"):
                for s in (pod.get("status") or {}).get(key) or []:
                    found |= {s.get("imageID", ""), s.get("image", "")}
        return found
