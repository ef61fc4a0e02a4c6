"""Views that go on using a closed websocket, whatever that returns or raises, and so never end."""

from __future__ import annotations

import logging

from .driver import Driver
from .handover import Handover

__all__ = ["UsesSinceClose"]

MAX_WAITS = 1000
"""Calls of wait() that return None. After that it raises ConnectionClosed, to stop views that ignore None."""

MAX_ERRORS = 1000
ERROR_SECONDS = 60.0
"""How often wait() and a view's own send() may raise ConnectionClosed within so many seconds. Beyond that, the caller
ignores every exception and would loop forever."""

SLOW_SECONDS = 1.0
"""Seconds that each further wait() takes in a greenlet that is not the view's own. It may have other work, so it can't
be stopped."""

logger = logging.getLogger("django_websocket")


class UsesSinceClose:
    """Counts the uses of one websocket since it was closed. ``path`` is for the log."""

    __slots__ = ("_errors", "_path", "_since", "_waits")

    def __init__(self, path: str) -> None:
        self._path = path
        self._waits = 0
        self._errors = 0
        self._since = 0.0

    def count_wait(self, driver: Driver) -> bool:
        """Count a wait(); return whether it is one too many, and must raise."""
        self._waits += 1
        if self._waits > 1:
            driver.pause()
        return self._waits > MAX_WAITS

    def count_error(self, driver: Driver, handover: Handover | None) -> None:
        """Count an exception that is about to be raised; stop the view, or slow the greenlet down, past the limit."""
        now = driver.channel.clock()
        if self._errors <= MAX_ERRORS and now - self._since > ERROR_SECONDS:
            self._errors = 0
            self._since = now
        self._errors += 1
        if self._errors <= MAX_ERRORS:
            return
        if handover is not None and handover.is_current:
            logger.error("Websocket view ignores every error of its closed connection, and was stopped: %s", self._path)
            handover.abandon()
        if self._errors == MAX_ERRORS + 1:
            logger.error(
                "A greenlet waits for a closed websocket in an endless loop, and is slowed down: %s", self._path
            )
        driver.pause(SLOW_SECONDS)
