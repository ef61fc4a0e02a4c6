"""The closing handshake (RFC 6455, sections 5.5.1 and 7), whoever begins it, and messages on either side of it."""

from __future__ import annotations

import pytest

from django_websocket.exceptions import ProtocolError
from django_websocket.protocol.connection import Connection

from .client import close, feed, frame, text
from .test_frames import INVALID_CODES, VALID_CODES

STEPS = pytest.mark.parametrize("step", [None, 1, 5])


# The client first


@STEPS
def test_client_closes(step: int | None) -> None:
    """Section 5.5.1: the answer "typically echos the status code it received"; the reason is echoed with it."""
    connection = Connection()
    assert feed(connection, close(1001, b"going"), step) == []
    assert connection.ended
    assert (connection.close_code, connection.close_reason) == (1001, "going")
    assert (connection.close_sent,) == (None,)
    assert connection.take_output() == b"\x88\x07\x03\xe9going"
    assert connection.close_sent == 1001
    assert connection.take_output() == b""
    assert connection.failure is None


def test_client_closes_without_a_code() -> None:
    connection = Connection()
    feed(connection, close())
    assert (connection.close_code, connection.close_reason) == (1005, "")
    assert connection.take_output() == b"\x88\x00"
    assert connection.close_sent == 1005


@pytest.mark.parametrize("code", VALID_CODES)
def test_valid_code(code: int) -> None:
    connection = Connection()
    feed(connection, close(code, b"x" * 123))
    assert connection.close_code == code
    assert connection.take_output() == b"\x88\x7d" + code.to_bytes(2, "big") + b"x" * 123


@pytest.mark.parametrize("code", INVALID_CODES)
@STEPS
def test_invalid_code(code: int, step: int | None) -> None:
    """Section 7.4: a code that may not stand in a close frame is a breach of the protocol."""
    connection = Connection()
    feed(connection, close(code), step)
    assert connection.take_output()[:4] == b"\x88" + bytes((2 + len(connection.close_reason),)) + b"\x03\xea"
    assert connection.close_code == connection.close_sent == 1002


@pytest.mark.parametrize("payload", [b"\x00", b"\x03", b"\xff"])
@STEPS
def test_payload_of_one_byte(payload: bytes, step: int | None) -> None:
    connection = Connection()
    feed(connection, frame(0x88, payload), step)
    assert connection.take_output()[2:4] == b"\x03\xea"
    assert connection.close_code == 1002


@pytest.mark.parametrize("reason", [b"\xff", b"\xc3", b"\xed\xa0\x80", b"ok\xf4\x90\x80\x80"])
def test_reason_that_is_not_utf8(reason: bytes) -> None:
    """Section 8.1."""
    connection = Connection()
    feed(connection, close(1000, reason))
    assert connection.take_output()[2:4] == b"\x03\xef"
    assert connection.close_code == 1007


def test_longest_reason() -> None:
    connection = Connection()
    feed(connection, close(1000, "\u00e9".encode() * 61 + b"x"))
    assert connection.close_reason == "\u00e9" * 61 + "x"


@pytest.mark.parametrize(
    "late", [text("late"), frame(0x89), close(1001), frame(0x83), b"\x81\x00", b"garbage" * 100], ids=repr
)
@STEPS
def test_what_follows_a_close_is_discarded(late: bytes, step: int | None) -> None:
    """Section 5.5.1: after a close frame there is no more data; section 7.1.1: any of it may be discarded."""
    connection = Connection()
    assert feed(connection, text("a") + close(1000, b"bye") + late, step) == ["a"]
    assert connection.take_output() == b"\x88\x05\x03\xe8bye"
    connection.receive_data(late)
    assert not connection.messages
    assert connection.take_output() == b""
    assert (connection.close_code, connection.close_reason) == (1000, "bye")
    assert connection.failure is None


# Messages first, then the close


