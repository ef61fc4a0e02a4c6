"""Responses over a socket: PEP 3333's start_response, the framing, files, streams, and what goes wrong in them."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from django_websocket.serving.http import response
from tests.deadlines import wait_until

from .client import Served, serve

DATA = b"".join(b"%07d\n" % i for i in range(1000))


@pytest.fixture(scope="module")
def validated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serve(tmp_path_factory.mktemp("validated") / "log", validated=True) as running:
        yield running


@pytest.mark.parametrize(
    ("method", "target"),
    [
        ("GET", "/"),
        ("HEAD", "/"),
        ("OPTIONS", "*"),
        ("PUT", "/read"),
        ("GET", "/lazy"),
        ("GET", "/write?until=now"),
        ("GET", "/big?size=1000000"),
        ("GET", "/length?declared=9&actual=9&stream"),
        ("GET", "/file?kind=file"),
    ],
)
def test_wsgiref_validates(method: str, target: str, validated: Served) -> None:
    if "until=now" in target:
        validated.ask("/release?name=now")
    answer = validated.ask(target, method=method)
    assert answer.status == 200, validated.log()
    assert "Traceback" not in validated.log()


def test_length_is_known_of_what_is_whole(served: Served) -> None:
    answer = served.ask("/")
    assert answer.headers["content-length"] == "2"
    assert set(answer.headers) == {"date", "content-type", "content-length"}


def test_stream_arrives_piecewise(served: Served) -> None:
    with served.connect() as client:
        client.get("/stream?until=piecewise")
        _, headers = client.head()
        assert headers["transfer-encoding"] == "chunked"
        assert client.chunk() == b"one"
        served.ask("/release?name=piecewise")
        assert client.chunk() == b"two"
        assert client.chunk() == b""
        assert client.ask("/").body == b"ok"


def test_stream_to_http_1_0(served: Served) -> None:
    served.ask("/release?name=http10")
    with served.connect() as client:
        client.send(b"GET /stream?until=http10 HTTP/1.0\r\n\r\n")
        _, headers = client.head()
        assert "transfer-encoding" not in headers
        assert "content-length" not in headers
        assert client.rest() == b"onetwo"


def test_write(served: Served) -> None:
    with served.connect() as client:
        client.get("/write?until=written")
        client.head()
        assert client.chunk() == b"one"
        served.ask("/release?name=written")
        assert [client.chunk(), client.chunk(), client.chunk()] == [b"two", b"three", b""]


@pytest.mark.parametrize("query", ["", "&stream", "&body", "&body&stream", "&length=4", "&body&length=4&stream"])
@pytest.mark.parametrize(("method", "status"), [("HEAD", "200 OK"), ("GET", "204 No Content"), ("GET", "304 X")])
def test_no_body(query: str, method: str, status: str, served: Served) -> None:
    with served.connect() as client:
        client.get(f"/status?status={status.replace(' ', '%20')}{query}", method=method)
        answered, headers = client.head()
        assert answered == int(status[:3])
        assert "transfer-encoding" not in headers
        if status.startswith("204"):
            assert "content-length" not in headers
        elif "length" in query:
            assert headers["content-length"] == "4"
        # The next response follows at once.
        assert client.ask("/").body == b"ok"


@pytest.mark.parametrize("length", [0, 4])
def test_head_of_what_is_whole(length: int, served: Served) -> None:
    answer = served.ask("/status?status=200" + ("&body" if length else ""), method="HEAD")
    assert answer.headers["content-length"] == str(length)


@pytest.mark.parametrize("stream", ["", "&stream"])
def test_longer_than_declared(stream: str, served: Served) -> None:
    with served.connect() as client:
        answer = client.ask(f"/length?declared=4&actual=10{stream}")
        assert answer.body == b"xxxx"
        assert "connection" not in answer.headers
        assert client.ask("/").body == b"ok", "what was too much has not been sent"
    served.wait_for_log("the response is longer than its Content-Length")


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_failure_behind_the_whole_body_breaks_no_promise(method: str, served: Served) -> None:
    """The head said that the connection is kept, and a proxy may have sent the next client's request over it."""
    with served.connect() as client:
        answer = client.ask("/raise_late?length=3", method=method)
        assert (answer.body, answer.headers.get("connection")) == (b"one" if method == "GET" else b"", None)
        assert client.ask("/").body == b"ok"
    if method == "GET":
        served.wait_for_log("on purpose, late")


@pytest.mark.parametrize("stream", ["", "&stream"])
def test_shorter_than_declared(stream: str, served: Served) -> None:
    with served.connect() as client:
        client.get(f"/length?declared=10&actual=4{stream}")
        client.get("/")
        _, headers = client.head()
        assert headers.get("connection") == (None if stream else "close"), "it is known only if the body is whole"
        assert client.rest() == b"xxxx"
    served.wait_for_log("the response is shorter than its Content-Length")


