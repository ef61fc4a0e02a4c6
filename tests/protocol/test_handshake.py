from __future__ import annotations

import pytest

from django_websocket.exceptions import HandshakeError
from django_websocket.protocol.handshake import Handshake, accept_key, is_websocket_request, parse_handshake
from tests.handshake_corpus import CASES, CHAT, KEY, KEY_ANSWER, Case


def joined(case: Case) -> dict[str, str]:
    """Names in lower case, and what HTTP makes of a repeated header (RFC 9110, section 5.3)."""
    headers: dict[str, str] = {}
    for name, value in case.headers:
        name = name.lower()
        value = value.replace("\r\n", "")
        headers[name] = f"{headers[name]},{value}" if name in headers else value
    return headers


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_corpus(case: Case) -> None:
    headers = joined(case)
    if case.status != 101:
        with pytest.raises(HandshakeError) as caught:
            parse_handshake(case.method, case.version, headers)
        assert caught.value.status == case.status, case.clause
        assert {name.lower(): value for name, value in caught.value.headers.items()} == case.answer, case.clause
        assert str(caught.value)
        return
    handshake = parse_handshake(case.method, case.version, headers)
    assert handshake.key == case.key
    assert handshake.choose_subprotocol(CHAT) == case.answer.get("sec-websocket-protocol"), case.clause
    agreed = handshake.choose_deflate()
    assert (agreed and agreed[0]) == case.answer.get("sec-websocket-extensions"), case.clause


def test_names_in_the_corpus_are_unique() -> None:
    names = [case.name for case in CASES]
    assert len(set(names)) == len(names)


def test_accept_key() -> None:
    """Section 1.3: the example."""
    assert accept_key(KEY) == KEY_ANSWER


def test_subprotocol_of_the_server_first() -> None:
    handshake = Handshake(KEY, ["a", "b", "c"], ())
    assert handshake.choose_subprotocol(["x", "c", "a"]) == "c"
    assert handshake.choose_subprotocol([]) is None
    assert handshake.choose_subprotocol(["A"]) is None


def test_extensions_as_they_are_parsed() -> None:
    case = next(case for case in CASES if case.name == "valid")
    value = 'Foo; Bar="b\\az";  qux = 1 , foo;x'
    handshake = parse_handshake("GET", "HTTP/1.1", {**joined(case), "sec-websocket-extensions": value})
    assert handshake.extensions == [("foo", [("bar", "baz"), ("qux", "1")]), ("foo", [("x", None)])]


@pytest.mark.parametrize(
    "headers",
    [
        {"upgrade": "websocket"},
        {"upgrade": "foo, WebSocket"},
        {"sec-websocket-key": ""},
        {"sec-websocket-version": "8"},
    ],
)
def test_request_that_means_a_websocket(headers: dict[str, str]) -> None:
    assert is_websocket_request(headers)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"upgrade": "h2c"},
        {"upgrade": "websockets"},
        {"connection": "upgrade"},
        {"sec-websocket-protocol": "chat"},
        {"upgrade": ""},
    ],
)
def test_request_that_does_not(headers: dict[str, str]) -> None:
    assert not is_websocket_request(headers)


@pytest.mark.parametrize("length", ["", "0"])
def test_no_body(length: str) -> None:
    """WSGI's CONTENT_LENGTH "may be empty or missing" (PEP 3333)."""
    headers = {**joined(CASES[0]), "content-length": length}
    assert parse_handshake("GET", "HTTP/1.1", headers).key == KEY
