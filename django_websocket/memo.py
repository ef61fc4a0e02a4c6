"""Memoizes functions whose argument comes from a client, who may send thousands of long ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

__all__ = ["Memo"]

T = TypeVar("T")
S = TypeVar("S", str, bytes)


class Memo(dict[S, T]):
    """``memo[argument]`` is ``function(argument)``, computed once for each argument no longer than ``length``.

    Keeps at most ``entries`` results; one more, and all are computed anew. Exceptions of the function are passed on.
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
