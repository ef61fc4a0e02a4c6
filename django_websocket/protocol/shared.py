"""A message that goes to many connections: its frame is built once, and compressed once for each negotiated window."""

from __future__ import annotations

from .deflate import PerMessageDeflate
from .frames import BINARY, TEXT, encode_frame

__all__ = ["SharedMessage"]


class SharedMessage:
    """``str`` is text, bytes-like objects are binary, anything else is the text ``str(message)``.

    Raises UnicodeEncodeError for a text with lone surrogates.
    """

    __slots__ = ("_compressed", "_opcode", "payload", "plain")

    def __init__(self, message: object) -> None:
        if isinstance(message, (bytes, bytearray, memoryview)):
            self._opcode = BINARY
            self.payload = bytes(message)
        else:
            self._opcode = TEXT
            self.payload = str(message).encode()
        self.plain = encode_frame(self._opcode, self.payload)
        """The frame without compression."""
        self._compressed: dict[int, bytes] = {}

    def frame(self, deflate: PerMessageDeflate | None) -> bytes:
        """Return the frame for a connection that negotiated ``deflate``."""
        if deflate is None:
            return self.plain
        if deflate.server_takeover:  # the compressor's state is that of one connection
            return deflate.encode(self._opcode, self.payload)
        frame = self._compressed.get(deflate.window_bits)
        if frame is None:
            frame = self._compressed[deflate.window_bits] = deflate.encode(self._opcode, self.payload)
        return frame
