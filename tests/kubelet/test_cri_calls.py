"""Calls against a runtime in the test process: what is being made is not broken off with its caller."""

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest

from skiff.kubelet.cri import CRIRuntime

SECONDS = 10.0


class SlowRuntime(grpc.GenericRpcHandler):
    """Answers a call with an empty message once it may. broken_off: set when the caller has gone before."""

    def __init__(self) -> None:
        self.asked = threading.Event()
        self.may_answer = threading.Event()
        self.answered = threading.Event()
        self.broken_off = threading.Event()

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler:
        return grpc.unary_unary_rpc_method_handler(self._answer)

    def _answer(self, request: bytes, context: grpc.ServicerContext) -> bytes:
        context.add_callback(lambda: self.answered.is_set() or self.broken_off.set())
        self.asked.set()
        if self.may_answer.wait(SECONDS):
            self.answered.set()
        return b""


@pytest.fixture
def slow(tmp_path: Path) -> Iterator[SlowRuntime]:
    runtime = SlowRuntime()
    with ThreadPoolExecutor(2) as threads:
        server = grpc.server(threads)
        server.add_generic_rpc_handlers((runtime,))
        server.add_insecure_port(f"unix://{tmp_path}/cri.sock")
        server.start()
        yield runtime
        runtime.may_answer.set()
        server.stop(None).wait(SECONDS)


@pytest.mark.parametrize(
    ("call", "finishes"),
    [
        pytest.param(lambda r: r.start_container("c"), True, id="start"),
        pytest.param(lambda r: r.remove_container("c"), True, id="remove"),
        pytest.param(lambda r: r.remove_sandbox("s"), True, id="remove a sandbox"),
        pytest.param(lambda r: r.stop_container("c", 30), False, id="stop"),
        pytest.param(lambda r: r.exec_sync("c", ["x"], 30), False, id="exec"),
    ],
)
def test_a_cancelled_caller(tmp_path: Path, slow: SlowRuntime, call, finishes: bool) -> None:
    async def main() -> None:
        runtime = CRIRuntime(f"unix://{tmp_path}/cri.sock")
        caller = asyncio.create_task(call(runtime))
        assert await asyncio.to_thread(slow.asked.wait, SECONDS)
        caller.cancel()
        if finishes:
            done, _ = await asyncio.wait([caller], timeout=0.2)
            assert not done
            slow.may_answer.set()
        with pytest.raises(asyncio.CancelledError):
            await caller
        ended = slow.answered if finishes else slow.broken_off
        assert await asyncio.to_thread(ended.wait, SECONDS)
        assert slow.broken_off.is_set() != finishes
        await runtime.close()

    asyncio.run(main())
