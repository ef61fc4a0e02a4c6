"""The driver over every channel: what the client sees and what the view's greenlet gets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from django_websocket import pacing
from django_websocket.close_codes import CloseCode
from django_websocket.driver import FLOODED_RECEIVE_SIZE, MAX_UNQUEUED_FRAMES, RECEIVE_SIZE, Driver
from django_websocket.exceptions import ConcurrencyError, KeepaliveTimeout
from django_websocket.options import Options, resolve_options
from django_websocket.protocol.connection import Connection, State
from django_websocket.protocol.deflate import INFLATE_SLICE, PerMessageDeflate
from django_websocket.protocol.shared import SharedMessage
from django_websocket.waiter import BUDGET
from tests.protocol.client import close, compressed, frame, text
from tests.worlds import World, receive_all, run_until

from .worlds import world as world  # a fixture

MEBIBYTE = 1024 * 1024


class Socket:
    """A driver between a channel and a connection, and the client."""

    def __init__(self, world: World, **options: Any) -> None:
        self.world = world
        self.options: Options = replace(resolve_options({}), close_timeout=3600.0, **options)
        self.channel, self.peer = world.connect()
        self.connection = Connection(max_message_size=self.options.max_message_size, max_queue=self.options.max_queue)
        self.closed = 0
        self.driver = Driver(self.channel, self.connection, self.options, self._count_closed)

    def _count_closed(self, subject: object) -> None:
        self.closed += 1

    def state(self) -> State:
        return self.connection.state

    def start(self, trailing: bytes = b"") -> Socket:
        self.driver.start(trailing)
        return self

    def received(self, *expected: bytes) -> None:
        """The client receives just that."""
        whole = b"".join(expected)
        assert receive_all(self.world, self.peer, lambda data: len(data) >= len(whole)) == whole

    def run_until(self, condition: Callable[[], bool]) -> None:
        run_until(self.world, condition)

    def end(self) -> None:
        self.driver.drop()
        self.peer.close()
        assert self.closed == 1


def close_frame(code: int, reason: str = "") -> bytes:
    payload = code.to_bytes(2, "big") + reason.encode()
    return b"\x88" + bytes([len(payload)]) + payload


def flood(socket: Socket, size: int) -> list[OSError | None]:
    """A view that sends so much at once that it has to wait; returns how its send ended, once it has."""
    ended: list[OSError | None] = []

    def view() -> None:
        try:
            socket.driver.write(socket.connection.encode_binary(bytes(size)))
        except OSError as error:
            ended.append(error)
        else:
            ended.append(None)

    socket.world.spawn(view)
    socket.run_until(lambda: socket.driver.buffered_amount > 0)
    return ended


def test_messages_reach_a_greenlet_that_waits(world: World) -> None:
    socket = Socket(world).start()
    taken: list[object] = []

    def view() -> None:
        while socket.driver.park(None) and socket.connection.messages:
            taken.append(socket.connection.messages.pop(0))

    world.spawn(view)
    world.run()
    for number in range(3):
        socket.peer.send(text(str(number)))
        socket.run_until(lambda number=number: len(taken) == number + 1)  # type: ignore[misc]  # bound now
    assert taken == ["0", "1", "2"]
    assert socket.driver.bytes_received == len(text("0")) * 3
    socket.end()


def test_what_came_with_the_handshake_is_there_at_once(world: World) -> None:
    socket = Socket(world).start(text("early") + frame(0x89, b"ping"))
    assert socket.connection.messages == ["early"]
    socket.received(b"\x8a\x04ping")
    socket.end()


def test_park_times_out_and_only_one_greenlet_parks(world: World) -> None:
    socket = Socket(world).start()
    log: list[object] = []

    def first() -> None:
        log.append(socket.driver.park(0.05))

    def second() -> None:
        try:
            socket.driver.park(None)
        except ConcurrencyError:
            log.append("refused")

    world.spawn(first)
    world.spawn(second)
    world.run(0.2)
    assert log == ["refused", False]
    socket.end()


def test_a_view_that_never_waits_lets_others_run_after_its_budget(world: World) -> None:
    socket = Socket(world).start()
    others: list[str] = []
    counts: list[int] = []

    def view() -> None:
        for step in (socket.driver.took_message, lambda: socket.driver.write(b"x")):
            socket.channel.call_later(0, others.append, "ran")
            count = 0
            while not others:
                step()
                count += 1
            counts.append(count)
            others.clear()

    world.spawn(view)
    socket.run_until(lambda: len(counts) == 2)
    assert counts == [BUDGET, BUDGET]
    socket.peer.close()
    socket.run_until(lambda: socket.closed == 1)


def test_messages_that_a_lost_connection_left_are_taken_and_it_is_watched_no_more(world: World) -> None:
    """Its descriptor may be another connection's by now; the world checks that nothing is watched in the end."""
    socket = Socket(world, max_queue=2).start()
    for message in ("one", "two", "three"):
        socket.peer.send(text(message))
    socket.run_until(lambda: socket.driver.is_paused)
    socket.driver.drop()
    taken: list[object] = []

    def view() -> None:
        while socket.connection.messages:
            taken.append(socket.connection.messages.pop(0))
            socket.driver.took_message()

    world.spawn(view)
    socket.run_until(lambda: len(taken) == 2)
    world.run()
    assert taken == ["one", "two"]
    socket.peer.close()


