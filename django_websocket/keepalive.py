"""Pings: detect clients that vanished silently, and show proxies that the connection is in use.

One timer serves all sockets. They are kept in the order in which they are due, so a sweep visits only those, and it
lets others run after each batch.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from .channel import Timer
from .conf import get_setting
from .registry import SocketObserver
from .websocket import WebSocket

__all__ = ["Keepalive"]

logger = logging.getLogger("django_websocket")

TICK = 1.0
"""Maximum seconds between sweeps, and so the maximum delay of a ping."""

SLICE = 100
"""Sockets that a sweep handles before it yields."""


class Keepalive(SocketObserver):
    """Pings every socket every ``WEBSOCKET_PING_INTERVAL`` seconds.

    A socket from which nothing at all arrives within ``WEBSOCKET_PING_TIMEOUT`` seconds of a ping is closed with 1011,
    so a client that vanishes is dropped within the sum of the two. Exempt are sockets with unsent bytes, to which
    ``WEBSOCKET_SEND_TIMEOUT`` applies, and those on which reading is paused, where nothing can be known.
    """

    def __init__(
        self, owner: object, clock: Callable[[], float], call_later: Callable[[float, Callable[[], None]], Timer]
    ) -> None:
        """Ping only the websockets that ``owner`` opened, on the clock and the timers of their scheduler."""
        self._owner = owner
        self._clock = clock
        self._call_later = call_later
        self._interval: float | None = get_setting("WEBSOCKET_PING_INTERVAL") or None
        self._timeout: float = get_setting("WEBSOCKET_PING_TIMEOUT")
        self._tick = min(TICK, self._timeout / 4, (self._interval or TICK) / 4)
        # When each socket's next ping is due; and the deadline for an answer, with the bytes received before the ping.
        # New entries are always the latest, so both dicts are ordered by time.
        self._pings: dict[WebSocket, float] = {}
        self._answers_due: dict[WebSocket, tuple[float, int]] = {}
        self._timer: Any = None
        self._scheduled = 0.0

    def socket_opened(self, websocket: WebSocket) -> None:
        """Start pinging ``websocket``."""
        if self._interval is None or websocket.owner is not self._owner:
            return
        self._pings[websocket] = self._clock() + self._interval
        if self._timer is None:
            self._schedule(self._tick)

    def socket_closed(self, websocket: WebSocket) -> None:
        """Stop pinging ``websocket``."""
        self._pings.pop(websocket, None)
        self._answers_due.pop(websocket, None)
        if not self._pings and self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _schedule(self, seconds: float) -> None:
        self._scheduled = self._clock() + seconds
        self._timer = self._call_later(seconds, self._sweep)

    def _sweep(self) -> None:
        self._timer = None
        now = self._clock()
        if now > self._scheduled + 2 * self._tick:
            # The process was stalled: read what clients sent meanwhile before checking deadlines.
            self._schedule(self._tick)
            return
        budget = SLICE
        try:
            while budget and self._answers_due:
                websocket, (until, received) = next(iter(self._answers_due.items()))
                if until > now:
                    break
                budget -= 1
                del self._answers_due[websocket]
                driver = websocket.driver
                assert driver is not None, "an open websocket has a driver"
                if driver.bytes_received == received and not driver.is_paused and not driver.buffered_amount:
                    driver.time_out(f"no answer to a ping within {self._timeout:g} seconds")
            while budget and self._pings:
                websocket, due = next(iter(self._pings.items()))
                if due > now:
                    break
                budget -= 1
                self._ping(websocket, now)
        except Exception:
            logger.exception("Could not ping a websocket")
        finally:
            if self._timer is None and self._pings:
                self._schedule(self._tick if budget else 0)

    def _ping(self, websocket: WebSocket, now: float) -> None:
        assert self._interval is not None, "without pings there is no sweep"
        del self._pings[websocket]
        self._pings[websocket] = now + self._interval
        driver = websocket.driver
        assert driver is not None, "an open websocket has a driver"
        received = driver.bytes_received
        due = self._answers_due.get(websocket)
        # While an earlier ping is unanswered, its deadline stands.
        if due is None or due[1] != received:
            self._answers_due.pop(websocket, None)
            self._answers_due[websocket] = (now + self._timeout, received)
        driver.ping_nowait()
