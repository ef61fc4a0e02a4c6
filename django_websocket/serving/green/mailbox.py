"""How an operating system thread, or a signal's handler, reaches the hub.

Eventlet's own ``schedule_call_global`` belongs to the hub's thread: called from another one it changes the hub's timers
under its hands, and does not wake it from ``epoll_wait``. A pipe that the hub reads does.
"""

from __future__ import annotations

import logging
import os
import posix  # its read() and write() are not replaced by eventlet's, which wait
from collections import deque
from collections.abc import Callable
from typing import Any

from . import eventlet

__all__ = ["Mailbox"]

logger = logging.getLogger("django_websocket")


class Mailbox:
    """Functions that other threads want the hub to call. Made in the hub's thread; :meth:`post` is for any."""

    def __init__(self) -> None:
        self._calls: deque[tuple[Callable[..., object], tuple[Any, ...]]] = deque()
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._reader, False)
        os.set_blocking(self._writer, False)
        self._hub = eventlet.hubs.get_hub()
        self._registration: Any = self._hub.add(self._hub.READ, self._reader, self._deliver, _ignore, None)

    @property
    def wakeup_fd(self) -> int:
        """A descriptor to write any byte to, so that the hub looks (:func:`signal.set_wakeup_fd`)."""
        return self._writer

    def post(self, function: Callable[..., object], *args: Any) -> None:
        """Have the hub call ``function(*args)``, which must not block; what it raises is logged.

        Calls are made in the order in which they were posted. Raises RuntimeError once the mailbox is closed.
        """
        if self._registration is None:
            raise RuntimeError("the mailbox is closed")
        self._calls.append((function, args))
        self._wake()

    def _wake(self) -> None:
        try:
            posix.write(self._writer, b"\0")
        except BlockingIOError:
            pass  # the pipe is full, so the hub will look

    def close(self) -> None:
        """Deliver nothing any more; in the hub's thread."""
        if self._registration is not None:
            registration, self._registration = self._registration, None
            self._hub.remove(registration)
            os.close(self._reader)
            os.close(self._writer)

    def _deliver(self, fd: int) -> None:
        posix.read(fd, 4096)
        for _ in range(len(self._calls)):
            function, args = self._calls.popleft()
            try:
                function(*args)
            except Exception:
                logger.exception("%r, which another thread has posted, failed", function)
        if self._calls and self._registration is not None:
            self._wake()  # what came meanwhile has its turn after the others


def _ignore(*_: object) -> None:
    """The hub says that somebody else closed the descriptor: nothing to clean up."""
