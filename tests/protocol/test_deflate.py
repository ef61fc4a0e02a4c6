from __future__ import annotations

import random
import zlib
from typing import cast

import pytest

from django_websocket.exceptions import InvalidPayload, PolicyViolation
from django_websocket.protocol import connection as connection_module
from django_websocket.protocol.connection import Connection
from django_websocket.protocol.deflate import (
    INFLATE_SLICE,
    MAX_STREAMS,
    MIN_SIZE,
    Inflater,
    PerMessageDeflate,
    negotiate_deflate,
)
from django_websocket.protocol.frames import BINARY, TEXT
from django_websocket.protocol.handshake import Handshake, parse_handshake

from .client import close, compressed, deflated, feed, frame, inflate_all, text

# Negotiation: an offer, the answer, and the answer where this side would keep its context.

NO_CONTEXT = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"

ACCEPTED = {
    "": (NO_CONTEXT, "permessage-deflate"),
    "; server_no_context_takeover": (NO_CONTEXT, "permessage-deflate; server_no_context_takeover"),
    "; client_no_context_takeover": (NO_CONTEXT, "permessage-deflate; client_no_context_takeover"),
    "; client_no_context_takeover; server_no_context_takeover": (NO_CONTEXT, NO_CONTEXT),
    "; client_max_window_bits": (NO_CONTEXT, "permessage-deflate"),
    **{f"; client_max_window_bits={bits}": (NO_CONTEXT, "permessage-deflate") for bits in range(8, 16)},
    **{
        f"; server_max_window_bits={bits}": (
            f"{NO_CONTEXT}; server_max_window_bits={bits}",
            f"permessage-deflate; server_max_window_bits={bits}",
        )
        for bits in range(9, 16)
    },
    '; server_max_window_bits="10"': (
        f"{NO_CONTEXT}; server_max_window_bits=10",
        "permessage-deflate; server_max_window_bits=10",
    ),
    "; client_max_window_bits=9; server_max_window_bits=12; server_no_context_takeover": (
        f"{NO_CONTEXT}; server_max_window_bits=12",
        "permessage-deflate; server_no_context_takeover; server_max_window_bits=12",
    ),
    # A client that would take less, second: the first that can be accepted is (section 5.1).
    "; server_max_window_bits=8, permessage-deflate; client_max_window_bits": (NO_CONTEXT, "permessage-deflate"),
    "; unknown, permessage-deflate": (NO_CONTEXT, "permessage-deflate"),
    ", permessage-deflate; server_max_window_bits=10": (NO_CONTEXT, "permessage-deflate"),
    ", x-webkit-deflate-frame": (NO_CONTEXT, "permessage-deflate"),
}

# RFC 7692, section 7.1: offers that MUST be declined, and one that may be.
DECLINED = {
    "unknown": "; unknown",
    "unknown-with-value": "; window=10",
    "twice-no-context": "; server_no_context_takeover; server_no_context_takeover",
    "twice-client-no-context": "; client_no_context_takeover; client_no_context_takeover",
    "twice-window": "; server_max_window_bits=10; server_max_window_bits=10",
    "twice-client-window": "; client_max_window_bits; client_max_window_bits=10",
    "value-of-server-no-context": "; server_no_context_takeover=1",
    "value-of-client-no-context": "; client_no_context_takeover=true",
    "no-value-of-server-window": "; server_max_window_bits",
    **{
        f"{side}-window-{value}": f"; {side}_max_window_bits={value}"
        for side in ("server", "client")
        for value in ("0", "7", "16", "08", "010", "015", "-10", "10.0", "1e1", "0xa", "ten", "+10", "100")
    },
    # zlib cannot write with a window of 256 bytes, so the server declines to.
    "server-window-8": "; server_max_window_bits=8",
    "right-and-wrong": "; client_max_window_bits; server_max_window_bits=16",
}


def handshake(extensions: str) -> Handshake:
    return parse_handshake(
        "GET",
        "HTTP/1.1",
        {
            "upgrade": "websocket",
            "connection": "Upgrade",
            "sec-websocket-version": "13",
            "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
            "sec-websocket-extensions": extensions,
        },
    )


@pytest.mark.parametrize(("offer", "answers"), ACCEPTED.items())
@pytest.mark.parametrize("takeover", [False, True])
def test_accepted(offer: str, answers: tuple[str, str], takeover: bool) -> None:
    agreed = handshake(f"permessage-deflate{offer}").choose_deflate(takeover=takeover)
    assert agreed is not None
    answer, extension = agreed
    assert answer == answers[takeover]
    assert extension.server_takeover == ("server_no_context_takeover" not in answer)
    assert extension.client_takeover == ("client_no_context_takeover" not in answer)
    _, _, bits = answer.partition("server_max_window_bits=")
    assert extension.window_bits == int(bits or 15)


