"""The channels that everything above them must work with: one body of tests runs over each."""

from __future__ import annotations

import select
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any, Protocol

import pytest

from django_websocket.channel import Channel
from django_websocket.serving.patch import eventlet
from django_websocket.serving.sockets.channel import EventletChannel
from django_websocket.serving.tls import TLS
from django_websocket.serving.wire import Wire
from django_websocket.testing.memory import MemoryScheduler
from django_websocket.testing.memory import connect as connect_in_memory
from tests.certificates import authority, client_context
from tests.deadlines import deadline


class Peer(Protocol):
    """The client's end of a channel; it never blocks."""

    def send(self, data: bytes) -> int: ...
    def receive(self, size: int = ...) -> bytes: ...
    def shut_down(self) -> None: ...
    def close(self) -> None: ...
    def reset(self) -> None: ...


class World(Protocol):
    """A scheduler, and the channels that it serves."""

    def connect(self) -> tuple[Channel, Peer]: ...
    def spawn(self, function: Callable[..., object], *args: Any) -> Any: ...
    def run(self, seconds: float = 0) -> None: ...
    def check_quiet(self) -> None: ...


class MemoryWorld:
    def __init__(self) -> None:
        self.scheduler = MemoryScheduler()

    def connect(self) -> tuple[Channel, Peer]:
        return connect_in_memory(self.scheduler)

    def spawn(self, function: Callable[..., object], *args: Any) -> Any:
        return self.scheduler.spawn(function, *args)

    def run(self, seconds: float = 0) -> None:
        self.scheduler.run(seconds)

    def check_quiet(self) -> None:
        assert self.scheduler._channels == []


class SocketPeer:
    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock

    def send(self, data: bytes) -> int:
        try:
            return self.sock.send(data)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError) as error:
            raise BlockingIOError from error

    def receive(self, size: int = 65536) -> bytes:
        try:
            return self.sock.recv(size)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError) as error:
            raise BlockingIOError from error

    def shut_down(self) -> None:
        if isinstance(self.sock, ssl.SSLSocket):
            try:
                self.sock.unwrap()
            except ssl.SSLError:
                pass
        self.sock.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        self.sock.close()

    def reset(self) -> None:
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.sock.close()


class EventletWorld:
    """Real connections on the hub of this thread."""

    def __init__(self) -> None:
        self._open: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        # A test before this one may have left something on the hub of this thread.
        self._watched_before = self._watched()

    def _pair(self) -> tuple[socket.socket, socket.socket]:
        client = socket.create_connection(self._listener.getsockname())
        server, _ = self._listener.accept()
        return server, client

    def connect(self) -> tuple[Channel, Peer]:
        wire, client = self._connect()
        for sock in (wire.sock, client):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.setblocking(False)
            self._open.append(sock)
        return EventletChannel(wire), SocketPeer(client)

    def _connect(self) -> tuple[Wire, socket.socket]:
        server, client = self._pair()
        return Wire(server), client

    def spawn(self, function: Callable[..., object], *args: Any) -> Any:
        return eventlet.spawn(function, *args)

    def run(self, seconds: float = 0) -> None:
        end = time.monotonic() + seconds
        self._take_turns()
        if seconds:
            eventlet.sleep(max(0.0, end - time.monotonic()))
            # What was due in that time takes effect a turn later, which on a busy machine may be behind its end.
            self._take_turns()

    def _take_turns(self) -> None:
        for _ in range(20):
            eventlet.sleep(0)

    def _watched(self) -> set[object]:
        listeners = eventlet.hubs.get_hub().listeners
        return {*listeners["read"].values(), *listeners["write"].values()}

    def check_quiet(self) -> None:
        assert self._watched() <= self._watched_before

    def end(self) -> None:
        for sock in self._open:
            sock.close()
        self._listener.close()


@cache
def server_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority().issue_cert("localhost").configure_cert(context)
    return context


class TLSWorld(EventletWorld):
    def _connect(self) -> tuple[Wire, socket.socket]:
        server, client = self._pair()
        server.setblocking(False)
        wire = TLS(server_context).wire(server)
        with ThreadPoolExecutor(1) as thread:
            wrapped = thread.submit(client_context().wrap_socket, client, server_hostname="localhost")
            until = time.monotonic() + deadline(10)
            while time.monotonic() < until:
                try:
                    wire.shake_hands()
                    break
                except BlockingIOError:
                    select.select([server], [server] if wire.has_unsent else [], [], deadline(10))
            return wire, wrapped.result(deadline(10))


@pytest.fixture(params=["memory", "eventlet", "tls"])
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    """Each world in turn; in the end nothing may be left to watch."""
    if request.param == "memory":
        memory = MemoryWorld()
        yield memory
        memory.check_quiet()
        return
    real = EventletWorld() if request.param == "eventlet" else TLSWorld()
    try:
        yield real
        real.check_quiet()
    finally:
        real.end()


def run_until(world: World, condition: Callable[[], bool], seconds: float = 10) -> None:
    """Let the world run until ``condition`` is true; AssertionError after ``seconds`` (scaled)."""
    end = time.monotonic() + deadline(seconds)
    while not condition():
        world.run()
        if time.monotonic() > end:
            raise AssertionError("it did not come true")


def receive_all(world: World, peer: Peer, enough: Callable[[bytes], bool] = lambda data: False) -> bytes:
    """What comes until the end of the stream, or until it is ``enough``."""
    data = bytearray()
    end = time.monotonic() + deadline(10)
    while not enough(bytes(data)):
        try:
            piece = peer.receive()
        except BlockingIOError:
            if time.monotonic() > end:
                raise AssertionError(f"neither the end nor enough after {len(data)} bytes") from None
            world.run()
            continue
        if not piece:
            break
        data += piece
    return bytes(data)
