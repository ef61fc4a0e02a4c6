"""A driver for websockets with a rate: past it, reading pauses, or the websocket is closed.

Sockets without a rate have the plain driver, so that this costs them nothing. Before anything is read or parsed, the
connection is told how many messages it may take, and the channel how many bytes, so no more than the rate allows ever
reach the view, however much a client sends at once. TCP makes it wait.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from .channel import Channel, Timer
from .driver import Driver
from .exceptions import PolicyViolation
from .options import Options
from .protocol.connection import Connection
from .quiet_log import quiet_log
from .rates import Bucket

__all__ = ["RatedDriver"]

logger = logging.getLogger("django_websocket")

SHARE = 0.1
"""How much of what may come at once must be allowed again before reading goes on. A client that sends without end then
takes ten turns in each period, not one for each message."""


class _Limited:
    """A channel's ``receive``, for no more than ``left`` bytes at a time."""

    __slots__ = ("_receive", "left")

    def __init__(self, receive: Callable[[int], bytes]) -> None:
        self._receive = receive
        self.left = 0

    def __call__(self, size: int) -> bytes:
        return self._receive(min(size, self.left))


class RatedDriver(Driver):
    """See :class:`.Driver`; ``options.rate`` is not None."""

    __slots__ = ("_bytes", "_bytes_counted", "_limited", "_messages_counted", "_refill", "_tokens")

    def __init__(
        self,
        channel: Channel,
        connection: Connection,
        options: Options,
        on_closed: Callable[[Any], None],
        subject: Any = None,
        *,
        path: str = "",
        peer: str = "",
    ) -> None:
        super().__init__(channel, connection, options, on_closed, subject, path=path, peer=peer)
        rate = options.rate
        assert rate is not None, "others have a plain driver"
        now = channel.clock()
        self._tokens = None if rate.messages is None else Bucket(rate.messages, now)
        self._bytes = None if rate.bytes is None else Bucket(rate.bytes, now)
        self._messages_counted = 0
        self._bytes_counted = 0
        self._limited: _Limited | None = None
        self._refill: Timer | None = None  # while nothing is allowed
        if not self._closes:
            if self._bytes is not None:
                self._receive = self._limited = _Limited(channel.receive)
            self._allow()

    @property
    def _closes(self) -> bool:
        return self._options.rate_action == "close"

    @property
    def _is_ending(self) -> bool:
        """Whether what comes is only read to find the client's close frame, or its end."""
        return self._connection.ended or not self._connection.can_send

    @property
    def is_paused(self) -> bool:
        """Whether reading is paused: by the rate, or as in any driver."""
        return self._refill is not None or super().is_paused

    def start(self, trailing: bytes) -> None:
        super().start(trailing)
        self._count()

    def _watch(self) -> None:
        if self._refill is None or self._is_ending:
            super()._watch()

    def _feed(self) -> bool:
        if self._is_ending:
            if self._limited is not None:
                self._receive = self._channel.receive
            return super()._feed()
        if not self._allow():
            return False
        fed = super()._feed()
        self._count()
        return fed

    def _inflate(self) -> None:
        if self._allow():
            super()._inflate()
            self._count()

    def took_message(self) -> None:
        if self._connection.full and not self._messages and self._allow():
            self._resume()
        self._consume_budget()

    def _resume(self) -> None:
        """Parse what was received when no more messages were allowed, or room."""
        self._connection.resume()
        self._handle_events()
        self._count()
        self._watch()

    # The rate

    def _allow(self) -> bool:
        """Set how much may be taken now; if it is nothing, pause."""
        if self._closes or self._is_ending:
            return True
        if self._refill is not None:
            return False
        now = self._channel.clock()
        connection, wait = self._connection, 0.0
        if self._tokens is not None:
            allowed = int(self._tokens.left(now))
            connection.limit_queue(min(self._options.max_queue, len(self._messages) + max(1, allowed)))
            if allowed < 1:
                wait = self._tokens.seconds_until(SHARE)
        if self._bytes is not None and self._limited is not None:
            self._limited.left = int(self._bytes.left(now))
            if self._limited.left < 1:
                wait = max(wait, self._bytes.seconds_until(SHARE))
        if wait:
            self._unwatch()
            self._refill = self._channel.call_later(wait, self._on_refill)
        return not wait

    def _count(self) -> None:
        """Count what has come; pause, or close, if that was all that the rate allows."""
        now, connection = self._channel.clock(), self._connection
        messages, self._messages_counted = self._messages_counted, connection.messages_received
        received, self._bytes_counted = self._bytes_counted, self.bytes_received
        is_over = False
        if self._tokens is not None:
            is_over = self._tokens.spend(self._messages_counted - messages, now)
        if self._bytes is not None:
            is_over = self._bytes.spend(self._bytes_counted - received, now) or is_over
        if self._is_ending or self._is_lost:
            return
        if not self._closes:
            if not self._allow():
                quiet_log.warn(f"Slowed down {self.place}, whose client sends as much as its rate allows")
        elif is_over:
            connection.fail(PolicyViolation("more messages than the rate allows"))
            self._handle_events()
            self.wake()

    def _on_refill(self) -> None:
        self._refill = None
        if self._is_lost:
            return
        connection = self._connection
        if not self._is_ending and self._allow():
            if connection.inflating:
                self._inflate()
            elif connection.full and not self._messages:
                self._resume()
        self._watch()
        if self._messages or connection.ended:
            try:
                self._on_wake()
            except Exception:
                logger.exception("Greenlet waiting for a websocket failed: %s", self._path)

    def drop(self, error: Exception | None = None) -> None:
        """Close the channel now. See :meth:`.Driver.drop`."""
        if self._refill is not None:
            self._refill.cancel()
            self._refill = None
        super().drop(error)
