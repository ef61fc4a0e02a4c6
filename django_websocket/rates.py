"""Rates such as ``"50/s"`` or ``"50/s, 100KiB/s"``: their notation, and the buckets that keep to them.

A number is how many there may be at once, after a while without any; then as many follow in each second, minute or
hour, evenly. So ``"50/s"`` and ``"3000/m"`` allow the same in the long run, but the second lets 3000 come in one go.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

__all__ = ["Amount", "Bucket", "KeyedRate", "Rate", "parse_rate"]

_SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0}
_BYTES = {"B": 1, "KiB": 1024, "MiB": 1024 * 1024}
_part = re.compile(r"([1-9][0-9]{0,11})(B|KiB|MiB)?/([smh])")

MAX_KEYS = 50_000
"""Clients that a :class:`KeyedRate` remembers, in about 15 MiB; past it, it forgets those who came first."""


class Amount(NamedTuple):
    """``number`` every ``seconds``, and as many at once."""

    number: int
    seconds: float


class Rate(NamedTuple):
    """How many messages and how many bytes; None: any number."""

    messages: Amount | None
    bytes: Amount | None


@lru_cache(maxsize=64)
def parse_rate(text: str) -> Rate:
    """Read ``"50/s"``, ``"100KiB/s"`` or both, with a comma between. Units are B, KiB and MiB; s, m and h.

    Raises ValueError.
    """
    messages = octets = None
    for part in text.split(","):
        match = _part.fullmatch(part.strip())
        if match is None:
            raise ValueError(f"{part.strip()!r} is no rate")
        number, unit, period = match.groups()
        amount = Amount(int(number) * _BYTES.get(unit, 1), _SECONDS[period])
        if (messages if unit is None else octets) is not None:
            raise ValueError(f"{text!r} says the same thing twice")
        if unit is None:
            messages = amount
        else:
            octets = amount
    return Rate(messages, octets)


class Bucket:
    """That of one client. It may be overdrawn by what could not be foreseen, which the client then waits for."""

    __slots__ = ("_level", "_number", "_per_second", "_updated")

    def __init__(self, amount: Amount, now: float) -> None:
        self._number = amount.number
        self._per_second = amount.number / amount.seconds
        self._level = float(amount.number)
        self._updated = now

    def left(self, now: float) -> float:
        """How much is in it."""
        # What comes in small pieces adds up to a little less than it is.
        self._level = min(self._number, self._level + (now - self._updated) * self._per_second)
        self._updated = now
        return self._level + 1e-6

    def spend(self, number: int, now: float) -> bool:
        """Take ``number``; return whether that is more than there was."""
        self._level = self.left(now) - 1e-6 - number
        return self._level < -1e-6

    def seconds_until(self, share: float) -> float:
        """How long it takes until it holds this share of what it can, and one at least."""
        return max(0.0, max(1.0, share * self._number) - self._level) / self._per_second


class KeyedRate:
    """One bucket for each client, of which there may be any number.

    A bucket is a single number: the time at which it will be full again (the generic cell rate algorithm). A full one
    is as good as none, and goes.
    """

    def __init__(self, amount: Amount, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._interval = amount.seconds / amount.number
        self._tolerance = amount.seconds - self._interval + 1e-9
        self._full: OrderedDict[str, float] = OrderedDict()
        """When each bucket will be full; those that were used last are at the end."""

    def __len__(self) -> int:
        return len(self._full)

    def take(self, key: str) -> float:
        """Take one from the bucket of ``key``; return 0, or in how many seconds there will be one."""
        now = self._clock()
        full = max(self._full.get(key, now), now)
        if full - now > self._tolerance:
            return full - now - self._tolerance
        self._full[key] = full + self._interval
        self._full.move_to_end(key)
        self._forget(now)
        return 0.0

    def _forget(self, now: float) -> None:
        """Look at two old ones for each new one, so that the full ones go sooner than others come."""
        for _ in range(2):
            oldest = next(iter(self._full))
            if self._full[oldest] > now and len(self._full) <= MAX_KEYS:
                break
            del self._full[oldest]