@pytest.mark.parametrize(
    ("end", "answer"),
    [
        (close(1000), b"\x88\x02\x03\xe8"),
        (frame(0x83), b"\x88\x15\x03\xeareserved opcode 0x3"),
        (frame(0x81, b"\xff"), b"\x88\x1b\x03\xeftext message is not UTF-8"),
    ],
    ids=["close", "breach", "not-utf8"],
)
def test_messages_before_the_end_are_kept_and_the_close_waits_for_them(end: bytes, answer: bytes) -> None:
    connection = Connection()
    connection.receive_data(text("a") + text("b") + end)
    assert connection.messages == ["a", "b"]
    assert connection.ended
    assert connection.take_output() == b""
    assert connection.close_sent is None
    connection.messages.pop(0)
    assert connection.take_output() == b""
    assert connection.encode_text("answer") == b"\x81\x06answer"
    connection.messages.pop(0)
    assert connection.take_output() == answer
    assert connection.take_output() == b""


def test_a_pong_does_not_wait() -> None:
    connection = Connection()
    connection.receive_data(text("a") + frame(0x89, b"x") + close(1000))
    assert connection.take_output() == b"\x8a\x01x"
    connection.messages.clear()
    assert connection.take_output() == b"\x88\x02\x03\xe8"


def test_the_close_need_not_wait_for_ever() -> None:
    """The owner of the socket has a deadline."""
    connection = Connection()
    connection.receive_data(text("a") + close(1000))
    assert connection.take_close_frame() == b"\x88\x02\x03\xe8"
    assert connection.close_sent == 1000
    assert connection.messages == ["a"]
    assert connection.take_close_frame() == b""
    connection.messages.clear()
    assert connection.take_output() == b""


# We first


@STEPS
def test_we_close(step: int | None) -> None:
    connection = Connection()
    assert connection.close(1001, "bye") == b"\x88\x05\x03\xe9bye"
    assert connection.close_sent == connection.close_code == 1001
    assert (connection.ended,) == (False,)
    assert feed(connection, close(1001), step) == []
    assert connection.ended
    assert connection.take_output() == b""
    assert (connection.close_code, connection.close_reason) == (1001, "bye")


def test_we_close_without_a_code() -> None:
    connection = Connection()
    assert connection.close(1005) == b"\x88\x00"
    assert connection.close_sent == 1005


def test_we_close_twice() -> None:
    connection = Connection()
    assert connection.close(1000)
    assert connection.close(1001) == b""
    assert connection.close_code == 1000


@pytest.mark.parametrize("code", [code for code in INVALID_CODES if code != 1005])
def test_code_that_may_not_be_sent(code: int) -> None:
    connection = Connection()
    with pytest.raises(ValueError, match=f"code {code} may not be sent"):
        connection.close(code)
    with pytest.raises(ValueError, match="123 bytes"):
        connection.close(1000, "x" * 124)
    assert connection.close_sent is None
    assert connection.close_code is None
    assert not connection.ended


@STEPS
def test_messages_behind_our_close_are_discarded(step: int | None) -> None:
    """Section 1.4: "does not send any further data"; what the client sent before it knew is of no use any more."""
    connection = Connection(max_queue=2)
    connection.receive_data(text("unread"))
    connection.close(1000)
    assert not connection.messages
    data = text("a") * 9 + frame(0x01, b"b") + frame(0x80, b"c") + close(1000) + text("d")
    connection.receive_data(data)
    assert not connection.messages
    assert connection.ended
    assert not connection.full
    assert connection.take_output() == b""


def test_closing_while_the_queue_is_full_finds_the_clients_close() -> None:
    connection = Connection(max_queue=2)
    connection.receive_data(text("a") * 5 + close(1000))
    assert (connection.full, connection.ended) == (True, False)
    assert connection.close(1001) == b"\x88\x02\x03\xe9"
    assert connection.ended
    assert not connection.full
    assert not connection.messages


