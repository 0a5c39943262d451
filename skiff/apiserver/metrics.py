"""A few of upstream's metrics in Prometheus text form, counted with plain dicts.

Labels come from what is served, never from what a client writes: everything else is counted as OTHER.
"""

from bisect import bisect_left
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from skiff.apiserver.registry import Registry
    from skiff.apiserver.requestinfo import RequestInfo

BUCKETS = (0.005, 0.025, 0.1, 0.5, 1.0, 2.5, 10.0, 60.0)
METHODS = frozenset(("get", "head", "post", "put", "patch", "delete", "options"))

Labels = tuple[str, str, str, str, str]
"""(verb, group, version, resource, subresource)."""

OTHER: Labels = ("", "", "", "", "")


@dataclass(slots=True)
class Series:
    """One combination of labels: requests by code, seconds in all, requests by bucket (the last one is +Inf)."""

    codes: dict[int, int] = field(default_factory=dict)
    seconds: float = 0.0
    buckets: list[int] = field(default_factory=lambda: [0] * (len(BUCKETS) + 1))


class Metrics:
    """Counts requests and their times. `render` gives the text."""

    def __init__(self, registry: "Registry"):
        self._registry = registry
        self._series: dict[Labels, Series] = {}

    def observe(self, info: "RequestInfo", code: int, seconds: float) -> None:
        """One request has been answered (a watch: has begun)."""
        labels = (info.verb, info.group, info.version, info.resource, info.subresource)
        series = self._series.get(labels) or self._new(labels)
        series.codes[code] = series.codes.get(code, 0) + 1
        series.seconds += seconds
        series.buckets[bisect_left(BUCKETS, seconds)] += 1

    def _new(self, labels: Labels) -> Series:
        if not self._is_known(labels):
            labels = OTHER
        return self._series.setdefault(labels, Series())

    def _is_known(self, labels: Labels) -> bool:
        verb, group, version, resource, subresource = labels
        if not resource:
            return verb in METHODS
        served = self._registry.find(group, version, resource)
        if served is None or not verb:
            return False
        return not subresource or served.resource.subresource(subresource) is not None

    def render(self) -> bytes:
        series = sorted(self._series.items())
        lines = ["# TYPE apiserver_request_total counter"]
        for labels, s in series:
            for code, count in sorted(s.codes.items()):
                lines.append(f'apiserver_request_total{{{_labels(labels)},code="{code}"}} {count}')
        lines.append("# TYPE apiserver_request_duration_seconds histogram")
        for labels, s in series:
            lines += _histogram(labels, s)
        lines += self._cache_lines()
        return ("\n".join(lines) + "\n").encode()

    def _cache_lines(self) -> list[str]:
        caches = [c for c in self._registry.hub.caches() if c.loaded]
        lines = ["# TYPE apiserver_storage_objects gauge"]
        for cache in caches:
            lines.append(f'apiserver_storage_objects{{resource="{cache.codec.gvr.group_resource}"}} {cache.count}')
        lines.append("# TYPE apiserver_longrunning_requests gauge")
        for cache in caches:
            labels = _labels(("WATCH", cache.codec.gvr.group, cache.codec.gvr.version, cache.codec.gvr.plural, ""))
            lines.append(f"apiserver_longrunning_requests{{{labels}}} {cache.fanout.count}")
        return lines


def _labels(labels: Labels) -> str:
    names = ("verb", "group", "version", "resource", "subresource")
    return ",".join(f'{n}="{v}"' for n, v in zip(names, labels, strict=True))


def _histogram(labels: Labels, series: Series) -> list[str]:
    name, here = "apiserver_request_duration_seconds", _labels(labels)
    lines, count = [], 0
    for bound, n in zip((*map(str, BUCKETS), "+Inf"), series.buckets, strict=True):
        count += n
        lines.append(f'{name}_bucket{{{here},le="{bound}"}} {count}')
    return [*lines, f"{name}_sum{{{here}}} {series.seconds:.6f}", f"{name}_count{{{here}}} {count}"]