def send_all(socket: Socket, data: bytes) -> None:
    """The client sends ``data``, of which no channel takes all at once."""
    while data:
        try:
            data = data[socket.peer.send(data) :]
        except BlockingIOError:
            socket.world.run()


def test_large_compressed_messages_come_in_order_and_reading_pauses_meanwhile(world: World) -> None:
    socket = Socket(world, max_queue=2)
    socket.connection.use_deflate(PerMessageDeflate())
    socket.start()
    pauses: list[bool] = []
    inflate = socket.connection.inflate

    class Inflating(Connection):
        __slots__ = ()

        def inflate(self) -> None:
            pauses.append(socket.driver.is_paused)
            inflate()

    socket.connection.__class__ = Inflating
    sizes = [MEBIBYTE, 3, 3 * INFLATE_SLICE, 100, MEBIBYTE]
    data = b"".join(compressed(0x82, bytes(size)) + frame(0x89, bytes([number])) for number, size in enumerate(sizes))
    taken: list[int] = []

    def view() -> None:
        while len(taken) < len(sizes):
            if not socket.connection.messages:
                socket.driver.park(None)
            while socket.connection.messages:
                taken.append(len(socket.connection.messages.pop(0)))
                socket.driver.took_message()

    world.spawn(view)
    send_all(socket, data + close(1000))
    socket.run_until(lambda: socket.connection.ended)
    assert taken == sizes
    assert len(pauses) >= (2 * MEBIBYTE + 3 * INFLATE_SLICE) // INFLATE_SLICE
    assert all(pauses)
    socket.driver.finish()
    pongs = b"".join(bytes([0x8A, 1, number]) for number in range(len(sizes)))
    socket.received(pongs + close_frame(1000))
    socket.end()


def test_a_view_that_polls_gets_what_is_inflated(world: World) -> None:
    socket = Socket(world)
    socket.connection.use_deflate(PerMessageDeflate())
    socket.start()
    taken: list[object] = []

    def view() -> None:
        while not socket.connection.messages:
            socket.driver.poll()
        taken.append(socket.connection.messages.pop(0))

    socket.peer.send(compressed(0x82, bytes(MEBIBYTE)))
    world.spawn(view)
    socket.run_until(lambda: bool(taken))
    assert taken == [bytes(MEBIBYTE)]
    socket.end()


@pytest.mark.parametrize("how", ["drop", "close", "leave"])
def test_the_end_while_a_message_is_inflated(world: World, how: str) -> None:
    socket = Socket(world)
    socket.connection.use_deflate(PerMessageDeflate())
    socket.start(compressed(0x82, bytes(MEBIBYTE)) + close(1000))
    assert socket.driver.is_paused
    if how == "drop":
        socket.driver.drop()
        world.run()
        assert not socket.connection.messages
        socket.peer.close()
        return
    if how == "close":
        socket.driver.close(socket.connection.close(1001))
    else:
        socket.peer.close()
    socket.run_until(lambda: socket.connection.ended)
    if how == "close":
        assert socket.connection.close_received == (1000, "")
        assert not socket.connection.messages
        socket.end()
    else:
        assert socket.connection.messages == [bytes(MEBIBYTE)]
        socket.driver.finish()
        socket.run_until(lambda: socket.closed == 1)


def test_what_inflates_to_too_much_for_long_is_closed(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pacing, "PATIENCE", 0.2)
    monkeypatch.setattr(pacing, "BURST_MESSAGES", 1)
    socket = Socket(world)
    socket.connection.use_deflate(PerMessageDeflate())
    socket.start()
    one = compressed(0x82, bytes(MEBIBYTE))
    for _ in range(5000):
        try:
            socket.peer.send(one)
        except BlockingIOError:
            pass
        socket.connection.messages.clear()
        if socket.connection.full:
            socket.driver.took_message()
        world.run(0.01)
        if socket.connection.ended:
            break
    assert socket.connection.close_code == 1008
    socket.end()


