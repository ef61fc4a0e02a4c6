"""Memoizes functions whose argument comes from a client, who may send thousands of long ones."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, wraps
from typing import TypeVar

__all__ = ["memoize_short"]

T = TypeVar("T")
S = TypeVar("S", str, bytes)


def memoize_short(entries: int, length: int) -> Callable[[Callable[[S], T]], Callable[[S], T]]:
    """Cache the results for the latest ``entries`` arguments no longer than ``length``; compute the others anew."""

    def decorate(function: Callable[[S], T]) -> Callable[[S], T]:
        cached = lru_cache(maxsize=entries)(function)

        @wraps(function)
        def memoized(argument: S) -> T:
            return cached(argument) if len(argument) <= length else function(argument)

        memoized.cache_info = cached.cache_info  # type: ignore[attr-defined]  # as lru_cache() has it
        return memoized

    return decorate
