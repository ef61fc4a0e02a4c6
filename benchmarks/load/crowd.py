"""Many client websockets on one epoll: opened with bounded concurrency, kept alive, closed properly."""

from __future__ import annotations

import os
import resource
import select
import socket
import time
from dataclasses import dataclass, field

from .frames import (
    CLOSE,
    PONG,
    FrameReader,
    LoadError,
    check_handshake,
    handshake,
    inflated,
    masked_frame,
)

_BIND_ADDRESS_NO_PORT = 24  # IP_BIND_ADDRESS_NO_PORT of ip(7): the port is chosen at connect, per destination
PATIENCE = 20.0  # seconds without any progress after which a server has failed


@dataclass
class Opening:
    """How opening went: each handshake's duration, and the longest time in which none was finished (seconds)."""

    seconds: float = 0.0
    longest_gap: float = 0.0
    handshakes: list[float] = field(default_factory=list)


class Member:
    """One websocket of a crowd; ``head`` collects the response of its handshake and is None once it is open."""

    __slots__ = ("head", "reader", "sock", "started")

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.head: bytes | None = b""
        self.reader = FrameReader()
        self.started = time.perf_counter()


class Crowd:
    """Client websockets to 127.0.0.1:``port``, from the address ``source``."""

    def __init__(self, port: int, path: str, *, deflate: bool = False, source: str = "127.0.0.1") -> None:
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        self.port = port
        self.deflate = deflate
        self.source = source
        self.epoll = select.epoll()
        self.members: dict[int, Member] = {}
        self.newcomers: list[Member] = []
        self.lost = 0
        self.messages = 0
        self.pings = 0
        self._request = handshake(port, path, deflate=deflate)
        self._buffer = memoryview(bytearray(1 << 18))
        self._opening: set[int] = set()
        self._progress = Opening()
        self._last_opened = 0.0

    def open(self, count: int, *, concurrency: int = 64) -> Opening:
        """Open ``count`` more websockets, at most ``concurrency`` handshakes at a time.

        Raises LoadError if the server refuses one, or if none succeeds for :data:`PATIENCE` seconds.
        """
        self._progress = progress = Opening()
        start = self._last_opened = time.perf_counter()
        left = count
        while left or self._opening:
            while left and len(self._opening) < concurrency:
                self._connect()
                left -= 1
            self.turn(0.5)
            if time.perf_counter() - self._last_opened > PATIENCE:
                opened = count - left - len(self._opening)
                raise LoadError(f"{opened} of {count} sockets open, then no handshake for {PATIENCE:.0f} s")
        progress.seconds = time.perf_counter() - start
        return progress

    def turn(self, timeout: float) -> None:
        """Handle pending events, waiting at most ``timeout`` seconds for the first."""
        for fd, event in self.epoll.poll(timeout):
            member = self.members.get(fd)
            if member is None:
                self.unknown(fd)
            elif event & select.EPOLLOUT and member.head is not None:
                self._request_handshake(fd, member)
            else:
                self._receive(fd, member)

    def unknown(self, fd: int) -> None:
        """Called when another descriptor registered with the epoll is ready; for subclasses."""

    def hold(self, seconds: float) -> None:
        """Keep every member alive for ``seconds``."""
        end = time.perf_counter() + seconds
        while (left := end - time.perf_counter()) > 0:
            self.turn(left)

    def greet(self, frame: bytes, payload: bytes) -> int:
        """Send ``frame`` on each socket that has not been greeted yet, and compare the reply with ``payload``.

        Returns the reply's size on the wire in bytes.
        """
        sizes = [self._exchange(member, frame, payload) for member in self.newcomers]
        self.newcomers.clear()
        return min(sizes)

    def close(self, *, patience: float = 5.0) -> int:
        """Close every socket with a closing handshake; return how many got no answer within ``patience`` seconds.

        The wait starts anew with each socket that is closed.
        """
        frame = masked_frame(CLOSE, (1000).to_bytes(2, "big"))
        for fd, member in list(self.members.items()):
            try:
                member.sock.send(frame)
            except OSError:
                self._drop(fd, member)
        end = time.perf_counter() + patience
        while self.members and time.perf_counter() < end:
            before = len(self.members)
            self.turn(0.1)
            if len(self.members) < before:
                end = time.perf_counter() + patience
        unanswered = 0
        for fd, member in list(self.members.items()):
            unanswered += not member.reader.closed
            self._drop(fd, member)
        return unanswered

    def _connect(self) -> None:
        sock = socket.socket()
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.IPPROTO_IP, _BIND_ADDRESS_NO_PORT, 1)
        sock.bind((self.source, 0))
        sock.connect_ex(("127.0.0.1", self.port))
        fd = sock.fileno()
        self.members[fd] = Member(sock)
        self._opening.add(fd)
        self.epoll.register(fd, select.EPOLLOUT)

    def _request_handshake(self, fd: int, member: Member) -> None:
        error = member.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if error:
            raise LoadError(f"cannot connect: {os.strerror(error)}")
        member.sock.send(self._request)
        self.epoll.modify(fd, select.EPOLLIN)

    def _receive(self, fd: int, member: Member) -> None:
        try:
            size = member.sock.recv_into(self._buffer)
        except BlockingIOError:
            return
        except OSError:
            size = 0
        if not size:
            if member.head is not None:
                raise LoadError("connection closed during the handshake")
            self._drop(fd, member)
        elif member.head is not None:
            self._handshake_received(fd, member, bytes(self._buffer[:size]))
        else:
            self.take(member, self._buffer[:size])

    def _handshake_received(self, fd: int, member: Member, data: bytes) -> None:
        assert member.head is not None
        member.head += data
        head, end, rest = member.head.partition(b"\r\n\r\n")
        if not end:
            return
        check_handshake(head, deflate=self.deflate)
        member.head = None
        self.newcomers.append(member)
        self._opening.discard(fd)
        now = time.perf_counter()
        self._progress.handshakes.append(now - member.started)
        self._progress.longest_gap = max(self._progress.longest_gap, now - self._last_opened)
        self._last_opened = now
        if rest:
            self.take(member, rest)

    def take(self, member: Member, data: bytes | memoryview) -> int:
        """Count the messages in ``data`` and answer its pings; the number of messages that ended in it."""
        reader = member.reader
        finished = reader.feed(data)
        self.messages += finished
        for payload in reader.pings:
            self.pings += 1
            member.sock.send(masked_frame(PONG, payload))
        if reader.pings:
            reader.pings = []
        return finished

    def _drop(self, fd: int, member: Member) -> None:
        if not member.reader.closed:
            self.lost += 1
        self._opening.discard(fd)
        del self.members[fd]
        member.sock.close()

    def _exchange(self, member: Member, frame: bytes, payload: bytes) -> int:
        sock, reader, size = member.sock, member.reader, 0
        sock.settimeout(PATIENCE)
        reader.keep, reader.payload, reader.compressed = True, b"", False
        try:
            sock.sendall(frame)
            while True:
                data = sock.recv(1 << 18)
                if not data:
                    raise LoadError("closed instead of answering the first message")
                size += len(data)
                if self.take(member, data):
                    break
        except TimeoutError:
            raise LoadError(f"no reply to the first message within {PATIENCE:.0f} s") from None
        except ConnectionError as error:
            raise LoadError(f"connection lost at the first message: {error.strerror}") from None
        sock.setblocking(False)
        reply = inflated(reader.payload) if reader.compressed else reader.payload
        if reply != payload:
            raise LoadError("the reply is not an echo")
        if self.deflate and not reader.compressed:
            raise LoadError("negotiates permessage-deflate but replies uncompressed")
        reader.keep, reader.payload = False, b""
        return size
