"""Requests over a socket: the environ, the body, and several on one connection."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.deadlines import deadline

from .client import Served, serve

CHUNKED = "Transfer-Encoding: chunked"


@pytest.fixture(scope="module")
def validated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serve(tmp_path_factory.mktemp("validated") / "log", validated=True) as running:
        yield running


@pytest.fixture(scope="module")
def impatient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server whose clients have half a second, or longer where they may be held up themselves."""
    constants = {"http.connection.KEEP_ALIVE_TIMEOUT": deadline(1.5), "http.body.MAX_PAUSE": deadline(0.5)}
    options = {"request_timeout": deadline(0.5), "constants": constants}
    with serve(tmp_path_factory.mktemp("impatient") / "log", **options) as running:
        yield running


def test_environ(served: Served) -> None:
    with served.connect() as client:
        port = client.sock.getsockname()[1]
        answer = client.ask(
            "/environ%20x/%C3%A9;p?a=%20b&c", "X-Two: 1", "X-Two: 2", "Cookie: a=1", "Cookie: b=2", "Accept:"
        )
    assert answer.body == b"ok"  # no such view
    with served.connect() as client:
        port = client.sock.getsockname()[1]
        answer = client.ask(
            "/%65nviron/?a=%20b&c", "X-Two: 1", "X-Two: 2", "Cookie: a=1", "Cookie: b=2", "X_Two: 3", "X-Caf: \xe9"
        )
    environ = json.loads(answer.body)
    assert environ == {
        "HTTP_COOKIE": "a=1; b=2",
        "HTTP_HOST": "localhost",
        "HTTP_X_CAF": "é",
        "HTTP_X_TWO": "1,2",
        "PATH_INFO": "/environ/",
        "QUERY_STRING": "a=%20b&c",
        "RAW_URI": "/%65nviron/?a=%20b&c",
        "REMOTE_ADDR": "127.0.0.1",
        "REMOTE_PORT": str(port),
        "REQUEST_METHOD": "GET",
        "SCRIPT_NAME": "",
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": str(served.address),
        "SERVER_PROTOCOL": "HTTP/1.1",
        "SERVER_SOFTWARE": "django-websocket",
        "wsgi.input_terminated": True,
        "wsgi.multiprocess": False,
        "wsgi.multithread": True,
        "wsgi.run_once": False,
        "wsgi.url_scheme": "https" if served.is_secure else "http",
        "wsgi.version": [1, 0],
        **({"HTTPS": "on"} if served.is_secure else {}),
    }


def test_environ_of_a_body(served: Served) -> None:
    environ = json.loads(served.ask("/environ", "Content-Type: text/x", method="POST", body=b"abc").body)
    assert environ["CONTENT_TYPE"] == "text/x"
    assert environ["CONTENT_LENGTH"] == "3"
    assert "HTTP_CONTENT_LENGTH" not in environ


def test_path_is_latin1(served: Served) -> None:
    """PEP 3333: environ strings are bytes decoded as latin-1, so the UTF-8 of é is two characters."""
    environ = json.loads(served.ask("http://localhost/environ?x").body)
    assert environ["PATH_INFO"] == "/environ"
    assert environ["RAW_URI"] == "http://localhost/environ?x"


@pytest.mark.parametrize("size", [0, 1, 9_999, 10_000, 10_001, 3_000_000])
def test_body(size: int, validated: Served) -> None:
    body = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
    assert validated.ask("/read", "Content-Length: 0" if not size else "X: y", method="POST", body=body).body == body


def test_read_without_size(served: Served) -> None:
    assert served.ask("/read?all", method="POST", body=b"abc" * 1000).body == b"abc" * 1000


def test_chunked_body(validated: Served) -> None:
    with validated.connect() as client:
        client.get("/read", CHUNKED, method="POST")
        client.send(b"3\r\nabc\r\n5;x=y\r\ndefgh\r\n0\r\n\r\n")
        assert client.answer().body == b"abcdefgh"
        client.get("/read", CHUNKED, method="POST")
        for byte in b"3\r\nabc\r\nA\r\n0123456789\r\n0\r\nX: y\r\n\r\n":
            client.send(bytes([byte]))
        assert client.answer().body == b"abc0123456789"
        assert client.ask("/").body == b"ok"


@pytest.mark.parametrize(
    ("how", "body", "lines"),
    [
        ("iterate", b"a\nbc\n\nd", b"a\n|bc\n|\n|d"),
        ("readlines", b"a\nbc\n\nd\n", b"a\n|bc\n|\n|d\n"),
        ("hint", b"a\nbc\n\nd", b"a\n|bc\n||\n|d"),
        ("short", b"abc\nd\n", b"ab|c\n|d\n"),
        ("iterate", b"x" * 200_000 + b"\ny", b"x" * 200_000 + b"\n|y"),
    ],
)
def test_lines(how: str, body: bytes, lines: bytes, served: Served) -> None:
    assert served.ask(f"/lines?how={how}", method="POST", body=body).body == lines


