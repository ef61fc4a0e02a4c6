"""Parks a view's greenlet until its socket has input, and makes a busy view yield to others."""

from __future__ import annotations

import greenlet

from .channel import Channel
from .exceptions import ConcurrencyError

__all__ = ["Waiter"]

BUDGET = 64
"""Messages that a view may receive and send before it must let others run."""


class Waiter:
    """Holds at most one parked greenlet, and the message budget of a view that never parks."""

    __slots__ = ("_budget", "_channel", "_waiter", "_wake_scheduled")

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._waiter: greenlet.greenlet | None = None
        self._wake_scheduled = False
        self._budget = BUDGET

    def check_alone(self) -> None:
        """Raise ConcurrencyError if a greenlet is parked."""
        if self._waiter is not None:
            raise ConcurrencyError("another greenlet already waits for a message of this websocket")

    def park(self, timeout: float | None) -> bool:
        """Block the calling greenlet until it is woken; return False if ``timeout`` seconds pass first.

        Raises ConcurrencyError if another greenlet is parked.
        """
        if self._waiter is not None:
            self.check_alone()
        timer = None if timeout is None else self._channel.call_later(timeout, self._on_timeout)
        self._budget = BUDGET
        self._waiter = greenlet.getcurrent()
        try:
            result: bool = self._channel.park()
            return result
        finally:
            self._waiter = None
            if timer is not None:
                timer.cancel()

    def _on_timeout(self) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None:
            waiter.switch(False)

    def wake(self) -> None:
        """Schedule the wake-up of the parked greenlet, if any; may be called from any greenlet of the thread."""
        if self._waiter is not None and not self._wake_scheduled:
            self._wake_scheduled = True
            self._channel.call_later(0, self._on_wake)

    def _on_wake(self) -> None:
        self._wake_scheduled = False
        waiter, self._waiter = self._waiter, None
        if waiter is not None:
            waiter.switch(True)

    def pause(self, seconds: float = 0) -> None:
        """Reset the budget and let others run, for ``seconds`` at least."""
        self._budget = BUDGET
        self._channel.pause(seconds)

    def _consume_budget(self) -> None:
        """Count one message; let others run once the budget is spent."""
        self._budget -= 1
        if self._budget <= 0:
            self.pause()
