"""What the kernel did not take at once: the bytes wait here, and the hub's WRITE listener sends them."""

from __future__ import annotations

import socket
from collections import deque
from collections.abc import Callable
from typing import Any

import greenlet

from ..patch import eventlet

__all__ = ["Outbox"]

hubs = eventlet.hubs
WRITE = hubs.hub.WRITE


class Outbox:
    """The unsent bytes of one socket, while there are any.

    ``on_empty(sent)`` is called in the hub when the last byte went out, ``on_failure(error)`` when the connection is
    lost or nothing could be sent for ``timeout`` seconds. Neither is called after :meth:`abort`.
    """

    __slots__ = (
        "_fd",
        "_hub",
        "_listener",
        "_on_empty",
        "_on_failure",
        "_parts",
        "_progress",
        "_send",
        "_timeout",
        "_timer",
        "_waiters",
        "sent",
        "size",
    )

    def __init__(
        self,
        sock: socket.socket,
        timeout: float,
        on_empty: Callable[[int], None],
        on_failure: Callable[[BaseException], None],
    ) -> None:
        self.size = 0
        """Bytes that wait."""
        self.sent = 0
        """Bytes that went out so far."""
        self._send = sock.send
        self._fd = sock.fileno()
        self._on_empty = on_empty
        self._on_failure = on_failure
        self._timeout = timeout
        self._parts: deque[memoryview] = deque()
        self._waiters: list[_Waiter] = []
        self._hub = hubs.get_hub()
        self._progress: float = self._hub.clock()
        self._listener: Any = self._hub.add(WRITE, self._fd, self._on_writable, self._on_obsolete, None)
        self._timer: Any = self._hub.schedule_call_global(timeout, self._check_progress)

    def append(self, data: bytes) -> None:
        """Queue ``data`` behind all that waits."""
        self._parts.append(memoryview(data))
        self.size += len(data)

    def wait_empty(self) -> None:
        """Block the caller until everything is sent; raises ConnectionResetError if that will not happen."""
        waiter = _Waiter()
        self._waiters.append(waiter)
        try:
            done = self._hub.switch()
        finally:
            waiter.greenlet = None
        if not done:
            raise ConnectionResetError("the connection was lost before all was sent")

    def abort(self) -> None:
        """Drop what waits, and release those that wait for it."""
        self._stop()
        self._parts.clear()
        self.size = 0
        self._release(False)

    def _on_writable(self, fd: int) -> None:
        parts = self._parts
        while parts:
            part = parts[0]
            try:
                count = self._send(part)
            except BlockingIOError:
                return
            except OSError as error:
                self._on_failure(error)
                return
            self._progress = self._hub.clock()
            self.sent += count
            self.size -= count
            if count < len(part):
                parts[0] = part[count:]
                return
            parts.popleft()
        self._stop()
        self._release(True)
        self._on_empty(self.sent)

    def _on_obsolete(self, error: BaseException) -> None:
        self._listener = None
        self._on_failure(error)

    def _check_progress(self) -> None:
        left = self._progress + self._timeout - self._hub.clock()
        if left > 0:
            self._timer = self._hub.schedule_call_global(left, self._check_progress)
            return
        self._timer = None
        self._on_failure(TimeoutError(f"the client took nothing for {self._timeout} seconds"))

    def _stop(self) -> None:
        if self._listener is not None:
            self._hub.remove(self._listener)
            self._listener = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _release(self, done: bool) -> None:
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            self._hub.schedule_call_global(0, waiter.resume, done)


class _Waiter:
    """A greenlet that waits, as long as it does."""

    __slots__ = ("greenlet",)

    def __init__(self) -> None:
        self.greenlet: greenlet.greenlet | None = greenlet.getcurrent()

    def resume(self, done: bool) -> None:
        """Switch to it, unless something else has made it go on already."""
        if self.greenlet is not None:
            self.greenlet.switch(done)