def test_read_blocks_until_it_has_all(served: Served) -> None:
    """Django reads the whole body with one read(length): a short read would cut it off."""
    with served.connect() as client:
        client.get("/read-some?size=6", "Content-Length: 6", method="POST")
        for byte in b"abcdef":
            client.send(bytes([byte]))
        assert client.answer().body == b"abcdef"


def test_continue(served: Served) -> None:
    with served.connect() as client:
        client.get("/late-read", "Content-Length: 3", "Expect: 100-continue", method="POST")
        client.sock.settimeout(deadline(0.2))
        with pytest.raises(TimeoutError):  # not before the application reads
            client.take(1)
        client.sock.settimeout(deadline(10))
        served.ask("/release?name=late")
        assert client.take_until(b"\r\n\r\n") == b"HTTP/1.1 100 Continue"
        client.send(b"abc")
        assert client.answer().body == b"abc"
        assert client.ask("/").body == b"ok"


def test_no_continue_if_the_body_is_there(served: Served) -> None:
    with served.connect() as client:
        client.get("/read", "Expect: 100-continue", method="POST", body=b"abc")
        assert client.answer().body == b"abc"


def test_no_continue_if_the_body_is_not_wanted(served: Served) -> None:
    """Nobody can know whether such a client sends its body, so the connection ends."""
    with served.connect() as client:
        answer = client.ask("/", "Content-Length: 3", "Expect: 100-continue", method="POST")
        assert answer.headers["connection"] == "close"
        assert client.ends()


def test_keep_alive(served: Served) -> None:
    before = served.counts().get("connections ended", 0)
    with served.connect() as client:
        for _ in range(10):
            answer = client.ask("/")
            assert answer.body == b"ok"
            assert "connection" not in answer.headers
    served.wait_for_count("connections ended", before + 2)


@pytest.mark.parametrize("header", ["Connection: close", "Connection: Keep-Alive, Close"])
def test_close(header: str, served: Served) -> None:
    with served.connect() as client:
        assert client.ask("/", header).headers["connection"] == "close"
        assert client.ends()


