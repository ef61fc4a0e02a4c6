"""Clients that come back where they were, whatever happens to the servers, and take down what they got."""

from __future__ import annotations

import asyncio
import json
import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from tests.deadlines import deadline, wait_until

__all__ = ["Crowd", "crowd"]


class Client:
    """One client: its messages, and the position of the last one."""

    def __init__(self, since: str, pause: float) -> None:
        self.position = since
        self.pause = pause
        """Seconds that it waits at most before it comes back."""
        self.returns: list[float] = []
        """Seconds that each return took, the pause not counted."""
        self.codes: list[int] = []
        """Those of the close frames that it got."""
        self.failures: list[str] = []
        """Why it could not connect."""
        self.messages: list[str] = []
        self.positions: list[str] = []
        self.joins = 0
        self.incomplete = 0
        self.connection: Any = None

    async def run(self, url: str) -> None:
        while True:
            began = time.monotonic()
            try:
                async with connect(
                    f"{url}&since={self.position}", compression=None, proxy=None, open_timeout=30, ping_interval=None
                ) as self.connection:
                    self.returns.append(time.monotonic() - began)
                    async for message in self.connection:
                        self._take(json.loads(message))
            except ConnectionClosed:
                pass
            except (OSError, InvalidHandshake, TimeoutError) as error:
                self.failures.append(repr(error))
            if self.connection is not None and self.connection.close_code is not None:
                self.codes.append(self.connection.close_code)
            await asyncio.sleep(random.uniform(0, self.pause))

    def _take(self, message: dict[str, Any]) -> None:
        if "joined" in message:
            self.joins += 1
            self.incomplete += not message["joined"]
        else:
            self.position = message["position"]
            self.messages.append(message["message"])
            self.positions.append(self.position)


class Crowd:
    """Clients in a thread of their own."""

    def __init__(self) -> None:
        self.clients: list[Client] = []
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        self._tasks: list[Any] = []

    def add(self, url: str, since: str = "0", *, pause: float = 0.5) -> Client:
        client = Client(since, pause)
        self.clients.append(client)
        self._tasks.append(asyncio.run_coroutine_threadsafe(client.run(url), self._loop))
        return client

    def drop_all(self) -> None:
        """Every client loses its connection."""
        self._loop.call_soon_threadsafe(self._abort)

    def _abort(self) -> None:
        for client in self.clients:
            if client.connection is not None:
                client.connection.transport.abort()

    def wait_for_joins(self, number: int) -> None:
        """Wait until each has joined so many times."""
        wait_until(lambda: all(client.joins >= number for client in self.clients), 120, f"{number} joins of each")

    def wait_for_position(self, position: str) -> None:
        """Wait until each has got the message at ``position``."""
        wait_until(lambda: all(client.position == position for client in self.clients), 60, f"all are at {position}")

    def end(self) -> None:
        for task in self._tasks:
            task.cancel()
        asyncio.run_coroutine_threadsafe(asyncio.sleep(0.2), self._loop).result(deadline(10))
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


@contextmanager
def crowd() -> Iterator[Crowd]:
    """Clients, ended at the end."""
    clients = Crowd()
    try:
        yield clients
    finally:
        clients.end()
