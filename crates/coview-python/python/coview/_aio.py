"""Awaiting in asyncio: a future of the library is polled when its pipe is readable."""

from __future__ import annotations

import asyncio
from typing import Any

from ._coview import Awaiting, Frame, Subscriber


async def finish(awaiting: Awaiting) -> Any:
    """The result. Cancelled before that, it has taken nothing."""
    try:
        while (done := awaiting.poll()) is None:
            await _rung(awaiting)
        return done[0]
    finally:
        awaiting.cancel()


async def _rung(awaiting: Awaiting) -> None:
    loop = asyncio.get_running_loop()
    rung: asyncio.Future[None] = loop.create_future()
    try:
        fd = awaiting.fileno()
        loop.add_reader(fd, _tell, rung)
    except (AttributeError, NotImplementedError):
        # Event loops of Windows watch no pipes: a thread does.
        await loop.run_in_executor(None, awaiting.wait)
        return
    try:
        await rung
    finally:
        loop.remove_reader(fd)


def _tell(rung: asyncio.Future[None]) -> None:
    if not rung.done():
        rung.set_result(None)


async def receive(subscriber: Subscriber) -> Frame:
    """The next frame; those that were received before may be held meanwhile."""
    while (frame := subscriber.try_receive()) is None:
        await subscriber.readable_async()
    return frame
