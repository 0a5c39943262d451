"""How often the runtime was called, how long it took and how often it failed, under upstream's names
(pkg/kubelet/kuberuntime/instrumented_services.go)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from skiff.client.metrics import Histogram, Rows, powers

_TIMES = powers(0.005, 2.5, 14)


@dataclass(slots=True)
class Operation:
    """One kind of call."""

    times: Histogram = field(default_factory=lambda: Histogram(_TIMES))
    errors: int = 0


def operation_type(call: str) -> str:
    """`RuntimeService/RunPodSandbox` → `run_podsandbox`."""
    name = call.rpartition("/")[2].replace("PodSandbox", "Podsandbox").removesuffix("Resources")
    return re.sub(r"(?<!^)[A-Z]", lambda m: f"_{m[0]}", name).lower()


def lines(operations: Mapping[str, Operation]) -> list[str]:
    """By call."""
    rows = Rows("kubelet_")
    for call, operation in operations.items():
        labels = f'operation_type="{operation_type(call)}"'
        rows.add("runtime_operations_total", "counter", labels, sum(operation.times.buckets))
        rows.histogram("runtime_operations_duration_seconds", labels, operation.times)
        if operation.errors:
            rows.add("runtime_operations_errors_total", "counter", labels, operation.errors)
        if call.endswith("/RunPodSandbox"):
            rows.add("started_pods_total", "counter", "", sum(operation.times.buckets))
            rows.add("started_pods_errors_total", "counter", "", operation.errors)
    return rows.lines()
