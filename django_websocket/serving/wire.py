"""Reads and writes a connection's socket, plain or TLS. Nothing else touches the socket.

The layers above know a single "would block" signal, BlockingIOError; OpenSSL's own are translated here.
"""

from __future__ import annotations

import _socket
import os
import ssl  # only for its exceptions, which patching leaves alone
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
"""Maximum bytes in one TLS record (RFC 8446, section 5.1)."""


class Wire:
    """An accepted, non-blocking socket: an unpatched one, never a green one.

    ``receive(size)`` and ``send(data, flags=0)`` raise BlockingIOError if they would block, any other OSError if the
    connection is lost. They are the socket's own methods, so that no message pays for a wrapper.
    """

    __slots__ = ("fd", "receive", "send", "sock")

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.fd = sock.fileno()
        self.receive: Callable[[int], bytes] = sock.recv
        self.send: Callable[..., int] = sock.send

    @property
    def has_pending(self) -> bool:
        """Whether input is buffered that polling the descriptor does not report."""
        return False

    def send_file(self, fd: int, offset: int, count: int) -> int:
        """Send up to ``count`` bytes of a regular file; returns how many were sent, 0 at end of file."""
        return os.sendfile(self.fd, fd, offset, count)

    def has_left(self) -> bool:
        """Whether the client has closed its side. Unread data sent earlier hides this."""
        try:
            # Not an SSLSocket's own recv(), which can't peek.
            return not _socket.socket.recv(self.sock, 1, socket.MSG_PEEK)
        except (BlockingIOError, InterruptedError):
            return False
        except OSError:
            return True

    def has_input(self) -> bool:
        """Whether input that was not received yet has arrived, or its end."""
        try:
            _socket.socket.recv(self.sock, 1, socket.MSG_PEEK)
        except (BlockingIOError, InterruptedError):
            return self.has_pending
        except OSError:
            pass
        return True

    def shut_down(self) -> None:
        """Half-close: send end-of-stream; receiving still works."""
        self.sock.shutdown(socket.SHUT_WR)

    def end_input(self) -> None:
        """Make receiving return end-of-stream once the data already received is read."""
        self.sock.shutdown(socket.SHUT_RD)

    def reset_on_close(self) -> None:
        """Make :meth:`close` send a reset, so that the client detects the truncation."""
        try:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        except OSError:
            pass

    def close(self) -> None:
        """Close the socket, ignoring errors such as a late reset."""
        try:
            self.sock.close()
        except OSError:
            pass


class TLSWire(Wire):
    """The same over TLS: an unpatched SSLSocket. Its handshake is done, or continues in the first calls."""

    __slots__ = ()

    def __init__(self, sock: ssl.SSLSocket) -> None:
        super().__init__(sock)
        self.receive = self._receive
        self.send = self._send

    @property
    def has_pending(self) -> bool:
        return bool(self.sock.pending())  # type: ignore[attr-defined]  # SSLSocket has it

    def _receive(self, size: int) -> bytes:
        try:
            return self.sock.recv(size)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError) as error:
            raise BlockingIOError from error

    def _send(self, data: bytes | memoryview, flags: int = 0) -> int:
        # Record by record: given more, OpenSSL reports no progress until the last byte is out.
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
            pass  # already in progress; the client's close_notify is read like other input
        self.sock.shutdown(socket.SHUT_WR)