def test_nothing_is_lost_where_the_channel_takes_nothing_of_a_write(world: World) -> None:
    socket = Socket(world).start()
    repeated = bytes(65536)  # what OpenSSL took nothing of is what it wants next
    filled = 0
    try:
        while True:
            filled += socket.channel.send(repeated)
    except BlockingIOError:
        pass
    data = repeated + bytes(range(1, 256)) * 100
    world.spawn(socket.driver.write, data)
    received = receive_all(world, socket.peer, lambda received: len(received) >= filled + len(data))
    assert received[filled:] == data
    socket.run_until(lambda: socket.driver.buffered_amount == 0)
    assert socket.driver.bytes_sent == len(data)
    socket.end()


def test_a_full_queue_pauses_reading_and_taking_goes_on(world: World) -> None:
    socket = Socket(world, max_queue=2).start()
    for number in range(5):
        socket.peer.send(text(str(number)))
    socket.run_until(lambda: socket.driver.is_paused)
    messages = socket.connection.messages
    assert messages == ["0", "1"]
    taken: list[object] = []

    def view() -> None:
        while len(taken) < 5:
            if not messages:
                socket.driver.park(None)
            taken.append(messages.pop(0))
            socket.driver.took_message()

    world.spawn(view)
    socket.run_until(lambda: len(taken) == 5)
    assert taken == ["0", "1", "2", "3", "4"]
    socket.end()


def test_pings_are_answered_and_ours_measure_the_latency(world: World) -> None:
    socket = Socket(world).start()
    socket.peer.send(frame(0x89, b"there?"))
    socket.received(b"\x8a\x06there?")
    socket.driver.ping_nowait()
    socket.received(b"\x89\x04\0\0\0\x01")
    world.run(0.01)
    socket.peer.send(frame(0x8A, b"\0\0\0\x01"))
    socket.run_until(lambda: socket.driver.latency is not None)
    assert (socket.driver.latency or 0) >= 0.009
    socket.end()


# What the channel doesn't take


def test_a_send_waits_for_the_channel(world: World) -> None:
    socket = Socket(world).start()
    ended = flood(socket, 8 * MEBIBYTE)
    assert ended == []
    receive_all(world, socket.peer, lambda data: len(data) >= 8 * MEBIBYTE + 10)
    socket.run_until(lambda: ended == [None])
    assert socket.driver.bytes_sent == 8 * MEBIBYTE + 10
    assert socket.driver.buffered_amount == 0
    socket.end()


def test_our_close_frame_comes_behind_more_than_the_outbox_may_hold(world: World) -> None:
    """The bound is for data; the close frame always goes out, and keeps its code."""
    socket = Socket(world, max_outbox=1024).start()
    flood(socket, 8 * MEBIBYTE)
    socket.driver.close(socket.connection.close(1001, "server is stopping"))
    received = receive_all(world, socket.peer, lambda data: len(data) >= 8 * MEBIBYTE + 10 + 22)
    assert received[8 * MEBIBYTE + 10 :] == close_frame(1001, "server is stopping")
    assert socket.connection.close_code == 1001
    socket.end()


def test_the_answer_to_a_close_frame_comes_behind_it_too(world: World) -> None:
    socket = Socket(world, max_outbox=1024).start()
    flood(socket, 8 * MEBIBYTE)
    socket.peer.send(close(4001, b"enough"))
    received = receive_all(world, socket.peer)
    assert received[8 * MEBIBYTE + 10 :].startswith(b"\x88")
    assert received[8 * MEBIBYTE + 12 : 8 * MEBIBYTE + 14] == (4001).to_bytes(2, "big")
    socket.end()


def test_who_lets_too_much_wait_is_closed_with_1013(world: World) -> None:
    socket = Socket(world, max_outbox=100_000).start()
    flood(socket, 8 * MEBIBYTE)
    before = socket.driver.buffered_amount
    socket.driver.write_nowait(socket.connection.encode_text("dropped"))
    assert not socket.connection.can_send
    assert socket.driver.buffered_amount == before + len(close_frame(1013, "client is too slow"))
    received = receive_all(world, socket.peer, lambda data: len(data) >= 8 * MEBIBYTE + 10 + 22)
    assert received[8 * MEBIBYTE + 10 :] == close_frame(CloseCode.TRY_AGAIN_LATER, "client is too slow")
    socket.end()


