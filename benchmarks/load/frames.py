"""The client's half of RFC 6455, as much as a load generator needs. Pure: bytes in, bytes out."""

from __future__ import annotations

import base64
import hashlib
import zlib
from typing import Final

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10
MASK: Final = b"\x37\xfa\x21\x3d"
KEY: Final = base64.b64encode(b"benchmark client")
ACCEPT: Final = base64.b64encode(hashlib.sha1(KEY + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())


class LoadError(Exception):
    """The server failed the job; the message goes into the report."""


def handshake(port: int, path: str, *, deflate: bool) -> bytes:
    """An opening handshake as a browser on the same site sends it."""
    lines = [
        f"GET {path} HTTP/1.1",
        f"Host: 127.0.0.1:{port}",
        f"Origin: http://127.0.0.1:{port}",
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Key: {KEY.decode()}",
        "Sec-WebSocket-Version: 13",
        "User-Agent: benchmark",
        "Accept-Language: en",
    ]
    if deflate:
        # Without context takeover each reply is the same bytes, so that it can be counted.
        lines.append(
            "Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; client_no_context_takeover"
        )
    return "\r\n".join([*lines, "", ""]).encode()


def check_handshake(head: bytes, *, deflate: bool) -> None:
    """Raises :exc:`LoadError` unless ``head`` switches protocols as asked."""
    status = head.split(b"\r\n", 1)[0]
    if status.split(b" ")[1:2] != [b"101"]:
        raise LoadError(f"handshake answered with {status.decode('latin-1')}")
    if ACCEPT not in head:
        raise LoadError("handshake answered with a wrong Sec-WebSocket-Accept")
    if deflate and b"permessage-deflate" not in head.lower():
        raise LoadError("does not negotiate permessage-deflate")


def masked_frame(opcode: int, payload: bytes, *, compressed: bool = False) -> bytes:
    """One unfragmented frame from a client."""
    size = len(payload)
    first = 0x80 | (0x40 if compressed else 0) | opcode
    if size < 126:
        head = bytes([first, 0x80 | size])
    elif size < 0x10000:
        head = bytes([first, 0x80 | 126]) + size.to_bytes(2, "big")
    else:
        head = bytes([first, 0x80 | 127]) + size.to_bytes(8, "big")
    mask = MASK * (size // 4 + 1)
    masked = int.from_bytes(payload, "big") ^ int.from_bytes(mask[:size], "big")
    return head + MASK + masked.to_bytes(size, "big")


def deflated(payload: bytes) -> bytes:
    """``payload`` as permessage-deflate carries it (RFC 7692, section 7.2.1)."""
    deflater = zlib.compressobj(wbits=-15)
    return (deflater.compress(payload) + deflater.flush(zlib.Z_SYNC_FLUSH))[:-4]


def inflated(payload: bytes) -> bytes:
    """The reverse of :func:`deflated`."""
    return zlib.decompressobj(wbits=-15).decompress(payload + b"\x00\x00\xff\xff")


class FrameReader:
    """Counts whole messages in a stream of a server's frames, and keeps what has to be answered or compared."""

    __slots__ = (
        "_control",
        "_control_payload",
        "_end",
        "_head",
        "_left",
        "closed",
        "compressed",
        "keep",
        "payload",
        "pings",
    )

    def __init__(self) -> None:
        self._head = b""
        self._left = 0
        self._control = 0
        self._control_payload = b""
        self._end = False
        self.closed = False
        self.compressed = False
        self.keep = False
        self.payload = b""
        self.pings: list[bytes] = []

    @property
    def between_frames(self) -> bool:
        """True when everything that was fed has been whole frames."""
        return not self._left and not self._head

    def feed(self, data: bytes | memoryview) -> int:
        """The number of messages that ended in ``data``."""
        if self._head:
            data = self._head + bytes(data)
            self._head = b""
        size, at, finished = len(data), 0, 0
        while at < size:
            if self._left:
                taken = min(self._left, size - at)
                if self._control:
                    self._control_payload += bytes(data[at : at + taken])
                elif self.keep:
                    self.payload += bytes(data[at : at + taken])
                at += taken
                self._left -= taken
            else:
                length = data[at + 1] & 0x7F if size - at > 1 else 0
                head = 2 if length < 126 else 4 if length == 126 else 10
                if size - at < head:
                    self._head = bytes(data[at:])
                    break
                self._begin(data[at], length if head == 2 else int.from_bytes(data[at + 2 : at + head], "big"))
                at += head
            if not self._left:
                finished += self._finish()
        return finished

    def _begin(self, first: int, length: int) -> None:
        opcode = first & 0x0F
        self._left = length
        self._control = opcode if opcode >= CLOSE else 0
        self._end = bool(first & 0x80)
        if first & 0x40:
            self.compressed = True
        self._control_payload = b""

    def _finish(self) -> int:
        if not self._control:
            return int(self._end)
        if self._control == PING:
            self.pings.append(self._control_payload)
        elif self._control == CLOSE:
            self.closed = True
        self._control = 0
        return 0
