"""Upstream's metrics of an API server in Prometheus text form, counted with plain dicts.

Labels come from what is served, never from what a client writes: everything else is counted as OTHER.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from skiff.apiserver.admission.metrics import AdmissionMetrics
from skiff.client import metrics as process
from skiff.client.metrics import Histogram

if TYPE_CHECKING:
    from skiff.apiserver.registry import Registry
    from skiff.apiserver.requestinfo import RequestInfo

BUCKETS = (
    *(0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0, 1.25, 1.5, 2.0, 3.0, 4.0, 5.0),
    *(6.0, 8.0, 10.0, 15.0, 20.0, 30.0, 45.0, 60.0),
)
METHODS = frozenset(("get", "head", "post", "put", "patch", "delete", "options"))
VERBS = {"create": "POST", "update": "PUT"}
CONNECTING = frozenset(("exec", "attach", "portforward", "proxy"))

Labels = tuple[str, str, str, str, str, str]
"""(verb, group, version, resource, subresource, scope); the verb as in RequestInfo."""

NAMES = ("verb", "group", "version", "resource", "subresource", "scope")
OTHER: Labels = ("", "", "", "", "", "")


SIZES = (1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9)


def times() -> Histogram:
    return Histogram(BUCKETS)


@dataclass(slots=True)
class Series:
    """One combination of labels: requests by code, and their times."""

    codes: dict[int, int] = field(default_factory=dict)
    terminations: dict[int, int] = field(default_factory=dict)
    times: Histogram = field(default_factory=times)
    sizes: Histogram = field(default_factory=lambda: Histogram(SIZES))

    def ended(self, code: int) -> None:
        """The server has ended a request before it was answered: turned away, or out of time."""
        self.terminations[code] = self.terminations.get(code, 0) + 1

    def observe(self, code: int, seconds: float, size: int) -> None:
        """One request has been answered (a watch: has begun)."""
        self.codes[code] = self.codes.get(code, 0) + 1
        self.times.observe(seconds)
        if size:
            self.sizes.observe(size)


class Metrics:
    """Counts requests and their times. `render` gives the text."""

    def __init__(self, registry: "Registry"):
        self._registry = registry
        self._series: dict[Labels, Series] = {}
        self.admission = AdmissionMetrics()
        self.reading = 0
        self.writing = 0

    def series(self, info: "RequestInfo") -> Series:
        """Where requests like this one are counted."""
        labels = (info.verb, info.group, info.version, info.resource, info.subresource, scope(info))
        return self._series.get(labels) or self._new(labels)

    def _new(self, labels: Labels) -> Series:
        if not self._is_known(labels):
            labels = OTHER
        return self._series.setdefault(labels, Series())

    def _is_known(self, labels: Labels) -> bool:
        verb, group, version, resource, subresource, _ = labels
        if not resource:
            return verb in METHODS
        served = self._registry.find(group, version, resource)
        if served is None or not verb:
            return False
        return not subresource or served.resource.subresource(subresource) is not None

    def render(self, more: Sequence[str] = ()) -> bytes:
        """more: lines of others."""
        lines = [*self._requests(), *self._caches(), *self._elsewhere(), *self._store(), *self.admission.render()]
        lines += [*more, *process.render()]
        return ("\n".join(lines) + "\n").encode()

    def _requests(self) -> list[str]:
        series = [
            (f'{_labels(labels)},component="apiserver",dry_run=""', s) for labels, s in sorted(self._series.items())
        ]
        lines = ["# TYPE apiserver_request_total counter"]
        for labels, s in series:
            lines += [f'apiserver_request_total{{{labels},code="{c}"}} {n}' for c, n in sorted(s.codes.items())]
        name = "apiserver_request_terminations_total"
        lines.append(f"# TYPE {name} counter")
        for found, s in sorted(self._series.items()):
            labels = f'{_labels(found)},component="apiserver"'
            lines += [f'{name}{{{labels},code="{c}"}} {n}' for c, n in sorted(s.terminations.items())]
        lines.append("# TYPE apiserver_requested_deprecated_apis gauge")
        lines += [f"apiserver_requested_deprecated_apis{{{labels}}} 1" for labels in sorted(self._deprecated())]
        # The second leaves out what webhooks take, and does not tell dry runs apart.
        for kind, end in (("duration", ""), ("sli_duration", ',dry_run=""')):
            lines.append(f"# TYPE apiserver_request_{kind}_seconds histogram")
            for labels, s in series:
                lines += s.times.lines(f"apiserver_request_{kind}_seconds", labels.removesuffix(end))
        lines.append("# TYPE apiserver_response_sizes histogram")
        for found, s in sorted(self._series.items()):
            if found[0] in ("get", "list"):
                lines += s.sizes.lines("apiserver_response_sizes", f'{_labels(found)},component="apiserver"')
        name = "apiserver_current_inflight_requests"
        lines.append(f"# TYPE {name} gauge")
        lines.append(f'{name}{{request_kind="mutating"}} {self.writing}')
        return [*lines, f'{name}{{request_kind="readOnly"}} {self.reading}']

    def _deprecated(self) -> set[str]:
        """Labels of what was asked for although it warns of itself."""
        found = set()
        for verb, group, version, resource, subresource, _ in self._series:
            served = self._registry.find(group, version, resource) if resource else None
            if served is not None and served.resource.warnings and verb:
                named = zip(NAMES[1:5], (group, version, resource, subresource), strict=True)
                found.add(",".join(f'{name}="{value}"' for name, value in named) + ',removed_release=""')
        return found

    def _caches(self) -> list[str]:
        caches = [(c, c.codec.gvr) for c in self._registry.hub.caches() if c.loaded]
        lines = ["# TYPE apiserver_storage_objects gauge"]
        lines += [f'apiserver_storage_objects{{resource="{gvr.group_resource}"}} {c.count}' for c, gvr in caches]
        lines.append("# TYPE apiserver_resource_objects gauge")
        for cache, gvr in caches:
            lines.append(f'apiserver_resource_objects{{group="{gvr.group}",resource="{gvr.plural}"}} {cache.count}')
        lines.append("# TYPE apiserver_longrunning_requests gauge")
        for cache, gvr in caches:
            labels = _labels(("watch", gvr.group, gvr.version, gvr.plural, "", "cluster"))
            lines.append(f'apiserver_longrunning_requests{{{labels},component="apiserver"}} {cache.fanout.count}')
        lines.append("# TYPE apiserver_watch_events_total counter")
        for cache, gvr in caches:
            labels = f'group="{gvr.group}",version="{gvr.version}",resource="{gvr.plural}"'
            lines.append(f"apiserver_watch_events_total{{{labels}}} {cache.fanout.sent}")
        return lines

    def _elsewhere(self) -> list[str]:
        """Which groups cannot be reached: our own always can, those of other servers perhaps not."""
        remote = self._registry.remote
        missing = {gv: int(gv in remote and not remote[gv].available) for gv in {**self._registry.table, **remote}}
        lines = ["# TYPE aggregator_unavailable_apiservice gauge"]
        for (group, version), value in sorted(missing.items()):
            lines.append(f'aggregator_unavailable_apiservice{{name="{version}.{group}"}} {value}')
        lines.append("# TYPE aggregator_unavailable_apiservice_total counter")
        for (group, version), server in sorted(remote.items()):
            for reason, count in server.failures.items():
                labels = f'name="{version}.{group}",reason="{reason}"'
                lines.append(f"aggregator_unavailable_apiservice_total{{{labels}}} {count}")
        return lines

    def _store(self) -> list[str]:
        name = "etcd_request_duration_seconds"
        lines = [f"# TYPE {name} histogram"]
        for (operation, group, resource), times in sorted(self._registry.store_times.items()):
            lines += times.lines(name, f'operation="{operation}",group="{group}",resource="{resource}"')
        lines.append("# TYPE etcd_requests_total counter")
        for (operation, group, resource), times in sorted(self._registry.store_times.items()):
            labels = f'operation="{operation}",group="{group}",resource="{resource}"'
            lines.append(f"etcd_requests_total{{{labels}}} {sum(times.buckets)}")
        lines.append("# TYPE apiserver_storage_size_bytes gauge")
        return [*lines, f'apiserver_storage_size_bytes{{storage_cluster_id="etcd-0"}} {self._registry.store.size()}']


def scope(info: "RequestInfo") -> str:
    if info.name or info.verb == "create":
        return "resource"
    if info.namespace:
        return "namespace"
    return "cluster" if info.resource else ""


def _labels(labels: Labels) -> str:
    shown = (_verb(labels[0], labels[4]), *labels[1:])
    return ",".join(f'{n}="{v}"' for n, v in zip(NAMES, shown, strict=True))


def _verb(verb: str, subresource: str) -> str:
    """As upstream names it: by method, but for LIST, WATCH and CONNECT."""
    if subresource in CONNECTING:
        return "CONNECT"
    return VERBS.get(verb) or verb.upper()
