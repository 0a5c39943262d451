"""A scheduler's memory without an API server: nodes and pods are put in, decisions come out."""

from collections.abc import Iterable

from skiff.api.types import GVR, Obj
from skiff.client.informer import Change, Informers, WatchEvent
from skiff.client.rest import Client
from skiff.scheduler.algorithm import Algorithm, Decision
from skiff.scheduler.cache import Cache
from skiff.scheduler.nominator import Nominator
from skiff.scheduler.plugins.defaultpreemption import DefaultPreemption
from skiff.scheduler.plugins.registry import default_profile
from skiff.scheduler.podinfo import PodInfo, slim_pod


class NoServer:
    async def send(self, request):
        raise ConnectionError("there is no server")

    async def close(self):
        return None


class World:
    def __init__(self, nodes: Iterable[Obj] = (), pods: Iterable[Obj] = (), *, percentage: int = 100):
        client = Client(NoServer())
        self.informers = Informers(client)
        self.cache = Cache()
        self.nominator = Nominator()
        self.profile = default_profile(client, self.informers, self.cache)
        self.algorithm = Algorithm(self.cache, self.profile, self.nominator, percentage=percentage)
        for node in nodes:
            self.cache.set_node(node)
        for pod in pods:
            self.place(pod)

    def place(self, pod: Obj) -> None:
        slim = slim_pod(numbered(pod))
        assert slim is not None
        self.cache.set_pod(PodInfo(slim))

    def has(self, gvr: GVR, obj: Obj) -> None:
        """Puts an object into the caches of all informers of its kind."""
        obj = {**obj, "metadata": {"resourceVersion": "1", **obj["metadata"]}}
        for informer in self.informers.all():
            if informer.gvr == gvr:
                informer._apply(WatchEvent("ADDED", obj))

    def decide(self, pod: Obj) -> Decision:
        return self.algorithm.schedule(PodInfo(numbered(pod)))

    def feasible(self, pod: Obj) -> set[str]:
        """The nodes that fit."""
        decision = self.decide(pod)
        return {n.name for n in self.cache.nodes()} - set(decision.refusals) if not decision.refused else set()

    def totals(self, pod: Obj) -> dict[str, int]:
        """What each node scores, all plugins weighted."""
        from skiff.scheduler.algorithm import Cycle
        from skiff.scheduler.shapes import Shape

        info = PodInfo(numbered(pod))
        cycle = Cycle(self.algorithm, info, Shape(self.profile, info))
        cycle._pre_filter()
        fitting = cycle._filter(self.cache.nodes(), 10**6, 0)
        return {node.name: total for (node, _), total in zip(fitting, cycle._totals(fitting), strict=True)}

    def best(self, pod: Obj) -> set[str]:
        totals = self.totals(pod)
        return {name for name, total in totals.items() if total == max(totals.values())}

    @property
    def preemption(self) -> DefaultPreemption:
        return self.profile.post_filter[0]


def numbered(pod: Obj) -> Obj:
    """With a uid, as an API server gives."""
    meta = pod["metadata"]
    return {**pod, "metadata": {"uid": f"uid of {meta['name']}", **meta}}


def change(old: Obj | None, new: Obj | None) -> Change:
    kind = "added" if old is None else "deleted" if new is None else "updated"
    return Change(kind, old, new)
