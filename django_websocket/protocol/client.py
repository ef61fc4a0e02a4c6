"""The client's side of RFC 6455, without I/O: for the test client, and for the terminal's.

What breaks the protocol is a :exc:`.ProtocolError`, as on the server's side. Nothing bounds what the server may send.
"""

from __future__ import annotations

import secrets
import zlib
from collections import deque

from ..exceptions import InvalidPayload, ProtocolError
from .assembly import Message
from .frames import (
    BINARY,
    CLOSE,
    CONTINUATION,
    FIN,
    MAX_CONTROL_PAYLOAD,
    PING,
    PONG,
    RSV1,
    TEXT,
    parse_close_payload,
)
from .masking import apply_mask

__all__ = ["ClientProtocol"]

SYNC_TAIL = b"\x00\x00\xff\xff"


class ClientProtocol:
    """Encodes what the client sends, and decodes what the server sends.

    ``extensions`` is the value of the response's ``Sec-WebSocket-Extensions``.
    """

    def __init__(self, extensions: str = "") -> None:
        self.messages: deque[Message] = deque()
        """Received and not taken yet."""
        self.pongs: list[bytes] = []
        self.pings: list[bytes] = []
        """Received and not answered yet."""
        self.close_code: int | None = None
        """The code of the server's close frame, 1005 for one without a code; None before it comes."""
        self.close_reason = ""
        self._buffer = bytearray()
        self._opcode = 0
        self._is_compressed = False
        self._fragments = bytearray()
        parameters = [part.strip() for part in extensions.split(";")] if extensions else []
        self._deflates = "permessage-deflate" in parameters
        self._keeps_own_window = "client_no_context_takeover" not in parameters
        self._keeps_servers_window = "server_no_context_takeover" not in parameters
        self._compressor = zlib.compressobj(wbits=-15)
        self._decompressor = zlib.decompressobj(wbits=-15)

    def encode_message(self, message: str | bytes) -> bytes:
        """Return the frame of a text or binary message; compressed if that was negotiated."""
        opcode, payload = (TEXT, message.encode()) if isinstance(message, str) else (BINARY, bytes(message))
        if not self._deflates:
            return _frame(opcode, payload)
        if not self._keeps_own_window:
            self._compressor = zlib.compressobj(wbits=-15)
        compressed = self._compressor.compress(payload) + self._compressor.flush(zlib.Z_SYNC_FLUSH)
        return _frame(opcode, compressed.removesuffix(SYNC_TAIL), rsv1=True)

    def encode_ping(self, payload: bytes) -> bytes:
        """Return a ping frame."""
        return _frame(PING, payload)

    def encode_pong(self, payload: bytes) -> bytes:
        """Return a pong frame."""
        return _frame(PONG, payload)

    def encode_close(self, code: int | None, reason: str = "") -> bytes:
        """Return a close frame, without a payload if ``code`` is None; any code, right or wrong."""
        return _frame(CLOSE, b"" if code is None else code.to_bytes(2, "big") + reason.encode())

    def receive_data(self, data: bytes) -> None:
        """Decode the frames that are complete. Raises ProtocolError if one breaks the protocol."""
        self._buffer += data
        while self._receive_frame():
            pass

    def _receive_frame(self) -> bool:
        buffer = self._buffer
        if len(buffer) < 2:
            return False
        first, length = buffer[0], buffer[1]
        # Section 5.1: "A client MUST close a connection if it detects a masked frame."
        if length & 0x80:
            raise ProtocolError("the server masked a frame")
        start = 2
        if length >= 126:
            start = 4 if length == 126 else 10
            if len(buffer) < start:
                return False
            length = int.from_bytes(buffer[2:start], "big")
        if len(buffer) < start + length:
            return False
        payload = bytes(buffer[start : start + length])
        del buffer[: start + length]
        self._handle_frame(first, payload)
        return True

    def _handle_frame(self, first: int, payload: bytes) -> None:
        if self.close_code is not None:
            raise ProtocolError("the server sent a frame after its close frame")
        if first & 0x30:
            raise ProtocolError("the server set a reserved bit")
        fin, rsv1, opcode = bool(first & FIN), bool(first & RSV1), first & 0x0F
        if opcode >= CLOSE:
            if not fin or rsv1 or len(payload) > MAX_CONTROL_PAYLOAD:
                raise ProtocolError("the server sent an invalid control frame")
            self._handle_control(opcode, payload)
            return
        if opcode == CONTINUATION:
            if not self._opcode or rsv1:
                raise ProtocolError("the server continued a message that it had not begun")
        else:
            if opcode not in (TEXT, BINARY) or self._opcode:
                raise ProtocolError(f"the server sent an unexpected frame {opcode:#x}")
            if rsv1 and not self._deflates:
                raise ProtocolError("the server compressed a message, but nothing was negotiated")
            self._opcode, self._is_compressed = opcode, rsv1
        self._fragments += payload
        if fin:
            self.messages.append(self._decode(bytes(self._fragments)))
            self._opcode = 0
            self._fragments.clear()

    def _decode(self, data: bytes) -> Message:
        try:
            if self._is_compressed:
                data = self._inflate(data)
            return data.decode() if self._opcode == TEXT else data
        except (UnicodeDecodeError, zlib.error) as error:
            raise InvalidPayload(f"the server sent a message that can't be decoded: {error}") from None

    def _inflate(self, data: bytes) -> bytes:
        if not self._keeps_servers_window:
            self._decompressor = zlib.decompressobj(wbits=-15)
        return self._decompressor.decompress(data + SYNC_TAIL)

    def _handle_control(self, opcode: int, payload: bytes) -> None:
        if opcode == PING:
            self.pings.append(payload)
        elif opcode == PONG:
            self.pongs.append(payload)
        elif opcode == CLOSE:
            try:
                self.close_code, self.close_reason = parse_close_payload(payload)
            except ValueError as error:
                raise ProtocolError(f"the server sent an invalid close frame: {error}") from None
        else:
            raise ProtocolError("the server sent an invalid control frame")


def _frame(opcode: int, payload: bytes, *, rsv1: bool = False) -> bytes:
    first = FIN | (RSV1 if rsv1 else 0) | opcode
    size = len(payload)
    if size < 126:
        header = bytes((first, 0x80 | size))
    elif size < 65536:
        header = bytes((first, 0xFE)) + size.to_bytes(2, "big")
    else:
        header = bytes((first, 0xFF)) + size.to_bytes(8, "big")
    # Section 5.3: "The masking key needs to be unpredictable".
    mask = secrets.token_bytes(4)
    return header + mask + apply_mask(payload, mask)