def test_up_to_the_bound_data_waits_without_blocking(world: World) -> None:
    socket = Socket(world, max_outbox=16 * MEBIBYTE).start()
    flood(socket, 8 * MEBIBYTE)
    socket.driver.write_nowait(socket.connection.encode_text("kept"))
    assert socket.connection.can_send
    received = receive_all(world, socket.peer, lambda data: len(data) >= 8 * MEBIBYTE + 16)
    assert received[-6:] == b"\x81\x04kept"
    socket.end()


# Messages of groups


def write_shared(socket: Socket, text: str) -> None:
    if socket.driver.write_shared(SharedMessage(text)):
        socket.channel.call_in_turn(socket.driver.send_pending)


def test_shared_messages_leave_joined_and_behind_what_was_sent_before(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    socket = Socket(world).start()
    sent: list[bytes] = []
    send = socket.driver._send

    def recording(data: bytes | memoryview) -> int:
        sent.append(bytes(data))
        return send(data)

    monkeypatch.setattr(socket.driver, "_send", recording)
    socket.driver.write(b"\x81\x01a")
    for letter in "bcd":
        write_shared(socket, letter)
    assert sent == [b"\x81\x01a"]
    world.run()
    assert sent == [b"\x81\x01a", b"\x81\x01b\x81\x01c\x81\x01d"]
    assert socket.connection.messages_sent == 3
    assert socket.driver.bytes_sent == 12
    socket.received(b"\x81\x01a\x81\x01b\x81\x01c\x81\x01d")
    socket.end()


def test_shared_messages_come_before_the_answer_to_a_close(world: World) -> None:
    socket = Socket(world).start()
    socket.peer.send(close(1000))
    write_shared(socket, "x")
    socket.driver._on_readable(-1)
    received = receive_all(world, socket.peer)
    assert received == b"\x81\x01x" + close_frame(1000)
    write_shared(socket, "too late")
    world.run()
    socket.end()


def test_a_client_that_reads_no_shared_messages_is_closed(world: World) -> None:
    socket = Socket(world, max_outbox=100_000).start()
    flood(socket, 8 * MEBIBYTE)
    write_shared(socket, "dropped")
    world.run()
    assert not socket.connection.can_send
    received = receive_all(world, socket.peer, lambda data: len(data) >= 8 * MEBIBYTE + 10 + 22)
    assert received[8 * MEBIBYTE + 10 :] == close_frame(CloseCode.TRY_AGAIN_LATER, "client is too slow")
    socket.end()


@pytest.mark.parametrize("end", ["drop", "disown"])
def test_shared_messages_of_a_lost_connection_go_nowhere(world: World, end: str) -> None:
    socket = Socket(world).start()
    write_shared(socket, "before")
    getattr(socket.driver, end)()
    write_shared(socket, "after")
    world.run()
    assert (socket.driver.pending, socket.driver.bytes_sent) == (None, 0)
    if end == "disown":
        socket.channel.unwatch_readable()
        socket.channel.close()
    socket.peer.close()


@pytest.mark.parametrize(
    "flood",
    [frame(0x89) * 1000, frame(0x8A) * 1000, frame(0x01) + frame(0x00) * 900 + frame(0x80)],
    ids=["pings", "pongs", "fragments"],
)
def test_a_flood_of_small_frames_is_read_in_small_pieces(world: World, flood: bytes) -> None:
    """No full queue stops them, so one read must not hold ten thousand."""
    socket = Socket(world).start()
    sizes: list[int] = []
    receive = socket.driver._receive

    def recording(size: int) -> bytes:
        data = receive(size)
        sizes.append(len(data))
        return data

    def send(data: bytes) -> None:
        sizes.clear()
        sent = socket.peer.send(data)
        socket.run_until(lambda: sum(sizes) == sent)

    socket.driver._receive = recording
    send(flood)
    send(flood)
    assert max(sizes) <= FLOODED_RECEIVE_SIZE
    # Large messages are no way back: more small frames could come behind each.
    send(frame(0x82, bytes(200_000))[:100_000])
    assert max(sizes) <= FLOODED_RECEIVE_SIZE
    socket.end()


def test_pings_now_and_then_are_no_flood(world: World) -> None:
    socket = Socket(world).start()
    for _ in range(MAX_UNQUEUED_FRAMES + 1):
        socket.peer.send(frame(0x89))
        socket.received(b"\x8a\x00")
    assert socket.driver._receive_size == RECEIVE_SIZE
    socket.end()


def test_a_flood_of_pings_behind_a_full_channel_is_answered_once(world: World) -> None:
    socket = Socket(world).start()
    flood(socket, 8 * MEBIBYTE)
    before = socket.driver.buffered_amount
    for number in range(5000):
        socket.peer.send(frame(0x89, number.to_bytes(2, "big")))
        if number % 100 == 0:
            world.run()
    sent = 5000 * len(frame(0x89, b"xx"))
    socket.run_until(lambda: socket.driver.bytes_received == sent)
    assert socket.driver.buffered_amount <= before
    received = receive_all(world, socket.peer, lambda data: data.endswith((4999).to_bytes(2, "big")))
    assert len(received) < 8 * MEBIBYTE + 10 + 2 * 4096
    socket.end()


def test_a_client_that_takes_nothing_for_long_is_dropped(world: World) -> None:
    socket = Socket(world, send_timeout=0.2).start()
    ended = flood(socket, 8 * MEBIBYTE)
    world.run(0.5)
    socket.run_until(lambda: bool(ended))
    assert [type(error) for error in ended] == [ConnectionResetError]
    assert isinstance(socket.connection.failure, TimeoutError)
    assert socket.closed == 1
    assert socket.state() is State.CLOSED
    socket.peer.close()


# Closing


def test_the_clients_close_is_answered_and_the_server_closes_first(world: World) -> None:
    socket = Socket(world).start()
    socket.peer.send(close(4000, b"done"))
    received = receive_all(world, socket.peer)  # up to the end of the stream
    assert received[2:4] == (4000).to_bytes(2, "big")
    assert socket.closed == 0
    socket.peer.close()
    socket.run_until(lambda: socket.closed == 1)


def test_the_answer_waits_for_the_messages_before_it(world: World) -> None:
    socket = Socket(world).start()
    socket.peer.send(text("one") + close(1000))
    socket.run_until(lambda: socket.connection.ended)
    assert socket.state() is State.CLOSING
    assert socket.connection.can_send
    assert socket.connection.messages.pop() == "one"
    socket.driver.finish()
    assert socket.state() is State.CLOSED
    assert receive_all(world, socket.peer)[:4] == b"\x88\x02\x03\xe8"
    socket.end()


def test_our_close_waits_for_the_clients(world: World) -> None:
    socket = Socket(world).start()
    socket.driver.close(socket.connection.close(1000, ""))
    assert socket.state() is State.CLOSING
    socket.received(b"\x88\x02\x03\xe8")
    socket.peer.send(text("ignored") + close(1000))
    assert receive_all(world, socket.peer) == b""
    assert socket.state() is State.CLOSED
    socket.end()


def test_a_close_without_an_answer_ends_in_time(world: World) -> None:
    socket = Socket(world)
    socket.driver._options = replace(socket.options, close_timeout=0.1)
    socket.start()
    socket.driver.close(socket.connection.close(1000, ""))
    world.run(0.3)
    assert socket.closed == 1
    assert receive_all(world, socket.peer) == b"\x88\x02\x03\xe8"
    socket.peer.close()


def test_a_client_that_vanishes_wakes_who_waits(world: World) -> None:
    socket = Socket(world).start()
    log: list[bool] = []
    world.spawn(lambda: log.append(socket.driver.park(None)))
    world.run()
    socket.peer.reset()
    socket.run_until(lambda: log == [True])
    assert socket.connection.ended
    assert socket.closed == 1


def test_a_client_that_answers_no_ping_is_told_1011(world: World) -> None:
    socket = Socket(world).start()
    socket.driver.time_out("no answer")
    assert receive_all(world, socket.peer) == close_frame(CloseCode.INTERNAL_ERROR, "no answer")
    assert isinstance(socket.connection.failure, KeepaliveTimeout)
    assert socket.closed == 1
    socket.peer.close()


def test_dropping_twice_tells_once(world: World) -> None:
    socket = Socket(world).start()
    socket.driver.drop()
    socket.driver.drop()
    assert socket.closed == 1
    with pytest.raises(ConnectionResetError):
        socket.driver.write(b"x")
    socket.driver.write_nowait(b"x")
    socket.driver.ping_nowait()
    assert socket.driver.buffered_amount == 0
    socket.peer.close()


def test_a_protocol_error_within_the_parser_closes_with_1002(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    socket = Socket(world).start()

    def fail(data: bytes) -> None:
        raise ZeroDivisionError("on purpose")

    monkeypatch.setattr(Connection, "receive_data", lambda self, data: fail(data))
    socket.peer.send(text("x"))
    received = receive_all(world, socket.peer)
    assert received == close_frame(1002, "internal error: ZeroDivisionError")
    assert "on purpose" in caplog.text
    socket.end()
