"""Calls against a runtime in the test process: what is being made is not broken off with its caller."""

import asyncio
from pathlib import Path

import grpc
import pytest

from skiff.kubelet.cri import CRIRuntime


class SlowRuntime(grpc.GenericRpcHandler):
    """Answers every call with an empty message once it may."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.may_answer = asyncio.Event()
        self.ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler:
        return grpc.unary_unary_rpc_method_handler(self._answer)

    async def _answer(self, request: bytes, context: grpc.aio.ServicerContext) -> bytes:
        self.asked.set()
        try:
            await self.may_answer.wait()
            self.ended.set_result("done")
        except asyncio.CancelledError:
            self.ended.set_result("broken off")
        return b""


@pytest.mark.parametrize(
    ("call", "ended"),
    [
        pytest.param(lambda r: r.start_container("c"), "done", id="start"),
        pytest.param(lambda r: r.remove_container("c"), "done", id="remove"),
        pytest.param(lambda r: r.remove_sandbox("s"), "done", id="remove a sandbox"),
        pytest.param(lambda r: r.stop_container("c", 30), "broken off", id="stop"),
        pytest.param(lambda r: r.exec_sync("c", ["x"], 30), "broken off", id="exec"),
    ],
)
def test_a_cancelled_caller(tmp_path: Path, call, ended: str) -> None:
    async def main() -> None:
        slow = SlowRuntime()
        server = grpc.aio.server()
        server.add_generic_rpc_handlers((slow,))
        server.add_insecure_port(f"unix://{tmp_path}/cri.sock")
        await server.start()
        runtime = CRIRuntime(f"unix://{tmp_path}/cri.sock")
        caller = asyncio.create_task(call(runtime))
        await slow.asked.wait()
        caller.cancel()
        await asyncio.wait([caller], timeout=0 if ended == "done" else 10)
        assert caller.done() == (ended == "broken off")
        slow.may_answer.set()
        with pytest.raises(asyncio.CancelledError):
            await caller
        assert await asyncio.wait_for(slow.ended, 10) == ended
        await runtime.close()
        await server.stop(grace=None)

    asyncio.run(main())
