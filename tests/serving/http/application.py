"""A WSGI application with one path for each thing that a server may do wrong. Runs in the served process."""

from __future__ import annotations

import gzip
import io
import json
import os
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Any, cast
from urllib.parse import parse_qs

from django_websocket.channel import UPGRADE_KEY, Channel
from django_websocket.protocol.connection import Connection
from django_websocket.serving.http.spool import ChunkedBodySpooler
from django_websocket.serving.patch import eventlet
from django_websocket.serving.process.server import Server
from django_websocket.websocket import WebSocket

Environ = dict[str, Any]
StartResponse = Callable[..., Callable[[bytes], None]]
Headers = list[tuple[str, str]]

TEXT: Headers = [("Content-Type", "text/plain")]

counts: Counter[str] = Counter()
"""What happened: closed iterables, websockets that were opened or aborted."""

servers: list[Server] = []
spoolers: list[ChunkedBodySpooler] = []
events: dict[str, Any] = {}


class Closing:
    """An iterable whose close() is counted."""

    def __init__(self, label: str, data: Iterable[bytes]) -> None:
        self.label = label
        self.data = iter(data)

    def __iter__(self) -> Iterator[bytes]:
        return self.data

    def close(self) -> None:
        counts[f"closed {self.label}"] += 1


def event(name: str) -> Any:
    """Something that one request waits for and another lets happen."""
    return events.setdefault(name, eventlet.Event())


