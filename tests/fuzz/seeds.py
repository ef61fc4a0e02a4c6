"""Inputs that a fuzzer would need long to come upon, to start from."""

from __future__ import annotations

import zlib

from .streams import STREAMS

__all__ = ["SEEDS"]


def frame(first: int, payload: bytes, mask: bytes = bytes(4)) -> bytes:
    """A client's frame; the zero mask lets a fuzzer change payloads directly."""
    masked = bytes(byte ^ mask[i % 4] for i, byte in enumerate(payload))
    length = len(payload)
    if length < 126:
        return bytes((first, 0x80 | length)) + mask + masked
    if length < 65536:
        return bytes((first, 0xFE)) + length.to_bytes(2, "big") + mask + masked
    return bytes((first, 0xFF)) + length.to_bytes(8, "big") + mask + masked


def compressed(payload: bytes) -> bytes:
    """The payload as permessage-deflate sends it."""
    compressor = zlib.compressobj(wbits=-15)
    return (compressor.compress(payload) + compressor.flush(zlib.Z_SYNC_FLUSH))[:-4]


_STREAMS = (
    frame(0x81, b"hello"),
    frame(0x81, "h\u00e9llo \U0001f600".encode(), b"\x01\x02\x03\x04") + frame(0x82, b"\x00\xff"),
    frame(0x01, b"a\xc3") + frame(0x89, b"ping") + frame(0x00, b"\xa9") + frame(0x80, b""),
    frame(0x88, b"\x03\xe8bye") + frame(0x81, b"late"),
    frame(0x88, b"") + frame(0x88, b""),
    frame(0x8A, b"x") * 3 + frame(0x82, bytes(126)),
    frame(0x82, bytes(70)) * 12,
    frame(0xC1, compressed(b"abc" * 30)) * 2,
    frame(0x41, compressed(b"abc" * 30)[:3]) + frame(0x80, compressed(b"abc" * 30)[3:]),
    frame(0xC2, zlib.compress(bytes(5000), wbits=-15)) + frame(0xC2, b"\x03\x00" * 20),
)

_LINES = (
    "GET HTTP/1.1",
    "POST HTTP/1.1",
    "GET HTTP/1.0",
    "\nfoo, WebSocket\nkeep-alive, Upgrade",
    "\n-\n-\n-\n-",
    "\n\n\n8",
    "\n\n\n13, 8\nx",
    "\n\n\n\n\nchat, superchat, ,",
    '\n\n\n\n\n\na; b=c; d="e\\f", permessage-deflate; client_max_window_bits',
    "\n\n\n\n\n\n\n5\nchunked",
)

_OFFERS = (
    "",
    "; client_max_window_bits",
    "; client_max_window_bits=9; server_max_window_bits=10",
    '; server_max_window_bits="12"; server_no_context_takeover',
    "; client_no_context_takeover, permessage-deflate; server_max_window_bits=8",
)

#: Of a client's script: send, and let the server run.
_SENT = [bytes((0, len(stream))) + stream + b"\x05" for stream in _STREAMS if len(stream) < 256]

#: Of a view: to echo, to be slow, to send much, to close.
_VIEWS = (b"\x00\x04\x00\x04", b"\x02\x02\x00\x07", b"\x05\x05\x06", b"\x03\x08\x09\x09\x00")

SEEDS: dict[str, list[bytes]] = {
    "frames": [bytes((flags, 3, 5)) + stream for stream in _STREAMS for flags in (0x18, 0x19, 0x1F, 0x98)],
    "handshake": [line.encode() for line in _LINES],
    "http": [bytes((flags, 5)) + stream for stream in STREAMS for flags in (0, 1, 2, 12)],
    "socket": [
        bytes((flags, len(view))) + view + sent + end
        for sent in _SENT
        for view in _VIEWS
        for flags, end in ((0, b"\x1c"), (1, b"\x0e\x05"), (3, b"\x07"))
    ],
    "deflate": [offer.encode() + b"\n" + compressed(b"abc" * 9) for offer in _OFFERS] + [b"\n" + b"\x03\x00" * 150],
}
