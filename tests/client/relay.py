"""A network between a browser and a server that delays, falls silent and cuts, at random but by a seed."""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from tests.deadlines import deadline

__all__ = ["Relay", "relay"]

RESET = struct.pack("ii", 1, 0)


class Relay:
    """Passes bytes on, until it is told to do otherwise; its methods may be called from any thread."""

    def __init__(self, target: int, seed: int) -> None:
        self.target = target
        """The server's port."""
        self.port = 0
        self.is_bad = False
        """Whether it fails at random."""
        self.breaks_websockets = False
        """Whether it ends the connection of each handshake, as some proxies do."""
        self.cuts = 0
        self.handshakes = 0
        self._random = random.Random(seed)
        self._open: set[asyncio.StreamWriter] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)

    def start(self) -> None:
        self._thread.start()
        self._call(self._listen())

    def stop(self) -> None:
        self._call(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def cut(self) -> None:
        """Reset all connections."""
        self._call(self._cut_all())

    def _call(self, coroutine: object) -> None:
        asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(deadline(10))  # type: ignore[arg-type]  # any coroutine

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _end(self) -> None:
        # A server that closes leaves the sockets open that it has just accepted: first accept no more, and end those.
        self._loop.remove_reader(self._server.sockets[0].fileno())
        while tasks := asyncio.all_tasks() - {asyncio.current_task()}:
            await self._cut_all()
            await asyncio.wait(tasks, timeout=0.1)
        self._server.close()
        await self._server.wait_closed()

    async def _cut_all(self) -> None:
        for writer in list(self._open):
            self._reset(writer)

    def _reset(self, writer: asyncio.StreamWriter) -> None:
        sock = writer.get_extra_info("socket")
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        writer.transport.abort()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there_reader, there_writer = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            self._reset(writer)
            with contextlib.suppress(OSError):
                await writer.wait_closed()
            return
        ends = {writer, there_writer}
        self._open |= ends
        directions = [
            asyncio.ensure_future(self._pass_on(reader, there_writer, from_browser=True)),
            asyncio.ensure_future(self._pass_on(there_reader, writer)),
        ]
        try:
            await asyncio.wait(directions, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for direction in directions:
                direction.cancel()
            await asyncio.wait(directions)
            self._open -= ends
            for end in ends:
                end.close()
                with contextlib.suppress(OSError):
                    await end.wait_closed()

    async def _pass_on(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, from_browser: bool = False
    ) -> None:
        """Until either end closes, or fate strikes."""
        with contextlib.suppress(OSError):
            while data := await reader.read(4096):
                if from_browser and b"\r\nUpgrade: websocket\r\n" in data:
                    self.handshakes += 1
                    if self.breaks_websockets:
                        return
                if self.is_bad and await self._strikes(data, writer):
                    self.cuts += 1
                    return
                writer.write(data)
                await writer.drain()

    async def _strikes(self, data: bytes, writer: asyncio.StreamWriter) -> bool:
        """Whether the connection ends here; perhaps in the middle of ``data``, perhaps after a silence."""
        await asyncio.sleep(self._random.choice((0, 0, 0.01, 0.05)))
        match self._random.randrange(40):
            case 0:
                writer.write(data[: self._random.randrange(len(data) + 1)])
                return True
            case 1:
                await asyncio.sleep(self._random.uniform(0, 1))
                return True
            case 2:
                self._reset(writer)
                return True
        return False


@contextmanager
def relay(target: int, seed: int) -> Iterator[Relay]:
    """A relay to the server at the port ``target``."""
    network = Relay(target, seed)
    network.start()
    try:
        yield network
    finally:
        network.stop()
