"""Lets operating system threads and signal handlers call into the hub.

Eventlet's ``schedule_call_global`` may only be called from the hub's thread: from another one it races with the hub on
the list of timers, and does not wake it from ``epoll_wait``. Writing to a pipe that the hub reads does.
"""

from __future__ import annotations

import logging
import os
import posix  # its read() and write() are not patched by eventlet to wait
from collections import deque
from collections.abc import Callable
from typing import Any

from . import eventlet

__all__ = ["Mailbox"]

logger = logging.getLogger("django_websocket")


class Mailbox:
    """A queue of calls for the hub. Create it in the hub's thread; :meth:`post` is safe from any thread."""

    def __init__(self) -> None:
        self._calls: deque[tuple[Callable[..., object], tuple[Any, ...]]] = deque()
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._reader, False)
        os.set_blocking(self._writer, False)
        self._hub = eventlet.hubs.get_hub()
        self._registration: Any = self._hub.add(self._hub.READ, self._reader, self._deliver, _ignore, None)

    @property
    def wakeup_fd(self) -> int:
        """Descriptor that wakes the hub when any byte is written to it (for :func:`signal.set_wakeup_fd`)."""
        return self._writer

    @property
    def descriptors(self) -> tuple[int, int]:
        """Both ends of the pipe, for a forked child to give up."""
        return self._reader, self._writer

    def post(self, function: Callable[..., object], *args: Any) -> None:
        """Have the hub call ``function(*args)``, which must not block. Its exceptions are logged.

        Calls run in the order posted. Raises RuntimeError once the mailbox is closed.
        """
        if self._registration is None:
            raise RuntimeError("the mailbox is closed")
        self._calls.append((function, args))
        self._wake()

    def _wake(self) -> None:
        try:
            posix.write(self._writer, b"\0")
        except BlockingIOError:
            pass  # the pipe is full, so the hub will wake anyway

    def close(self) -> None:
        """Stop delivering. Call it in the hub's thread."""
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
                logger.exception("call to %r posted to the hub failed", function)
        if self._calls and self._registration is not None:
            self._wake()  # calls posted meanwhile run in the hub's next turn


def _ignore(*_: object) -> None:
    """The hub reports that the descriptor was closed elsewhere; nothing to clean up."""
