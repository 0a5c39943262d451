"""What is counted of the calls to the runtime."""

import pytest

from skiff.kubelet.cri.client import _CALLS
from skiff.kubelet.cri.operations import Operation, lines, operation_type

UPSTREAM = {
    *("version", "status", "run_podsandbox", "stop_podsandbox", "remove_podsandbox", "podsandbox_status"),
    *("list_podsandbox", "create_container", "start_container", "stop_container", "remove_container"),
    *("list_containers", "container_status", "update_container", "reopen_container_log", "exec_sync", "exec", "attach"),
    *("port_forward", "list_container_stats", "image_status", "pull_image", "list_images", "remove_image"),
    "image_fs_info",
}
"""Source: pkg/kubelet/kuberuntime/instrumented_services.go."""


@pytest.mark.parametrize("call", _CALLS)
def test_upstreams_names(call: str) -> None:
    assert operation_type(call) in UPSTREAM


def test_lines() -> None:
    start, stop = Operation(), Operation(errors=1)
    for operation, seconds in ((start, 0.2), (start, 0.3), (stop, 1.0)):
        operation.times.observe(seconds)
    found = lines({"RuntimeService/RunPodSandbox": start, "RuntimeService/StopContainer": stop})
    for line in (
        'kubelet_runtime_operations_total{operation_type="run_podsandbox"} 2',
        'kubelet_runtime_operations_duration_seconds_count{operation_type="stop_container"} 1',
        'kubelet_runtime_operations_errors_total{operation_type="stop_container"} 1',
        "kubelet_started_pods_total 2",
        "kubelet_started_pods_errors_total 0",
    ):
        assert line in found
    assert not [line for line in found if "errors_total" in line and "run_podsandbox" in line]