@pytest.mark.parametrize("offer", DECLINED.values(), ids=DECLINED)
def test_declined(offer: str) -> None:
    """Section 7.1: the connection then does without; it doesn't fail."""
    found = handshake(f"permessage-deflate{offer}")
    assert found.choose_deflate() is None
    assert found.choose_deflate(takeover=True) is None
    fallback = handshake(f"permessage-deflate{offer}, permessage-deflate").choose_deflate()
    assert fallback is not None
    assert fallback[0] == NO_CONTEXT


@pytest.mark.parametrize("other", ["x-webkit-deflate-frame", "permessage-bzip2; client_max_compress_level=9", "foo"])
def test_other_extensions_are_passed_over(other: str) -> None:
    assert handshake(other).choose_deflate() is None


def test_nothing_offered() -> None:
    assert Handshake("", (), ()).choose_deflate() is None


def agreed(offer: str = "", *, takeover: bool = False) -> PerMessageDeflate:
    answer = handshake(f"permessage-deflate{offer}").choose_deflate(takeover=takeover)
    assert answer is not None
    return answer[1]


# Receiving


@pytest.mark.parametrize("step", [None, 1, 3])
@pytest.mark.parametrize("payload", [b"", b"a", b"Hello", bytes(100_000), bytes(range(256)) * 9])
def test_receive(step: int | None, payload: bytes) -> None:
    connection = Connection(deflate=agreed())
    data = compressed(0x82, payload) + frame(0x82, payload) + compressed(0x82, payload)
    assert feed(connection, data, step) == [payload] * 3
    assert connection.failure is None


# Section 7.2.3: the examples of the RFC.
RFC_EXAMPLES = {
    "7.2.3.1": "c107f248cdc9c90700",
    "7.2.3.1-fragments": "4103f248cd8004c9c90700",
    "7.2.3.3-no-compression": "c10b000500faff48656c6c6f00",
    "7.2.3.4-bfinal": "c108f348cdc9c9070000",
    "7.2.3.5-two-blocks": "c10df2480500 0000ffff cac9c90700",
}


@pytest.mark.parametrize("example", RFC_EXAMPLES.values(), ids=RFC_EXAMPLES)
@pytest.mark.parametrize("step", [None, 1])
def test_rfc_examples(example: str, step: int | None) -> None:
    """Unmasked in the RFC; masked with zeros here."""
    raw = bytes.fromhex(example)
    data, pos = b"", 0
    while pos < len(raw):
        length = raw[pos + 1]
        data += frame(raw[pos], raw[pos + 2 : pos + 2 + length], bytes(4))
        pos += 2 + length
    connection = Connection(deflate=agreed())
    assert feed(connection, data, step) == ["Hello"]
    assert connection.failure is None


@pytest.mark.parametrize("step", [None, 1])
def test_rfc_example_of_a_shared_window(step: int | None) -> None:
    """Section 7.2.3.2: the second "Hello" refers to the first."""
    first = frame(0xC1, bytes.fromhex("f248cdc9c90700"))
    second = frame(0xC1, bytes.fromhex("f200110000"))
    assert feed(Connection(deflate=agreed(takeover=True)), first + second, step) == ["Hello", "Hello"]
    connection = Connection(deflate=agreed())
    assert feed(connection, first + second, step) == ["Hello"]
    assert connection.close_code == 1007


@pytest.mark.parametrize("bits", range(9, 16))
def test_any_window_of_the_clients(bits: int) -> None:
    compressor = zlib.compressobj(wbits=-bits)
    payload = random.Random(bits).randbytes(300) * 200
    connection = Connection(deflate=agreed(f"; client_max_window_bits={bits}", takeover=True))
    data = b"".join(compressed(0x82, payload, compressor) for _ in range(3))
    assert feed(connection, data) == [payload] * 3


def test_takeover_over_messages_that_are_not_compressed() -> None:
    """Section 6.1: a message without RSV1 is not part of the window."""
    compressor = zlib.compressobj(wbits=-15)
    connection = Connection(deflate=agreed(takeover=True))
    data = (
        compressed(0x81, b"abcabcabc" * 9, compressor)
        + text("plain")
        + frame(0x41, b"")
        + frame(0x80, deflated(b"abcabcabc" * 9, compressor))
    )
    assert feed(connection, data) == ["abcabcabc" * 9, "plain", "abcabcabc" * 9]


