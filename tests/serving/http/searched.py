"""How many bytes of a buffer are looked at, so that a search that begins anew each time is found without a clock."""

from __future__ import annotations

from typing import Any

__all__ = ["CountingBuffer"]


class CountingBuffer(bytearray):
    """A bytearray that adds up in ``looked_at`` what is gone over of it, for all buffers together."""

    looked_at = 0

    def find(self, sub: Any, start: Any = None, end: Any = None, /) -> int:
        found = super().find(sub, start, end)
        CountingBuffer.looked_at += (len(self) if found < 0 else found + len(sub)) - (start or 0)
        return found

    def count(self, *args: Any) -> int:
        CountingBuffer.looked_at += len(self)
        return super().count(*args)

    def translate(self, *args: Any) -> bytearray:
        CountingBuffer.looked_at += len(self)
        return super().translate(*args)

    def __getitem__(self, key: Any) -> Any:
        part = super().__getitem__(key)
        CountingBuffer.looked_at += len(part) if isinstance(key, slice) else 1
        return part
