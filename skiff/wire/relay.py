"""Two raw connections joined: what comes from one goes to the other, until either ends."""

import asyncio
import contextlib

from skiff.wire.messages import Stream


async def relay(a: Stream, b: Stream) -> None:
    """Copies in both directions. When one side ends or breaks, both are closed: the protocols that are relayed (SPDY,
    WebSocket) close in their own frames, so nothing is lost by that."""
    try:
        tasks = [asyncio.ensure_future(_copy(a, b)), asyncio.ensure_future(_copy(b, a))]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
    finally:
        for stream in (a, b):
            with contextlib.suppress(ConnectionError):
                await stream.close()


async def _copy(source: Stream, target: Stream) -> None:
    with contextlib.suppress(ConnectionError):  # the other side is closed by `relay`
        while data := await source.read():
            await target.write(data)
