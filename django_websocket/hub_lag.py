"""How late the hub is: a timer that is due at any moment runs as late as everything else waits.

Measured only while somebody wants to know.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from .background import background
from .groups.events import Event, new_event

__all__ = ["TICK", "LagMeter", "lag_meter"]

TICK = 0.1
"""Seconds between two measurements: 0.2 % of a core."""

KEPT = 100
"""Measurements that are kept."""

ATTENTION = 15.0
"""Seconds after the last look in which it goes on."""

Follower = Callable[[float, float], None]


class LagMeter:
    """That of one process, once :meth:`run` runs there."""

    def __init__(self) -> None:
        self._until = 0.0
        self._wake: Event | None = None
        self._measured: deque[tuple[float, float]] = deque(maxlen=KEPT)
        self._followers: list[Follower] = []

    def peak(self, seconds: float) -> float | None:
        """The longest delay within the last ``seconds``, in seconds; None if none was measured. Goes on measuring."""
        now = time.monotonic()
        self._until = now + ATTENTION
        self._go_on()
        return max((lag for at, lag in self._measured if at > now - seconds), default=None)

    @contextmanager
    def following(self, follower: Follower) -> Iterator[None]:
        """Call ``follower(now, due)`` after each measurement, by ``time.monotonic()``. It may not raise."""
        self._followers.append(follower)
        self._go_on()
        try:
            yield
        finally:
            self._followers.remove(follower)

    def run(self) -> None:
        """A job of the server: measure while somebody wants to know, until killed."""
        while True:
            if not self._followers and time.monotonic() > self._until:
                self._measured.clear()
                self._wake = wake = new_event()
                wake.wait()
            due = time.monotonic() + TICK
            time.sleep(TICK)
            now = time.monotonic()
            self._measured.append((now, max(now - due, 0.0)))
            for follower in tuple(self._followers):
                follower(now, due)

    def _go_on(self) -> None:
        wake, self._wake = self._wake, None
        if wake is not None:
            wake.set()


lag_meter = LagMeter()
"""That of this process."""
background.add(lag_meter.run)
