"""What the runtime's gRPC errors become: upstream shows some with gRPC's frame (image pulls), some without (containers)."""

import grpc
import pytest
from grpc.aio import AioRpcError, Metadata

from skiff.kubelet.cri.client import translate
from skiff.kubelet.runtime import ExecTimeout, NotFound, RuntimeFailure, Unavailable

CASES = [
    pytest.param(grpc.StatusCode.UNKNOWN, RuntimeFailure, "rpc error: code = Unknown desc = it broke", id="unknown"),
    pytest.param(grpc.StatusCode.INTERNAL, RuntimeFailure, "rpc error: code = Internal desc = it broke", id="internal"),
    pytest.param(grpc.StatusCode.NOT_FOUND, NotFound, "it broke", id="not found"),
    pytest.param(grpc.StatusCode.UNAVAILABLE, Unavailable, "it broke", id="unavailable"),
    pytest.param(grpc.StatusCode.DEADLINE_EXCEEDED, ExecTimeout, "it broke", id="too late"),
]


@pytest.mark.parametrize("code, kind, message", CASES)
def test_translate(code: grpc.StatusCode, kind: type[RuntimeFailure], message: str) -> None:
    failure = translate(AioRpcError(code, Metadata(), Metadata(), details="it broke"))
    assert type(failure) is kind
    assert (str(failure), failure.words) == (message, "it broke")
