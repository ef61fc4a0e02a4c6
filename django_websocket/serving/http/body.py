"""``wsgi.input``: one request's body, read from the connection on demand."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from .chunked import ChunkedDecoder, MalformedBody
from .head import Head, Refusal
from .stream import Disconnected, Stream

__all__ = ["RequestBody"]

MIN_RATE = 500
"""Bytes per second that extend a body's deadline, as in Apache's ``RequestReadTimeout body=...,MinRate=500``. A
phone on a bad line is faster; a client below it only ties up a green thread."""

MAX_PAUSE = 60.0
"""Seconds that a client may be silent, however much it has sent (like nginx's client_body_timeout). Otherwise a fast
start would earn hours: 256 MiB are six days at the minimum rate."""

REST_BYTES = 64 * 1024
REST_SECONDS = 0.1
"""How much of an unread body, and how long, to wait for before the response, so that the connection can be reused."""

RECEIVE_SIZE = 64 * 1024

CHUNKED_RECEIVE_SIZE = 8 * 1024
CHUNKED_WEIGHT = 8
"""For chunked bodies, which may have thousands of chunks of one byte: 8 KiB of those take 5 ms."""


class RequestBody:
    """The input stream of PEP 3333: ``read``, ``readline``, ``readlines`` and iteration; ``b""`` at the end.

    Raises OSError if the body can't be read to its end: :exc:`TimeoutError` if the client is too slow,
    :exc:`.stream.Disconnected` if it is gone, :exc:`.chunked.MalformedBody` if the coding is invalid. Django turns
    each into UnreadablePostError. After a time-out or a malformed body, :attr:`refusal` is what the client gets
    instead of the application's response.
    """

    def __init__(self, stream: Stream, head: Head, received: bytes, request_timeout: float) -> None:
        self._stream = stream
        self._buffer = b""
        self._decoder = ChunkedDecoder() if head.chunked else None
        self._left = head.content_length or 0
        self._ahead = received  # received, not yet decoded
        self._patience = request_timeout  # seconds that the client may still be waited for
        self._max_patience = max(request_timeout, MAX_PAUSE)
        self._received = 0
        self._error: OSError | None = None
        self.refusal: Refusal | None = None
        self.on_close: Callable[[], None] | None = None
        """Called once the response has ended."""
        self.complete = self._decoder is None and self._left == 0
        self.awaits_continue = head.expects_continue and not self.complete
        self.leftover = received if self.complete else b""

    # Called by the application.

    def read(self, size: int | None = -1, /) -> bytes:
        """Return ``size`` bytes, fewer only at the end; everything left if ``size`` is negative or None."""
        if size is None or size < 0:
            pieces = [self._buffer]
            self._buffer = b""
            while piece := self._next_piece():
                pieces.append(piece)
            return b"".join(pieces)
        while len(self._buffer) < size:
            missing = size - len(self._buffer)
            pieces = [self._buffer]
            while missing > 0 and (piece := self._next_piece()):
                pieces.append(piece)
                missing -= len(piece)
            self._buffer = b"".join(pieces)
            if missing > 0:
                break
        data, self._buffer = self._buffer[:size], self._buffer[size:]
        return data

    def readline(self, size: int | None = -1, /) -> bytes:
        """Return the data up to and including the next LF, at most ``size`` bytes."""
        limit = None if size is None or size < 0 else size
        searched = 0
        while True:
            end = self._buffer.find(b"\n", searched) + 1
            if end or (limit is not None and len(self._buffer) >= limit):
                break
            searched = len(self._buffer)
            piece = self._next_piece()
            if not piece:
                end = len(self._buffer)
                break
            self._buffer += piece
        if limit is not None:
            end = min(end or limit, limit)
        data, self._buffer = self._buffer[:end], self._buffer[end:]
        return data

    def readlines(self, hint: int | None = -1, /) -> list[bytes]:
        """Return the remaining lines, stopping once they total ``hint`` bytes."""
        lines, total = [], 0
        while line := self.readline():
            lines.append(line)
            total += len(line)
            if hint is not None and 0 < hint <= total:
                break
        return lines

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.readline, b"")

    # Called by the server.

    def receive(self) -> bytes:
        """Return the data that comes next, however much it is; ``b""`` at the end."""
        if self._buffer:
            data, self._buffer = self._buffer, b""
            return data
        return self._next_piece()

    @property
    def failed(self) -> bool:
        """Whether reading has raised."""
        return self._error is not None

    def receive_rest(self) -> bool:
        """Receive the unread rest, within bounds; True if the connection will be ready for the next request.

        Called before the response head, which promises to keep the connection or says that it closes. The
        application can still read the rest.
        """
        if not self.complete and not self.awaits_continue and self._error is None and self._left <= REST_BYTES:
            self._receive_rest()
        return self.complete

    def _receive_rest(self) -> None:
        end = self._stream.clock() + REST_SECONDS
        limit = self._received + REST_BYTES
        try:
            while not self.complete and self._received <= limit:
                received = self._ahead or self._receive(end - self._stream.clock())
                self._ahead = b""
                self._buffer += self._decode(received)
        except TimeoutError:
            pass
        except OSError as error:
            self._error = error

    def close(self) -> None:
        """Release what was kept for the time of the request."""
        if self.on_close is not None:
            on_close, self.on_close = self.on_close, None
            on_close()

    def _next_piece(self) -> bytes:
        """Return some data, ``b""`` at the end."""
        if self.complete:
            return b""
        if self._error is not None:
            raise self._error
        try:
            while True:
                received = self._ahead or self._receive(self._patience)
                self._ahead = b""
                piece = self._decode(received)
                if piece or self.complete:
                    return piece
        except MalformedBody as error:
            self.refusal = Refusal(400, f"The request body is malformed: {error}.")
            self._error = error
            raise
        except TimeoutError as error:
            self.refusal = Refusal(408, "Timed out reading the request body.")
            self._error = error
            raise
        except OSError as error:
            self._error = error
            raise

    def _decode(self, received: bytes) -> bytes:
        if self._decoder is not None:
            piece = self._decoder.feed(received)
            self.complete = self._decoder.finished
            self.leftover = self._decoder.leftover
            return piece
        piece = received[: self._left]
        self._left -= len(piece)
        if not self._left:
            self.complete = True
            self.leftover = received[len(piece) :]
        return piece

    def _receive(self, timeout: float) -> bytes:
        if self.awaits_continue:
            self.awaits_continue = False
            self._stream.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        # Only time spent waiting for the client counts, not the application's.
        start = self._stream.clock()
        try:
            if self._decoder is None:
                data = self._stream.receive(RECEIVE_SIZE, timeout)
            else:
                data = self._stream.receive(CHUNKED_RECEIVE_SIZE, timeout, weight=CHUNKED_WEIGHT)
        except TimeoutError:
            raise
        except OSError as error:
            raise Disconnected(str(error)) from error
        finally:
            self._patience -= self._stream.clock() - start
        if not data:
            raise Disconnected("the client disconnected before the end of its request")
        self._received += len(data)
        self._patience = min(self._patience + len(data) / MIN_RATE, self._max_patience)
        return data
