"""Memoizes functions of untrusted input: clients may send thousands of different, long arguments."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

__all__ = ["Memo"]

T = TypeVar("T")
S = TypeVar("S", str, bytes)


class Memo(dict[S, T]):
    """``memo[argument]`` is ``function(argument)``, cached for arguments no longer than ``length``.

    Keeps at most ``entries`` results; when full, the cache is cleared. Exceptions from the function propagate.
    """

    def __init__(self, function: Callable[[S], T], *, entries: int, length: int) -> None:
        super().__init__()
        self._function: Callable[[S], T] = function
        self._entries = entries
        self._length = length

    def __missing__(self, argument: S) -> T:
        result: T = self._function(argument)
        if len(argument) <= self._length:
            if len(self) >= self._entries:
                self.clear()
            self[argument] = result
        return result
