"""A websocket client that sees every byte, and does as it is told, however wrong."""

from __future__ import annotations

import os
import socket
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from tests.deadlines import deadline

__all__ = ["BINARY", "CLOSE", "PING", "PONG", "TEXT", "Frame", "Peer", "close_frame", "crowd", "frame", "handshake"]

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10

#: Two and two bytes cancel out: what is masked with it is easy to read in a dump.
MASK = b"\x00\x00\x00\x00"

KEY = "dGhlIHNhbXBsZSBub25jZQ=="


class Frame(NamedTuple):
    opcode: int
    payload: bytes

    @property
    def text(self) -> str:
        assert self.opcode == TEXT, self
        return self.payload.decode()

    @property
    def code(self) -> int:
        """The code of a close frame."""
        assert self.opcode == CLOSE, self
        return int.from_bytes(self.payload[:2], "big") if self.payload else 1005


def frame(opcode: int, payload: bytes = b"", *, fin: bool = True) -> bytes:
    """A client's frame."""
    first = opcode | (0x80 if fin else 0)
    size = len(payload)
    if size < 126:
        head = struct.pack("!BB", first, 0x80 | size)
    elif size < 65536:
        head = struct.pack("!BBH", first, 0xFE, size)
    else:
        head = struct.pack("!BBQ", first, 0xFF, size)
    return head + MASK + payload


def close_frame(code: int = 1000) -> bytes:
    return frame(CLOSE, code.to_bytes(2, "big"))


def handshake(path: str, *headers: str) -> bytes:
    lines = [
        f"GET {path} HTTP/1.1",
        "Host: 127.0.0.1",
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Key: {KEY}",
        "Sec-WebSocket-Version: 13",
        *headers,
    ]
    return "\r\n".join([*lines, "", ""]).encode()


class Peer:
    """One connection. ``receive_buffer`` bounds what the kernel takes for it; ``source`` is its own address."""

    def __init__(
        self, port: int, *, receive_buffer: int | None = None, host: str = "127.0.0.1", source: str | None = None
    ) -> None:
        self.sock = socket.socket()
        if source is not None:
            self.sock.bind((source, 0))
        if receive_buffer is not None:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.sock.settimeout(deadline(30))
        try:
            self.sock.connect((host, port))
        except OSError:
            self.sock.close()
            raise
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b""

    def __enter__(self) -> Peer:
        return self

    def __exit__(self, *_: object) -> None:
        self.sock.close()

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def send_text(self, text: str) -> None:
        self.sock.sendall(frame(TEXT, text.encode()))

    def take(self, count: int) -> bytes:
        while len(self.buffer) < count:
            data = self.sock.recv(65536)
            if not data:
                raise EOFError(f"the server closed the connection behind {self.buffer[:200]!r}")
            self.buffer += data
        data, self.buffer = self.buffer[:count], self.buffer[count:]
        return data

    def head(self) -> tuple[int, dict[str, str]]:
        """Status and headers of a response."""
        while b"\r\n\r\n" not in self.buffer:
            data = self.sock.recv(65536)
            if not data:
                raise EOFError(f"the server closed the connection behind {self.buffer[:200]!r}")
            self.buffer += data
        raw, _, self.buffer = self.buffer.partition(b"\r\n\r\n")
        first, *lines = raw.decode("latin-1").split("\r\n")
        return int(first.split()[1]), {k.lower(): v for k, v in (line.split(": ", 1) for line in lines)}

    def open(self, path: str, *headers: str) -> Peer:
        """Do the handshake, which must succeed."""
        self.send(handshake(path, *headers))
        status, _ = self.head()
        assert status == 101, status
        return self

    def get(self, path: str, *headers: str) -> tuple[int, dict[str, str], bytes]:
        """One request on this connection."""
        lines = [f"GET {path} HTTP/1.1", "Host: 127.0.0.1", *headers]
        self.send("\r\n".join([*lines, "", ""]).encode())
        status, answer = self.head()
        return status, answer, self.take(int(answer["content-length"])) if "content-length" in answer else self.rest()

    def frame(self) -> Frame:
        """The next frame, of whatever kind."""
        first, length = self.take(2)
        assert first & 0x70 == 0, f"reserved bits: {first:#x}"
        assert length < 128, "a server's frame is masked"
        if length == 126:
            length = int.from_bytes(self.take(2), "big")
        elif length == 127:
            length = int.from_bytes(self.take(8), "big")
        return Frame(first & 0x0F, self.take(length))

    def message(self) -> Frame:
        """The next frame that isn't a ping (which is answered) or a pong."""
        end = time.monotonic() + deadline(30)
        while time.monotonic() < end:
            received = self.frame()
            if received.opcode == PING:
                self.send(frame(PONG, received.payload))
            elif received.opcode != PONG:
                return received
        raise TimeoutError("nothing but pings and pongs came")

    def text(self) -> str:
        return self.message().text

    def closing(self) -> int:
        """The code of the close frame that comes next; it is answered, then the server closes, and so do we."""
        received = self.message()
        code = received.code
        self.send(frame(CLOSE, received.payload[:2]))
        assert self.rest() == b"", "nothing follows a close frame"
        self.sock.close()
        return code

    def rest(self) -> bytes:
        """All that comes until the server closes, be it with a reset."""
        try:
            while data := self.sock.recv(65536):
                self.buffer += data
        except ConnectionResetError:
            pass
        rest, self.buffer = self.buffer, b""
        return rest

    def gone(self) -> bool:
        """Wait until the server closes, whatever it sends before that; then close, too."""
        try:
            while self.sock.recv(65536):
                pass
        except ConnectionResetError:
            pass
        self.sock.close()
        return True

    def reset(self) -> None:
        """Close with a TCP reset."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()


@contextmanager
def crowd(port: int, path: str, size: int, *headers: str, batch: int = 100) -> Iterator[list[Peer]]:
    """``size`` open websockets."""
    peers: list[Peer] = []
    try:
        request = handshake(path, *headers)
        while len(peers) < size:
            new = [Peer(port) for _ in range(min(batch, size - len(peers)))]
            peers += new
            for peer in new:
                peer.send(request)
            for peer in new:
                status, _ = peer.head()
                assert status == 101, status
        yield peers
    finally:
        for peer in peers:
            peer.sock.close()


def available_descriptors() -> int:
    """How many this process may have, having raised the limit as far as it goes."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard - len(os.listdir("/proc/self/fd"))
