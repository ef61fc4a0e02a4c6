"""The client's handshake: what it sends, and which answers open a websocket."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from django_websocket.protocol.handshake import accept_key, parse_handshake
from django_websocket.terminal.address import parse_address
from django_websocket.terminal.handshake import Refused, check_header, shake_hands
from tests.deadlines import deadline

OPENED = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: WebSocket\r\nConnection: keep-alive, Upgrade\r\n"


@contextmanager
def server(answer: Callable[[str], bytes]) -> Iterator[tuple[socket.socket, list[str]]]:
    """The client's end of a connection whose server reads a request, given then, and answers what ``answer`` makes of
    its key.
    """
    client, other = socket.socketpair()
    seen: list[str] = []

    def serve() -> None:
        with other:
            other.settimeout(deadline(10))
            request = b""
            while b"\r\n\r\n" not in request:
                request += other.recv(65536)
            seen.extend(request.decode("latin-1").split("\r\n")[:-2])
            [key] = [line.partition(": ")[2] for line in seen if line.startswith("Sec-WebSocket-Key: ")]
            other.sendall(answer(key))

    with client, ThreadPoolExecutor(1) as pool:
        serving = pool.submit(serve)
        yield client, seen
        serving.result()


def opened(*headers: str) -> Callable[[str], bytes]:
    """Answers that open a websocket."""
    lines = "".join(f"{header}\r\n" for header in headers)
    return lambda key: f"{OPENED}Sec-WebSocket-Accept: {accept_key(key)}\r\n{lines}\r\n".encode()


def try_hands(
    answer: Callable[[str], bytes], headers: dict[str, str] | None = None, subprotocols: tuple[str, ...] = ()
) -> tuple[str | None, list[str]]:
    """What the handshake returned, and the lines of its request."""
    with server(answer) as (sock, seen):
        address = parse_address("ws://example.com:8000/chat/?room=1")
        chosen = shake_hands(sock, address, headers or {}, subprotocols, timeout=deadline(10))
    return chosen, seen


def test_the_request_is_a_handshake() -> None:
    chosen, lines = try_hands(opened())
    assert chosen is None
    assert lines[0] == "GET /chat/?room=1 HTTP/1.1"
    headers = dict(line.lower().split(": ", 1) for line in lines[1:] if not line.startswith("Sec-WebSocket-Key"))
    assert headers["host"] == "example.com:8000"
    [key] = [line.partition(": ")[2] for line in lines if line.startswith("Sec-WebSocket-Key: ")]
    handshake = parse_handshake("GET", "HTTP/1.1", {**headers, "sec-websocket-key": key})
    assert handshake.subprotocols == ()
    assert not handshake.extensions


def test_keys_differ() -> None:
    assert len({line for _ in range(3) for line in try_hands(opened())[1] if "Key" in line}) == 3


def test_headers_are_sent_and_replace_the_host() -> None:
    _, lines = try_hands(opened(), {"X-Own": "grüße", "host": "other.example"})
    assert "X-Own: grüße" in lines
    assert [line for line in lines if line.lower().startswith("host")] == ["host: other.example"]


def test_subprotocols() -> None:
    chosen, lines = try_hands(opened("Sec-WebSocket-Protocol: b"), subprotocols=("a", "b"))
    assert chosen == "b"
    assert "Sec-WebSocket-Protocol: a, b" in lines


def test_the_first_frame_stays_in_the_socket() -> None:
    with server(lambda key: opened()(key) + b"\x81\x02hi") as (sock, _):
        shake_hands(sock, parse_address("/"), {}, (), timeout=deadline(10))
        sock.settimeout(deadline(10))
        assert sock.recv(100) == b"\x81\x02hi"


PLAIN = "Content-Type: text/plain; charset=utf-8\r\n"


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (f"HTTP/1.1 403 Forbidden\r\n{PLAIN}Content-Length: 6\r\n\r\nno way", "^403 Forbidden: no way$"),
        (f"HTTP/1.1 403 Forbidden\r\n{PLAIN}\r\nuntil the end", "^403 Forbidden: until the end$"),
        (
            f"HTTP/1.1 400 Bad Request\r\n{PLAIN}Transfer-Encoding: chunked\r\n\r\n3\r\nwhy\r\n0\r\n\r\n",
            "^400 Bad Request: why$",
        ),
        (f"HTTP/1.1 400 Bad Request\r\n{PLAIN}Content-Length: 100\r\n\r\ncut off", "^400 Bad Request"),
        ("HTTP/1.1 404 Not Found\r\nContent-Type: text/html\r\nContent-Length: 3\r\n\r\n<p>", "^404 Not Found$"),
        ("HTTP/1.1 301 Moved\r\nLocation: https://x/\r\n\r\n", "^301 Moved, redirected to https://x/$"),
        ("HTTP/1.1 200 OK\r\n\r\n", "^200 OK$"),
        ("SSH-2.0-OpenSSH_9.2\r\n", "no HTTP response"),
        ("", "no HTTP response"),
        (OPENED + "Sec-WebSocket-Accept: AAAA\r\n\r\n", "wrong Sec-WebSocket-Accept"),
        (OPENED + "\r\n", "wrong Sec-WebSocket-Accept"),
        (OPENED.replace("WebSocket", "h2c") + "\r\n", "no 'Upgrade: websocket'"),
        (OPENED.replace("keep-alive, Upgrade", "keep-alive") + "\r\n", "no 'Connection: Upgrade'"),
    ],
)
def test_answers_that_open_nothing(answer: str, says: str) -> None:
    with pytest.raises(Refused, match=says):
        try_hands(lambda key: answer.encode())


@pytest.mark.parametrize(
    ("header", "says"),
    [
        ("Sec-WebSocket-Extensions: permessage-deflate", "extensions"),
        ("Sec-WebSocket-Protocol: c", "'c', which was not offered"),
    ],
)
def test_what_was_not_offered_is_not_accepted(header: str, says: str) -> None:
    with pytest.raises(Refused, match=says):
        try_hands(opened(header), subprotocols=("a", "b"))


def test_no_answer() -> None:
    client, other = socket.socketpair()
    with client, other, pytest.raises(TimeoutError):
        shake_hands(client, parse_address("/"), {}, (), timeout=0.05)


def test_an_answer_that_never_ends() -> None:
    """The time-out is for all of it, not for each byte."""
    client, other = socket.socketpair()

    def drip() -> None:
        other.sendall(b"HTTP/1.1 101 Switching Protocols\r\nX: ")
        try:
            while True:
                other.sendall(b"x")
                time.sleep(0.001)
        except OSError:
            pass  # the client is gone

    with ThreadPoolExecutor(1) as pool, other, client:
        pool.submit(drip)
        with pytest.raises(TimeoutError):
            shake_hands(client, parse_address("/"), {}, (), timeout=0.05)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Upgrade", "h2c"),
        ("connection", "close"),
        ("Sec-WebSocket-Protocol", "chat"),
        ("X Y", "z"),
        ("", "z"),
        ("X", "y\r\nZ: z"),
        ("X", "☃"),
    ],
)
def test_headers_that_may_not_be_sent(name: str, value: str) -> None:
    with pytest.raises(ValueError, match=r"header|itself"):
        check_header(name, value)
    check_header("X-Name", "value")
