"""Assembly of a message that arrives in pieces: in several frames, in part of one, or compressed."""

from __future__ import annotations

import codecs
from typing import TYPE_CHECKING, Any

from ..exceptions import InvalidPayload, MessageTooBig, PolicyViolation

if TYPE_CHECKING:
    from .deflate import Inflater, PerMessageDeflate

__all__ = ["FRAGMENT_SIZE", "MAX_FRAGMENTS", "Assembly", "Message"]

Message = str | bytes

MAX_FRAGMENTS = 1024
"""Frames that a message may consist of, whatever their size. Beyond that it may have one more frame per
:data:`FRAGMENT_SIZE` bytes: every frame costs time, and no legitimate client sends large messages in tiny fragments."""
FRAGMENT_SIZE = 32

MAX_PARTS = 256
"""Pieces of a message that are kept separately; beyond that they are joined, as a client may send single bytes."""

_utf8_decode = codecs.utf_8_decode


class Assembly:
    """The message being received."""

    __slots__ = (
        "_fragments",
        "_has_tail",
        "_is_text",
        "_max_size",
        "_parts",
        "_size",
        "_utf8_tail",
        "inflater",
        "length",
    )

    def __init__(self, *, is_text: bool, inflater: Inflater | None, max_size: int) -> None:
        self.length = 0
        """Bytes of the message received so far, after decompression."""
        self._is_text = is_text
        self.inflater = inflater
        """None if the message isn't compressed."""
        self._has_tail = False
        self._max_size = max_size
        self._parts: list[Any] = []  # all str or all bytes
        self._size = 0  # payload bytes according to the frame headers
        self._fragments = 0
        self._utf8_tail = b""

    def check_fragments(self) -> None:
        """Raise PolicyViolation if no further frame is allowed."""
        if self._fragments >= MAX_FRAGMENTS + self._size // FRAGMENT_SIZE:
            raise PolicyViolation(f"message of {self._fragments} fragments and {self._size} bytes")

    def check_size(self, length: int) -> None:
        """Raise MessageTooBig if another ``length`` bytes of payload would exceed the limit."""
        check_size(self._size + length, self._max_size, compressed=self.inflater is not None)

    def begin_frame(self, length: int) -> None:
        """Start a frame with ``length`` bytes of payload."""
        self._fragments += 1
        self._size += length

    def add(self, plain: bytes) -> None:
        """Add unmasked payload bytes of a message that isn't compressed. Raises InvalidPayload."""
        self.length += len(plain)
        self._parts.append(self._decode(plain) if self._is_text else plain)
        if len(self._parts) >= MAX_PARTS:
            self._parts = [self._join()]

    def inflate(self, deflate: PerMessageDeflate, data: bytes, *, is_last: bool) -> bool:
        """Add ``data``, unmasked payload bytes of a compressed message; ``is_last`` if it ends there.

        Inflates no more than the allowance of ``deflate``. Returns False if that may have left some; then call it again
        without data. Raises InvalidPayload, MessageTooBig or PolicyViolation.
        """
        inflater = self.inflater
        assert inflater is not None, "the message is compressed"
        if is_last and not self._has_tail:
            self._has_tail = True
            data += inflater.TAIL
        size = len(inflater.rest) + len(data)
        plain = inflater.inflate(data, max(1, min(deflate.allowance, self._max_size + 1 - self.length)))
        if self.length + len(plain) > self._max_size:
            raise MessageTooBig(f"decompressed message exceeds the limit of {self._max_size} bytes")
        deflate.compressed_size += size - len(inflater.rest)
        deflate.inflated_size += len(plain)
        deflate.allowance -= len(plain)
        self.add(plain)
        return not inflater.has_more

    def finish(self) -> Message:
        """Return the whole message. Raises InvalidPayload if it ends within a character."""
        if self._utf8_tail:
            raise InvalidPayload("text message ends in the middle of a character")
        return self._join()

    def _join(self) -> Message:
        return "".join(self._parts) if self._is_text else b"".join(self._parts)

    def _decode(self, plain: bytes) -> str:
        """Decode the next bytes; raises InvalidPayload as soon as they can't be UTF-8 (section 8.1)."""
        if self._utf8_tail:
            plain = self._utf8_tail + plain
        try:
            text, consumed = _utf8_decode(plain, "strict", False)
        except UnicodeDecodeError:
            raise InvalidPayload("text message is not UTF-8") from None
        self._utf8_tail = plain[consumed:]
        return text


def check_size(length: int, max_size: int, *, compressed: bool) -> None:
    """Raise MessageTooBig if ``length``, from frame headers, exceeds the limit; inflating has its own check."""
    # Deflate makes incompressible data slightly longer: five bytes every few thousand.
    if length > (max_size + max_size // 64 + 1024 if compressed else max_size):
        raise MessageTooBig(f"message of at least {length} bytes exceeds the limit of {max_size}")
