"""What a URL on the command line means."""

from __future__ import annotations

import pytest
from websockets.uri import parse_uri

from django_websocket.terminal.address import parse_address


@pytest.mark.parametrize(
    ("url", "whole", "origin"),
    [
        ("/ws/chat/", "ws://127.0.0.1:8000/ws/chat/", "http://127.0.0.1:8000"),
        ("/", "ws://127.0.0.1:8000/", "http://127.0.0.1:8000"),
        ("/chat/?room=a&b", "ws://127.0.0.1:8000/chat/?room=a&b", "http://127.0.0.1:8000"),
        ("ws://example.com", "ws://example.com/", "http://example.com"),
        ("ws://example.com?a", "ws://example.com/?a", "http://example.com"),
        ("ws://example.com:80/", "ws://example.com/", "http://example.com"),
        ("wss://example.com:443/", "wss://example.com/", "https://example.com"),
        ("wss://example.com:80/", "wss://example.com:80/", "https://example.com:80"),
        ("WSS://Example.COM/Path", "wss://example.com/Path", "https://example.com"),
        ("ws://[::1]:8000/x", "ws://[::1]:8000/x", "http://[::1]:8000"),
        ("wss://bücher.example/ö?ü", "wss://xn--bcher-kva.example/%C3%B6?%C3%BC", "https://xn--bcher-kva.example"),
        ("/already%20quoted/", "ws://127.0.0.1:8000/already%20quoted/", "http://127.0.0.1:8000"),
    ],
)
def test_a_url_and_its_origin(url: str, whole: str, origin: str) -> None:
    address = parse_address(url)
    assert str(address) == whole
    assert address.origin == origin
    # Another client finds the same behind it.
    other = parse_uri(whole)
    assert (address.secure, address.host, address.port, address.target) == (
        other.secure,
        other.host,
        other.port,
        other.resource_name,
    )


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("", "must begin with"),
        ("chat/", "must begin with"),
        ("example.com/chat/", "must begin with"),
        ("http://example.com/", "must begin with"),
        ("ws:///path", "must begin with"),
        ("ws://example.com:port/", "[Pp]ort"),
        ("ws://example.com:99999/", "[Pp]ort"),
        ("ws://[::1/", "IPv6"),
        ("ws://user:secret@example.com/", "Authorization"),
        ("ws://example.com/#top", "fragment"),
        ("/chat/#", "fragment"),
        ("/chat/ HTTP/1.1", "no spaces"),
        ("/chat/\r\nX: y", "no spaces"),
        ("/chat/\x00", "no spaces"),
    ],
)
def test_what_is_no_url(url: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        parse_address(url)
