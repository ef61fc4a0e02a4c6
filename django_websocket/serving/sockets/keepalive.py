"""Pings: a client that vanished without a word is found out, and proxies see that the connection is in use.

One timer serves all sockets. They wait in the order in which they are due, so a sweep looks at those alone whose time
has come, and it yields to the hub after every few.
"""

from __future__ import annotations

import logging
from typing import Any

from ...conf import get_setting
from ...registry import SocketObserver
from ...websocket import WebSocket
from ..green import eventlet

__all__ = ["Keepalive"]

logger = logging.getLogger("django_websocket")

TICK = 1.0
"""Seconds between sweeps at most; how late a ping may be."""

SLICE = 100
"""Sockets that one sweep sees to before others get their turn."""


class Keepalive(SocketObserver):
    """Pings every socket each ``WEBSOCKET_PING_INTERVAL`` seconds.

    One from which nothing at all has come ``WEBSOCKET_PING_TIMEOUT`` seconds after a ping is closed with 1011. So a
    client that vanishes is dropped within the sum of the two. Where bytes wait to be sent, whether the client takes
    them is what counts (``WEBSOCKET_SEND_TIMEOUT``); where the view has let reading pause, nothing can be known.
    """

    def __init__(self, owner: object) -> None:
        """``owner``: only the websockets that it opened are pinged."""
        self._owner = owner
        self._interval: float | None = get_setting("WEBSOCKET_PING_INTERVAL") or None
        self._timeout: float = get_setting("WEBSOCKET_PING_TIMEOUT")
        self._tick = min(TICK, self._timeout / 4, (self._interval or TICK) / 4)
        # When each is to be pinged next, and until when it has to show life and how much had come from it before its
        # ping. What is added is later than all that is there, so both are in the order of their times.
        self._pings: dict[WebSocket, float] = {}
        self._answers_due: dict[WebSocket, tuple[float, int]] = {}
        self._hub = eventlet.hubs.get_hub()
        self._timer: Any = None
        self._planned = 0.0

    def socket_opened(self, websocket: WebSocket) -> None:
        """Ping it from now on."""
        if self._interval is None or websocket.owner is not self._owner:
            return
        self._pings[websocket] = self._hub.clock() + self._interval
        if self._timer is None:
            self._plan(self._tick)

    def socket_closed(self, websocket: WebSocket) -> None:
        """Ping it no more."""
        self._pings.pop(websocket, None)
        self._answers_due.pop(websocket, None)
        if not self._pings and self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _plan(self, seconds: float) -> None:
        self._planned = self._hub.clock() + seconds
        self._timer = self._hub.schedule_call_global(seconds, self._sweep)

    def _sweep(self) -> None:
        self._timer = None
        now = self._hub.clock()
        if now > self._planned + 2 * self._tick:
            # This process stood still. What clients sent meanwhile is read first, then they are judged.
            self._plan(self._tick)
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
            logger.exception("Pinging a websocket failed")
        finally:
            if self._timer is None and self._pings:
                self._plan(self._tick if budget else 0)

    def _ping(self, websocket: WebSocket, now: float) -> None:
        assert self._interval is not None, "without pings there is no sweep"
        del self._pings[websocket]
        self._pings[websocket] = now + self._interval
        driver = websocket.driver
        assert driver is not None, "an open websocket has a driver"
        received = driver.bytes_received
        due = self._answers_due.get(websocket)
        # While an earlier ping is unanswered, it is that one's time that runs.
        if due is None or due[1] != received:
            self._answers_due.pop(websocket, None)
            self._answers_due[websocket] = (now + self._timeout, received)
        driver.ping_nowait()
