"""How late the hub is: a timer that is due at any moment runs as late as everything else waits.

Measured only while somebody looks.
"""

from __future__ import annotations

import time
from collections import deque

from ..groups.events import Event, new_event

__all__ = ["LagMeter", "lag_meter"]

TICK = 0.1
"""Seconds between two measurements: 0.2 % of a core."""

KEPT = 100
"""Measurements that are kept."""

ATTENTION = 15.0
"""Seconds after the last look in which it goes on."""


class LagMeter:
    """That of one process, once :meth:`run` runs there."""

    def __init__(self) -> None:
        self._until = 0.0
        self._wake: Event | None = None
        self._measured: deque[tuple[float, float]] = deque(maxlen=KEPT)

    def peak(self, seconds: float) -> float | None:
        """The longest delay within the last ``seconds``, in seconds; None if none was measured. Goes on measuring."""
        now = time.monotonic()
        self._until = now + ATTENTION
        wake, self._wake = self._wake, None
        if wake is not None:
            wake.set()
        return max((lag for at, lag in self._measured if at > now - seconds), default=None)

    def run(self) -> None:
        """A job of the server: measure while somebody looks, until killed."""
        while True:
            if time.monotonic() > self._until:
                self._measured.clear()
                self._wake = wake = new_event()
                wake.wait()
            due = time.monotonic() + TICK
            time.sleep(TICK)
            now = time.monotonic()
            self._measured.append((now, max(now - due, 0.0)))


lag_meter = LagMeter()
"""That of this process."""
