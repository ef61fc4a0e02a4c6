"""Pings: a client that vanished without a word is found out, and proxies see that the connection is in use.

One timer serves all sockets. They wait in the order in which they are due, so a sweep looks at those alone whose time
has come, and it yields to the hub after every few.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from ...conf import get_setting
from ..patch import eventlet

if TYPE_CHECKING:
    from .channel import EventletTransport

__all__ = ["Liveness"]

logger = logging.getLogger("django_websocket")

#: Seconds between sweeps at most; how late a ping may be.
TICK = 1.0

#: Sockets that one sweep sees to before others get their turn.
SLICE = 100


class Liveness:
    """Pings every socket each ``WEBSOCKET_PING_INTERVAL`` seconds.

    One from which nothing at all has come ``WEBSOCKET_PING_TIMEOUT`` seconds after a ping is closed with 1011. So a
    client that vanishes is dropped within the sum of the two. Where bytes wait to be sent, whether the client takes
    them is what counts (``WEBSOCKET_SEND_TIMEOUT``); where the view has let reading pause, nothing can be known.
    """

    def __init__(self) -> None:
        self._interval: float | None = get_setting("WEBSOCKET_PING_INTERVAL") or None
        self._timeout: float = get_setting("WEBSOCKET_PING_TIMEOUT")
        self._tick = min(TICK, self._timeout / 4, (self._interval or TICK) / 4)
        # When each is to be pinged next, and until when it has to show life and how much had come from it before its
        # ping. What is added is later than all that is there, so both are in the order of their times.
        self._pings: dict[EventletTransport, float] = {}
        self._proofs: dict[EventletTransport, tuple[float, int]] = {}
        self._hub = eventlet.hubs.get_hub()
        self._timer: Any = None
        self._planned = 0.0

    def add(self, transport: EventletTransport) -> None:
        """Begin to look after a websocket."""
        if self._interval is None:
            return
        self._pings[transport] = self._hub.clock() + self._interval
        if self._timer is None:
            self._plan(self._tick)

    def discard(self, transport: EventletTransport) -> None:
        """A websocket's socket was closed."""
        self._pings.pop(transport, None)
        self._proofs.pop(transport, None)
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
            while budget and self._proofs:
                transport, (until, received) = next(iter(self._proofs.items()))
                if until > now:
                    break
                budget -= 1
                del self._proofs[transport]
                if transport.bytes_received == received and not transport.is_paused and not transport.buffered_amount:
                    transport.time_out(f"no answer to a ping within {self._timeout:g} seconds")
            while budget and self._pings:
                transport, due = next(iter(self._pings.items()))
                if due > now:
                    break
                budget -= 1
                self._ping(transport, now)
        except Exception:
            logger.exception("Pinging a websocket failed")
        finally:
            if self._timer is None and self._pings:
                self._plan(self._tick if budget else 0)

    def _ping(self, transport: EventletTransport, now: float) -> None:
        assert self._interval is not None, "without pings there is no sweep"
        del self._pings[transport]
        self._pings[transport] = now + self._interval
        received = transport.bytes_received
        proof = self._proofs.get(transport)
        # While an earlier ping is unanswered, it is that one's time that runs.
        if proof is None or proof[1] != received:
            self._proofs.pop(transport, None)
            self._proofs[transport] = (now + self._timeout, received)
        transport.ping_nowait()
