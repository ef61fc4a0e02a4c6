"""What a client sends, right or wrong."""

from __future__ import annotations

import zlib

from django_websocket.protocol.assembly import Message
from django_websocket.protocol.connection import Connection
from django_websocket.protocol.masking import apply_mask_python

__all__ = ["bomb", "close", "compressed", "deflated", "feed", "frame", "header", "inflate_all", "text"]

MASK = b"\x37\xfa\x21\x3d"


def header(first: int, length: int, mask: bytes = MASK) -> bytes:
    """A frame's header: ``first`` is its first byte, ``length`` what it announces."""
    if length < 126:
        return bytes((first, 0x80 | length)) + mask
    if length < 65536:
        return bytes((first, 0xFE)) + length.to_bytes(2, "big") + mask
    return bytes((first, 0xFF)) + length.to_bytes(8, "big") + mask


def frame(first: int, payload: bytes = b"", mask: bytes = MASK) -> bytes:
    """A masked frame; ``first`` is its first byte, as in RFC 6455, section 5.2."""
    return header(first, len(payload), mask) + apply_mask_python(payload, mask)


def text(message: str) -> bytes:
    """A text message in one frame."""
    return frame(0x81, message.encode())


def close(code: int | None = None, reason: bytes = b"") -> bytes:
    """A close frame, without a payload if ``code`` is None."""
    return frame(0x88, b"" if code is None else code.to_bytes(2, "big") + reason)


def deflated(payload: bytes, compressor: zlib._Compress | None = None) -> bytes:
    """``payload`` as RFC 7692, section 7.2.1 compresses it."""
    if compressor is None:
        compressor = zlib.compressobj(wbits=-15)
    data = compressor.compress(payload) + compressor.flush(zlib.Z_SYNC_FLUSH)
    assert data.endswith(b"\x00\x00\xff\xff")
    return data[:-4]


def compressed(first: int, payload: bytes, compressor: zlib._Compress | None = None) -> bytes:
    """A frame with RSV1 whose payload is compressed."""
    return frame(first | 0x40, deflated(payload, compressor))


def bomb(size: int) -> bytes:
    """``size`` zero bytes, compressed about a thousand times."""
    compressor = zlib.compressobj(9, wbits=-15)
    block = bytes(65536)
    data = b"".join(compressor.compress(block) for _ in range(size // len(block)))
    return (data + compressor.flush(zlib.Z_SYNC_FLUSH))[:-4]


def feed(connection: Connection, data: bytes, step: int | None = None) -> list[Message]:
    """Hand ``data`` over, in pieces of ``step`` bytes, and take every message as it comes."""
    taken: list[Message] = []
    step = step or max(len(data), 1)
    for pos in range(0, max(len(data), 1), step):
        connection.receive_data(data[pos : pos + step])
        while True:
            taken += connection.messages
            connection.messages.clear()
            if connection.inflating:
                connection.inflate()
            elif connection.full:
                connection.resume()
            else:
                break
    return taken


def inflate_all(connection: Connection) -> None:
    """Go on inflating until nothing is left to inflate."""
    while connection.inflating:
        connection.inflate()
