"""A view's greenlet that waits for what a hub's callback brings it, and that lets others run.

Only the hub switches to a view. What happens in some other greenlet wakes it through a timer of the hub's.
"""

from __future__ import annotations

from typing import Any

import greenlet

from ..patch import eventlet

__all__ = ["Waiter"]

#: What a view may do with its socket in one go, in messages, before others get their turn.
BUDGET = 64


class Waiter:
    """At most one greenlet that waits, and the budget of those that don't."""

    __slots__ = ("_budget", "_hub", "_waiter", "_wake_scheduled")

    def __init__(self) -> None:
        self._hub: Any = eventlet.hubs.get_hub()
        self._waiter: greenlet.greenlet | None = None
        self._wake_scheduled = False
        self._budget = BUDGET

    def _park(self) -> bool:
        """Block the calling greenlet until it is woken; False if :meth:`_on_timeout` did."""
        self._budget = BUDGET
        hub = self._hub
        current = greenlet.getcurrent()
        self._waiter = current
        try:
            # hub.switch() sees to the parent first; a view has the right one since it was resumed.
            settled: bool = current.parent is hub.greenlet
            result: bool = hub.greenlet.switch() if settled else hub.switch()
            return result
        finally:
            self._waiter = None

    def _on_timeout(self) -> None:
        """Wake the view because its time is up; from the hub."""
        waiter, self._waiter = self._waiter, None
        if waiter is not None:
            waiter.switch(False)

    def _wake(self) -> None:
        """Have the hub wake the view, if it waits; callable from everywhere."""
        if self._waiter is not None and not self._wake_scheduled:
            self._wake_scheduled = True
            self._hub.schedule_call_global(0, self._on_wake)

    def _on_wake(self) -> None:
        self._wake_scheduled = False
        waiter, self._waiter = self._waiter, None
        if waiter is not None:
            waiter.switch(True)

    def pause(self) -> None:
        """Let others run."""
        self._budget = BUDGET
        if greenlet.getcurrent() is self._hub.greenlet:
            return
        timer = self._hub.schedule_call_global(0, greenlet.getcurrent().switch)
        try:
            self._hub.switch()
        finally:
            timer.cancel()

    def _spend(self) -> None:
        """Count one message, and let others run once there were enough in one go."""
        self._budget -= 1
        if self._budget <= 0:
            self.pause()
