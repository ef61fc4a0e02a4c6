"""The outbox: bytes that the socket did not accept immediately, sent as it becomes writable."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import greenlet

from .channel import Channel, Timer

__all__ = ["Outbox"]


class Outbox:
    """The unsent bytes of one channel; exists only while there are any.

    ``on_empty(sent)`` is called by the scheduler when the last byte has been sent; ``on_failure(error)`` when the
    connection is lost, or nothing could be sent for ``timeout`` seconds. Neither is called after :meth:`abort`.
    """

    __slots__ = (
        "_channel",
        "_on_empty",
        "_on_failure",
        "_parts",
        "_progress",
        "_stopped",
        "_timeout",
        "_timer",
        "_waiters",
        "sent",
        "size",
    )

    def __init__(
        self,
        channel: Channel,
        timeout: float,
        on_empty: Callable[[int], None],
        on_failure: Callable[[Exception], None],
    ) -> None:
        self.size = 0
        """Bytes still to be sent."""
        self.sent = 0
        """Bytes sent so far."""
        self._channel = channel
        self._on_empty = on_empty
        self._on_failure = on_failure
        self._timeout = timeout
        self._parts: deque[memoryview] = deque()
        self._waiters: list[_Waiter] = []
        self._stopped = False
        self._progress = channel.clock()
        self._timer: Timer = channel.call_later(timeout, self._check_progress)
        channel.watch_writable(self._on_writable, on_failure)

    def append(self, data: bytes) -> None:
        """Append ``data`` to the queue."""
        self._parts.append(memoryview(data))
        self.size += len(data)

    def wait_empty(self) -> None:
        """Block the caller until everything is sent. Raises ConnectionResetError if the outbox is aborted first."""
        waiter = _Waiter()
        self._waiters.append(waiter)
        try:
            done = self._channel.park()
        finally:
            waiter.greenlet = None
        if not done:
            raise ConnectionResetError("connection lost before all data was sent")

    def abort(self) -> None:
        """Discard the unsent bytes and wake the greenlets in :meth:`wait_empty`."""
        self._stop()
        self._parts.clear()
        self.size = 0
        self._wake_waiters(False)

    def _on_writable(self, _: int) -> None:
        parts = self._parts
        send = self._channel.send
        while parts:
            part = parts[0]
            try:
                count = send(part)
            except BlockingIOError:
                return
            except OSError as error:
                self._on_failure(error)
                return
            self._progress = self._channel.clock()
            self.sent += count
            self.size -= count
            if count < len(part):
                parts[0] = part[count:]
                return
            parts.popleft()
        self._stop()
        self._wake_waiters(True)
        self._on_empty(self.sent)

    def _check_progress(self) -> None:
        left = self._progress + self._timeout - self._channel.clock()
        if left > 0:
            self._timer = self._channel.call_later(left, self._check_progress)
            return
        self._on_failure(TimeoutError(f"client accepted no data for {self._timeout} seconds"))

    def _stop(self) -> None:
        if not self._stopped:
            self._stopped = True
            self._channel.unwatch_writable()
            self._timer.cancel()

    def _wake_waiters(self, done: bool) -> None:
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            self._channel.call_later(0, waiter.resume, done)


class _Waiter:
    """A greenlet in :meth:`Outbox.wait_empty`; None once it no longer waits."""

    __slots__ = ("greenlet",)

    def __init__(self) -> None:
        self.greenlet: greenlet.greenlet | None = greenlet.getcurrent()

    def resume(self, done: bool) -> None:
        """Switch to the greenlet, unless something else has already resumed it."""
        if self.greenlet is not None:
            self.greenlet.switch(done)
