"""One request, read by us and by h11."""

from __future__ import annotations

from dataclasses import dataclass

import h11

from django_websocket.serving.http.chunked import ChunkedDecoder, MalformedBody
from django_websocket.serving.http.head import Head, Refusal, approve_head, refuse_unfinished

__all__ = ["Reading", "disagreement", "read_by_h11", "read_by_us"]


@dataclass(frozen=True)
class Reading:
    """A whole request, and what follows it."""

    method: bytes
    target: bytes
    version: bytes
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes
    rest: bytes


def read_by_us(wire: bytes) -> Reading | str:
    """What our server reads, or the reason why not: "refused", "refused body" or "unfinished"."""
    end = wire.find(b"\r\n\r\n")
    if end < 0:
        return "unfinished" if refuse_unfinished(wire) is None else "refused"
    head = approve_head(wire[: end + 4])
    if isinstance(head, Refusal):
        return "refused"
    body = _body(head, wire[end + 4 :])
    if isinstance(body, str):
        return body
    return Reading(
        head.method.encode(), head.target.encode(), head.protocol[5:].encode(), tuple(sorted(head.headers)), *body
    )


def _body(head: Head, rest: bytes) -> tuple[bytes, bytes] | str:
    if not head.chunked:
        length = head.content_length or 0
        return (rest[:length], rest[length:]) if len(rest) >= length else "unfinished"
    decoder = ChunkedDecoder()
    try:
        body = decoder.feed(rest)
    except MalformedBody:
        return "refused body"
    return (body, decoder.leftover) if decoder.finished else "unfinished"


def read_by_h11(wire: bytes) -> Reading | str:
    """What h11 reads, headers that we drop left out; or "refused" or "unfinished"."""
    parser = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 20)
    # h11 takes no empty line before a request; RFC 9112, section 2.2, has servers ignore one.
    parser.receive_data(wire.removeprefix(b"\r\n"))
    request, body = None, b""
    try:
        while True:
            event = parser.next_event()
            if isinstance(event, h11.Request):
                request = event
            elif isinstance(event, h11.Data):
                body += bytes(event.data)
            elif isinstance(event, h11.EndOfMessage):
                break
            else:
                return "unfinished"
    except h11.RemoteProtocolError:
        return "refused"
    assert request is not None, "a body follows a head"
    headers = sorted((name, value) for name, value in request.headers if b"_" not in name)
    return Reading(request.method, request.target, request.http_version, tuple(headers), body, parser.trailing_data[0])


def disagreement(wire: bytes) -> tuple[str, str | None]:
    """Names of both readings, and what is wrong: that we accept what h11 doesn't, or in another meaning."""
    ours, theirs = read_by_us(wire), read_by_h11(wire)
    names = [reading if isinstance(reading, str) else "read" for reading in (ours, theirs)]
    verdict = f"we {names[0]}, h11 {names[1]}"
    if isinstance(ours, str) or ours == theirs:
        return verdict, None
    return verdict, f"{ours} is not {theirs}"
