"""The handshake corpus over a real socket, against the real server: the exact status and headers of each answer."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from django_websocket.protocol.handshake import accept_key
from tests.compliance.served import echo_server
from tests.deadlines import deadline
from tests.handshake_corpus import CASES, KEY_ANSWER, Case
from tests.protocol.client import close, text


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with echo_server() as port:
        yield port


def request(case: Case, port: int) -> bytes:
    """The bytes of a handshake."""

    def filled(value: str) -> str:
        return value.replace("{host}", f"127.0.0.1:{port}").replace("{port}", str(port))

    lines = [f"{case.method} / {case.version}", *(f"{name}: {filled(value)}" for name, value in case.headers)]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + case.body


def receive_until(sock: socket.socket, end: bytes) -> bytes:
    """What comes up to and with ``end``; AssertionError if the stream ends first."""
    data = b""
    while not data.endswith(end):
        byte = sock.recv(1)
        assert byte, f"the connection ended after {data!r}"
        data += byte
    return data


def receive_rest(sock: socket.socket) -> bytes:
    """What comes up to the end of the stream."""
    data = b""
    while received := sock.recv(65536):
        data += received
    return data


def receive_head(sock: socket.socket) -> tuple[int, dict[str, str]]:
    """Status and headers of a response, none of them twice."""
    head = receive_until(sock, b"\r\n\r\n").decode("latin-1").split("\r\n")
    version, status, _ = head[0].split(" ", 2)
    assert version == "HTTP/1.1"
    pairs = [line.split(": ", 1) for line in head[1:-2]]
    headers = {name.lower(): value for name, value in pairs}
    assert len(headers) == len(pairs)
    return int(status), headers


def connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=deadline(10))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_corpus(case: Case, port: int) -> None:
    with connect(port) as sock:
        sock.sendall(request(case, port))
        status, headers = receive_head(sock)
        assert status == (case.refused or case.status), case.clause
        if status == 101:
            expect_websocket(case, sock, headers)
        else:
            expect_refusal(case, sock, headers)


def expect_websocket(case: Case, sock: socket.socket, headers: dict[str, str]) -> None:
    """Section 4.2.2, step 5: these headers and no others; then it is a websocket."""
    assert headers == {
        "upgrade": "websocket",
        "connection": "Upgrade",
        "sec-websocket-accept": accept_key(case.key),
        **case.answer,
    }
    sock.sendall(text("Hello") + close(1000))
    assert receive_rest(sock) == b"\x81\x05Hello\x88\x02\x03\xe8"


def expect_refusal(case: Case, sock: socket.socket, headers: dict[str, str]) -> None:
    """One response of a right length, whatever follows."""
    for name in ("sec-websocket-accept", "upgrade", "sec-websocket-protocol", "sec-websocket-extensions"):
        assert name not in headers
    if case.refused is None:
        assert {name: headers.get(name) for name in ("allow", "sec-websocket-version")} == {
            "allow": case.answer.get("allow"),
            "sec-websocket-version": case.answer.get("sec-websocket-version"),
        }
    sock.shutdown(socket.SHUT_WR)
    rest = receive_rest(sock)
    assert len(rest) == (0 if case.method == "HEAD" else int(headers["content-length"]))


def test_the_rfcs_own_example(port: int) -> None:
    """Section 1.3."""
    with connect(port) as sock:
        sock.sendall(request(CASES[0], port))
        assert receive_head(sock)[1]["sec-websocket-accept"] == KEY_ANSWER


@pytest.mark.parametrize("cut", [0, 1, 5, 11, 12])
def test_frames_right_behind_the_handshake(port: int, cut: int) -> None:
    """Section 4.1: a client waits for the answer; one that doesn't loses nothing."""
    frames = text("first") + text("second") + close(1000)
    with connect(port) as sock:
        sock.sendall(request(CASES[0], port) + frames[:cut])
        assert receive_head(sock)[0] == 101
        sock.sendall(frames[cut:])
        assert receive_rest(sock) == b"\x81\x05first\x81\x06second\x88\x02\x03\xe8"


def test_frames_right_behind_a_refused_handshake(port: int) -> None:
    """They are no second request."""
    refused = next(case for case in CASES if case.name == "version-8")
    with connect(port) as sock:
        sock.sendall(request(refused, port) + text("GET / HTTP/1.1\r\n\r\n"))
        status, headers = receive_head(sock)
        assert status == 400
        sock.shutdown(socket.SHUT_WR)
        assert len(receive_rest(sock)) >= int(headers["content-length"])


def test_handshake_in_pieces(port: int) -> None:
    with connect(port) as sock:
        for byte in request(CASES[0], port):
            sock.sendall(bytes((byte,)))
        assert receive_head(sock)[0] == 101
