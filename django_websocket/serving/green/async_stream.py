"""Sends what an asynchronous response yields, piece by piece.

Left to itself Django collects all of it first when the server is a WSGI one, so that a stream without an end would
never begin.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, Callable
from typing import Any, Protocol, TypeGuard

__all__ = ["is_asynchronous", "send_asynchronous"]


class Client(Protocol):
    """Who receives the stream."""

    fd: int

    def has_left(self) -> bool:
        """Whether it has closed its side of the connection."""


def is_asynchronous(result: Any) -> TypeGuard[AsyncIterable[bytes]]:
    """Whether ``result`` is a response of Django's that can only be iterated over in an event loop."""
    return getattr(result, "is_async", False) is True and hasattr(result, "__aiter__")


def send_asynchronous(result: AsyncIterable[bytes], write: Callable[[bytes], bool], client: Client) -> bool:
    """Call ``write`` with each piece as it comes, for as long as it returns True; False if ``client`` left meanwhile.

    The event loop has a green thread of its own. What is thread-sensitive runs in the calling one, ``write`` too, so
    that a client who reads slowly does not hold up what else the loop does. Whatever the end is, the generator's
    ``finally`` blocks have run. Raises what the generator or ``write`` raises.
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
            # Said once. And what a client sends ahead can't be read yet, so its end can't be seen behind that.
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
