"""The response side of PEP 3333: ``start_response``, ``write`` and body framing."""

from __future__ import annotations

import logging
import re
import socket
import time
from collections.abc import Callable, Iterable, Sequence
from email.utils import formatdate
from functools import lru_cache
from http import HTTPStatus
from types import TracebackType
from typing import TypeAlias

from ...memo import Memo
from ...protocol.handshake import TOKEN
from ..green.async_stream import is_asynchronous, send_asynchronous
from .files import FileWrapper
from .head import Head, Refusal
from .stream import Disconnected, Stream

__all__ = ["Response", "refusal_bytes"]

logger = logging.getLogger("django_websocket.server")

ExcInfo: TypeAlias = tuple[type[BaseException], BaseException, TracebackType] | tuple[None, None, None]

MAX_JOINED = 64 * 1024
"""Bytes of data up to which head and data are joined into one system call and packet; above that, the copy costs more
than it saves."""

MSG_MORE: int = getattr(socket, "MSG_MORE", 0)
"""Linux: more data follows, so don't send a small packet for the head alone."""

_STATUS = re.compile(r"[1-9][0-9]{2}(?: [\t\x20-\x7e\x80-\xff]*)?")
_NAME = re.compile(TOKEN)
_UNSENDABLE = re.compile(r"[^\t\x20-\x7e\x80-\xff]")

# PEP 3333: applications "are forbidden from using HTTP/1.1 'hop-by-hop' features or headers". They are
# dropped rather than turned into a 500, so that a view may relay an upstream response: framing and connection
# lifetime are up to the server. "Connection: close" is honoured.
_HOP_BY_HOP = frozenset(
    (
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
    )
) | {"trailers", "transfer-encoding", "upgrade"}

_date = (0, "")


def http_date() -> str:
    """Return the value of the Date header, cached for a second."""
    global _date
    now = int(time.time())
    if _date[0] != now:
        _date = (now, formatdate(now, usegmt=True))
    return _date[1]


def refusal_bytes(refusal: Refusal, *, head_only: bool = False) -> bytes:
    """Return ``refusal`` as a complete response with ``Connection: close``."""
    body = f"{refusal.reason}\n".encode("latin-1", "replace")
    # RFC 6585, section 4: a 429 "MAY include a Retry-After header indicating how long to wait".
    later = "" if refusal.retry_after is None else f"Retry-After: {refusal.retry_after}\r\n"
    return (
        f"HTTP/1.1 {refusal.status} {HTTPStatus(refusal.status).phrase}\r\nDate: {http_date()}\r\n"
        f"Content-Type: text/plain; charset=utf-8\r\nContent-Length: {len(body)}\r\n{later}Connection: close\r\n\r\n"
    ).encode("latin-1") + (b"" if head_only else body)


def _lower_name(name: str) -> str:
    """Return ``name`` in lower case. Raises ValueError if it isn't a header name."""
    if _NAME.fullmatch(name) is None:
        raise ValueError(f"not a header name: {name!r}")
    return name.lower()


_lower_names = Memo(_lower_name, entries=1024, length=64)


@lru_cache(maxsize=64)
def _warn_dropped(name: str) -> None:
    logger.warning("dropped the response header %s: only the server may set it", name)


