"""A pod goes rather where its images are already, the larger the rather; an image that few nodes have counts little, so
that not all pods go to the one node which happened to be first."""

from collections.abc import Sequence

from skiff.scheduler import framework as fw
from skiff.scheduler.cache import Cache
from skiff.scheduler.nodeinfo import NodeInfo
from skiff.scheduler.podinfo import PodInfo

MIB = 1024 * 1024
LEAST = 23 * MIB
MOST_PER_CONTAINER = 1000 * MIB


class ImageLocality:
    name = "ImageLocality"

    def __init__(self, *, cache: Cache):
        self._cache = cache

    def pre_score(self, state: fw.State, pod: PodInfo, nodes: Sequence[NodeInfo]) -> fw.Skip | None:
        total = len(self._cache.nodes())
        present = [(i, self._cache.image_nodes[i] / total) for i in images(pod) if i in self._cache.image_nodes]
        if not present:
            return fw.SKIP
        containers = len(pod.spec.get("containers") or ()) + len(pod.spec.get("initContainers") or ())
        state[self.name] = (present, MOST_PER_CONTAINER * containers)
        return None

    def score(self, state: fw.State, pod: PodInfo, nodes: Sequence[NodeInfo]) -> list[int]:
        present, most = state[self.name]
        scores = []
        for node in nodes:
            found = node.images
            size = sum(int(found[image] * spread) for image, spread in present if image in found)
            scores.append(fw.MAX_SCORE * (min(max(size, LEAST), most) - LEAST) // (most - LEAST))
        return scores


def images(pod: PodInfo) -> list[str]:
    """The images of the pod's containers and image volumes, each as often as it is used."""
    spec = pod.spec
    containers = [*(spec.get("initContainers") or ()), *(spec.get("containers") or ())]
    names = [c.get("image", "") for c in containers]
    names += [v["image"].get("reference", "") for v in spec.get("volumes") or () if v.get("image")]
    return [with_tag(n) for n in names]


def with_tag(image: str) -> str:
    """Images without a tag mean the latest."""
    return image if image.rfind(":") > image.rfind("/") else image + ":latest"
