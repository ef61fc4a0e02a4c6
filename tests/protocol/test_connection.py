"""Frames, messages and failures; how a connection closes and what it holds at most are in modules of their own."""

from __future__ import annotations

import pytest

from django_websocket.exceptions import InvalidPayload, PolicyViolation, ProtocolError
from django_websocket.protocol import connection as module
from django_websocket.protocol.assembly import Message
from django_websocket.protocol.connection import MAX_PONGS, Connection
from django_websocket.protocol.masking import apply_mask, apply_mask_python

from .client import close, feed, frame, header, text


@pytest.fixture(params=["python", "fastest"], autouse=True)
def mask_function(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything here under both ways of unmasking."""
    monkeypatch.setattr(module, "apply_mask", apply_mask_python if request.param == "python" else apply_mask)


def failed(data: bytes, step: int | None = None, taken: int = 0) -> ProtocolError:
    """The failure that ``data`` leads to, after ``taken`` messages."""
    connection = Connection()
    assert len(feed(connection, data, step)) == taken
    assert isinstance(connection.failure, ProtocolError)
    assert connection.ended
    assert connection.close_code == connection.failure.close_code
    output = connection.take_output()
    assert output[0] == 0x88
    assert output[2:4] == connection.failure.close_code.to_bytes(2, "big")
    assert output[4:].decode() == connection.failure.reason == connection.close_reason
    assert connection.close_sent == connection.failure.close_code
    assert connection.take_output() == b""
    return connection.failure


# Whole messages


LENGTHS = [0, 1, 2, 3, 4, 5, 124, 125, 126, 127, 65534, 65535, 65536, 65537]


@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize("mask", [bytes(4), b"\x01\x02\x03\x04", b"\xff\xff\xff\xff"])
def test_binary_message(length: int, mask: bytes) -> None:
    """Section 5.2: lengths of 7, 16 and 64 bits."""
    payload = bytes(i % 251 for i in range(length))
    connection = Connection()
    assert feed(connection, frame(0x82, payload, mask)) == [payload]
    assert connection.messages_received == 1
    assert connection.failure is None
    assert connection.take_output() == b""


@pytest.mark.parametrize("length", LENGTHS)
def test_text_message(length: int) -> None:
    message = ("\u00e9" * (length // 2)).rjust(length - length // 2, "x")
    (received,) = feed(Connection(), text(message))
    assert received == message
    assert type(received) is str


@pytest.mark.parametrize("length", [0, 1, 125, 126, 300])
@pytest.mark.parametrize("step", [1, 2, 3, 5, 7, 13])
def test_message_in_pieces(length: int, step: int) -> None:
    data = frame(0x82, bytes(i % 251 for i in range(length))) + text("x" * length)
    assert feed(Connection(), data, step) == [bytes(i % 251 for i in range(length)), "x" * length]


def test_nothing() -> None:
    connection = Connection()
    connection.receive_data(b"")
    assert not connection.messages
    assert not connection.ended


def test_several_messages_in_one_buffer() -> None:
    connection = Connection()
    connection.receive_data(text("a") + frame(0x82, b"b") + text("") + text("c")[:3])
    assert connection.messages == ["a", b"b", ""]
    connection.receive_data(text("c")[3:])
    assert connection.messages == ["a", b"b", "", "c"]
    assert connection.messages_received == 4


def test_the_list_of_messages_stays_the_same_object() -> None:
    connection = Connection(max_queue=1)
    messages = connection.messages
    feed(connection, text("a") * 5 + close())
    assert connection.messages is messages


def test_messages_that_are_not_for_the_view() -> None:
    connection = Connection(max_queue=2)
    taken = []

    def takes(message: Message) -> bool:
        if message == "bad":
            raise PolicyViolation("on purpose")
        if message == "mine":
            taken.append(message)
        return message == "mine"

    connection.divert_messages(takes)
    connection.receive_data(text("mine") * 3 + text("a") + text("mine") + frame(0x82, b"mine"))
    assert (connection.messages, len(taken)) == (["a", b"mine"], 4)
    assert connection.messages_received == 6
    connection.receive_data(frame(0x01, b"mi") + frame(0x80, b"ne"))
    assert len(taken) == 4, "the queue is full"
    connection.messages.clear()
    connection.resume()
    assert (connection.messages, len(taken)) == ([], 5)
    connection.receive_data(text("b") + text("bad") + text("c"))
    assert connection.messages == ["b"]
    assert isinstance(connection.failure, PolicyViolation)
    assert connection.close_code == 1008


# Fragments


@pytest.mark.parametrize("step", [None, 1, 4])
def test_fragments(step: int | None) -> None:
    """Section 5.4."""
    data = frame(0x01, b"a") + frame(0x00, b"b") + frame(0x80, b"c") + frame(0x02, b"") + frame(0x80, b"d")
    assert feed(Connection(), data, step) == ["abc", b"d"]


@pytest.mark.parametrize("step", [None, 1])
def test_empty_fragments(step: int | None) -> None:
    assert feed(Connection(), frame(0x01) + frame(0x00) + frame(0x80), step) == [""]
    assert feed(Connection(), frame(0x02) + frame(0x80), step) == [b""]


def test_control_frames_between_fragments() -> None:
    """Section 5.4: "Control frames MAY be injected in the middle of a fragmented message"."""
    connection = Connection()
    connection.receive_data(frame(0x01, b"a") + frame(0x89, b"1"))
    assert connection.take_output() == b"\x8a\x011"
    connection.receive_data(frame(0x8A, b"2") + frame(0x00, b"b") + frame(0x89, b""))
    assert connection.pongs == [b"2"]
    assert connection.take_output() == b"\x8a\x00"
    connection.receive_data(frame(0x80, b"c"))
    assert connection.messages == ["abc"]


def test_close_between_fragments() -> None:
    """Section 5.4: a message that was not finished is lost."""
    connection = Connection()
    assert feed(connection, frame(0x01, b"a") + close(1001)) == []
    assert connection.close_code == 1001
    assert connection.failure is None


def test_a_character_over_two_fragments() -> None:
    """Section 5.6: "a particular text frame might include a partial UTF-8 sequence"."""
    euro = "\u20ac".encode()
    assert feed(Connection(), frame(0x01, euro[:1]) + frame(0x00) + frame(0x00, euro[1:2]) + frame(0x80, euro[2:])) == [
        "\u20ac"
    ]


def test_state_of_one_message_is_not_the_next_ones() -> None:
    connection = Connection()
    data = frame(0x02, b"\xff") + frame(0x80, b"\xff") + frame(0x01, b"\xc3") + frame(0x80, b"\xa9") + text("e")
    assert feed(connection, data) == [b"\xff\xff", "\u00e9", "e"]


@pytest.mark.parametrize(
    "data",
    [frame(0x80, b"a"), frame(0x00, b"a"), text("ok") + frame(0x80), frame(0x01, b"a") + frame(0x80) + frame(0x80)],
    ids=["final", "not-final", "after-a-message", "after-a-fragmented-message"],
)
@pytest.mark.parametrize("step", [None, 1])
def test_continuation_of_nothing(data: bytes, step: int | None) -> None:
    """Section 5.4."""
    failure = failed(data, step, taken=data[:1] == b"\x81" or len(data) > 15)
    assert failure.close_code == 1002


@pytest.mark.parametrize("first", [0x81, 0x82, 0x01, 0x02])
@pytest.mark.parametrize("step", [None, 1])
def test_message_within_a_message(first: int, step: int | None) -> None:
    """Section 5.4: "The fragments of one message MUST NOT be interleaved between the fragments of another message"."""
    assert failed(frame(0x01, b"a") + frame(first, b"b") + frame(0x80, b"c"), step).close_code == 1002


# Headers


@pytest.mark.parametrize("first", [0x81, 0x82, 0x01, 0x88, 0x89, 0x8A])
@pytest.mark.parametrize("length", [0, 1, 126, 127])
def test_unmasked(first: int, length: int) -> None:
    """Section 5.1: "The server MUST close the connection upon receiving a frame that is not masked."""
    assert failed(bytes((first, length)) + bytes(20)).close_code == 1002


@pytest.mark.parametrize("rsv", [0x10, 0x20, 0x40, 0x30, 0x50, 0x60, 0x70])
@pytest.mark.parametrize("first", [0x81, 0x82, 0x01, 0x88, 0x89, 0x8A])
@pytest.mark.parametrize("step", [None, 1])
def test_reserved_bits(rsv: int, first: int, step: int | None) -> None:
    """Section 5.2: "MUST be 0 unless an extension is negotiated that defines meanings for non-zero values"."""
    assert failed(text("ok") + frame(first | rsv, b""), step, taken=1).close_code == 1002


@pytest.mark.parametrize("rsv", [0x10, 0x20, 0x40])
def test_reserved_bits_of_a_continuation(rsv: int) -> None:
    assert failed(frame(0x01, b"a") + frame(0x80 | rsv, b"b")).close_code == 1002


@pytest.mark.parametrize("opcode", [3, 4, 5, 6, 7, 11, 12, 13, 14, 15])
@pytest.mark.parametrize("fin", [0x80, 0])
@pytest.mark.parametrize("length", [0, 5, 126, 65536])
def test_reserved_opcodes(opcode: int, fin: int, length: int) -> None:
    """Section 5.2: "If an unknown opcode is received, the receiving endpoint MUST _Fail the WebSocket Connection_."""
    assert failed(text("ok") + frame(fin | opcode, bytes(length)), taken=1).close_code == 1002
    assert failed(header(fin | opcode, length)).close_code == 1002


@pytest.mark.parametrize("opcode", [0x08, 0x09, 0x0A])
@pytest.mark.parametrize("length", [0, 5, 125])
def test_fragmented_control_frame(opcode: int, length: int) -> None:
    """Section 5.5: control frames "MUST NOT be fragmented"."""
    assert failed(frame(opcode, bytes(length))).close_code == 1002
    assert failed(header(opcode, length)).close_code == 1002


@pytest.mark.parametrize("first", [0x88, 0x89, 0x8A])
@pytest.mark.parametrize("length", [126, 127, 65535, 65536, 2**63 - 1])
def test_long_control_frame(first: int, length: int) -> None:
    """Section 5.5: "MUST have a payload length of 125 bytes or less"; its two first bytes are enough to know."""
    assert failed(header(first, length)[:2]).close_code == 1002


@pytest.mark.parametrize(
    "data",
    ["82fe0000", "82fe0001", "82fe007d", "82ff0000000000000000", "82ff000000000000007e", "82ff000000000000ffff"],
)
@pytest.mark.parametrize("step", [None, 1])
def test_length_in_too_many_bytes(data: str, step: int | None) -> None:
    """Section 5.2: "the minimal number of bytes MUST be used to encode the length"."""
    assert failed(bytes.fromhex(data) + bytes(130), step).close_code == 1002


@pytest.mark.parametrize("first", [0x81, 0x82, 0x01])
def test_length_with_its_most_significant_bit_set(first: int) -> None:
    """Section 5.2: "the most significant bit MUST be 0"."""
    for top in (0x80, 0xFF):
        assert failed(bytes((first, 0xFF, top)) + bytes(7)).close_code == 1002


# UTF-8

INVALID_UTF8 = {
    "continuation-byte": b"\x80",
    "two-continuation-bytes": b"\xbf\xbf",
    "overlong-slash-2": b"\xc0\xaf",
    "overlong-slash-3": b"\xe0\x80\xaf",
    "overlong-slash-4": b"\xf0\x80\x80\xaf",
    "overlong-nul": b"\xc0\x80",
    "surrogate-high": b"\xed\xa0\x80",
    "surrogate-low": b"\xed\xbf\xbf",
    "surrogate-pair": b"\xed\xa0\x80\xed\xb0\x80",
    "above-10ffff": b"\xf4\x90\x80\x80",
    "five-bytes": b"\xf8\x88\x80\x80\x80",
    "six-bytes": b"\xfc\x84\x80\x80\x80\x80",
    "fe": b"\xfe",
    "ff": b"\xff",
    "latin-1": b"caf\xe9 au lait",
    "cut-then-ascii": b"\xe2\x82x",
}


@pytest.mark.parametrize("payload", INVALID_UTF8.values(), ids=INVALID_UTF8)
@pytest.mark.parametrize("step", [None, 1])
def test_invalid_utf8(payload: bytes, step: int | None) -> None:
    """Section 8.1: 1007."""
    failure = failed(text("before") + frame(0x81, b"ok " + payload) + text("after"), step, taken=1)
    assert isinstance(failure, InvalidPayload)
    assert failure.close_code == 1007


@pytest.mark.parametrize("payload", INVALID_UTF8.values(), ids=INVALID_UTF8)
def test_binary_messages_need_no_utf8(payload: bytes) -> None:
    assert feed(Connection(), frame(0x82, payload)) == [payload]


@pytest.mark.parametrize("payload", INVALID_UTF8.values(), ids=INVALID_UTF8)
def test_invalid_utf8_fails_in_the_middle_of_a_frame(payload: bytes) -> None:
    """As soon as it is there: the frame's other thousand bytes need not come."""
    data = frame(0x81, b"ok \xe2\x82\xac " + payload + b" " * 1000)
    assert failed(data[: 8 + 7 + len(payload)]).close_code == 1007
    connection = Connection()
    connection.receive_data(data[:14])
    assert not connection.ended
    for byte in range(14, 8 + 7 + len(payload)):
        connection.receive_data(data[byte : byte + 1])
    assert connection.close_code == 1007


@pytest.mark.parametrize("payload", INVALID_UTF8.values(), ids=INVALID_UTF8)
def test_invalid_utf8_fails_in_the_middle_of_a_message(payload: bytes) -> None:
    for cut in range(len(payload)):
        data = frame(0x01, b"ok " + payload[:cut]) + frame(0x89) + frame(0x00, payload[cut:])
        connection = Connection()
        connection.receive_data(data)
        assert connection.close_code == 1007
        assert not connection.messages


@pytest.mark.parametrize("tail", [b"\xc3", b"\xe2", b"\xe2\x82", b"\xf0\x9f\x98"])
@pytest.mark.parametrize("step", [None, 1])
def test_message_ends_within_a_character(tail: bytes, step: int | None) -> None:
    assert failed(frame(0x81, b"ok" + tail), step).close_code == 1007
    assert failed(frame(0x01, b"ok" + tail) + frame(0x80), step).close_code == 1007


def test_every_character_survives() -> None:
    message = "\x00\x7f\u0080\u07ff\u0800\ud7ff\ue000\ufffe\uffff\U00010000\U0010ffff\ufeff"
    for step in (None, 1, 2, 3):
        assert feed(Connection(), text(message), step) == [message]


# Pings and pongs


@pytest.mark.parametrize("length", [0, 1, 124, 125])
@pytest.mark.parametrize("step", [None, 1])
def test_pong_echoes_the_ping(length: int, step: int | None) -> None:
    """Section 5.5.3: "must have identical 'Application data'"."""
    connection = Connection()
    feed(connection, frame(0x89, b"\xff" * length), step)
    assert connection.take_output() == bytes((0x8A, length)) + b"\xff" * length
    assert connection.take_output() == b""


def test_each_ping_is_answered_in_order() -> None:
    connection = Connection()
    feed(connection, b"".join(frame(0x89, str(number).encode()) for number in range(10)))
    assert connection.take_output() == b"".join(b"\x8a\x01%d" % number for number in range(10))
    assert connection.take_output() == b""


def test_only_the_latest_of_a_flood_of_pings_are_answered() -> None:
    """Section 5.5.3: "may elect to send a Pong frame for only the most recently processed Ping frame"."""
    connection = Connection()
    feed(connection, b"".join(frame(0x89, b"%0125d" % number) for number in range(1000)))
    output = connection.take_output()
    assert len(output) <= MAX_PONGS + 2 * 127
    assert output.endswith(b"\x8a\x7d%0125d" % 999)


def test_unsolicited_pongs() -> None:
    """Section 5.5.3: "A response to an unsolicited Pong frame is not expected"."""
    connection = Connection()
    assert feed(connection, frame(0x8A, b"x") * 1000 + text("ok")) == ["ok"]
    assert connection.take_output() == b""
    assert len(connection.pongs) <= 8


def test_ping_before_a_breach_is_answered() -> None:
    connection = Connection()
    feed(connection, frame(0x89, b"x") + frame(0x83))
    assert connection.take_output().startswith(b"\x8a\x01x\x88")


# Sending


def test_send() -> None:
    connection = Connection()
    assert connection.encode_text("h\u00e9") == b"\x81\x03h\xc3\xa9"
    assert connection.encode_binary(b"\x00\xff") == b"\x82\x02\x00\xff"
    assert connection.encode_ping(b"x") == b"\x89\x01x"
    assert connection.messages_sent == 0  # encoding is not sending: one frame may go to many
    with pytest.raises(UnicodeEncodeError):
        connection.encode_text("\ud800")
    with pytest.raises(ValueError, match="125 bytes"):
        connection.encode_ping(bytes(126))


def test_compress_needs_an_agreement() -> None:
    assert Connection().encode_text("x" * 1000, compress=True)[0] == 0x81
