"""What holds for every stream, found out by hypothesis; the peer is the sans-I/O client of *websockets*."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from websockets.client import ClientProtocol
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory
from websockets.frames import Close, Frame, Opcode
from websockets.http11 import Request, Response
from websockets.protocol import State
from websockets.uri import parse_uri

from django_websocket.exceptions import InvalidPayload, MessageTooBig, PolicyViolation, ProtocolError
from django_websocket.protocol.assembly import Message
from django_websocket.protocol.connection import Connection
from django_websocket.protocol.deflate import PerMessageDeflate
from django_websocket.protocol.handshake import accept_key, parse_handshake

from .client import close, deflated, feed, frame

MAX_SIZE = 4000

masks = st.binary(min_size=4, max_size=4)
texts = st.text(max_size=200)
messages: st.SearchStrategy[Message] = st.one_of(
    texts,
    st.binary(max_size=200),
    st.integers(120, 130).map(bytes),
    st.integers(0, 600).map(lambda size: "ab\u20ac" * size),
    st.binary(min_size=1, max_size=50).map(lambda block: block * 20),
)
controls = st.tuples(st.sampled_from([0x89, 0x8A]), st.binary(max_size=125))


@dataclass
class Stream:
    """Bytes of a client, and the messages in them."""

    data: bytes = b""
    messages: list[Message] = field(default_factory=list)


@st.composite
def streams(draw: st.DrawFn, compression: bool = False) -> Stream:
    """A right stream: messages whole and in fragments, control frames between them, some with a close."""
    stream = Stream()
    compressor = zlib.compressobj(wbits=-15)
    for message in draw(st.lists(messages, max_size=8)):
        payload = message.encode() if isinstance(message, str) else message
        first = 0x01 if isinstance(message, str) else 0x02
        stream.messages.append(message)
        if compression and draw(st.booleans()):
            payload = deflated(payload, compressor)
            first |= 0x40
        cuts = sorted(draw(st.lists(st.integers(0, len(payload)), max_size=4)))
        parts = [payload[a:b] for a, b in zip([0, *cuts], [*cuts, len(payload)], strict=True)]
        for number, part in enumerate(parts):
            fin = 0x80 if number == len(parts) - 1 else 0
            stream.data += frame((0 if number else first) | fin, part, draw(masks))
            if draw(st.booleans()):
                stream.data += frame(*draw(controls), draw(masks))
    if draw(st.booleans()):
        stream.data += close(draw(st.sampled_from([1000, 1001, 3000, 4999])), draw(st.text(max_size=20)).encode())
    return stream


def cut(data: bytes, cuts: list[int]) -> Iterator[bytes]:
    """``data`` in pieces of the sizes in ``cuts``, over and over."""
    pos, turn = 0, 0
    while pos < len(data):
        size = cuts[turn % len(cuts)] if cuts else len(data)
        yield data[pos : pos + size]
        pos += size
        turn += 1


segments = st.lists(st.integers(1, 300), max_size=8)


def extension(takeover: bool = True) -> PerMessageDeflate:
    return PerMessageDeflate(client_takeover=takeover, server_takeover=takeover)


@given(stream=streams(), sizes=segments, max_queue=st.integers(1, 5))
def test_any_segmentation_gives_the_same_messages(stream: Stream, sizes: list[int], max_queue: int) -> None:
    connection = Connection(max_message_size=MAX_SIZE, max_queue=max_queue)
    taken = [message for piece in cut(stream.data, sizes) for message in feed(connection, piece)]
    assert taken == stream.messages
    assert connection.failure is None


@given(stream=streams(compression=True), sizes=segments, max_queue=st.integers(1, 5))
def test_any_segmentation_under_compression(stream: Stream, sizes: list[int], max_queue: int) -> None:
    connection = Connection(max_message_size=MAX_SIZE, max_queue=max_queue, deflate=extension())
    taken = [message for piece in cut(stream.data, sizes) for message in feed(connection, piece)]
    assert taken == stream.messages
    assert connection.failure is None


@given(stream=streams(), position=st.integers(0, 2000))
def test_a_prefix_of_a_stream_is_no_failure(stream: Stream, position: int) -> None:
    connection = Connection(max_message_size=MAX_SIZE)
    taken = feed(connection, stream.data[:position])
    assert connection.failure is None
    assert taken == stream.messages[: len(taken)]


@st.composite
def mutated(draw: st.DrawFn, compression: bool) -> bytes:
    """A right stream in which something was changed."""
    data = bytearray(draw(streams(compression)).data)
    for _ in range(draw(st.integers(1, 4))):
        position = draw(st.integers(0, len(data)))
        match draw(st.sampled_from(["replace", "insert", "delete", "repeat"])):
            case "replace":
                data[position : position + 1] = draw(st.binary(min_size=1, max_size=1))
            case "insert":
                data[position:position] = draw(st.binary(max_size=12))
            case "delete":
                del data[position : position + draw(st.integers(1, 12))]
            case "repeat":
                data[position:position] = data[position : position + draw(st.integers(1, 80))]
    return bytes(data)


def expect_declared_outcome(connection: Connection, data: bytes, sizes: list[int]) -> None:
    taken = [message for piece in cut(data, sizes) for message in feed(connection, piece)]
    assert all(len(message) <= MAX_SIZE for message in taken)
    failure = connection.failure
    if failure is None:
        connection.receive_eof()
        assert connection.close_code is not None
        return
    assert connection.ended
    assert isinstance(failure, ProtocolError)
    assert type(failure) in (ProtocolError, InvalidPayload, MessageTooBig, PolicyViolation)
    output = connection.take_output()
    assert connection.close_sent == connection.close_code == failure.close_code
    assert output.endswith(failure.close_code.to_bytes(2, "big") + failure.reason.encode())
    feed(connection, data)
    assert connection.failure is failure
    assert connection.take_output() == b""


@given(data=mutated(compression=False), sizes=segments)
def test_mutated_streams(data: bytes, sizes: list[int]) -> None:
    expect_declared_outcome(Connection(max_message_size=MAX_SIZE), data, sizes)


@given(data=mutated(compression=True), sizes=segments, takeover=st.booleans())
def test_mutated_streams_under_compression(data: bytes, sizes: list[int], takeover: bool) -> None:
    expect_declared_outcome(Connection(max_message_size=MAX_SIZE, deflate=extension(takeover)), data, sizes)


@given(data=st.binary(max_size=500), sizes=segments)
def test_any_bytes(data: bytes, sizes: list[int]) -> None:
    expect_declared_outcome(Connection(max_message_size=MAX_SIZE, deflate=extension()), data, sizes)


@given(first=st.integers(0, 255), payload=st.binary(max_size=300), sizes=segments)
def test_any_frame(first: int, payload: bytes, sizes: list[int]) -> None:
    expect_declared_outcome(Connection(max_message_size=MAX_SIZE), frame(first, payload), sizes)


@given(payload=st.one_of(st.binary(max_size=60), texts.map(str.encode)), cuts=segments)
def test_text_is_what_python_decodes(payload: bytes, cuts: list[int]) -> None:
    """Fail-fast or not, in pieces or not: UTF-8 is what ``bytes.decode`` takes."""
    connection = Connection(max_message_size=MAX_SIZE)
    pieces = list(cut(payload, cuts)) or [b""]
    data = b"".join(frame((0 if number else 1), piece) for number, piece in enumerate(pieces)) + frame(0x80)
    taken = feed(connection, data)
    try:
        expected = payload.decode()
    except UnicodeDecodeError:
        assert connection.close_code == 1007
        assert taken == []
    else:
        assert taken == [expected]


# A peer that others wrote

FACTORIES = {
    "none": None,
    "default": ClientPerMessageDeflateFactory(),
    "client-window": ClientPerMessageDeflateFactory(client_max_window_bits=True),
    "client-window-9": ClientPerMessageDeflateFactory(client_max_window_bits=9),
    "server-window-9": ClientPerMessageDeflateFactory(server_max_window_bits=9, client_max_window_bits=12),
    "server-window-15": ClientPerMessageDeflateFactory(server_max_window_bits=15),
    "no-takeover": ClientPerMessageDeflateFactory(
        server_no_context_takeover=True, client_no_context_takeover=True, client_max_window_bits=True
    ),
    "server-no-takeover": ClientPerMessageDeflateFactory(server_no_context_takeover=True),
    "client-no-takeover": ClientPerMessageDeflateFactory(client_no_context_takeover=True),
}

peers = pytest.mark.parametrize("peer", FACTORIES)
takeovers = pytest.mark.parametrize("takeover", [False, True])
few = settings(max_examples=25)  # for each of eighteen agreements


def opened(peer: str, takeover: bool) -> tuple[ClientProtocol, Connection]:
    """Both ends of a connection, after the handshake of both."""
    factory = FACTORIES[peer]
    client = ClientProtocol(parse_uri("ws://example.com/"), extensions=[factory] if factory else None, max_size=None)
    request: Request = client.connect()
    client.send_request(request)
    client.data_to_send()
    headers = {name.lower(): value for name, value in request.headers.raw_items()}
    handshake = parse_handshake("GET", "HTTP/1.1", headers)
    answer = [
        ("Upgrade", "websocket"),
        ("Connection", "Upgrade"),
        ("Sec-WebSocket-Accept", accept_key(handshake.key)),
    ]
    connection = Connection()
    agreed = handshake.choose_deflate(takeover=takeover)
    assert (agreed is None) == (factory is None)
    if agreed is not None:
        answer.append(("Sec-WebSocket-Extensions", agreed[0]))
        connection.use_deflate(agreed[1])
    head = "".join(f"{name}: {value}\r\n" for name, value in answer)
    client.receive_data(f"HTTP/1.1 101 Switching Protocols\r\n{head}\r\n".encode())
    assert client.handshake_exc is None
    assert client.state is State.OPEN
    assert isinstance(client.events_received()[0], Response)
    return client, connection


def received_by(client: ClientProtocol) -> list[Message]:
    """The messages among the client's events, put together."""
    received: list[Message] = []
    parts: list[bytes] = []
    is_text = False
    for event in client.events_received():
        assert isinstance(event, Frame)
        if event.opcode in (Opcode.TEXT, Opcode.BINARY):
            is_text = event.opcode is Opcode.TEXT
            parts = []
        elif event.opcode is not Opcode.CONT:
            continue
        parts.append(bytes(event.data))
        if event.fin:
            payload = b"".join(parts)
            received.append(payload.decode() if is_text else payload)
    return received


