"""The only place that sends to and receives from a connection's socket, plain or under TLS.

Everything above knows one way in which nothing can be done now, BlockingIOError; OpenSSL's ways are translated here.
"""

from __future__ import annotations

import os
import ssl  # its exceptions, which patching leaves alone
import struct
from collections.abc import Callable
from typing import TYPE_CHECKING

from .green import eventlet

if TYPE_CHECKING:
    import socket
else:
    socket = eventlet.patcher.original("socket")

__all__ = ["TLSWire", "Wire"]


RECORD_SIZE = 16 * 1024
"""Bytes that one TLS record holds at most (RFC 8446, section 5.1)."""


class Wire:
    """One accepted socket: an original, non-blocking one, never a green one.

    ``receive(size)`` and ``send(data, flags=0)`` raise BlockingIOError when nothing can be done now, any other OSError
    when the connection is lost. They are the socket's own methods, for no message should pay for a wrapper.
    """

    __slots__ = ("fd", "receive", "send", "sock")

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.fd = sock.fileno()
        self.receive: Callable[[int], bytes] = sock.recv
        self.send: Callable[..., int] = sock.send

    @property
    def has_pending(self) -> bool:
        """Whether there is input that the descriptor doesn't show."""
        return False

    def send_file(self, fd: int, offset: int, count: int) -> int:
        """Send from a regular file, as many bytes as fit; 0 at its end."""
        return os.sendfile(self.fd, fd, offset, count)

    def shut_down(self) -> None:
        """Send the end of the stream; receiving goes on."""
        self.sock.shutdown(socket.SHUT_WR)

    def end_input(self) -> None:
        """Let receiving come to an end once what has arrived is read."""
        self.sock.shutdown(socket.SHUT_RD)

    def reset_on_close(self) -> None:
        """Make :meth:`close` send a reset, so that the client sees that something is missing."""
        try:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        except OSError:
            pass

    def close(self) -> None:
        """Close the socket; what goes wrong then, a reset that arrives late, is of no interest."""
        try:
            self.sock.close()
        except OSError:
            pass


class TLSWire(Wire):
    """The same under TLS: an original SSLSocket whose handshake is done, or goes on in the first calls."""

    __slots__ = ()

    def __init__(self, sock: ssl.SSLSocket) -> None:
        super().__init__(sock)
        self.receive = self._receive
        self.send = self._send

    @property
    def has_pending(self) -> bool:
        return bool(self.sock.pending())  # type: ignore[attr-defined]  # an SSLSocket has it

    def _receive(self, size: int) -> bytes:
        try:
            return self.sock.recv(size)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError) as error:
            raise BlockingIOError from error

    def _send(self, data: bytes | memoryview, flags: int = 0) -> int:
        # Record by record: given more, OpenSSL tells nothing of its progress before the last byte has gone out.
        view = memoryview(data)
        sent = 0
        while True:
            try:
                sent += self.sock.send(view[sent : sent + RECORD_SIZE])
            except (ssl.SSLWantReadError, ssl.SSLWantWriteError) as error:
                if sent:
                    return sent
                raise BlockingIOError from error
            if sent == len(view):
                return sent

    def send_file(self, fd: int, offset: int, count: int) -> int:
        return self._send(os.pread(fd, min(count, 65536), offset))

    def shut_down(self) -> None:
        try:
            self.sock.unwrap()  # type: ignore[attr-defined]  # sends close_notify (RFC 8446, section 6.1)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            pass  # it is on its way; the client's own is read like other input
        self.sock.shutdown(socket.SHUT_WR)
