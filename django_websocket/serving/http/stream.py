"""Lets green threads read and write a non-blocking socket with timeouts."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from greenlet import getcurrent

from ..green import eventlet
from ..green.stalls import meter_of
from ..green.turns import turns_of
from ..wire import TLSWire, Wire

if TYPE_CHECKING:
    import socket
else:
    socket = eventlet.patcher.original("socket")

__all__ = ["Disconnected", "Stream"]

WRITE_TIMEOUT = 60.0
"""Seconds without progress after which a client that doesn't read its response is dropped (like nginx's
send_timeout)."""

LINGER_SECONDS = 2.0
LINGER_BYTES = 16 * 1024 * 1024
"""How long and how much a closing connection keeps reading. Closing a socket with unread input sends a reset, which
can discard the response before the client has read it (RFC 9112, section 9.6)."""

FAIR_SHARE = 1024 * 1024
"""Bytes that a connection may send without blocking before it yields to the others."""

FAIR_RECEIVE = 64 * 1024
"""Bytes that a connection may receive without blocking before it yields. Less, since they are parsed, too."""


LEAST_COST = 1024
"""Bytes that a call counts for at the least: over TLS, a byte may come in a record of its own."""


class Disconnected(ConnectionResetError):
    """The client is gone, or doesn't read. ``unsent`` bytes of what was to be sent stayed here."""

    unsent = 0


class Stream:
    """A connection's ``wire``, read and written by the greenlet that serves it."""

    __slots__ = ("_received_since_yield", "_sent_since_yield", "_stalls", "clock", "ended", "wire")

    def __init__(self, wire: Wire) -> None:
        self.wire = wire
        self._received_since_yield = 0
        self._sent_since_yield = 0
        self._stalls = meter_of(eventlet.hubs.get_hub())
        self.clock: Callable[[], float] = self._stalls.clock
        """What deadlines are measured with; see :attr:`.StallMeter.clock`."""
        self.ended = False

    def peek(self, timeout: float) -> bytes:
        """Return the first byte that the client sends, and leave it; ``b""`` if it has left. Raises as receive()."""
        deadline = self.clock() + timeout
        while True:
            try:
                return self.wire.sock.recv(1, socket.MSG_PEEK)
            except (BlockingIOError, InterruptedError):
                self._wait(self._left(deadline), read=True)

    def shake_hands(self, wire: TLSWire, timeout: float) -> None:
        """Go on with ``wire`` once its handshake is done. Raises ssl.SSLError if it fails, otherwise as receive()."""
        deadline = self.clock() + timeout
        self.wire = wire
        while True:
            # A step may take a millisecond, and thousands of clients may come at once.
            self._take_turn()
            try:
                wire.shake_hands()
                return
            except (BlockingIOError, InterruptedError):
                is_writing = wire.has_unsent
                self._wait(self._left(deadline), read=not is_writing, write=is_writing)

    def _take_turn(self) -> None:
        """Let everything else that is ready run first, and then no more at a time than :data:`.TURN_SECONDS` allow."""
        hub = eventlet.hubs.get_hub()
        current, waits = getcurrent(), True

        def resume() -> None:
            if waits:
                current.switch()

        turns_of(hub).append(resume)
        try:
            hub.switch()
        finally:
            waits = False  # it may be killed meanwhile

    def _left(self, deadline: float) -> float:
        """Return the seconds until ``deadline``; raises TimeoutError if there are none."""
        left = deadline - self.clock()
        if left <= 0:
            raise TimeoutError("timed out waiting for the client")
        return left

    def receive(self, size: int, timeout: float, *, wait_first: bool = False, weight: int = 1) -> bytes:
        """Return at most ``size`` bytes, ``b""`` at the end of the stream.

        Raises TimeoutError after ``timeout`` seconds, any other OSError if the connection is lost. ``wait_first``
        skips the first attempt where no data is expected yet. ``weight`` is how many times more than plain data these
        bytes cost.
        """
        if self._received_since_yield >= FAIR_RECEIVE:
            self._yield()
        deadline = self.clock() + timeout
        while True:
            if not wait_first or self.wire.has_pending:
                try:
                    data = self.wire.receive(size)
                    self._received_since_yield += weight * max(len(data), LEAST_COST)
                    return data
                except (BlockingIOError, InterruptedError):
                    pass
            wait_first = False
            self._received_since_yield = 0
            self._wait(self._left(deadline), read=True)

    def send(self, data: bytes, flags: int = 0) -> None:
        """Send all of ``data``, blocking until the kernel has it. Raises :exc:`Disconnected`."""
        rest: bytes | memoryview = data
        while True:
            try:
                sent = self.wire.send(rest, flags)
            except (BlockingIOError, InterruptedError):
                sent = 0
            except OSError as error:
                raise _disconnected(str(error), len(rest)) from error
            self._sent_since_yield += sent
            if sent == len(rest):
                if self._sent_since_yield > FAIR_SHARE:
                    self._yield()
                return
            rest = memoryview(rest)[sent:]
            self._wait_writable(len(rest))

    def send_file(self, fd: int, offset: int, count: int) -> int:
        """Send up to ``count`` bytes of the regular file ``fd``; returns how many. Raises :exc:`Disconnected`."""
        done = 0
        while done < count:
            try:
                sent = self.wire.send_file(fd, offset + done, min(count - done, FAIR_SHARE))
            except (BlockingIOError, InterruptedError):
                self._wait_writable(count - done)
                continue
            except OSError as error:
                raise _disconnected(str(error), count - done) from error
            if not sent:
                break
            done += sent
            self._sent_since_yield += sent
            if self._sent_since_yield > FAIR_SHARE:
                self._yield()
        return done

    def say_goodbye(self) -> None:
        """Send what TLS sends in the end, without which what was sent may look cut off. Raises :exc:`Disconnected`."""
        while True:
            try:
                self.wire.say_goodbye()
                return
            except (BlockingIOError, InterruptedError):
                self._wait_writable(0)

    def linger(self) -> None:
        """Half-close, then discard input for a while so that the client can read the response before the close."""
        end = self.clock() + LINGER_SECONDS
        left = LINGER_BYTES
        try:
            self.wire.shut_down()
            while left > 0:
                data = self.receive(64 * 1024, end - self.clock())
                if not data:
                    break
                left -= len(data)
        except OSError:
            pass

    def _yield(self) -> None:
        self._received_since_yield = self._sent_since_yield = 0
        eventlet.sleep(0)

    def _wait_writable(self, unsent: int) -> None:
        self._sent_since_yield = 0
        try:
            self._wait(WRITE_TIMEOUT, write=True)
        except OSError as error:
            raise _disconnected("the client doesn't read", unsent) from error

    def _wait(self, timeout: float, *, read: bool = False, write: bool = False) -> None:
        timer = self._stalls.call_at_deadline(timeout, getcurrent().throw, TimeoutError)
        try:
            eventlet.hubs.trampoline(self.wire.fd, read=read, write=write)
        finally:
            timer.cancel()


def _disconnected(reason: str, unsent: int) -> Disconnected:
    error = Disconnected(reason)
    error.unsent = unsent
    return error
