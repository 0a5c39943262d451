"""Which pod may have changed, as soon as the runtime knows: containerd's event stream, CRI's own, or a regular "look again".

containerd 1.6 has no CRI events, but the same socket serves its own events; their container ids are those of CRI. The event
comes a moment before CRI's books are up to date, so the uid is passed on once they are.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import grpc
import grpc.aio

from skiff.kubelet.cri import messages as m
from skiff.kubelet.runtime import Container, NotFound, RuntimeFailure
from skiff.wire.protobuf import DecodeError, Message

log = logging.getLogger(__name__)

POLL_S = 1.0
RECONNECT_S = 0.5
SETTLE_S = (0.0, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5)

Status = Callable[[str], Awaitable[Container]]
Ended = Callable[[str, int], None]


async def follow(channel: grpc.aio.Channel, status: Status, ended: Ended) -> AsyncIterator[str]:
    """Pod uids; "" after every (re)connection, as events may have been missed. Endless. ended: told a container's id and
    what its process's id was, where the runtime says so."""
    sources = [_containerd, _cri]
    while sources:
        try:
            async for uid in sources[0](channel, status, ended):
                yield uid
        except grpc.aio.AioRpcError as e:
            if e.code() is grpc.StatusCode.UNIMPLEMENTED:
                sources.pop(0)
                continue
            log.debug("runtime events: %s", e.details())
        except DecodeError as e:
            log.warning("runtime events cannot be read: %s", e)
        await asyncio.sleep(RECONNECT_S)
    while True:
        yield ""
        await asyncio.sleep(POLL_S)


def _stream(channel: grpc.aio.Channel, path: str, request: Message, response: Message, value: dict[str, Any]) -> Any:
    method = channel.unary_stream(path, request_serializer=request.encode, response_deserializer=response.decode)
    return method(value, wait_for_ready=True)


async def _containerd(channel: grpc.aio.Channel, status: Status, ended: Ended) -> AsyncIterator[str]:
    path = "/containerd.services.events.v1.Events/Subscribe"
    filters = ['topic=="/tasks/exit",namespace==k8s.io', 'topic=="/tasks/oom",namespace==k8s.io']
    call = _stream(channel, path, m.SUBSCRIBE, m.ENVELOPE, {"filters": filters})
    yield ""
    async for envelope in call:
        event = m.TASK_EXIT.decode((envelope.get("event") or {"value": b""})["value"])
        if event["id"] and event["id"] != event["container_id"]:
            continue  # a process of exec, not the container's own
        if event["pid"]:
            ended(event["container_id"], event["pid"])
        uid = await _settled(event["container_id"], status)
        if uid is not None:
            yield uid


async def _settled(container_id: str, status: Status) -> str | None:
    """The pod of a container that has ended, when CRI says so too. A sandbox's own process is no container: ""."""
    found: Container | None = None
    for wait in SETTLE_S:
        await asyncio.sleep(wait)
        try:
            found = await status(container_id)
        except NotFound:
            return ""
        except RuntimeFailure:
            continue
        if found.state == "exited":
            break
    return found.pod_uid if found is not None else None


async def _cri(channel: grpc.aio.Channel, status: Status, ended: Ended) -> AsyncIterator[str]:
    call = _stream(channel, "/runtime.v1.RuntimeService/GetContainerEvents", m.EMPTY, m.CRI_EVENT, {})
    yield ""
    async for event in call:
        yield ((event.get("pod_sandbox_status") or {}).get("metadata") or {"uid": ""})["uid"]