def test_stream_that_ends_within_a_message() -> None:
    """Section 7.2.3.4: BFINAL ends the deflate stream, not the message."""
    ended = zlib.compress(b"ab" * 50, wbits=-15)
    connection = Connection(deflate=agreed())
    data = frame(0xC1, ended) + frame(0xC1, ended + ended) + frame(0x41, ended) + frame(0x80, deflated(b"!"))
    assert feed(connection, data) == ["ab" * 50, "ab" * 100, "ab" * 50 + "!"]


def test_many_streams_in_one_message() -> None:
    """Each of these costs a decompressor and a copy of all that follows it."""
    connection = Connection(deflate=agreed())
    assert feed(connection, frame(0xC2, b"\x03\x00" * MAX_STREAMS)) == [b""]
    connection.receive_data(frame(0x42, b"\x03\x00" * MAX_STREAMS))
    assert not connection.ended
    connection.receive_data(frame(0x80, b"\x03\x00"))
    assert isinstance(connection.failure, PolicyViolation)
    assert connection.close_code == 1008


def test_streams_are_counted_for_each_message() -> None:
    connection = Connection(deflate=agreed(takeover=True))
    data = frame(0xC2, b"\x03\x00" * MAX_STREAMS + b"\x00") * 3
    assert feed(connection, data) == [b""] * 3


@pytest.mark.parametrize(
    "payload",
    [b"\xff" * 20, b"\x07", b"\x06", b"\x00\x05\x00\x00\x00Hello", b"\x04\x00\xfe\xff", b"garbage garbage"],
    ids=["ones", "reserved-block", "reserved-block-not-final", "wrong-complement", "cut-off", "garbage"],
)
@pytest.mark.parametrize("step", [None, 1])
@pytest.mark.parametrize("takeover", [False, True])
def test_what_is_not_deflate(payload: bytes, step: int | None, takeover: bool) -> None:
    connection = Connection(deflate=agreed(takeover=takeover))
    assert feed(connection, text("ok") + frame(0xC2, payload), step) == ["ok"]
    assert isinstance(connection.failure, InvalidPayload)
    assert connection.close_code == 1007


@pytest.mark.parametrize("step", [None, 1])
def test_utf8_is_that_of_the_inflated_text(step: int | None) -> None:
    connection = Connection(deflate=agreed())
    good = deflated("\u20ac".encode() * 50)
    assert feed(connection, frame(0x41, good[:5]) + frame(0x80, good[5:]), step) == ["\u20ac" * 50]
    assert feed(connection, compressed(0x81, b"ok \xed\xa0\x80"), step) == []
    assert connection.close_code == 1007


def test_invalid_utf8_fails_before_the_message_is_complete() -> None:
    connection = Connection(deflate=agreed())
    connection.receive_data(frame(0x41, deflated(b"ok \xff ok") + b"\x00\x00\xff\xff"))
    assert connection.close_code == 1007


@pytest.mark.parametrize("first", [0xC0, 0x40])
def test_rsv1_of_a_continuation(first: int) -> None:
    """Section 6.1: RSV1 is on the first frame of a message only."""
    connection = Connection(deflate=agreed())
    data = deflated(b"abc")
    feed(connection, frame(0x42, data[:2]) + frame(first, data[2:]))
    assert connection.close_code == 1002


@pytest.mark.parametrize("first", [0xC8, 0xC9, 0xCA])
def test_rsv1_of_a_control_frame(first: int) -> None:
    """Section 6.1: control frames are not compressed."""
    connection = Connection(deflate=agreed())
    feed(connection, frame(first))
    assert connection.close_code == 1002


@pytest.mark.parametrize("first", [0xA1, 0x91, 0xE1, 0xD1, 0xF1])
def test_other_reserved_bits(first: int) -> None:
    connection = Connection(deflate=agreed())
    feed(connection, frame(first))
    assert connection.close_code == 1002


def test_rsv1_without_the_extension() -> None:
    connection = Connection()
    feed(connection, compressed(0x81, b"Hello"))
    assert connection.close_code == 1002


def test_using_it_from_the_accept_on() -> None:
    connection = Connection()
    connection.use_deflate(agreed())
    assert feed(connection, compressed(0x81, b"Hello")) == ["Hello"]


