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


FILL_SIZE = 72 * 1024
"""Bytes of TLS records that are received at a time: those of 64 KiB of data, and of its frame, need one call."""

RECORD_SIZE = 16 * 1024
"""Maximum bytes of data in a TLS record (RFC 8446, section 5.1)."""

MAX_RECORDS = 64
"""Records that one call reads: they may hold a byte each."""

SEND_SIZE = 4 * RECORD_SIZE
"""Bytes that are encrypted at a time."""

MAX_ANSWERS = 64 * 1024
"""Bytes that TLS itself may have to say to a client that doesn't read."""


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

    def say_goodbye(self) -> None:
        """Send what TLS sends in the end, after everything else. Raises BlockingIOError until the kernel takes it."""

    def shut_down(self) -> None:
        """Half-close: send end-of-stream. Input can still be received; some that has arrived may be discarded."""
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
    """The same over TLS. ``make_object`` returns the server's side between two memory buffers.

    OpenSSL works in memory, and this class moves what it reads and writes: one system call then brings many records,
    and no socket of the standard library's ``ssl``, which eventlet patches, is involved. What ``send`` has not sent of
    its data must be what the next call begins with: it may be encrypted already.
    """

    __slots__ = (
        "_ahead",
        "_encrypted",
        "_has_ended",
        "_has_part",
        "_incoming",
        "_is_reset",
        "_outgoing",
        "_tls",
        "_unsent",
    )

    def __init__(self, sock: socket.socket, make_object: Callable[[ssl.MemoryBIO, ssl.MemoryBIO], ssl.SSLObject]):
        super().__init__(sock)
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls = make_object(self._incoming, self._outgoing)
        self._unsent = memoryview(b"")  # records that the kernel has not taken
        self._encrypted = 0  # bytes of data in them, which send() has not reported yet
        self._is_reset = False
        self._ahead = b""  # received to see whether the client has left
        self._has_ended = False  # what the next receive() will say; the socket may not, until the client closes it
        self._has_part = False  # of a record, which can't be decrypted yet
        self.receive = self._receive
        self.send = self._send

    def shake_hands(self) -> None:
        """Continue the handshake. Raises BlockingIOError until it is done, and ssl.SSLError if it fails.

        A blocked one waits for the socket to become writable if :attr:`has_unsent`, otherwise to become readable.
        """
        while True:
            self._flush()
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                if self._outgoing.pending:
                    continue
                self._fill()
            except ssl.SSLError:
                self._flush_quietly()  # an alert
                raise
            else:
                self._flush_quietly()  # session tickets
                self._has_part = bool(self._incoming.pending)
                return

    @property
    def client_certificate(self) -> bytes | None:
        """The client's verified certificate (DER); None if it sent none."""
        return self._tls.getpeercert(binary_form=True)

    @property
    def has_unsent(self) -> bool:
        """Whether the kernel has not taken all that OpenSSL has written."""
        return bool(self._unsent)

    @property
    def has_pending(self) -> bool:
        return bool(self._ahead or self._incoming.pending or self._tls.pending() or self._has_ended)

    def has_input(self) -> bool:
        return self._has_part or super().has_input()

    def has_left(self) -> bool:
        if self._ahead:
            return False
        try:
            self._ahead = self._receive(1)
        except BlockingIOError:
            return False
        except OSError:
            return True
        return not self._ahead

    def _receive(self, size: int) -> bytes:
        if self._ahead:
            ahead, self._ahead = self._ahead, b""
            return ahead
        record = min(size, RECORD_SIZE)  # a larger buffer would be allocated, and never filled
        while True:
            try:
                data = self._tls.read(record)
            except ssl.SSLWantReadError:
                if self._outgoing.pending:
                    self._answer()
                self._fill()
                self._has_part = True
            except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
                return b""
            except ssl.SSLError:
                self._flush_quietly()  # an alert
                raise
            else:
                break
        self._has_part = False
        return self._receive_more(data, size) if self._incoming.pending else data

    def _receive_more(self, data: bytes, size: int) -> bytes:
        """Add the records that have come along with the first one's ``data``."""
        parts = [data]
        left = size - len(data)
        try:
            while data and left > 0 and self._incoming.pending and len(parts) < MAX_RECORDS:
                data = self._tls.read(min(left, RECORD_SIZE))
                parts.append(data)
                left -= len(data)
        except ssl.SSLWantReadError:
            self._has_part = True
        except ssl.SSLError:
            self._has_ended = True
        if not data:
            self._has_ended = True
        return b"".join(parts)

    def _answer(self) -> None:
        """Send what the protocol itself wants to say, such as a key update (RFC 8446, section 4.6.3)."""
        self._flush_quietly()
        if len(self._unsent) > MAX_ANSWERS:
            raise ConnectionResetError("the client asks TLS for answers and doesn't read them")

    def _fill(self) -> None:
        data = self.sock.recv(FILL_SIZE)
        if data:
            self._incoming.write(data)
        else:
            self._incoming.write_eof()

    def _send(self, data: bytes | memoryview, flags: int = 0) -> int:
        view = memoryview(data)
        done = 0
        while True:
            try:
                self._flush()
            except BlockingIOError:
                # Only whole records are of use to the client; they are a little longer than their data.
                records = -(-len(self._unsent) // RECORD_SIZE)
                progress = max(0, self._encrypted - records * RECORD_SIZE)
                self._encrypted -= progress
                done += progress
                if done:
                    return done
                raise
            except OSError:
                if done:
                    return done  # the next call will raise
                raise
            done += self._encrypted
            self._encrypted = 0
            if done >= len(view):
                return done
            self._encrypted = self._tls.write(view[done : done + SEND_SIZE])

    def _flush(self) -> None:
        """Send all that OpenSSL has written; raises BlockingIOError if the kernel doesn't take it."""
        if self._outgoing.pending:
            written = self._outgoing.read()
            self._unsent = memoryview(b"".join((self._unsent, written)) if self._unsent else written)
        while self._unsent:
            self._unsent = self._unsent[self.sock.send(self._unsent) :]

    def _flush_quietly(self) -> None:
        try:
            self._flush()
        except OSError:
            pass

    def send_file(self, fd: int, offset: int, count: int) -> int:
        return self._send(os.pread(fd, min(count, SEND_SIZE), offset))

    def say_goodbye(self) -> None:
        """Send close_notify (RFC 8446, section 6.1), by which the client knows that nothing is missing."""
        if self._is_reset:
            return
        try:
            # Once it is sent, OpenSSL takes records that it has in memory for an error, and reads no more.
            while self._tls.read(RECORD_SIZE):
                pass
        except ssl.SSLError:
            pass  # mostly SSLWantReadError: nothing is left
        try:
            self._tls.unwrap()
        except ssl.SSLError:
            pass  # SSLWantReadError: the client's own, if any, is read like other input
        self._flush()

    def shut_down(self) -> None:
        self._say_goodbye_now()
        self.sock.shutdown(socket.SHUT_WR)

    def reset_on_close(self) -> None:
        self._is_reset = True
        super().reset_on_close()

    def close(self) -> None:
        self._say_goodbye_now()
        super().close()
        # Not methods of this object's, or nobody but the collector could free what OpenSSL holds.
        self.receive, self.send = self.sock.recv, self.sock.send

    def _say_goodbye_now(self) -> None:
        try:
            self.say_goodbye()
        except OSError:
            pass
