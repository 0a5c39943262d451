"""What the proxy tells of itself: upstream's names and buckets (pkg/proxy/metrics), and the server that tells them."""

from skiff import env
from skiff.client import metrics
from skiff.client.metrics import Histogram, Rows, powers
from skiff.wire.messages import Request, Response

_TIMES = powers(0.001, 2, 15)


class Metrics:
    """Of writing the tables, by family."""

    def __init__(self) -> None:
        self._times: dict[int, Histogram] = {}
        self._last: dict[int, float] = {}

    def synced(self, version: int, seconds: float) -> None:
        """version: 4 or 6."""
        self._times.setdefault(version, Histogram(_TIMES)).observe(seconds)
        self._last[version] = env.epoch()

    def lines(self) -> list[str]:
        rows = Rows("kubeproxy_")
        for version, times in self._times.items():
            labels = f'ip_family="IPv{version}"'
            rows.histogram("sync_proxy_rules_duration_seconds", labels, times)
            rows.add("sync_proxy_rules_last_timestamp_seconds", "gauge", labels, f"{self._last[version]:.3f}")
        return rows.lines()


async def metrics_answer(request: Request) -> Response:
    """/metrics and /healthz."""
    if request.path == "/healthz":
        return Response(200, {"content-type": "text/plain; charset=utf-8"}, b"ok")
    if request.path != "/metrics":
        return Response(404, {"content-type": "text/plain; charset=utf-8"}, b"404 page not found\n")
    return Response(200, {"content-type": metrics.CONTENT_TYPE}, metrics.text().encode())