@peers
@takeovers
@few
@given(
    sent=st.lists(st.tuples(messages, st.sampled_from([None, True, False])), max_size=8),
    sizes=segments,
)
def test_what_we_write_is_read(
    peer: str, takeover: bool, sent: list[tuple[Message, bool | None]], sizes: list[int]
) -> None:
    client, connection = opened(peer, takeover)
    data = b""
    for message, compress in sent:
        if isinstance(message, str):
            data += connection.encode_text(message, compress=compress)
        else:
            data += connection.encode_binary(message, compress=compress)
        data += connection.encode_ping(b"ping")
    data += connection.close(1001, "bye")
    for piece in cut(data, sizes):
        client.receive_data(piece)
    assert client.parser_exc is None
    assert received_by(client) == [message for message, _ in sent]
    assert client.close_rcvd == Close(1001, "bye")
    answers = b"".join(client.data_to_send())
    assert feed(connection, answers) == []
    assert connection.failure is None
    assert connection.ended
    assert connection.pongs == [b"ping"] * min(len(sent), 8)


@peers
@takeovers
@few
@given(sent=st.lists(st.tuples(messages, st.lists(st.integers(0, 300), max_size=3)), max_size=8), sizes=segments)
def test_what_they_write_is_read(
    peer: str, takeover: bool, sent: list[tuple[Message, list[int]]], sizes: list[int]
) -> None:
    client, connection = opened(peer, takeover)
    for message, cuts in sent:
        payload = message.encode() if isinstance(message, str) else message
        positions = sorted(min(position, len(payload)) for position in cuts)
        parts = [payload[a:b] for a, b in zip([0, *positions], [*positions, len(payload)], strict=True)]
        begin = client.send_text if isinstance(message, str) else client.send_binary
        begin(parts[0], fin=len(parts) == 1)
        for number, part in enumerate(parts[1:], 2):
            client.send_ping(b"between")
            client.send_continuation(part, fin=number == len(parts))
    client.send_close(1000, "bye")
    taken = [m for piece in cut(b"".join(client.data_to_send()), sizes) for m in feed(connection, piece)]
    assert taken == [message for message, _ in sent]
    assert connection.failure is None
    assert (connection.close_code, connection.close_reason) == (1000, "bye")
    client.receive_data(connection.take_output())
    assert client.parser_exc is None
    assert client.close_rcvd == Close(1000, "bye")
