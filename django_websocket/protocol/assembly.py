"""A message that comes in pieces: in several frames, in part of one, or compressed."""

from __future__ import annotations

import codecs
from typing import TYPE_CHECKING, Any

from ..exceptions import InvalidPayload, MessageTooBig, PolicyViolation

if TYPE_CHECKING:
    from .deflate import Inflater

__all__ = ["FRAGMENT_SIZE", "MAX_FRAGMENTS", "Assembly", "Message"]

Message = str | bytes

MAX_FRAGMENTS = 1024
"""Frames that one message may consist of, whatever their size. More must hold :data:`FRAGMENT_SIZE` bytes on average:
a frame costs its handling, so nobody who has much to say sends crumbs."""
FRAGMENT_SIZE = 32

MAX_PARTS = 256
"""Pieces of a message that are kept as they came. Beyond that they are joined, for a client may send single bytes."""

_utf8_decode = codecs.utf_8_decode


class Assembly:
    """The message that the latest data frames belong to; ``inflater`` is None where it isn't compressed."""

    __slots__ = ("_fragments", "_inflater", "_is_text", "_max_size", "_parts", "_size", "_utf8_tail", "length")

    def __init__(self, *, is_text: bool, inflater: Inflater | None, max_size: int) -> None:
        self.length = 0
        """Bytes of the message that are here, inflated."""
        self._is_text = is_text
        self._inflater = inflater
        self._max_size = max_size
        self._parts: list[Any] = []  # all of str or all of bytes
        self._size = 0  # payload bytes that its frames announced
        self._fragments = 0
        self._utf8_tail = b""

    def check_fragments(self) -> None:
        """Raise PolicyViolation if there may be no further frame."""
        if self._fragments >= MAX_FRAGMENTS + self._size // FRAGMENT_SIZE:
            raise PolicyViolation(f"message of {self._fragments} fragments and {self._size} bytes")

    def check_size(self, length: int) -> None:
        """Raise MessageTooBig for what the header of a frame with ``length`` bytes of payload shows."""
        check_size(self._size + length, self._max_size, compressed=self._inflater is not None)

    def begin_frame(self, length: int) -> None:
        """A frame with ``length`` bytes of payload begins."""
        self._fragments += 1
        self._size += length

    def add(self, plain: bytes) -> None:
        """The next unmasked bytes of payload."""
        if self._inflater is not None:
            plain = self._inflater.inflate(plain, self._max_size + 1 - self.length)
            if self.length + len(plain) > self._max_size:
                raise MessageTooBig(f"message inflates to more than the {self._max_size} bytes that are allowed")
        self.length += len(plain)
        self._parts.append(self._decode(plain) if self._is_text else plain)
        if len(self._parts) >= MAX_PARTS:
            self._parts = [self._join()]

    def finish(self) -> Message:
        """The whole message."""
        if self._inflater is not None:
            self.add(self._inflater.TAIL)
        if self._utf8_tail:
            raise InvalidPayload("text message ends within a character")
        return self._join()

    def _join(self) -> Message:
        return "".join(self._parts) if self._is_text else b"".join(self._parts)

    def _decode(self, plain: bytes) -> str:
        """The characters of the next bytes; fails on those that can't be UTF-8 as soon as they are here (8.1)."""
        if self._utf8_tail:
            plain = self._utf8_tail + plain
        try:
            text, consumed = _utf8_decode(plain, "strict", False)
        except UnicodeDecodeError:
            raise InvalidPayload("text message is not UTF-8") from None
        self._utf8_tail = plain[consumed:]
        return text


def check_size(length: int, max_size: int, *, compressed: bool) -> None:
    """Raise MessageTooBig for what headers alone show; inflation is bounded while it happens."""
    # Deflate makes incompressible data a little longer: five bytes in some thousand.
    if length > (max_size + max_size // 64 + 1024 if compressed else max_size):
        raise MessageTooBig(f"message of at least {length} bytes, at most {max_size} are allowed")
