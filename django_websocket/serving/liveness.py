"""Pings: a client that vanished without a word is found out, and proxies see that the connection is in use.

One timer serves all sockets. They wait in the order in which they are due, so a sweep looks at those alone whose time
has come, and it yields to the hub after every few.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..conf import get_setting
from .patch import eventlet

if TYPE_CHECKING:
    from .transport import EventletTransport

__all__ = ["Liveness"]

#: Seconds between sweeps at most; how late a ping may be.
TICK = 1.0

#: Sockets that one sweep sees to before others get their turn.
SLICE = 100


class Liveness:
    """Pings every socket ``WEBSOCKET_PING_INTERVAL`` seconds after it last showed life.

    One from which nothing at all has come ``WEBSOCKET_PING_TIMEOUT`` seconds after a ping is closed with 1011.
    """

    def __init__(self) -> None:
        self._interval: float | None = get_setting("WEBSOCKET_PING_INTERVAL") or None
        self._timeout: float = get_setting("WEBSOCKET_PING_TIMEOUT")
        self._tick = min(TICK, self._timeout / 4, (self._interval or TICK) / 4)
        # Both keep the order of insertion, which is that of the times in them.
        self._idle: dict[EventletTransport, float] = {}
        self._pinged: dict[EventletTransport, tuple[float, int]] = {}
        self._hub = eventlet.hubs.get_hub()
        self._timer: Any = None

    def add(self, transport: EventletTransport) -> None:
        """Begin to look after a websocket."""
        if self._interval is None:
            return
        self._idle[transport] = self._hub.clock() + self._interval
        if self._timer is None:
            self._timer = self._hub.schedule_call_global(self._tick, self._sweep)

    def discard(self, transport: EventletTransport) -> None:
        """A websocket's socket was closed."""
        self._idle.pop(transport, None)
        self._pinged.pop(transport, None)
        if not self._idle and not self._pinged and self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _sweep(self) -> None:
        self._timer = None
        now = self._hub.clock()
        budget = SLICE
        while budget and self._pinged:
            transport, (due, received) = next(iter(self._pinged.items()))
            if due > now:
                break
            budget -= 1
            del self._pinged[transport]
            if transport.bytes_received == received and not transport.is_paused:
                transport.time_out(f"no answer to a ping within {self._timeout:g} seconds")
            else:
                assert self._interval is not None, "without pings there is no sweep"
                self._idle[transport] = now + self._interval
        while budget and self._idle:
            transport, due_ping = next(iter(self._idle.items()))
            if due_ping > now:
                break
            budget -= 1
            del self._idle[transport]
            self._pinged[transport] = (now + self._timeout, transport.bytes_received)
            transport.ping_nowait()
        if self._timer is None and (self._idle or self._pinged):
            self._timer = self._hub.schedule_call_global(self._tick if budget else 0, self._sweep)