@pytest.mark.parametrize("size", [99, 100, 101, 5000])
@pytest.mark.parametrize("step", [None, 1])
@pytest.mark.parametrize("takeover", [False, True])
def test_limit_is_that_of_the_inflated_message(size: int, step: int | None, takeover: bool) -> None:
    connection = Connection(max_message_size=100, deflate=agreed(takeover=takeover))
    received = feed(connection, compressed(0x82, bytes(size)), step)
    if size <= 100:
        assert received == [bytes(size)]
    else:
        assert received == []
        assert connection.close_code == 1009


def test_inflater_keeps_to_its_limit() -> None:
    data = deflated(bytes(10_000))
    for limit in (1, 2, 9_999, 10_000, 10_001):
        assert Inflater().inflate(data, limit) == bytes(min(limit, 10_000))


@pytest.mark.parametrize("size", [1, 7, 1000])
@pytest.mark.parametrize("step", [None, 1, 50])
@pytest.mark.parametrize("takeover", [False, True])
def test_slices_change_nothing_but_the_pauses(
    monkeypatch: pytest.MonkeyPatch, size: int, step: int | None, takeover: bool
) -> None:
    """Several deflate streams in a message, fragments within characters, pings in between, a full queue."""
    monkeypatch.setattr(connection_module, "INFLATE_SLICE", size)
    deflate = agreed(takeover=takeover)
    deflate.allowance = size
    message = "größer" * 100
    payload = deflated(message.encode())
    final = zlib.compressobj(wbits=-15)
    two_streams = final.compress(b"x" * 500) + final.flush() + deflated(b"y" * 500)
    data = (
        frame(0x41, payload[:9])
        + frame(0x89, b"ping")
        + frame(0x00, payload[9:15])
        + frame(0x80, payload[15:])
        + frame(0xC2, two_streams)
        + text("plain")
        + compressed(0x81, b"")
        + compressed(0x82, bytes(2000))
        + close(1000)
    )
    connection = Connection(max_queue=2, deflate=deflate)
    assert feed(connection, data, step) == [message, b"x" * 500 + b"y" * 500, "plain", "", bytes(2000)]
    assert connection.close_received == (1000, "")
    assert connection.take_output().startswith(b"\x8a\x04ping")


@pytest.mark.parametrize("size", [3 * INFLATE_SLICE, 3 * INFLATE_SLICE + 1])
def test_no_more_than_a_slice_is_inflated_at_once(size: int) -> None:
    deflate = agreed()
    connection = Connection(deflate=deflate)
    connection.receive_data(compressed(0x82, bytes(size)) + text("behind"))
    pauses = sizes = 0
    while connection.inflating:
        assert not connection.messages
        assert deflate.inflated_size <= INFLATE_SLICE
        sizes += deflate.inflated_size
        pauses += 1
        connection.inflate()
    assert pauses == 3
    assert sizes == 3 * INFLATE_SLICE
    assert connection.messages == [bytes(size), "behind"]