@pytest.mark.parametrize("declared", ["x", "-1", "+2", "2,2", "", "%C2%B2", "%D9%A2"])
def test_malformed_length(declared: str, served: Served) -> None:
    assert served.ask(f"/length?declared={declared}&actual=2").status == 500


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("X-A", "a%0d%0aX-Injected: 1"),
        ("X-A", "a%0aX-Injected: 1"),
        ("X-A", "a%0dX-Injected: 1"),
        ("X-A", "a%00b"),
        ("X-A", "%E2%82%AC"),
        ("X-A%0d%0aX-Injected", "1"),
        ("X A", "1"),
        ("X:A", "1"),
        ("", "1"),
    ],
)
def test_unsendable_header(name: str, value: str, served: Served) -> None:
    """Response splitting (CWE-113)."""
    name, value = name.replace(" ", "%20"), value.replace(" ", "%20")
    answer = served.ask(f"/headers?name={name}&value={value}")
    assert answer.status == 500
    assert "x-injected" not in answer.headers


@pytest.mark.parametrize(
    "status", ["200%0d%0aX-Injected: 1", "20", "OK", "99 X", "100 Continue", "2000", "200OK", "٢٠٠"]
)
def test_unsendable_status(status: str, served: Served) -> None:
    from urllib.parse import quote

    answer = served.ask(f"/status?status={quote(status, safe='%')}&body")
    assert answer.status == 500
    assert "x-injected" not in answer.headers


def test_sendable_header(served: Served) -> None:
    assert served.ask("/headers?value=caf%C3%A9%09x").headers["x-name"] == "café\tx"
    answer = served.ask("/headers?name=Date&value=then")
    assert answer.headers["date"] == "then"


def test_hop_by_hop_headers_are_dropped(served: Served) -> None:
    with served.connect() as client:
        answer = client.ask("/hop")
        assert answer.body == b"ok"
        assert answer.headers["content-length"] == "2"
        assert answer.headers["x-kept"] == "1"
        assert "keep-alive" not in answer.headers
        assert client.ask("/").body == b"ok"
    served.wait_for_log("dropped the response header transfer-encoding")


def test_application_may_close(served: Served) -> None:
    with served.connect() as client:
        assert client.ask("/close").headers["connection"] == "close"
        assert client.ends()


@pytest.mark.parametrize(
    "target",
    [
        "/raise",
        "/raise?started=1",
        "/raise?kind=exit",
        "/raise?kind=timeout",
        "/raise-first",
        "/never",
        "/text",
        "/twice",
    ],
)
def test_application_fails(target: str, served: Served) -> None:
    before = len(served.log_lines("Traceback"))
    with served.connect() as client:
        answer = client.ask(target)
        assert answer.status == 500
        assert b"purpose" not in answer.body
        assert client.ends()
    served.wait_for_log(f"django_websocket.server ERROR GET {target} from 127.0.0.1:")
    wait_until(lambda: len(served.log_lines("Traceback")) == before + 1)
    assert served.ask("/").body == b"ok"


def test_application_fails_in_the_middle(served: Served) -> None:
    """The client can tell: the last chunk is missing."""
    closed = served.counts().get("closed raise", 0)
    with served.connect() as client:
        client.get("/raise-late")
        client.head()
        assert client.rest() == b"3\r\none\r\n"
    served.wait_for_count("closed raise", closed + 1)


def test_close_fails(served: Served) -> None:
    assert served.ask("/raise-close").body == b"ok"
    served.wait_for_log("/raise-close: close() of the response failed")


def test_exc_info(served: Served) -> None:
    answer = served.ask("/exc-info")
    assert answer.status == 503
    assert "x-first" not in answer.headers
    assert answer.body == b"sorry"


def test_exc_info_too_late(served: Served) -> None:
    with served.connect() as client:
        client.get("/exc-info?late")
        assert client.head()[0] == 200
        assert client.rest() == b"3\r\none\r\n"
    served.wait_for_log("on purpose, for exc_info")


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("kind=file", DATA),
        ("kind=file&skip=100", DATA[100:]),
        ("kind=file&skip=100&length=50", DATA[100:150]),
        ("kind=file&lines=0", b""),
        ("kind=raw&skip=8", DATA[8:]),
        ("kind=named", DATA),
        ("kind=bytes", DATA),
        ("kind=bytes&skip=3", DATA[3:]),
        ("kind=pipe", DATA[:4000]),
        ("kind=pipe&skip=8", DATA[8:4000]),
        ("kind=gzip", DATA),
        ("kind=file&lines=500000", b"".join(b"%07d\n" % i for i in range(500_000))),
    ],
)
def test_file_wrapper(query: str, expected: bytes, served: Served) -> None:
    closed = served.counts().get("closed file", 0)
    with served.connect() as client:
        assert client.ask(f"/file?{query}").body == expected
        assert client.ask(f"/file?{query}", method="HEAD").status == 200
        assert client.ask("/").body == b"ok"
    served.wait_for_count("closed file", closed + 2)


