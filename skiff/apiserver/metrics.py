"""A few of upstream's metrics in Prometheus text form, counted with plain dicts."""

from collections import defaultdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from skiff.apiserver.registry import Registry

BUCKETS = (0.005, 0.025, 0.1, 0.5, 1.0, 2.5, 10.0, 60.0)

Labels = tuple[str, str, str, str, str]
"""(verb, group, version, resource, subresource)."""


class Metrics:
    """Counts of requests and times. `render` gives the text."""

    def __init__(self, registry: "Registry"):
        self._registry = registry
        self.requests: dict[tuple[Labels, int], int] = defaultdict(int)
        self.seconds: dict[Labels, float] = defaultdict(float)
        self.buckets: dict[Labels, list[int]] = {}

    def observe(self, labels: Labels, code: int, seconds: float) -> None:
        self.requests[(labels, code)] += 1
        self.seconds[labels] += seconds
        buckets = self.buckets.get(labels)
        if buckets is None:
            buckets = self.buckets[labels] = [0] * (len(BUCKETS) + 1)
        for i, bound in enumerate(BUCKETS):
            if seconds <= bound:
                buckets[i] += 1
                break
        else:
            buckets[-1] += 1

    def render(self) -> bytes:
        lines = ["# TYPE apiserver_request_total counter"]
        for (labels, code), count in sorted(self.requests.items()):
            lines.append(f'apiserver_request_total{{{_labels(labels)},code="{code}"}} {count}')
        lines.append("# TYPE apiserver_request_duration_seconds histogram")
        for labels, buckets in sorted(self.buckets.items()):
            lines += _histogram(labels, buckets, self.seconds[labels])
        lines.append("# TYPE apiserver_longrunning_requests gauge")
        lines.append("# TYPE apiserver_storage_objects gauge")
        for cache in self._registry.hub.caches():
            if cache.loaded:
                gvr = cache.codec.gvr
                lines.append(f'apiserver_storage_objects{{resource="{gvr.group_resource}"}} {cache.count}')
                name = f'verb="WATCH",group="{gvr.group}",version="{gvr.version}",resource="{gvr.plural}"'
                lines.append(f"apiserver_longrunning_requests{{{name}}} {cache.fanout.count}")
        return ("\n".join(lines) + "\n").encode()


def _labels(labels: Labels) -> str:
    names = ("verb", "group", "version", "resource", "subresource")
    return ",".join(f'{n}="{v}"' for n, v in zip(names, labels, strict=True))


def _histogram(labels: Labels, buckets: list[int], total: float) -> list[str]:
    name, here = "apiserver_request_duration_seconds", _labels(labels)
    lines, count = [], 0
    for bound, n in zip((*map(str, BUCKETS), "+Inf"), buckets, strict=True):
        count += n
        lines.append(f'{name}_bucket{{{here},le="{bound}"}} {count}')
    return [*lines, f"{name}_sum{{{here}}} {total:.6f}", f"{name}_count{{{here}}} {count}"]
