"""The client's side: what our server, and that of another library, understand; and what it takes from neither."""

from __future__ import annotations

import pytest
from websockets.frames import Close
from websockets.protocol import State
from websockets.server import ServerProtocol

from django_websocket.exceptions import InvalidPayload, ProtocolError
from django_websocket.protocol.assembly import Message
from django_websocket.protocol.client import ClientProtocol
from django_websocket.protocol.connection import Connection
from django_websocket.protocol.deflate import negotiate_deflate
from django_websocket.protocol.frames import BINARY, CLOSE, CONTINUATION, PING, TEXT, encode_frame
from tests.protocol.client import deflated, feed

MESSAGES: list[Message] = ["", "Grüße", "x" * 125, "x" * 126, "x" * 70_000, b"", b"\x00\xff" * 5]


@pytest.mark.parametrize("step", [1, 1000, 1_000_000])
@pytest.mark.parametrize("takeover", [None, False, True], ids=["plain", "no-takeover", "takeover"])
def test_both_sides_of_ours_understand_each_other(step: int, takeover: bool | None) -> None:
    extension, deflate = "", None
    if takeover is not None:
        agreed = negotiate_deflate([], takeover=takeover)
        assert agreed is not None
        extension, deflate = agreed
    client, connection = ClientProtocol(extension), Connection(deflate=deflate)
    sent = b"".join(map(client.encode_message, MESSAGES)) + client.encode_close(4000, "bye")
    assert feed(connection, sent, step) == MESSAGES
    assert connection.close_received == (4000, "bye")
    connection = Connection(deflate=deflate)
    data = b"".join(
        connection.encode_text(each) if isinstance(each, str) else connection.encode_binary(each) for each in MESSAGES
    )
    data += connection.close(1001, "leaving")
    for start in range(0, len(data), step):
        client.receive_data(data[start : start + step])
    assert list(client.messages) == MESSAGES
    assert (client.close_code, client.close_reason) == (1001, "leaving")


def test_another_library_understands_it() -> None:
    server = ServerProtocol(state=State.OPEN)
    client = ClientProtocol()
    server.receive_data(client.encode_message("Grüße") + client.encode_ping(b"p") + client.encode_close(1000))
    assert server.parser_exc is None
    assert [event.data for event in server.events_received()[:2]] == ["Grüße".encode(), b"p"]  # type: ignore[union-attr]  # frames
    assert server.close_rcvd == Close(1000, "")
    for data in server.data_to_send():
        client.receive_data(data)
    assert client.pongs == [b"p"]
    assert client.close_code == 1000


def test_masks_differ() -> None:
    client = ClientProtocol()
    assert len({client.encode_ping(b"") for _ in range(10)}) == 10


def test_fragments_and_what_comes_between() -> None:
    client = ClientProtocol()
    client.receive_data(
        encode_frame(TEXT, b"one ", fin=False)
        + encode_frame(PING, b"now")
        + encode_frame(CONTINUATION, b"two")
        + encode_frame(CLOSE, b"")
    )
    assert list(client.messages) == ["one two"]
    assert client.pings == [b"now"]
    assert client.close_code == 1005


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"\x81\x85MASKED", "masked"),
        (b"\xa1\x00", "reserved bit"),
        (b"\xc1\x00", "nothing was negotiated"),
        (b"\x83\x00", "unexpected frame 0x3"),
        (b"\x8b\x00", "invalid control frame"),
        (b"\x09\x00", "invalid control frame"),
        (encode_frame(PING, bytes(126)), "invalid control frame"),
        (encode_frame(CONTINUATION, b""), "not begun"),
        (encode_frame(TEXT, b"", fin=False) + encode_frame(BINARY, b""), "unexpected frame"),
        (encode_frame(CLOSE, b"\x03"), "invalid close frame"),
        (encode_frame(CLOSE, b"\x03\xed"), "invalid close frame"),
        (encode_frame(CLOSE, b"\x03\xe8\xff"), "invalid close frame"),
        (encode_frame(CLOSE, b"") + encode_frame(TEXT, b"late"), "after its close frame"),
    ],
)
def test_what_breaks_the_protocol(data: bytes, says: str) -> None:
    with pytest.raises(ProtocolError, match=says):
        ClientProtocol().receive_data(data)


def test_what_can_not_be_decoded() -> None:
    with pytest.raises(InvalidPayload, match="utf-8"):
        ClientProtocol().receive_data(encode_frame(TEXT, b"\xff"))
    client = ClientProtocol("permessage-deflate")
    with pytest.raises(InvalidPayload):
        client.receive_data(encode_frame(TEXT, b"\xff\xff\xff", rsv1=True))
    client = ClientProtocol("permessage-deflate")
    client.receive_data(encode_frame(TEXT, deflated(b"fine"), rsv1=True))
    assert list(client.messages) == ["fine"]
