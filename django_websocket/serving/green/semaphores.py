"""Makes the locks and semaphores of ``multiprocessing`` green, so that waiting for one doesn't block the process.

They belong to the operating system and wait in C. If the holder is a greenlet of this process, or waits for one, that
would be a deadlock.
"""

from __future__ import annotations

import time
from typing import Any

import greenlet

from ...compat import eventlet as eventlet_internals
from . import eventlet
from .descriptors import can_wait

__all__ = ["GreenSemaphore"]

FIRST_PAUSE = 0.0005
LONGEST_PAUSE = 0.02
"""Seconds between two attempts: the pause doubles from the first value up to the second."""

RECURSIVE_MUTEX = 0


class GreenSemaphore:
    """Green ``acquire`` and ``release`` of ``semaphore``, a ``_multiprocessing.SemLock``."""

    __slots__ = ("_owner", "_recursive", "_semaphore")

    def __init__(self, semaphore: Any) -> None:
        self._semaphore = semaphore
        self._recursive = semaphore.kind == RECURSIVE_MUTEX
        self._owner: greenlet.greenlet | None = None
        """For a recursive lock only: to the operating system, all greenlets are the one thread that owns it."""

    def acquire(self, block: bool = True, timeout: float | None = None) -> bool:
        """Like that of ``multiprocessing``'s locks."""
        if self._try():
            return True
        if not block or (timeout is not None and timeout <= 0):
            return False
        if not can_wait() or not _has_others():
            # Pool workers may wait long; if nothing else can run, they need not poll.
            return bool(self._semaphore.acquire(True, timeout)) and self._own()
        until = None if timeout is None else time.monotonic() + timeout
        pause = FIRST_PAUSE
        while True:
            left = pause if until is None else until - time.monotonic()
            if left <= 0:
                return False
            eventlet.sleep(min(pause, left))
            if self._try():
                return True
            pause = min(2 * pause, LONGEST_PAUSE)

    def release(self) -> None:
        """Like that of ``multiprocessing``'s locks."""
        self._semaphore.release()
        if self._recursive and not self._semaphore._count():
            self._owner = None

    def _try(self) -> bool:
        if self._recursive and self._semaphore._count() and self._owner is not greenlet.getcurrent():
            return False
        return bool(self._semaphore.acquire(False)) and self._own()

    def _own(self) -> bool:
        if self._recursive:
            self._owner = greenlet.getcurrent()
        return True


def _has_others() -> bool:
    """Whether anything else can run in this process meanwhile."""
    hub = eventlet_internals.current_hub()
    return bool(
        hub.listeners["read"] or hub.listeners["write"] or hub.next_timers or any(not t.called for _, t in hub.timers)
    )