def application(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    path = environ["PATH_INFO"].strip("/").replace("-", "_") or "index"
    query = {name: values[0] for name, values in parse_qs(environ["QUERY_STRING"], keep_blank_values=True).items()}
    view = globals().get(f"view_{path}", view_index)
    result: Iterable[bytes] = view(environ, start_response, query)
    return result


def view_index(environ: Environ, start_response: StartResponse, query: dict[str, str]) -> Iterable[bytes]:
    start_response("200 OK", list(TEXT))
    return [b"ok"]


def view_smuggled(environ: Environ, start_response: StartResponse, query: dict[str, str]) -> Iterable[bytes]:
    counts["smuggled"] += 1
    return view_index(environ, start_response, query)


def view_environ(environ: Environ, start_response: StartResponse, query: dict[str, str]) -> Iterable[bytes]:
    start_response("200 OK", list(TEXT))
    return [json.dumps({k: v for k, v in environ.items() if isinstance(v, (str, bool, tuple))}).encode()]


def _count_descriptors() -> int | None:
    try:
        return len(os.listdir("/proc/self/fd"))
    except OSError:
        return None  # there is none left to look with


def view_counts(environ: Environ, start_response: StartResponse, query: dict[str, str]) -> Iterable[bytes]:
    hub = eventlet.hubs.get_hub()
    state = {
        "connections": servers[0].connections,
        "fds": _count_descriptors(),
        "listeners": len(hub.listeners["read"]) + len(hub.listeners["write"]),
        "spooled": sum(spooler.total for spooler in spoolers),
        "spooled files": sum(spooler.files for spooler in spoolers),
        **counts,
    }
    start_response("200 OK", list(TEXT))
    return [json.dumps(state).encode()]


def view_read(environ: Environ, start_response: StartResponse, query: dict[str, str]) -> Iterable[bytes]:
    stream = environ["wsgi.input"]
    body = stream.read() if "all" in query else b"".join(iter(lambda: stream.read(10_000), b""))
    if stream.read(1) != b"" or stream.readline() != b"":
        raise AssertionError("there is something behind the end")
    start_response("200 OK", list(TEXT))
    return [body]


def view_read_some(environ: Environ, start_response: StartResponse, query: dict[str, str]) -> Iterable[bytes]:
    body = environ["wsgi.input"].read(int(query["size"]))
    start_response("200 OK", list(TEXT))
    return [body]


def view_lines(environ: Environ, start_response: StartResponse, query: dict[str, str]) -> Iterable[bytes]:
    stream = environ["wsgi.input"]
    how = query["how"]
    if how == "readlines":
        lines = stream.readlines()
    elif how == "hint":
        lines = [*stream.readlines(3), b"", *stream.readlines(-1)]
    elif how == "short":
        lines = list(iter(lambda: stream.readline(2), b""))
    else:
        lines = list(stream)
    start_response("200 OK", list(TEXT))
    return [b"|".join(lines)]


def view_read_behind_the_head(
    environ: Environ, start_response: StartResponse, query: dict[str, str]
) -> Iterable[bytes]:
    start_response("200 OK", list(TEXT))
    yield b"it was "
    yield environ["wsgi.input"].read()


def view_late_read(environ: Environ, start_response: StartResponse, query: dict[str, str]) -> Iterable[bytes]:
    event("late").wait()
    return view_read(environ, start_response, query)


def view_read_guarded(environ: Environ, start_response: StartResponse, query: dict[str, str]) -> Iterable[bytes]:
    """As Django does: the error is caught, and a response made of it."""
    try:
        environ["wsgi.input"].read()
    except OSError as error:
        counts[f"read {type(error).__name__}"] += 1
        start_response("403 Forbidden", list(TEXT))
        return [b"no"]
    return view_index(environ, start_response, query)


def view_stream(environ: Environ, start_response: StartResponse, query: dict[str, str]) -> Iterable[bytes]:
    def pieces() -> Iterator[bytes]:
        yield b"one"
        yield b""
        event(query["until"]).wait()
        yield b"two"

    start_response("200 OK", list(TEXT))
    return Closing("stream", pieces())


def view_wait(environ: Environ, start_response: StartResponse, query: dict[str, str]) -> Iterable[bytes]:
    counts["waiting"] += 1
    event(query["until"]).wait()
    return view_index(environ, start_response, query)


def view_release(environ: Environ, start_response: StartResponse, query: dict[str, str]) -> Iterable[bytes]:
    event(query["name"]).send()
    return view_index(environ, start_response, query)


def view_stop(environ: Environ, start_response: StartResponse, query: dict[str, str]) -> Iterable[bytes]:
    servers[0].stop(drain_timeout=float(query["drain"]))
    return view_index(environ, start_response, query)


def view_write(environ: Environ, start_response: StartResponse, query: dict[str, str]) -> Iterable[bytes]:
    write = start_response("200 OK", list(TEXT))
    write(b"one")
    event(query["until"]).wait()
    write(b"two")
    return [b"three"]


def view_status(environ: Environ, start_response: StartResponse, query: dict[str, str]) -> Iterable[bytes]:
    headers = [("Content-Length", query["length"])] if "length" in query else []
    start_response(query["status"], headers)
    body = b"body" if "body" in query else b""
    return Closing("status", iter([body])) if "stream" in query else [body]


def view_length(environ: Environ, start_response: StartResponse, query: dict[str, str]) -> Iterable[bytes]:
    start_response("200 OK", [*TEXT, ("Content-Length", query["declared"])])
    body = b"x" * int(query["actual"])
    return Closing("length", (body[i : i + 3] for i in range(0, len(body), 3))) if "stream" in query else [body]


def view_headers(environ: Environ, start_response: StartResponse, query: dict[str, str]) -> Iterable[bytes]:
    start_response("200 OK", [(query.get("name", "X-Name"), query.get("value", "value"))])
    return [b"ok"]


def view_hop(environ: Environ, start_response: StartResponse, query: dict[str, str]) -> Iterable[bytes]:
    start_response("200 OK", [("Transfer-Encoding", "chunked"), ("Keep-Alive", "timeout=1"), ("X-Kept", "1")])
    return [b"ok"]


def view_close(environ: Environ, start_response: StartResponse, query: dict[str, str]) -> Iterable[bytes]:
    start_response("200 OK", [("Connection", "close")])
    return [b"ok"]


def view_raise(environ: Environ, start_response: StartResponse, query: dict[str, str]) -> Iterable[bytes]:
    if query.get("started"):
        start_response("200 OK", list(TEXT))
    raise {"exit": SystemExit, "timeout": eventlet.Timeout}.get(query.get("kind", ""), ValueError)("on purpose")


def view_raise_late(environ: Environ, start_response: StartResponse, query: dict[str, str]) -> Iterable[bytes]:
    def pieces() -> Iterator[bytes]:
        yield b"one"
        raise ValueError("on purpose, late")

    start_response("200 OK", [*TEXT, *([("Content-Length", query["length"])] if "length" in query else [])])
    return Closing("raise", pieces())


def view_raise_first(environ: Environ, start_response: StartResponse, query: dict[str, str]) -> Iterable[bytes]:
    def pieces() -> Iterator[bytes]:
        yield b""
        raise ValueError("on purpose, before the first data")

    start_response("200 OK", list(TEXT))
    return Closing("raise", pieces())


def view_raise_close(environ: Environ, start_response: StartResponse, query: dict[str, str]) -> Iterable[bytes]:
    class Failing(list[bytes]):
        def close(self) -> None:
            raise ValueError("on purpose, in close()")

    start_response("200 OK", list(TEXT))
    return Failing([b"ok"])


def view_never(environ: Environ, start_response: StartResponse, query: dict[str, str]) -> Iterable[bytes]:
    return [b"ok"]


def view_lazy(environ: Environ, start_response: StartResponse, query: dict[str, str]) -> Iterable[bytes]:
    def pieces() -> Iterator[bytes]:
        start_response("200 OK", list(TEXT))
        yield b"ok"

    return pieces()


def view_text(environ: Environ, start_response: StartResponse, query: dict[str, str]) -> Iterable[bytes]:
    start_response("200 OK", list(TEXT))
    return ["text"]  # type: ignore[list-item]  # on purpose


def view_twice(environ: Environ, start_response: StartResponse, query: dict[str, str]) -> Iterable[bytes]:
    start_response("200 OK", list(TEXT))
    start_response("404 Not Found", list(TEXT))
    return [b"ok"]


def view_exc_info(environ: Environ, start_response: StartResponse, query: dict[str, str]) -> Iterable[bytes]:
    write = start_response("200 OK", [*TEXT, ("X-First", "1")])
    if "late" in query:
        write(b"one")
    try:
        raise ValueError("on purpose, for exc_info")
    except ValueError:
        start_response("503 Service Unavailable", list(TEXT), sys.exc_info())
    return [b"sorry"]


def view_big(environ: Environ, start_response: StartResponse, query: dict[str, str]) -> Iterable[bytes]:
    start_response("200 OK", list(TEXT))
    if "whole" in query:
        return [b"x" * int(query["size"])]
    return Closing("big", (b"x" * 65536 for _ in range(int(query["size"]) // 65536)))


def view_file(environ: Environ, start_response: StartResponse, query: dict[str, str]) -> Iterable[bytes]:
    data = b"".join(b"%07d\n" % i for i in range(int(query.get("lines", "1000"))))
    kind = query["kind"]
    file: Any
    if kind == "bytes":
        file = io.BytesIO(data)
    elif kind == "pipe":
        reading, writing = os.pipe()
        os.write(writing, data[:4000])
        os.close(writing)
        file = os.fdopen(reading, "rb")
    elif kind == "proc":
        file = open("/proc/version", "rb")  # noqa: SIM115
    elif kind == "gzip":
        zipped = tempfile.TemporaryFile()  # noqa: SIM115
        with gzip.GzipFile(fileobj=zipped, mode="wb") as compressing:
            compressing.write(data)
        zipped.seek(0)
        file = gzip.GzipFile(fileobj=zipped)
    elif kind == "named":
        file = tempfile.NamedTemporaryFile()  # noqa: SIM115
        file.write(data)
        file.seek(0)
    else:
        file = tempfile.TemporaryFile(buffering=0 if kind == "raw" else -1)  # noqa: SIM115
        file.write(data)
        file.seek(0)
    file.read(int(query.get("skip", "0")))
    headers = [("Content-Length", query["length"])] if "length" in query else []
    start_response("200 OK", [*TEXT, *headers])
    original = file.close

    def close() -> None:
        counts["closed file"] += 1
        original()

    if kind in ("bytes", "raw", "file", "pipe", "proc"):
        wrapped = environ["wsgi.file_wrapper"](file, 512)
        original_close = wrapped.close

        def counting_close() -> None:
            counts["closed file"] += 1
            original_close()

        wrapped.close = counting_close
        return wrapped  # type: ignore[no-any-return]
    file.close = close
    return environ["wsgi.file_wrapper"](file, 512)  # type: ignore[no-any-return]


class GreetingView:
    """An acceptance whose view says hello, sends back what came behind the handshake, and closes."""

    is_waiting = True
    owner: object = None
    connection = Connection()

    def open(self, channel: Channel, peer: str, trailing: bytes, owner: Server) -> None:
        counts["opened"] += 1
        channel.send(b"<" + trailing + b">")
        channel.close()
        self.owner = owner
        owner.socket_closed(cast(WebSocket, self))

    def abort(self) -> None:
        counts["aborted"] += 1


def view_switch(environ: Environ, start_response: StartResponse, query: dict[str, str]) -> Iterable[bytes]:
    """What the view layer does."""
    how = query.get("how", "")
    if how != "none":
        environ[UPGRADE_KEY].acceptance = GreetingView()
    if how == "raise":
        raise ValueError("on purpose, with a websocket")
    headers = [("Sec-WebSocket-Accept", "x"), ("Content-Type", "text/html"), ("Content-Length", "0")]
    start_response("403 Forbidden" if how == "replaced" else "101 Switching Protocols", headers)
    return Closing("switch", [b""])
