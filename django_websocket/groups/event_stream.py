"""Messages of a group as server-sent events, for pages behind proxies that break websockets.

HTML Living Standard, section 9.2. The browser's ``EventSource`` connects again by itself and sends the last ``id`` in
``Last-Event-ID``: the position, in a group with history. ``data`` is what a member gets, but binary messages come in
the envelope of :mod:`.message` always. A comment at intervals tells proxies, and the server, that the client is there.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from weakref import WeakSet

from django.http import HttpRequest, StreamingHttpResponse

from ..database import release_connections
from ..sessions import session_watch
from .message import BINARY, GroupMessage
from .subscription import Subscription

__all__ = ["HEARTBEAT", "EventStream", "close_streams", "event_stream"]

HEARTBEAT = 15.0
"""Seconds without a message after which a comment is sent."""

_open: WeakSet[EventStream] = WeakSet()


class EventStream:
    """The body of the response."""

    def __init__(self, subscription: Subscription, heartbeat: float, request: HttpRequest) -> None:
        self._subscription = subscription
        self._heartbeat = heartbeat
        self._chunks = self._generate(request)
        self.session_key: str | None = None
        """Set by the session watch."""
        _open.add(self)

    def __iter__(self) -> Iterator[bytes]:
        return self._chunks

    @property
    def closed(self) -> bool:
        """Whether it has ended, or is about to."""
        return self._subscription.closed

    def _generate(self, request: HttpRequest) -> Iterator[bytes]:
        # Now, because nobody closes a response that a middleware has replaced, and the watch would keep it.
        session_watch.add(self, request)
        del request
        yield b": welcome\n\n"  # the head is sent with the first chunk
        while True:
            release_connections()
            try:
                message = self._subscription.wait_message(self._heartbeat)
            except TimeoutError:
                session_watch.check_unless_watched()
                yield b": heartbeat\n\n"
                continue
            if message is None:
                return
            yield _event(message)

    def close(self, code: int = 1000, reason: str = "") -> None:
        """End the stream. Called by Django at the end of the response, the session watch, and a server that stops."""
        self._subscription.close()
        session_watch.discard(self)


def _event(message: GroupMessage) -> bytes:
    enveloped = message.position is not None or message.kind == BINARY
    data = message.envelope if enveloped else str(message.content)
    lines = data.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    head = f"id: {message.position}\n" if message.position is not None else ""
    return (head + "".join(f"data: {line}\n" for line in lines) + "\n").encode()


def event_stream(
    request: HttpRequest, group: Any, since: str | None = None, heartbeat: float = HEARTBEAT
) -> StreamingHttpResponse:
    """The response. See :meth:`.Group.event_stream`."""
    last = request.headers.get("Last-Event-ID") or since
    stream = EventStream(group.subscribe(since=last), heartbeat, request)
    # Otherwise GZipMiddleware would compress the stream, and hold back events until there are many.
    request.META.pop("HTTP_ACCEPT_ENCODING", None)
    return StreamingHttpResponse(
        stream,
        content_type="text/event-stream; charset=utf-8",
        headers={"Cache-Control": "no-cache, no-store", "X-Accel-Buffering": "no"},
    )


def close_streams() -> None:
    """End all streams of this process, whose clients then connect to another one."""
    for stream in list(_open):
        stream.close()
