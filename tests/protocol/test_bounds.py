"""Nothing that a client sends is held without a bound: messages, bytes, fragments."""

from __future__ import annotations

import tracemalloc

import pytest

from django_websocket.exceptions import MessageTooBig, PolicyViolation
from django_websocket.protocol.assembly import FRAGMENT_SIZE, MAX_FRAGMENTS
from django_websocket.protocol.connection import Connection
from django_websocket.protocol.deflate import PerMessageDeflate

from .client import bomb, close, compressed, feed, frame, header, inflate_all, text

MIB = 1024 * 1024

# The size of a message


@pytest.mark.parametrize("size", [0, 1, 99, 100])
@pytest.mark.parametrize("step", [None, 1])
def test_message_within_the_limit(size: int, step: int | None) -> None:
    data = frame(0x82, bytes(size)) + frame(0x02, bytes(size // 2)) + frame(0x80, bytes(size - size // 2))
    assert feed(Connection(max_message_size=100), data, step) == [bytes(size), bytes(size)]


@pytest.mark.parametrize(
    "data",
    [
        frame(0x82, bytes(101)),
        text("\u00e9" * 51),
        frame(0x02, bytes(50)) + frame(0x80, bytes(51)),
        frame(0x02, bytes(100)) + frame(0x00) + frame(0x80, b"x"),
    ],
    ids=["binary", "bytes-not-characters", "sum-of-fragments", "one-byte-more"],
)
@pytest.mark.parametrize("step", [None, 1])
def test_message_over_the_limit(data: bytes, step: int | None) -> None:
    connection = Connection(max_message_size=100)
    assert feed(connection, text("ok") + data + text("late"), step) == ["ok"]
    assert isinstance(connection.failure, MessageTooBig)
    assert connection.close_code == 1009
    assert connection.take_output()[2:4] == b"\x03\xf1"


@pytest.mark.parametrize("first", [0x81, 0x82, 0x01, 0x02])
@pytest.mark.parametrize("size", [MIB + 1, 2**30, 2**32, 2**63 - 1])
def test_announcing_too_much_is_enough(first: int, size: int) -> None:
    """Not a byte of the payload is waited for, nor of the mask."""
    connection = Connection()
    for byte in header(first, size)[:10]:
        assert not connection.ended
        connection.receive_data(bytes((byte,)))
    assert connection.close_code == 1009


def test_announcing_too_much_in_a_continuation() -> None:
    connection = Connection(max_message_size=1000)
    connection.receive_data(frame(0x02, bytes(600)) + header(0x80, 401))
    assert connection.close_code == 1009


def test_announcing_too_much_under_compression() -> None:
    """Deflate makes no message much longer, so this one can't be right."""
    connection = Connection(deflate=PerMessageDeflate())
    connection.receive_data(header(0xC2, 2 * MIB))
    assert connection.close_code == 1009


def test_largest_message_that_does_not_compress() -> None:
    """Deflate stores it, with five bytes for each block."""
    from random import Random

    message = Random(7).randbytes(MIB)
    data = compressed(0x82, message)
    assert len(data) > MIB
    assert feed(Connection(deflate=PerMessageDeflate()), data, 65536) == [message]


# Fragments


@pytest.mark.parametrize("payload", [b"", b"x"])
@pytest.mark.parametrize("step", [None, 1, 4096])
def test_fragments(payload: bytes, step: int | None) -> None:
    data = frame(0x01, payload) + frame(0x00, payload) * (MAX_FRAGMENTS - 2) + frame(0x80, payload)
    connection = Connection()
    assert feed(connection, data * 2, step) == [payload.decode() * MAX_FRAGMENTS] * 2
    more = MAX_FRAGMENTS + MAX_FRAGMENTS // FRAGMENT_SIZE + 2
    data = frame(0x01, payload) + frame(0x00, payload) * more
    assert feed(connection, data, step) == []
    assert isinstance(connection.failure, PolicyViolation)
    assert connection.close_code == 1008


def test_fragments_of_a_fair_size() -> None:
    """One that is worth its frame: a large message may come in many."""
    payload = b"x" * FRAGMENT_SIZE
    data = frame(0x02) + frame(0x00, payload) * (MIB // len(payload) - 1) + frame(0x80, payload)
    assert feed(Connection(), data, 65536) == [b"x" * MIB]


def test_a_million_fragments() -> None:
    connection = Connection()
    connection.receive_data(frame(0x02, b"x"))
    many = frame(0x00, b"x") * 10_000
    tracemalloc.start()
    try:
        for _ in range(100):
            connection.receive_data(many)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert connection.close_code == 1008
    assert peak < MIB / 4


# The queue


@pytest.mark.parametrize("max_queue", [1, 2, 3, 64])
@pytest.mark.parametrize("step", [None, 1, 10, 1000])
def test_messages_that_wait(max_queue: int, step: int | None) -> None:
    connection = Connection(max_queue=max_queue)
    sent = [str(number) for number in range(500)]
    data = b"".join(map(text, sent)) + frame(0x89, b"x") + close(1000)
    step = step or len(data)
    taken = []
    for pos in range(0, len(data), step):
        connection.receive_data(data[pos : pos + step])
        assert len(connection.messages) <= max_queue
        while connection.full:
            assert connection.messages
            assert not connection.ended
            taken += connection.messages
            connection.messages.clear()
            connection.resume()
            assert len(connection.messages) <= max_queue
    taken += connection.messages
    assert taken == sent
    assert connection.close_code == 1000


def test_resuming_too_early_adds_nothing() -> None:
    connection = Connection(max_queue=2)
    connection.receive_data(text("a") * 5)
    connection.resume()
    connection.receive_data(text("b"))
    assert connection.full
    assert len(connection.messages) == 2
    connection.messages.pop(0)
    connection.resume()
    assert connection.full
    assert len(connection.messages) == 2
    rest = feed(connection, b"")
    assert [*rest] == ["a"] * 4 + ["b"]


def test_resuming_what_is_not_full_does_nothing() -> None:
    connection = Connection()
    connection.receive_data(text("a")[:3])
    connection.resume()
    connection.receive_data(text("a")[3:])
    assert connection.messages == ["a"]


def test_a_million_messages_of_nothing() -> None:
    connection = Connection()
    connection.receive_data(text("") * 1_000_000)
    assert connection.full
    assert len(connection.messages) == 64


def test_a_frame_whose_rest_fills_the_queue() -> None:
    """The bound holds where the last message began in another buffer too."""
    connection = Connection(max_queue=1)
    connection.receive_data(text("abc")[:7])
    connection.receive_data(text("abc")[7:] + text("d") + text("e"))
    assert connection.messages == ["abc"]
    assert connection.full


@pytest.mark.parametrize("step", [None, 65536, 1000 + 8])
def test_bytes_that_wait(step: int | None) -> None:
    """The view reads nothing: beside one more message, as much waits as one message may have."""
    connection = Connection(max_message_size=10_000, max_queue=1000)
    data = frame(0x82, bytes(1000)) * 200
    step = step or len(data)
    for pos in range(0, len(data), step):
        if connection.full:
            break
        connection.receive_data(data[pos : pos + step])
    assert connection.full
    assert 10 <= len(connection.messages) <= 12


def test_bytes_that_wait_count_inflated() -> None:
    connection = Connection(max_message_size=MIB, deflate=PerMessageDeflate())
    data = frame(0xC2, bomb(MIB))
    for _ in range(64):
        if connection.full:
            break
        connection.receive_data(data)
        inflate_all(connection)
    assert connection.full
    assert len(connection.messages) <= 3


def test_bytes_that_were_taken_do_not_count() -> None:
    """A queue that never runs dry is not full for what went through it."""
    connection = Connection(max_message_size=1000, max_queue=100)
    connection.receive_data(frame(0x82, bytes(100)) * 2)
    for _ in range(100):
        connection.receive_data(frame(0x82, bytes(100)))
        connection.messages.pop(0)
        assert not connection.full
    assert len(connection.messages) == 2


def test_one_message_of_the_limit_is_not_too_much() -> None:
    connection = Connection(max_message_size=1000)
    connection.receive_data(frame(0x82, bytes(1000)) + frame(0x89, b"x"))
    assert not connection.full
    assert connection.take_output()


# Memory


@pytest.mark.parametrize("takeover", [False, True])
@pytest.mark.parametrize("step", [None, 1000])
@pytest.mark.parametrize("first", [0xC1, 0xC2])
def test_bomb(takeover: bool, step: int | None, first: int) -> None:
    """RFC 7692, section 8: inflation stops at the limit. 64 MiB in 64 KiB cost no more than the limit and 2 MiB."""
    payload = bomb(64 * MIB)
    assert len(payload) < 80_000
    data = text("ok") + frame(first, payload)
    connection = Connection(deflate=PerMessageDeflate(client_takeover=takeover))
    tracemalloc.start()
    try:
        assert feed(connection, data, step) == ["ok"]
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert isinstance(connection.failure, MessageTooBig)
    assert connection.close_code == 1009
    assert peak < 3 * MIB


def test_bomb_in_fragments() -> None:
    payload = bomb(2 * MIB)
    connection = Connection(deflate=PerMessageDeflate())
    feed(connection, frame(0x42, payload[:500]))
    assert not connection.ended
    feed(connection, b"".join(frame(0x00, payload[i : i + 9]) for i in range(500, len(payload), 9)))
    assert connection.close_code == 1009


def test_messages_that_sum_up_to_the_bound_in_memory() -> None:
    """Two MiB in fragments of 4 KiB: refused with less than the limit and 2 MiB held."""
    connection = Connection()
    data = frame(0x02) + frame(0x00, bytes(4096)) * 512
    tracemalloc.start()
    try:
        feed(connection, data, 65536)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert connection.close_code == 1009
    assert peak < 3 * MIB
