"""Sends an asynchronous streaming response chunk by chunk.

On a WSGI server, Django itself would first collect all of it, so an endless stream would never start.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, Callable
from typing import Any, Protocol, TypeGuard

__all__ = ["is_asynchronous", "send_asynchronous"]


class Client(Protocol):
    """The connection that receives the stream."""

    fd: int

    def has_left(self) -> bool:
        """Whether the client has closed its side of the connection."""


def is_asynchronous(result: Any) -> TypeGuard[AsyncIterable[bytes]]:
    """Whether ``result`` is a Django response that can only be iterated over in an event loop."""
    return getattr(result, "is_async", False) is True and hasattr(result, "__aiter__")


def send_asynchronous(result: AsyncIterable[bytes], write: Callable[[bytes], bool], client: Client) -> bool:
    """Call ``write`` with each chunk while it returns True; return False if ``client`` disconnected meanwhile.

    The event loop runs in a green thread of its own. Thread-sensitive calls run in the calling one, as does ``write``,
    so that a slow client doesn't block the loop. In any case, the generator's ``finally`` blocks have run on return.
    Raises what the generator or ``write`` raises.
    """
    from asgiref.sync import async_to_sync, sync_to_async

    write_in_caller = sync_to_async(write)
    left = False

    async def send() -> None:
        nonlocal left
        task = asyncio.current_task()
        assert task is not None
        loop = asyncio.get_running_loop()

        def look() -> None:
            nonlocal left
            if client.has_left():
                left = True
                task.cancel()
            # Reported once. If the client has sent data ahead, it can't be read yet and hides end-of-stream.
            loop.remove_reader(client.fd)

        loop.add_reader(client.fd, look)
        pieces = aiter(result)
        try:
            async for piece in pieces:
                if not await write_in_caller(piece):
                    break
        finally:
            loop.remove_reader(client.fd)
            close = getattr(pieces, "aclose", None)
            if close is not None:
                await close()

    try:
        async_to_sync(send)()
    except asyncio.CancelledError:
        if not left:
            raise
    return not left
