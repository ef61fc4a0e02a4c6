"""A websocket client for TLS, with the interface of websockets' threaded one.

That one writes from the caller's thread while another reads, which OpenSSL doesn't allow on one connection: now and
then it waits for ever for an answer that has come. Underneath this one is the library's client for asyncio.
"""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections.abc import Coroutine, Iterator
from typing import Any, TypeVar

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosedOK

from tests.deadlines import deadline

__all__ = ["SecureConnection"]

Result = TypeVar("Result")


class SecureConnection:
    """An open connection, whose loop runs in a thread of its own."""

    def __init__(self, url: str, context: ssl.SSLContext, **options: Any) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        try:
            self._connection: ClientConnection = self._run(self._connect(url, context, options))
        except BaseException:
            self._end()
            raise

    async def _connect(self, url: str, context: ssl.SSLContext, options: dict[str, Any]) -> ClientConnection:
        return await connect(url, ssl=context, proxy=None, open_timeout=deadline(20), **options)

    def _run(self, coroutine: Coroutine[Any, Any, Result]) -> Result:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(deadline(60))

    def _end(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    @property
    def close_code(self) -> int | None:
        return self._connection.close_code

    def send(self, message: str | bytes) -> None:
        self._run(self._connection.send(message))

    def recv(self, timeout: float) -> str | bytes:
        async def receive() -> str | bytes:
            async with asyncio.timeout(timeout):
                return await self._connection.recv()

        return self._run(receive())

    def __iter__(self) -> Iterator[str | bytes]:
        try:
            while True:
                yield self.recv(deadline(20))
        except ConnectionClosedOK:
            pass

    def close(self, code: int = 1000, reason: str = "") -> None:
        self._run(self._connection.close(code, reason))

    def __enter__(self) -> SecureConnection:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
        self._end()
