"""Lines in, messages out: one thread that waits for a websocket and for its input at once."""

from __future__ import annotations

import os
import socket
import ssl
import time
from collections.abc import Callable
from typing import Any

from ..close_codes import CloseCode
from ..compat.eventlet import blocking_select
from ..exceptions import ProtocolError
from ..protocol.assembly import Message
from ..protocol.client import ClientProtocol
from .interrupts import Interrupts

__all__ = ["Conversation"]

MAX_WAITING = 65536
"""Bytes waiting for the server beyond which no input is read."""

CHUNK = 65536
"""Bytes that are read at a time."""

_NOT_YET = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


class Conversation:
    """An open websocket on ``sock``. Each line of ``source``, a file descriptor, is sent as a text message.

    ``show`` is called with each message that comes. The websocket is closed once ``show`` returns False, at an
    interrupt, and ``wait`` seconds after the end of the input; closing it may take ``timeout`` seconds.
    """

    def __init__(
        self,
        sock: socket.socket,
        source: int | None,
        interrupts: Interrupts,
        show: Callable[[Message], bool],
        *,
        wait: float,
        timeout: float,
    ) -> None:
        self.failure: Exception | None = None
        """What ended the websocket, if it wasn't a close frame."""
        self._sock = sock
        self._source = source
        self._interrupts = interrupts
        self._show = show
        self._wait = wait
        self._timeout = timeout
        self._protocol = ClientProtocol()
        self._line = b""  # begun in the input
        self._out = b""  # bytes for the server
        self._sends_no_more = False
        self._leave_at: float | None = None
        self._give_up_at: float | None = None
        self._has_ended = False

    @property
    def close_code(self) -> int:
        """The code of the server's close frame; 1005 if it had none, 1006 if there was no frame."""
        code = self._protocol.close_code
        return CloseCode.ABNORMAL_CLOSURE.value if code is None else code

    @property
    def close_reason(self) -> str:
        return self._protocol.close_reason

    def run(self) -> None:
        """Return when the connection has ended. Raises what ``show`` raises, UnicodeDecodeError for input that is not
        UTF-8.
        """
        self._sock.setblocking(False)
        if self._source is None:
            self._end_input()
        while not self._has_ended:
            readable, writable = self._select()
            if self._sock in readable:
                self._receive()
            if self._sock in writable:
                self._flush()
            if self._source in readable:
                self._read_input()
            if self._interrupts in readable:
                self._close(CloseCode.NORMAL_CLOSURE)
            self._look_at_clock()

    def _select(self) -> tuple[list[Any], list[Any]]:
        readers: list[Any] = [self._sock]
        if not self._sends_no_more:
            readers.append(self._interrupts)
        if self._source is not None and len(self._out) < MAX_WAITING:
            readers.append(self._source)
        writers: list[Any] = [self._sock] if self._out else []
        pending = isinstance(self._sock, ssl.SSLSocket) and self._sock.pending()
        ends = [end for end in (self._leave_at, self._give_up_at) if end is not None]
        seconds = max(0, min(ends) - time.monotonic()) if ends else None
        readable, writable, _ = blocking_select()(readers, writers, [], 0 if pending else seconds)
        return [*readable, self._sock] if pending else readable, writable

    def _look_at_clock(self) -> None:
        now = time.monotonic()
        if self._leave_at is not None and now >= self._leave_at:
            self._close(CloseCode.NORMAL_CLOSURE)
        if self._give_up_at is not None and now >= self._give_up_at:
            self._has_ended = True

    # The input

    def _read_input(self) -> None:
        assert self._source is not None, "only an open input is readable"
        try:
            data = os.read(self._source, CHUNK)
        except OSError:
            data = b""  # the terminal is gone
        *lines, self._line = (self._line + data).split(b"\n")
        if not data and self._line:
            lines, self._line = [self._line], b""
        for line in lines:
            self._write(self._protocol.encode_message(line.removesuffix(b"\r").decode()))
        if not data:
            self._end_input()

    def _end_input(self) -> None:
        self._source = None
        if not self._sends_no_more:
            self._leave_at = time.monotonic() + self._wait

    # The server

    def _receive(self) -> None:
        try:
            data = self._sock.recv(CHUNK)
        except _NOT_YET:
            return
        except OSError as error:
            if self._protocol.close_code is None:
                self.failure = self.failure or error
            data = b""
        if not data:
            self._has_ended = True
            return
        try:
            self._protocol.receive_data(data)
        except ProtocolError as error:
            self.failure = error
            self._close(error.close_code)
            # "An endpoint MUST NOT continue to attempt to process data [...] from the remote endpoint".
            self._has_ended = True
            return
        finally:
            self._show_messages()
        for payload in self._protocol.pings:
            self._write(self._protocol.encode_pong(payload))
        self._protocol.pings.clear()
        if self._protocol.close_code is not None:
            self._close(self._protocol.close_code)

    def _show_messages(self) -> None:
        while self._protocol.messages:
            if not self._show(self._protocol.messages.popleft()):
                self._protocol.messages.clear()
                self._close(CloseCode.NORMAL_CLOSURE)

    def _write(self, data: bytes) -> None:
        if not self._sends_no_more:
            self._out += data
            self._flush()

    def _flush(self) -> None:
        try:
            while self._out:
                self._out = self._out[self._sock.send(self._out) :]
        except _NOT_YET:
            pass
        except OSError as error:
            self.failure = error
            self._out = b""
            self._stop_sending()  # what the server sent before may still be there

    def _close(self, code: int) -> None:
        """Send a close frame, unless there was one, and begin to wait for the end."""
        if not self._sends_no_more:
            self._write(self._protocol.encode_close(None if code == CloseCode.NO_STATUS_RCVD else code))
            self._stop_sending()

    def _stop_sending(self) -> None:
        """Send nothing more than what waits, and leave the server some time to close the connection."""
        self._sends_no_more = True
        self._source = self._leave_at = None
        self._give_up_at = time.monotonic() + self._timeout