def test_small_messages_share_a_slice() -> None:
    deflate = agreed()
    connection = Connection(max_queue=1000, deflate=deflate)
    one = compressed(0x82, bytes(INFLATE_SLICE // 10))
    connection.receive_data(one * 15)
    assert connection.inflating
    assert len(connection.messages) == 10
    # Of the eleventh, all is received but not yet inflated.
    assert deflate.inflated_size == INFLATE_SLICE
    assert deflate.compressed_size < 11 * len(one)
    connection.inflate()
    assert len(connection.messages) == 15
    assert not connection.inflating


@pytest.mark.parametrize("wrong", [b"\xff\xff", bytes(3 * INFLATE_SLICE)])
def test_an_error_found_in_a_later_slice(wrong: bytes) -> None:
    connection = Connection(max_message_size=2 * INFLATE_SLICE, deflate=agreed())
    compressor = zlib.compressobj(wbits=-15)
    payload = compressor.compress(bytes(INFLATE_SLICE + 5000)) + compressor.flush(zlib.Z_SYNC_FLUSH)
    payload += wrong if len(wrong) == 2 else compressor.compress(wrong) + compressor.flush(zlib.Z_SYNC_FLUSH)
    connection.receive_data(frame(0xC2, payload) + text("behind"))
    assert connection.inflating
    inflate_all(connection)
    assert connection.close_code == (1007 if len(wrong) == 2 else 1009)
    assert connection.messages == []


def test_closing_while_a_message_is_inflated() -> None:
    connection = Connection(deflate=agreed())
    connection.receive_data(compressed(0x82, bytes(3 * INFLATE_SLICE)) + close(1000))
    assert connection.inflating
    assert connection.close(1001)
    assert connection.inflating
    inflate_all(connection)
    assert connection.ended
    assert connection.messages == []
    assert connection.close_received == (1000, "")


# Sending


def body(frame: bytes) -> bytes:
    return frame[{126: 4, 127: 10}.get(frame[1], 2) :]


def inflated(frame: bytes, client: zlib._Decompress | None = None) -> bytes:
    if client is None:
        client = zlib.decompressobj(wbits=-15)
    return client.decompress(body(frame) + b"\x00\x00\xff\xff")


@pytest.mark.parametrize("takeover", [False, True])
def test_send(takeover: bool) -> None:
    connection = Connection(deflate=agreed(takeover=takeover))
    message = "h\u00e9llo " * 100
    sent = connection.encode_text(message)
    assert sent[0] == 0xC1
    assert len(sent) < 50
    assert inflated(sent).decode() == message
    again = connection.encode_binary(message.encode())
    assert again[0] == 0xC2
    if takeover:
        assert len(again) < len(sent)
    else:
        assert inflated(again).decode() == message
        assert again[1:] == sent[1:]


@pytest.mark.parametrize("size", [0, 1, MIN_SIZE - 1])
def test_small_messages_are_not_compressed(size: int) -> None:
    deflate = agreed()
    assert deflate.encode(BINARY, bytes(size)) == bytes((0x82, size)) + bytes(size) if size < 126 else True
    assert deflate.encode(BINARY, bytes(size))[0] == 0x82
    assert deflate.encode(BINARY, bytes(MIN_SIZE))[0] == 0xC2


@pytest.mark.parametrize("size", [0, 1, 5, MIN_SIZE - 1])
@pytest.mark.parametrize("takeover", [False, True])
def test_small_messages_are_compressed_on_request(size: int, takeover: bool) -> None:
    """Section 7.2.3.6: an empty one too; and twice, which zlib's flush must not take for nothing to do."""
    deflate = agreed(takeover=takeover)
    client = zlib.decompressobj(wbits=-15)
    for _ in range(3):
        sent = deflate.encode(TEXT, b"x" * size, True)
        assert sent[0] == 0xC1
        assert inflated(sent, client if takeover else None) == b"x" * size


def test_compression_refused() -> None:
    connection = Connection(deflate=agreed(takeover=True))
    assert connection.encode_text("x" * 500, compress=False)[0] == 0x81
    assert connection.encode_binary(bytes(500), compress=False)[0] == 0x82
    # What was sent as it is left no trace in the window.
    client = zlib.decompressobj(wbits=-15)
    assert inflated(connection.encode_text("x" * 500), client) == b"x" * 500


def test_what_does_not_compress_is_sent_as_it_is() -> None:
    message = random.Random(1).randbytes(1000)
    assert agreed().encode(BINARY, message)[0] == 0x82
    sent = agreed().encode(BINARY, message, True)
    assert sent[0] == 0xC2
    assert inflated(sent) == message


def test_under_takeover_what_was_compressed_is_sent_so() -> None:
    """It is in the window already, so the client has to see it."""
    deflate = agreed(takeover=True)
    client = zlib.decompressobj(wbits=-15)
    message = random.Random(1).randbytes(1000)
    for payload in (message, message, b"x" * 500):
        assert inflated(deflate.encode(BINARY, payload), client) == payload


@pytest.mark.parametrize("bits", range(9, 16))
@pytest.mark.parametrize("takeover", [False, True])
def test_window_that_the_client_asked_for(bits: int, takeover: bool) -> None:
    """Section 7.1.2.1: what is sent can be inflated with it."""
    deflate = agreed(f"; server_max_window_bits={bits}", takeover=takeover)
    client = zlib.decompressobj(wbits=-bits)
    payload = random.Random(bits).randbytes(700) * 100
    for _ in range(3):
        sent = deflate.encode(BINARY, payload, True)
        assert inflated(sent, client if takeover else zlib.decompressobj(wbits=-bits)) == payload


def test_no_state_without_takeover() -> None:
    """An idle socket keeps neither a compressor nor a window."""
    deflate = agreed()
    connection = Connection(deflate=deflate)
    connection.encode_text("x" * 1000)
    feed(connection, compressed(0x81, b"x" * 1000))
    kept = [cast(object, getattr(deflate, name)) for name in deflate.__slots__]
    kept += [cast(object, getattr(connection, name)) for name in connection.__slots__]
    assert not [state for state in kept if "ompress" in type(state).__name__ or isinstance(state, Inflater)]


def test_offer_as_it_was_parsed() -> None:
    assert negotiate_deflate([]) is not None
    assert negotiate_deflate([("server_max_window_bits", "")]) is None
