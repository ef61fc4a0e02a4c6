"""Messages that many connections send."""

from __future__ import annotations

from typing import Any

import pytest

from django_websocket.protocol.connection import Connection
from django_websocket.protocol.deflate import PerMessageDeflate
from django_websocket.protocol.shared import SharedMessage

TEXT = "some text, " * 100


@pytest.mark.parametrize(
    ("message", "frame"),
    [
        ("é", b"\x81\x02\xc3\xa9"),
        ("", b"\x81\x00"),
        (b"a", b"\x82\x01a"),
        (bytearray(b"a"), b"\x82\x01a"),
        (memoryview(b"a"), b"\x82\x01a"),
        (12, b"\x81\x0212"),
    ],
)
def test_kinds(message: object, frame: bytes) -> None:
    assert SharedMessage(message).frame(None) == frame


@pytest.mark.parametrize("message", [TEXT, TEXT.encode(), "short"])
def test_the_frames_are_those_of_a_connection(message: Any) -> None:
    for deflate in (None, PerMessageDeflate(), PerMessageDeflate(window_bits=9)):
        connection = Connection(deflate=deflate)
        encode: Any = connection.encode_text if isinstance(message, str) else connection.encode_binary
        assert SharedMessage(message).frame(deflate) == encode(message)


def test_each_window_is_compressed_for_once() -> None:
    message = SharedMessage(TEXT)
    large, large_too, small = PerMessageDeflate(), PerMessageDeflate(), PerMessageDeflate(window_bits=9)
    assert message.frame(large) is message.frame(large_too)
    assert message.frame(small) is message.frame(small)
    assert message.frame(small) is not message.frame(large)


def test_context_takeover_compresses_for_each_connection() -> None:
    message = SharedMessage("".join(map(str, range(500))))
    deflate = PerMessageDeflate(server_takeover=True)
    first, second = message.frame(deflate), message.frame(deflate)
    assert len(second) < len(first) / 4, "the second refers to the first"


def test_lone_surrogates_are_no_text() -> None:
    with pytest.raises(UnicodeEncodeError):
        SharedMessage("\ud800")
