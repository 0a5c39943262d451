"""/metrics/slis: what health checks have found, the last time and in all. Source: component-base metrics/prometheus/slis."""

from collections.abc import Iterator


class HealthRecord:
    def __init__(self) -> None:
        self._last: dict[tuple[str, str], bool] = {}
        self._counts: dict[tuple[str, str, bool], int] = {}

    def note(self, name: str, kind: str, fine: bool) -> None:
        """kind: healthz, livez, readyz."""
        self._last[name, kind] = fine
        self._counts[name, kind, fine] = self._counts.get((name, kind, fine), 0) + 1

    def render(self) -> bytes:
        return "".join(line + "\n" for line in self._lines()).encode()

    def _lines(self) -> Iterator[str]:
        yield "# TYPE kubernetes_healthcheck gauge"
        for (name, kind), fine in self._last.items():
            yield f'kubernetes_healthcheck{{name="{name}",type="{kind}"}} {int(fine)}'
        yield "# TYPE kubernetes_healthchecks_total counter"
        for (name, kind, fine), count in self._counts.items():
            status = "success" if fine else "error"
            yield f'kubernetes_healthchecks_total{{name="{name}",status="{status}",type="{kind}"}} {count}'
