"""The policy on request heads, without a server."""

from __future__ import annotations

import pytest

from django_websocket.serving.http.head import Head, Refusal, approve_head, refuse_unfinished

from .corpus import ACCEPTED, HEADS, Case
from .searched import CountingBuffer


def judge(raw: bytes) -> Head | Refusal | None:
    """What the server does with ``raw`` once all of it is there; None while it waits."""
    end = raw.find(b"\r\n\r\n")
    return refuse_unfinished(raw) if end < 0 else approve_head(raw[: end + 4])


@pytest.mark.parametrize("case", HEADS, ids=lambda case: case.name)
def test_refused(case: Case) -> None:
    refusal = judge(case.raw)
    assert isinstance(refusal, Refusal), case.source
    assert refusal.status == case.status, (refusal, case.source)
    assert len(refusal.reason) < 100, "a refusal quotes nothing of what the client sent"


@pytest.mark.parametrize("case", HEADS, ids=lambda case: case.name)
def test_refused_byte_by_byte(case: Case) -> None:
    """What is looked at as it comes in is judged as what comes in one piece, if earlier."""
    found: Head | Refusal | None = None
    scanned = 0
    for end in range(1, len(case.raw) + 1):
        received = case.raw[:end]
        found = approve_head(received) if received.endswith(b"\r\n\r\n") else refuse_unfinished(received, scanned)
        if found is not None:
            break
        scanned = end
    assert isinstance(found, Refusal)
    assert found.status == case.status, found


@pytest.mark.parametrize("case", ACCEPTED, ids=lambda case: case.name)
def test_approved(case: Case) -> None:
    assert isinstance(judge(case.raw), Head), case.source


@pytest.mark.parametrize("case", ACCEPTED, ids=lambda case: case.name)
def test_approved_byte_by_byte(case: Case) -> None:
    end = case.raw.find(b"\r\n\r\n")
    for length in range(1, end + 4):
        assert refuse_unfinished(case.raw[:length], max(0, length - 1)) is None


def approved(raw: bytes) -> Head:
    head = approve_head(raw)
    assert isinstance(head, Head), head
    return head


def test_parts() -> None:
    head = approved(
        b"POST /a%20b?c=d&e HTTP/1.1\r\nHost: example.org:8000\r\nContent-Length: 12\r\nX-A: 1\r\nx-a:  2 \r\n\r\n"
    )
    assert (head.method, head.target, head.path, head.query) == ("POST", "/a%20b?c=d&e", "/a%20b", "c=d&e")
    assert head.protocol == "HTTP/1.1"
    assert head.content_length == 12
    assert not head.chunked
    assert [value for name, value in head.headers if name == b"x-a"] == [b"1", b"2"]


def test_underscores_are_dropped() -> None:
    """X_Forwarded_For and X-Forwarded-For are one variable (CVE-2015-0219)."""
    head = approved(b"GET / HTTP/1.1\r\nHost: a\r\nX_Forwarded_For: 1\r\nContent_Length: 9\r\nX-B: 1\r\n\r\n")
    assert head.headers == [(b"host", b"a"), (b"x-b", b"1")]
    assert head.content_length is None


@pytest.mark.parametrize(
    ("version", "connection", "keep_alive"),
    [
        (b"1.1", b"", True),
        (b"1.1", b"Connection: close\r\n", False),
        (b"1.1", b"Connection: Upgrade , CLOSE\r\n", False),
        (b"1.1", b"Connection: x\r\nConnection: close\r\n", False),
        (b"1.1", b"Connection: closed\r\n", True),
        (b"1.0", b"Connection: keep-alive\r\n", False),
    ],
)
def test_keep_alive(version: bytes, connection: bytes, keep_alive: bool) -> None:
    assert approved(b"GET / HTTP/" + version + b"\r\nHost: a\r\n" + connection + b"\r\n").keep_alive is keep_alive


@pytest.mark.parametrize(
    ("raw", "path", "query"),
    [
        (b"GET http://a HTTP/1.1", "/", ""),
        (b"GET http://a?x HTTP/1.1", "/", "x"),
        (b"GET http://a/b?x?y HTTP/1.1", "/b", "x?y"),
        (b"OPTIONS * HTTP/1.1", "", ""),
        (b"OPTIONS http://a HTTP/1.1", "", ""),
        (b"GET //b/c HTTP/1.1", "//b/c", ""),
    ],
)
def test_target(raw: bytes, path: str, query: str) -> None:
    head = approved(raw + b"\r\nHost: a\r\n\r\n")
    assert (head.path, head.query) == (path, query)


def test_authority_stands_for_host() -> None:
    """HTTP/1.0 may do without a Host header; RFC 9112, 3.2.2 says what the host is then."""
    assert approved(b"GET http://b:81/ HTTP/1.0\r\n\r\n").headers == [(b"host", b"b:81")]


@pytest.mark.parametrize("authority", [b"a@b", b"a:99999", b"a:b", b"a,b", b"[::1", b"a%20b"])
def test_an_authority_that_stands_for_host_is_judged_like_one(authority: bytes) -> None:
    refusal = approve_head(b"GET http://" + authority + b"/ HTTP/1.0\r\n\r\n")
    assert isinstance(refusal, Refusal)
    assert refusal.status == 400


def test_each_part_of_a_huge_head_is_looked_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(CountingBuffer, "looked_at", 0)
    received = CountingBuffer(b"GET / HTTP/1.1\r\n")
    looked_at = pieces = 0
    while (refusal := refuse_unfinished(received, looked_at)) is None:
        looked_at = len(received)
        received += b"X: yyyyyyyyyyyyyyyyyyyyyyyyyyy\r\n"
        pieces += 1
    assert refusal.status == 431
    assert len(received) < 70_000
    # Besides its own bytes, the request line is found for each piece, and the byte before it is looked at.
    assert CountingBuffer.looked_at < len(received) + 32 * pieces
