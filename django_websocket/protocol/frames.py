"""Encoding of server frames and close payloads, and the constants of RFC 6455 that both directions share."""

from __future__ import annotations

import struct

from ..close_codes import CloseCode

__all__ = [
    "BINARY",
    "CLOSE",
    "CONTINUATION",
    "MAX_CONTROL_PAYLOAD",
    "PING",
    "PONG",
    "TEXT",
    "TEXT_HEADERS",
    "close_payload",
    "encode_frame",
    "is_valid_close_code",
    "parse_close_payload",
]

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA

FIN = 0x80
RSV1 = 0x40

MAX_CONTROL_PAYLOAD = 125
"""Section 5.5: "All control frames MUST have a payload length of 125 bytes or less"."""

_SENDABLE_CLOSE_CODES = frozenset(code for code in CloseCode if code.is_sendable)

_pack_16 = struct.Struct("!BBH").pack
_pack_64 = struct.Struct("!BBQ").pack

# The two-byte headers of short frames, precomputed: a short message then costs only a concatenation.
_SHORT_HEADERS = {
    first: tuple(bytes((first, length)) for length in range(126))
    for first in (
        opcode | bits
        for opcode in (CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG)
        for bits in (0, FIN, RSV1, FIN | RSV1)
    )
}

TEXT_HEADERS = _SHORT_HEADERS[FIN | TEXT]
"""Headers of unfragmented text, the most common case, by payload length."""


def encode_frame(opcode: int, payload: bytes, *, fin: bool = True, rsv1: bool = False) -> bytes:
    """Return one unmasked frame. Section 5.1: "A server MUST NOT mask any frames that it sends to the client"."""
    first = opcode | (FIN if fin else 0) | (RSV1 if rsv1 else 0)
    length = len(payload)
    if length < 126:
        return _SHORT_HEADERS[first][length] + payload
    if length < 65536:
        return _pack_16(first, 126, length) + payload
    return _pack_64(first, 127, length) + payload


def is_valid_close_code(code: int) -> bool:
    """Whether ``code`` is allowed in a close frame (section 7.4)."""
    return code in _SENDABLE_CLOSE_CODES or 3000 <= code < 5000


def close_payload(code: int, reason: str = "") -> bytes:
    """Return the payload of a close frame.

    Raises ValueError if the code may not be sent, the reason exceeds 123 bytes of UTF-8, or a reason comes with 1005.
    """
    if code == CloseCode.NO_STATUS_RCVD:
        if reason:
            raise ValueError("a close frame without a code can't hold a reason")
        return b""
    if not is_valid_close_code(code):
        raise ValueError(f"close code {code} may not be sent (RFC 6455, section 7.4)")
    payload = code.to_bytes(2, "big") + reason.encode()
    if len(payload) > MAX_CONTROL_PAYLOAD:
        raise ValueError("the reason of a close frame is limited to 123 bytes of UTF-8")
    return payload


def parse_close_payload(payload: bytes) -> tuple[int, str]:
    """Return the code and reason of a received close frame; (1005, "") if it is empty.

    Raises ValueError if the payload is one byte or has a code that may not be sent, UnicodeDecodeError (which is a
    ValueError too) if the reason isn't UTF-8.
    """
    if not payload:
        return CloseCode.NO_STATUS_RCVD.value, ""
    # Section 5.5.1: "If there is a body, the first two bytes of the body MUST be a 2-byte unsigned integer".
    if len(payload) == 1:
        raise ValueError("close frame with a payload of one byte")
    code = int.from_bytes(payload[:2], "big")
    if not is_valid_close_code(code):
        raise ValueError(f"close frame with invalid code {code}")
    return code, payload[2:].decode()
