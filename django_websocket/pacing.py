"""Limits how fast compressed messages of one connection are inflated.

A frame of 1 KiB may inflate to 1 MiB, so compressed input counts by its size after inflation: a connection inflates a
slice, then others get a turn. That keeps one client from starving the others, but a client that sends only such frames
could still use a whole core. So the *excess*, the bytes beyond what real data inflates to, is rate-limited. A
connection that exceeds the rate is paused between slices, and closed if it keeps doing so.
"""

from __future__ import annotations

from collections.abc import Callable

from .channel import Channel

__all__ = ["BURST_MESSAGES", "EXCESS_RATE", "PATIENCE", "RATIO", "Pacer"]

RATIO = 64
"""Inflated bytes per compressed byte that don't count as excess. JSON and text inflate to 5 to 20 times their size,
very repetitive logs to 50 times, zeros to 1000 times."""

EXCESS_RATE = 2 * 1024 * 1024
"""Bytes of excess per second that a connection may sustain; about ten milliseconds of processor time."""

BURST_MESSAGES = 16
"""Messages of the maximum size (at least 1 MiB) that may consist entirely of excess before the rate applies."""

PATIENCE = 10.0
"""Seconds at the maximum rate after which the connection is closed."""


class Pacer:
    """Schedules the slices of one connection; created when a message needs more than one slice."""

    __slots__ = ("_burst", "_channel", "_excess", "_is_scheduled", "_limited_since", "_proceed", "_updated")

    def __init__(self, channel: Channel, max_message_size: int, proceed: Callable[[], None]) -> None:
        """``proceed()`` inflates the next slice."""
        self._channel = channel
        self._proceed = proceed
        self._burst = BURST_MESSAGES * max(max_message_size, 1024 * 1024)
        self._excess = 0.0
        self._updated = channel.clock()
        self._limited_since: float | None = None
        self._is_scheduled = False

    def schedule(self, compressed_size: int, inflated_size: int) -> bool:
        """Schedule the next slice, unless it is scheduled already; the arguments are the sizes of the previous one.

        Returns False instead if the connection has been at its maximum rate for :data:`PATIENCE` seconds.
        """
        if self._is_scheduled:
            return True
        now = self._channel.clock()
        self._excess = max(0.0, self._excess - (now - self._updated) * EXCESS_RATE)
        self._excess += max(0, inflated_size - RATIO * compressed_size)
        self._updated = now
        self._is_scheduled = True
        too_much = self._excess - self._burst
        if too_much <= 0:
            if self._excess < self._burst / 2:
                self._limited_since = None
            self._channel.call_in_turn(self._run)
            return True
        if self._limited_since is None:
            self._limited_since = now
        elif now - self._limited_since > PATIENCE:
            return False
        self._channel.call_later(too_much / EXCESS_RATE, self._channel.call_in_turn, self._run)
        return True

    def _run(self) -> None:
        self._is_scheduled = False
        self._proceed()