class Response:
    """The response to one request, which the application fills in through :meth:`start_response`."""

    def __init__(self, stream: Stream, head: Head, may_keep: Callable[[], bool]) -> None:
        self._stream = stream
        self._head = head
        self._may_keep = may_keep
        self._is_11 = head.protocol == "HTTP/1.1"
        self._head_only = head.method == "HEAD"
        self._fields = ""
        self._status = ""
        self._has_date = False
        self._length: int | None = None  # declared by the application
        self._left: int | None = None  # bytes of the declared length still to send
        self._chunked = False
        self._is_too_long = False
        self._sending = False
        self.status = 0
        self.headers: Sequence[tuple[str, str]] = ()
        """Those that the application has set."""
        self.keep_alive = head.keep_alive
        self.headers_sent = False
        self.sent = 0
        """Bytes of the body that the kernel has taken so far."""
        self.complete = True
        """False once it is known that the client will not get all of it."""

    def start_response(
        self, status: str, headers: list[tuple[str, str]], exc_info: ExcInfo | None = None, /
    ) -> Callable[[bytes], None]:
        """PEP 3333's ``start_response``. Raises ValueError or TypeError for a status or header that can't be sent."""
        if exc_info is not None:
            try:
                if self.headers_sent and exc_info[1] is not None:
                    raise exc_info[1].with_traceback(exc_info[2])
            finally:
                exc_info = None
        elif self.status:
            raise RuntimeError("start_response was called twice without exc_info")
        if _STATUS.fullmatch(status) is None:
            raise ValueError(f"not an HTTP status: {status!r}")
        code = int(status[:3])
        if code < 200 and code != 101:
            raise ValueError(f"not a final HTTP status: {status!r}")
        self._set_headers(headers, switching=code == 101)
        self._status = status if len(status) > 3 else f"{status} "
        self.status = code
        return self.write

    def _set_headers(self, headers: Sequence[tuple[str, str]], *, switching: bool) -> None:
        lines: list[str] = []
        length: int | None = None
        has_date = close = False
        for name, value in headers:
            lower = _lower_names[name]
            if _UNSENDABLE.search(value) is not None:
                raise ValueError(f"the value of the response header {name} can't be sent: {value!r}")
            if lower == "content-length":
                if length is not None or not (value.isascii() and value.isdigit()):
                    raise ValueError(f"repeated or invalid Content-Length: {value!r}")
                length = int(value)
                continue
            if lower in _HOP_BY_HOP:
                if lower == "connection" and value.lower() == "close":
                    close = True
                elif not switching:
                    _warn_dropped(lower)
                continue
            if switching and lower == "content-type":
                continue
            if lower == "date":
                has_date = True
            lines.append(f"{name}: {value}\r\n")
        self._fields, self._length, self._has_date = "".join(lines), length, has_date
        self.headers = headers
        if close:
            self.keep_alive = False

    def write(self, data: bytes, /) -> None:
        """PEP 3333's ``write``: send ``data`` at once. Raises OSError if the client is gone."""
        if not isinstance(data, bytes):
            raise TypeError(f"response data must be bytes, not {type(data).__name__}")
        if not data:
            return
        self._sending = True
        head = b"" if self.headers_sent else self._make_head(None)
        if self._bodyless:
            data = b""
        elif self._left is not None:
            if len(data) > self._left:
                # What is too much stays here, so the next response is not misread.
                self._log_length("longer")
                self._is_too_long = True
                data = data[: self._left]
            self._left -= len(data)
        self.sent += len(data)
        if self._chunked:
            data = b"%x\r\n%b\r\n" % (len(data), data)
        if head and data and len(data) > MAX_JOINED:
            self._stream.send(head, MSG_MORE)
            self._stream.send(data)
        elif head or data:
            self._stream.send(head + data if head else data)
        self._sending = False

    def send_result(self, result: Iterable[bytes]) -> None:
        """Send all of the iterable that the application returned."""
        if isinstance(result, FileWrapper) and self._send_file(result):
            return
        if self._is_whole(result):
            body = b"".join(result)
            if not self.headers_sent:
                self._send_whole(body)
                return
            self.write(body)
        elif is_asynchronous(result):
            if not send_asynchronous(result, self._write_more, self._stream.wire):
                raise Disconnected("the client left")
        else:
            for data in result:
                if not self._write_more(data):
                    break
        self._finish()

    def _write_more(self, data: bytes) -> bool:
        """Write a piece of the body; False if no more of it is sent."""
        self.write(data)
        return not (self.headers_sent and self._bodyless) and not self._is_too_long

    @staticmethod
    def _is_whole(result: Iterable[bytes]) -> bool:
        """Whether the whole body is available, so that its length is known before sending."""
        if isinstance(result, (list, tuple)):
            return True
        # Django's HttpResponse has ``streaming``, but no len(); PEP 3333 suggests checking for a len() of 1.
        if getattr(result, "streaming", None) is False:
            return True
        try:
            return len(result) == 1  # type: ignore[arg-type]  # it may have no len()
        except TypeError:
            return False

    def _send_whole(self, body: bytes) -> None:
        self._check_started()
        if self._length is None or self._length == len(body) or self._bodyless:
            head = self._make_head(len(body))
            data = b"" if self._bodyless else body
            self.sent = len(data)
            if len(data) > MAX_JOINED:
                self._stream.send(head, MSG_MORE)
                self._stream.send(data)
            else:
                self._stream.send(head + data)
            return
        if len(body) < self._length:
            self.keep_alive = False
        self.write(body)
        self._finish()

    def _send_file(self, wrapper: FileWrapper) -> bool:
        if self.headers_sent or not self.status or self._bodyless:
            return False
        where = wrapper.regular_file()
        if where is None:
            return False
        fd, position, count = where
        if self._length is not None:
            if count < self._length:
                self.keep_alive = False
            count = min(count, self._length)
        head = self._make_head(count)
        self._stream.send(head, MSG_MORE)
        self.sent = count
        self.sent = self._stream.send_file(fd, position, count)
        if self.sent != (count if self._length is None else self._length):
            self._fail_length()
        return True

    def send_error(self, refusal: Refusal) -> None:
        """Send ``refusal`` instead of the application's response, unless part of that has been sent."""
        self.keep_alive = False
        if not self.headers_sent:
            self.headers_sent = True
            self.status = refusal.status
            self.sent = 0 if self._head_only else len(refusal.reason) + 1
            self._stream.send(refusal_bytes(refusal, head_only=self._head_only))

    def send_switch(self) -> None:
        """Send the ``101`` head of a websocket (RFC 6455, section 4.2.2)."""
        self.headers_sent = True
        upgrade = "Upgrade: websocket\r\nConnection: Upgrade\r\n"
        self._stream.send(f"HTTP/1.1 {self._status}\r\n{upgrade}{self._fields}\r\n".encode("latin-1"))

    def cut_off(self, unsent: int = 0) -> None:
        """Note that the response ends here, and that the last ``unsent`` bytes that were to be sent were not."""
        self.complete = False
        self.sent = max(0, self.sent - unsent)

    @property
    def is_sent(self) -> bool:
        """Whether the client has been sent all that the head promises, whatever the application does next."""
        return self.headers_sent and not self._sending and (self._bodyless or self._left == 0)

    @property
    def ends_with_connection(self) -> bool:
        """Whether the body being sent is delimited by connection close (RFC 9112, section 6.3, item 8)."""
        return self.headers_sent and not (self._chunked or self._bodyless or self._left is not None)

    @property
    def _bodyless(self) -> bool:
        return self._head_only or self.status in (204, 304)

    def _check_started(self) -> None:
        if not self.status:
            raise RuntimeError("the application returned without calling start_response")

    def _make_head(self, whole: int | None) -> bytes:
        """Return the head. ``whole`` is the body's length, if known, in case the application declared none."""
        self._check_started()
        length = whole if self._length is None else self._length
        if self.status == 204:
            # RFC 9110, 8.6: "A server MUST NOT send a Content-Length header field in any response with a
            # status code of 1xx (Informational) or 204 (No Content)."
            length = None
        elif self.status == 304 and self._length is None:
            length = None  # the length would have to be that of the 200 response
        parts = [f"HTTP/1.1 {self._status}\r\n"]
        if not self._has_date:
            parts.append(f"Date: {http_date()}\r\n")
        parts.append(self._fields)
        if length is not None:
            parts.append(f"Content-Length: {length}\r\n")
            self._left = length
        elif not self._bodyless:
            if self._is_11:
                self._chunked = True
                parts.append("Transfer-Encoding: chunked\r\n")
            else:
                self.keep_alive = False
        if self.keep_alive and not self._may_keep():
            self.keep_alive = False
        if not self.keep_alive:
            parts.append("Connection: close\r\n")
        parts.append("\r\n")
        head = "".join(parts).encode("latin-1")
        self.headers_sent = True
        return head

    def _finish(self) -> None:
        """End the body after the last write."""
        if not self.headers_sent:
            self._stream.send(self._make_head(0))
        if self._bodyless:
            return
        if self._chunked:
            self._stream.send(b"0\r\n\r\n")
        elif self._left:
            self._fail_length()

    def _fail_length(self) -> None:
        """Close the connection, since the response is shorter than its Content-Length."""
        self.keep_alive = self.complete = False
        self._log_length("shorter")

    def _log_length(self, how: str) -> None:
        logger.error("%s %s: the response is %s than its Content-Length", self._head.method, self._head.target, how)