def test_ping_behind_our_close_is_answered() -> None:
    """Section 5.5.2: "MUST send a Pong frame in response, unless it already received a Close frame"."""
    connection = Connection()
    connection.close(1000)
    connection.receive_data(frame(0x89, b"x"))
    assert connection.take_output() == b"\x8a\x01x"
    connection.receive_data(frame(0x89, b"y") + close(1000))
    assert connection.take_output() == b""


@pytest.mark.parametrize("breach", [frame(0x83), frame(0x81, b"\xff"), b"\x81\x00", close(1005)], ids=repr)
@pytest.mark.parametrize("before", [b"", text("a"), text("a") * 9], ids=["", "message", "messages"])
@STEPS
def test_breach_behind_our_close(breach: bytes, before: bytes, step: int | None) -> None:
    """One close frame each way, whatever comes."""
    connection = Connection(max_queue=2)
    connection.close(1001)
    feed(connection, before + breach, step)
    assert isinstance(connection.failure, ProtocolError)
    assert connection.ended
    assert connection.take_output() == b""
    assert not connection.messages
    assert connection.close_code == 1001


# Both at once


def test_close_frames_cross() -> None:
    """Section 7.1.1: "If an endpoint [...] both endpoints send a Close frame at about the same time"."""
    connection = Connection()
    assert connection.close(1000) == b"\x88\x02\x03\xe8"
    connection.receive_data(close(1001, b"me too"))
    assert connection.ended
    assert connection.take_output() == b""
    assert connection.close_code == 1000


def test_closing_with_the_clients_close_in_the_queue_answers_that() -> None:
    connection = Connection()
    connection.receive_data(text("a") + close(1001, b"going"))
    assert connection.close(1000) == b"\x88\x07\x03\xe9going"
    assert (connection.close_code, connection.close_reason) == (1001, "going")
    assert connection.close(1000) == b""
    assert connection.take_output() == b""


def test_closing_behind_a_breach_answers_that() -> None:
    connection = Connection()
    connection.receive_data(text("a") + frame(0x83))
    assert connection.close(1000)[2:4] == b"\x03\xea"
    assert connection.close_sent == 1002


# The stream ends


def test_stream_ends() -> None:
    """Section 7.1.5: 1006."""
    connection = Connection()
    connection.receive_data(text("a") + frame(0x01, b"b"))
    connection.receive_eof()
    assert connection.ended
    assert connection.messages == ["a"]
    assert connection.close_code == 1006
    assert connection.close_sent is None
    assert connection.take_output() == b""
    assert connection.close(1000) == b""
    connection.receive_data(text("late"))
    assert connection.messages == ["a"]


@pytest.mark.parametrize("data", [b"\x81", text("abc")[:2], text("abc")[:5], text("abc")[:8], close(1000)[:-1]])
def test_stream_ends_within_a_frame(data: bytes) -> None:
    connection = Connection()
    connection.receive_data(data)
    connection.receive_eof()
    assert connection.close_code == 1006
    assert not connection.messages


def test_stream_ends_behind_the_clients_close() -> None:
    connection = Connection()
    connection.receive_data(text("a") + close(1000, b"bye"))
    connection.receive_eof()
    assert (connection.close_code, connection.close_reason) == (1000, "bye")
    assert connection.messages == ["a"]
    connection.messages.clear()
    assert connection.take_output() == b""
    assert connection.close_sent is None


def test_stream_ends_behind_our_close() -> None:
    connection = Connection()
    connection.close(1000)
    connection.receive_eof()
    assert connection.ended
    assert connection.close_code == connection.close_sent == 1000


def test_failing_twice() -> None:
    connection = Connection()
    connection.fail(ProtocolError("one"))
    connection.fail(ProtocolError("two"))
    assert connection.take_output() == b"\x88\x05\x03\xeaone"
    connection.fail(ProtocolError("three"))
    assert connection.take_output() == b""


def test_long_reason_of_a_failure_fits_into_its_frame() -> None:
    connection = Connection()
    connection.fail(ProtocolError("x" * 500))
    assert len(connection.take_output()) <= 127
