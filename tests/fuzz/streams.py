"""The target ``http``: a connection's bytes, to the server's HTTP in one piece and in many."""

from __future__ import annotations

import logging
import random
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from django_websocket.serving.http.connection import AccessEntry, HTTPConnection
from django_websocket.serving.http.environ import base_environ
from django_websocket.serving.patch import eventlet

from .readings import disagreement

if TYPE_CHECKING:
    import socket
else:
    socket = eventlet.patcher.original("socket")

__all__ = ["STREAMS", "http"]

STREAMS = tuple(
    text.replace("~", "\r\n").encode()
    for text in (
        "GET / HTTP/1.1~Host: a~~",
        "GET /1 HTTP/1.1~Host: a~~GET /2?x HTTP/1.1~Host: a~Connection: close~~",
        "POST / HTTP/1.1~Host: a~Content-Length: 5~~helloGET /2 HTTP/1.1~Host: a~~",
        'POST / HTTP/1.1~Host: a~Transfer-Encoding: chunked~~5;a=b;c="d"~hello~0~X: y~~GET / HTTP/1.0~~',
        "POST / HTTP/1.1~Host: a~Expect: 100-continue~Content-Length: 3~~abc~HEAD / HTTP/1.1~Host: a~~",
        "OPTIONS * HTTP/1.1~Host: [::1]:80~~GET http://a/b HTTP/1.1~Host: a~~",
        "GET / HTTP/1.1~Host: a~Upgrade: websocket~Connection: upgrade~Sec-WebSocket-Key: x~~",
    )
)

DATE = re.compile(rb"Date: [^\r]*\r\n")


class Complaint(logging.Handler):
    """Raises what the server would only log: that a connection failed in a way that it doesn't know."""

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info:
            raise AssertionError(record.getMessage())


class Wire:
    """Gives ``pieces``, then the end of the stream; keeps what is sent."""

    def __init__(self, pieces: list[bytes]) -> None:
        # The hub finds it readable and writable whenever it looks.
        self._ready, other_end = socket.socketpair()
        other_end.close()
        self.fd = self._ready.fileno()
        self._pieces = pieces[::-1]
        self.sent = b""
        self.closed = False
        self.has_pending = False

    def receive(self, size: int) -> bytes:
        if not self._pieces:
            return b""
        piece = self._pieces.pop()
        if len(piece) > size:
            self._pieces.append(piece[size:])
        return piece[:size]

    def send(self, data: bytes, flags: int = 0) -> int:
        self.sent += data
        return len(data)

    def has_input(self) -> bool:
        return True

    def close(self) -> None:
        self._ready.close()
        self.closed = True

    def shut_down(self) -> None:
        pass

    end_input = reset_on_close = say_goodbye = shut_down


@dataclass
class Server:
    """Answers each request, as ``flags`` say, and notes what it was."""

    flags: int
    requests: list[tuple[Any, ...]] = field(default_factory=list)
    entries: list[AccessEntry] = field(default_factory=list)
    ended: int = 0
    request_timeout = 10.0
    keep_alive = None
    tls = None
    takes_websockets = True
    stopping = False
    disowned = False
    handshake_gate = None

    @property
    def access_log(self) -> Any:
        return self.entries.append

    def application(self, environ: dict[str, Any], start_response: Any) -> Any:
        body, source = None, environ["wsgi.input"]
        try:
            if self.flags & 1:
                body = source.read()
            elif self.flags & 2:
                body = b"".join(source.readlines())
            elif self.flags & 4:
                body = source.read(3)
        except OSError as error:
            body = type(error).__name__
        headers = sorted((name, value) for name, value in environ.items() if name.startswith(("HTTP_", "CONTENT_")))
        line = environ["REQUEST_METHOD"], environ["RAW_URI"], environ["PATH_INFO"], environ["QUERY_STRING"]
        self.requests.append((*line, headers, body))
        start_response("200 OK", [("Content-Type", "text/plain")])
        return iter([b"first", b"", b"second"]) if self.flags & 8 else [b"whole"]

    def open_websocket(self, *_: Any) -> None:
        raise AssertionError("nothing accepts a websocket here")

    def connection_ended(self, connection: HTTPConnection, *, upgraded: bool) -> None:
        self.ended += 1


def serve(pieces: list[bytes], flags: int) -> tuple[Server, bytes]:
    server, wire = Server(flags), Wire(pieces)
    connection: Any = HTTPConnection
    environ = base_environ("a", "80", multiprocess=False)
    logger, complaint = logging.getLogger("django_websocket.server"), Complaint()
    logger.addHandler(complaint)
    try:
        connection(server, wire, ("192.0.2.1", 1), environ).run()
    finally:
        logger.removeHandler(complaint)
    assert wire.closed
    assert server.ended == 1
    return server, DATE.sub(b"", wire.sent)


def pieces_of(stream: bytes, seed: int) -> list[bytes]:
    chance = random.Random(seed)
    pieces, position = [], 0
    while position < len(stream):
        size = 1 if seed == 0 else chance.choice((1, 2, 3, 20, 500))
        pieces.append(stream[position : position + size])
        position += size
    return pieces


def http(data: bytes) -> None:
    """The same requests, answered in the same way, however the bytes come; each is as h11 reads it."""
    if len(data) < 2:
        return
    flags, seed, stream = data[0], data[1], data[2:]
    (whole, answers), (split, other_answers) = serve([stream], flags), serve(pieces_of(stream, seed), flags)
    statuses = [entry.status for entry in whole.entries]
    if flags & 3:
        assert whole.requests == split.requests, (data, whole.requests, split.requests)
    else:
        # With a body that the application left unread, it depends on what has come whether it is found to be malformed,
        # and whether there is a next request.
        pairs = zip(whole.requests, split.requests, strict=False)
        assert all(one[:-1] == other[:-1] for one, other in pairs), (data, whole.requests, split.requests)
    # Too much of something and something wrong may be noticed in either order.
    if flags & 3 and not any(status in (400, 414, 431) for status in statuses):
        assert answers == other_answers, (data, answers, other_answers)
        assert statuses == [entry.status for entry in split.entries]
    assert all(200 <= status < 506 and status != 500 for status in statuses), statuses
    _, problem = disagreement(stream)
    assert problem is None, problem
