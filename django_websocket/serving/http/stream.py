"""A non-blocking socket that green threads read and write under deadlines."""

from __future__ import annotations

import time

from ..green import eventlet
from ..wire import Wire

__all__ = ["Disconnected", "Stream"]

WRITE_TIMEOUT = 60.0
"""Seconds without progress after which a client that doesn't read its response is dropped (as nginx's
send_timeout)."""

LINGER_SECONDS = 2.0
LINGER_BYTES = 256 * 1024
"""How long and how much a closing connection goes on reading. Closing a socket with unread input sends a
reset, which destroys the response before the client has read it (RFC 9112, section 9.6)."""

FAIR_SHARE = 1024 * 1024
"""Bytes that a connection sends to a client as fast as we are before others get their turn."""


class Disconnected(ConnectionResetError):
    """The client is gone, or doesn't read. ``unsent`` bytes of what was to be sent stayed here."""

    unsent = 0


class Stream:
    """One connection's ``wire``, read and written by the greenlet that serves it."""

    __slots__ = ("_unyielded", "ended", "wire")

    def __init__(self, wire: Wire) -> None:
        self.wire = wire
        self._unyielded = 0
        self.ended = False

    def receive(self, size: int, timeout: float, *, wait_first: bool = False) -> bytes:
        """At most ``size`` bytes, ``b""`` at the end. Raises TimeoutError after ``timeout`` seconds, or
        OSError.
        """
        deadline = time.monotonic() + timeout
        while True:
            if not wait_first:
                try:
                    return self.wire.receive(size)
                except (BlockingIOError, InterruptedError):
                    timeout = deadline - time.monotonic()
            wait_first = False
            if timeout <= 0:
                raise TimeoutError("the client was too slow")
            eventlet.hubs.trampoline(self.wire.fd, read=True, timeout=timeout, timeout_exc=TimeoutError)

    def send(self, data: bytes, flags: int = 0) -> None:
        """Hand all of ``data`` to the kernel. Raises :exc:`Disconnected`."""
        rest: bytes | memoryview = data
        while True:
            try:
                sent = self.wire.send(rest, flags)
            except (BlockingIOError, InterruptedError):
                sent = 0
            except OSError as error:
                raise _disconnected(str(error), len(rest)) from error
            self._unyielded += sent
            if sent == len(rest):
                if self._unyielded > FAIR_SHARE:
                    self._yield()
                return
            rest = memoryview(rest)[sent:]
            self._wait_writable(len(rest))

    def send_file(self, fd: int, offset: int, count: int) -> int:
        """Send ``count`` bytes of the regular file ``fd``; returns how many there were. Raises
        :exc:`Disconnected`.
        """
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
            self._unyielded += sent
            if self._unyielded > FAIR_SHARE:
                self._yield()
        return done

    def linger(self) -> None:
        """Say that nothing more comes, and let the client read it in peace before :meth:`close`."""
        end = time.monotonic() + LINGER_SECONDS
        left = LINGER_BYTES
        try:
            self.wire.shut_down()
            while left > 0:
                data = self.receive(16384, end - time.monotonic())
                if not data:
                    break
                left -= len(data)
        except OSError:
            pass

    def _yield(self) -> None:
        self._unyielded = 0
        eventlet.sleep(0)

    def _wait_writable(self, unsent: int) -> None:
        self._unyielded = 0
        try:
            eventlet.hubs.trampoline(self.wire.fd, write=True, timeout=WRITE_TIMEOUT, timeout_exc=TimeoutError)
        except OSError as error:
            raise _disconnected("the client doesn't read", unsent) from error


def _disconnected(reason: str, unsent: int) -> Disconnected:
    error = Disconnected(reason)
    error.unsent = unsent
    return error