def test_file_is_shorter_than_declared(served: Served) -> None:
    with served.connect() as client:
        client.get("/file?kind=file&lines=1&length=20")
        assert client.head()[1]["connection"] == "close"
        assert client.rest() == b"0000000\n"


def test_file_length(served: Served) -> None:
    assert served.ask("/file?kind=file&skip=8").headers["content-length"] == "7992"


@pytest.mark.parametrize("query", ["size=5000000", "size=5000000&whole"])
def test_large_response_to_a_slow_reader(query: str, served: Served) -> None:
    with served.connect(receive_buffer=4096) as client:
        client.get(f"/big?{query}")
        # Others are served in between.
        assert served.ask("/").body == b"ok"
        assert client.answer().body == b"x" * (5_000_000 if "whole" in query else 5_000_000 // 65536 * 65536)


def test_what_comes_behind_the_last_request_destroys_no_response(served: Served) -> None:
    """RFC 9112, section 9.6: a close with unread input is a reset. It may be a request of a client that pipelines."""
    with served.connect() as client:
        client.get("/big?whole&size=10000000", "Connection: close")
        assert client.head()[0] == 200
        client.send(b"GET / HTTP/1.1\r\n")
        assert client.take(10_000_000) == b"x" * 10_000_000
        assert client.ends()


def test_close_is_called_when_the_client_vanishes(served: Served) -> None:
    closed = served.counts().get("closed big", 0)
    with served.connect(receive_buffer=4096) as client:
        client.get("/big?size=100000000")
        client.head()
        client.reset()
    served.wait_for_count("closed big", closed + 1)
    with served.connect() as client:
        client.get("/stream?until=vanished")
        client.head()
        closed = served.counts().get("closed stream", 0)
        client.reset()
    served.ask("/release?name=vanished")
    served.wait_for_count("closed stream", closed + 1)


def test_client_that_does_not_read_is_dropped(tmp_path_factory: pytest.TempPathFactory) -> None:
    log = tmp_path_factory.mktemp("unread") / "log"
    with (
        serve(log, constants={"http.stream.WRITE_TIMEOUT": 0.3}) as server,
        server.connect(receive_buffer=4096) as client,
    ):
        client.get("/big?size=100000000")
        server.wait_for_count("closed big", 1)
        wait_until(lambda: server.counts()["connections"] == 1)
        assert "Traceback" not in server.log()


def test_what_a_client_does_not_read_in_time_does_not_look_whole(tmp_path: Path) -> None:
    """RFC 9112, section 8: the end of a body of unknown length is that of the connection."""
    with (
        serve(tmp_path / "log", constants={"http.stream.WRITE_TIMEOUT": 0.3}) as server,
        server.connect(receive_buffer=4096) as client,
    ):
        client.send(b"GET /big?size=100000000 HTTP/1.0\r\n\r\n")
        server.wait_for_count("closed big", 1)
        wait_until(lambda: server.counts()["connections"] == 1)
        with pytest.raises(ConnectionResetError):
            client.rest()


def test_no_traceback_for_clients_that_leave(served: Served) -> None:
    assert "Disconnected" not in served.log()
    assert "ConnectionReset" not in served.log()
    assert "BrokenPipe" not in served.log()


def test_failure_of_a_response_that_ends_with_the_connection(served: Served) -> None:
    """An orderly end would make half a response look whole (RFC 9112, section 8)."""
    with served.connect() as client:
        client.send(b"GET /raise-late HTTP/1.0\r\n\r\n")
        with pytest.raises((ConnectionResetError, ssl.SSLEOFError)):
            client.rest()


def test_failure_of_such_a_response_to_a_request_that_was_not_read(served: Served) -> None:
    """Who lingers ends in an orderly way first."""
    with served.connect() as client:
        client.send(b"POST /raise-late HTTP/1.0\r\nContent-Length: 1000000\r\n\r\nx")
        with pytest.raises((ConnectionResetError, ssl.SSLEOFError)):
            client.rest()


def test_file_of_unknown_size(served: Served) -> None:
    """What /proc calls a regular file of 0 bytes has content."""
    assert served.ask("/file?kind=proc").body.startswith(b"Linux version")


def test_abundant_reading_does_not_prolong_the_drain(served: Served) -> None:
    with served.connect() as client:
        client.get("/read-some?size=2000000", "Content-Length: 2000100", method="POST")
        client.send(b"x" * 2_000_050)
        assert len(client.answer().body) == 2_000_000
        assert client.ends()


def test_the_date_is_that_of_the_second(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 784111777.0
    monkeypatch.setattr(response, "time", SimpleNamespace(time=lambda: now))
    assert response.http_date() == "Sun, 06 Nov 1994 08:49:37 GMT"
    now += 0.9
    assert response.http_date() == "Sun, 06 Nov 1994 08:49:37 GMT"
    now += 0.1
    assert response.http_date() == "Sun, 06 Nov 1994 08:49:38 GMT"
