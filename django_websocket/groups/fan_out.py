"""How a message gets to the members in this process: written to each socket, without waking a view.

The scheduler does that in slices, so that a large group holds nobody up, and messages that meet before their slice
leave in one send.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable
from functools import partial

from ..channel import Channel
from ..driver import Driver
from ..websocket import WebSocket
from .message import GroupMessage

__all__ = ["MAX_QUEUED_BYTES", "MAX_QUEUED_DELIVERIES", "FanOut"]

logger = logging.getLogger("django_websocket")

MAX_QUEUED_BYTES = 256 * 1024
"""Bytes of messages that may wait for their slices before senders wait, too. Well below ``WEBSOCKET_MAX_OUTBOX``, so
that members are not closed as too slow because a sender is fast."""

MAX_QUEUED_DELIVERIES = 200_000
"""The same for messages times members."""

SLICE = 50
"""Members that are served at a time; then others may run."""


class FanOut:
    """Counts what it was given and what has been sent; the difference waits for its slice."""

    def __init__(self) -> None:
        self.bytes = 0
        """Of all messages, each counted once."""
        self.deliveries = 0
        """Messages times members."""
        self._sent_bytes = 0
        self._sent_deliveries = 0
        self._channel: Channel | None = None  # through which the scheduler can be reached while something waits

    def forget(self) -> None:
        """In a forked child: the members are the parent's."""
        self._sent_bytes, self._sent_deliveries = self.bytes, self.deliveries
        self._channel = None

    @property
    def queued_bytes(self) -> int:
        """Bytes of the messages that wait."""
        return self.bytes - self._sent_bytes

    @property
    def queued_deliveries(self) -> int:
        """Messages times members that wait."""
        return self.deliveries - self._sent_deliveries

    def write(self, message: GroupMessage, members: Collection[WebSocket], channel: Channel) -> None:
        """Have ``message`` written to ``members`` soon; ``channel`` is that of any member of the group."""
        shared = message.shared
        drivers = [driver for websocket in members if (driver := websocket.driver) and driver.write_shared(shared)]
        # One call for each would take most of the time that the sender is busy with a large group.
        for start in range(0, len(drivers), SLICE):
            channel.call_in_turn(partial(_send_pending, drivers[start : start + SLICE]))
        size, number = len(shared.payload), len(members)
        self.bytes += size
        self.deliveries += number
        self._channel = channel
        channel.call_in_turn(partial(self._sent, size, number))

    def _sent(self, size: int, number: int) -> None:
        """A message has been sent to its last member: the calls of the scheduler run in order."""
        self._sent_bytes += size
        self._sent_deliveries += number
        if self._sent_bytes == self.bytes and self._sent_deliveries == self.deliveries:
            self._channel = None

    def close(self, message: GroupMessage, members: Iterable[WebSocket]) -> None:
        """Close ``members`` soon, as ``message`` says."""
        code, _, reason = message.body.decode().partition(" ")
        for websocket in members:
            if websocket.driver is not None:
                websocket.driver.channel.call_in_turn(partial(websocket.close, int(code), reason))

    def _is_full(self) -> bool:
        return (
            self.bytes - self._sent_bytes > MAX_QUEUED_BYTES
            or self.deliveries - self._sent_deliveries > MAX_QUEUED_DELIVERIES
        )

    def wait_for_room(self) -> None:
        """Block while too much waits for its slice, where the caller may block."""
        while self._is_full():
            channel = self._channel
            if channel is None or not (channel.in_own_thread() and channel.can_pause()):
                return
            channel.pause()


def _send_pending(drivers: list[Driver]) -> None:
    for driver in drivers:
        try:
            driver.send_pending()
        except Exception:
            logger.exception("Could not send a message of a group to one of its members")