def test_http_1_0(served: Served) -> None:
    with served.connect() as client:
        client.send(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        answer = client.answer()
        assert answer.body == b"ok"
        assert answer.headers["connection"] == "close"
        assert client.ends()


def test_pipelining(served: Served) -> None:
    with served.connect() as client:
        requests = []
        for number in range(50):
            body = b"%d" % number
            requests.append(b"POST /read HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
            requests.append(b"POST /read HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n")
        client.send(b"".join(requests))
        for number in range(50):
            assert client.answer().body == b"%d" % number
            assert client.answer().body == b"x"


def test_a_client_that_only_closes_its_side(validated: Served) -> None:
    with validated.connect() as client:
        client.get("/")
        client.shut_down()
        assert client.answer().body == b"ok"
        assert client.ends()


@pytest.mark.parametrize("size", [1, 60_000])
def test_unread_body_is_drained(size: int, served: Served) -> None:
    with served.connect() as client:
        client.get(f"/wait?until=all-{size}", method="POST", body=b"x" * size)
        served.ask(f"/release?name=all-{size}")  # once all of it is there
        assert client.answer().body == b"ok"
        assert client.ask("/").body == b"ok"


def test_large_unread_body_ends_the_connection(served: Served) -> None:
    """And the answer arrives all the same, not a reset."""
    with served.connect() as client:
        answer = client.ask("/", method="POST", body=b"x" * 200_000)
        assert answer.body == b"ok"
        assert answer.headers["connection"] == "close"
        assert client.ends()


def test_a_body_that_is_not_there_yet_ends_the_connection(served: Served) -> None:
    """The response says so; it doesn't promise what depends on the client."""
    with served.connect() as client:
        client.get("/", "Content-Length: 10", method="POST")
        answer = client.answer()
        assert (answer.body, answer.headers["connection"]) == (b"ok", "close")
        assert client.ends()


def test_an_unread_chunked_body_ends_the_connection_unless_it_is_there(served: Served) -> None:
    with served.connect() as client:
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n")
        assert "connection" not in client.answer().headers
        client.get("/", CHUNKED, method="POST")
        client.send(b"%x\r\n%b\r\n0\r\n\r\n" % (300_000, b"x" * 300_000))
        answer = client.answer()
        assert (answer.body, answer.headers["connection"]) == (b"ok", "close")
        assert client.ends()


@pytest.mark.parametrize("size", [10, 60_000, 200_000])
def test_a_body_that_is_read_behind_the_response_head(size: int, served: Served) -> None:
    with served.connect() as client:
        body = b"x" * size
        assert client.ask("/read-behind-the-head", method="POST", body=body).body == b"it was " + body


def test_a_malformed_body_behind_the_response_head(served: Served) -> None:
    with served.connect() as client:
        client.get("/", CHUNKED, method="POST")
        client.send(b"nonsense\r\n")
        assert client.answer().headers["connection"] == "close"
        assert client.ends()


def test_partly_read_body(served: Served) -> None:
    with served.connect() as client:
        assert client.ask("/read-some?size=3", method="POST", body=b"x" * 1000).body == b"xxx"
        client.get("/read-some?size=3", CHUNKED, method="POST")
        client.send(b"5\r\nabcde\r\n2\r\nfg\r\n0\r\n\r\n")
        assert client.answer().body == b"abc"
        assert client.ask("/").body == b"ok"


@pytest.mark.parametrize("framing", ["Content-Length: 10", CHUNKED])
@pytest.mark.parametrize("reset", [True, False])
def test_client_vanishes_in_the_body(framing: str, reset: bool, served: Served) -> None:
    before = served.counts()
    with served.connect() as client:
        client.ask("/")  # so that no reset comes before the server reads at all
        client.get("/read-guarded", framing, method="POST")
        client.send(b"3\r\nabc")
        if reset:
            client.reset()
        else:
            client.shut_down()
    served.wait_for_count("read Disconnected", before.get("read Disconnected", 0) + 1)
    assert "Traceback" not in served.log()


@pytest.mark.parametrize("view", ["/read", "/read-guarded"])
def test_slow_body(view: str, impatient: Served) -> None:
    """A trickle keeps a per-receive time-out waiting for ever; the deadline is for the whole."""
    with impatient.connect() as client:
        client.get(view, "Content-Length: 1000000", method="POST")
        client.sock.settimeout(deadline(0.1))
        answered = False
        for _ in range(60):
            try:
                client.send(b"x")
                client._more()
                answered = True
                break
            except TimeoutError:
                continue
        assert answered
        client.sock.settimeout(deadline(10))
        answer = client.answer()
        assert answer.status == 408
        assert answer.headers["connection"] == "close"
        assert client.ends()
    assert "Traceback" not in impatient.log()


@pytest.mark.parametrize("framing", ["Content-Length: 2000000", CHUNKED])
def test_a_body_that_stops_coming(framing: str, impatient: Served) -> None:
    """A megabyte, half an hour at the minimum rate, buys no such silence."""
    with impatient.connect() as client:
        client.get("/read", framing, method="POST")
        client.send(b"%x\r\n" % 2_000_000 + b"x" * 1_000_000)
        assert client.answer().status == 408
        assert client.ends()


def test_time_of_the_application_is_not_the_clients(impatient: Served) -> None:
    with impatient.connect() as client:
        client.get("/late-read", "Content-Length: 3", method="POST")
        client.sock.settimeout(deadline(1))
        with pytest.raises(TimeoutError):  # longer than the request time-out
            client.take(1)
        client.send(b"abc")
        client.sock.settimeout(deadline(10))
        impatient.ask("/release?name=late")
        assert client.answer().body == b"abc"


def test_slow_first_head(impatient: Served) -> None:
    with impatient.connect() as client:
        client.sock.settimeout(deadline(0.1))
        for byte in b"GET / HTTP/1.1\r\nHost: localhost\r\nX: yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy":
            try:
                client.send(bytes([byte]))
                client._more()
                break
            except TimeoutError:
                continue
        client.sock.settimeout(deadline(10))
        assert client.answer().status == 408
        assert client.ends()


def test_silent_client_is_closed_without_a_word(impatient: Served) -> None:
    with impatient.connect() as client:
        assert client.ends()


def test_slow_second_head(impatient: Served) -> None:
    """It has the time of an idle connection until its first byte, and then that of a request."""
    with impatient.connect() as client:
        assert client.ask("/").body == b"ok"
        client.sock.settimeout(deadline(0.6))  # less than an idle connection has
        with pytest.raises(TimeoutError):
            client.take(1)
        client.send(b"GET /")
        client.sock.settimeout(deadline(10))
        assert client.answer().status == 408
        assert client.ends()


def test_idle_connection_is_closed(impatient: Served) -> None:
    with impatient.connect() as client:
        assert client.ask("/").body == b"ok"
        assert client.ends()
