"""What every channel must do; the in-memory one, a plain socket and one under TLS pass the same tests."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from greenlet import getcurrent

from django_websocket.channel import Channel
from tests.deadlines import deadline, wait_until
from tests.worlds import World, receive_all, run_until

from .worlds import world as world  # a fixture

MEBIBYTE = 1024 * 1024


def lost(error: Exception) -> None:
    raise AssertionError("nobody else closed the descriptor") from error


def receive_from(world: World, channel: Channel, count: int) -> bytes:
    data = b""

    def receive() -> bool:
        nonlocal data
        try:
            data += channel.receive(65536)
        except BlockingIOError:
            return False
        return len(data) >= count

    run_until(world, receive)
    return data


def fill(channel: Channel) -> int:
    """Send until nothing more is taken; returns how much was."""
    sent = 0
    chunk = bytes(65536)
    try:
        while True:
            sent += channel.send(chunk)
    except BlockingIOError:
        return sent


def test_bytes_go_both_ways(world: World) -> None:
    channel, peer = world.connect()
    assert peer.send(b"to the server") == 13
    assert receive_from(world, channel, 13) == b"to the server"
    assert channel.send(b"to the client") == 13
    assert receive_all(world, peer, lambda data: len(data) == 13) == b"to the client"
    channel.close()
    peer.close()


def test_nothing_now_is_blocking_io_error(world: World) -> None:
    channel, peer = world.connect()
    world.run()
    with pytest.raises(BlockingIOError):
        channel.receive(1)
    channel.close()
    peer.close()


def test_the_end_of_the_stream_is_empty_bytes(world: World) -> None:
    channel, peer = world.connect()
    peer.send(b"last")
    peer.shut_down()
    assert receive_from(world, channel, 4) == b"last"
    results: list[bytes] = []

    def ended() -> bool:
        try:
            results.append(channel.receive(10))
        except BlockingIOError:
            return False
        return True

    run_until(world, ended)
    assert results == [b""]
    channel.close()
    peer.close()


def test_a_lost_connection_is_another_error(world: World) -> None:
    channel, peer = world.connect()
    peer.reset()
    errors: list[OSError] = []

    def failed() -> bool:
        try:
            channel.send(b"x" * 1000)
        except BlockingIOError:
            return False
        except OSError as error:
            errors.append(error)
        return bool(errors)

    run_until(world, failed)
    channel.close()


def test_a_full_channel_takes_a_part_then_nothing_then_the_rest(world: World) -> None:
    channel, peer = world.connect()
    sent = fill(channel)
    assert sent >= 65536
    chunk = bytes(65536)  # what begins with the same bytes
    received = len(receive_all(world, peer, lambda data: len(data) >= sent))
    assert received == sent
    counts: list[int] = []

    def takes() -> bool:
        try:
            counts.append(channel.send(chunk))
        except BlockingIOError:
            return False
        return True

    run_until(world, takes)
    assert 0 < counts[0] <= len(chunk)
    assert len(receive_all(world, peer, lambda data: len(data) >= counts[0])) == counts[0]
    channel.close()
    peer.close()


def test_readable_is_called_back_for_data_and_for_the_end(world: World) -> None:
    channel, peer = world.connect()
    received: list[bytes] = []

    def on_readable(_: int) -> None:
        try:
            received.append(channel.receive(4))
        except BlockingIOError:
            return
        if not received[-1]:
            channel.unwatch_readable()

    channel.watch_readable(on_readable, lost)
    world.run()
    assert received == []
    peer.send(b"one two three four")  # more than is received at once
    run_until(world, lambda: len(b"".join(received)) == 18)
    assert b"".join(received) == b"one two three four"
    peer.shut_down()
    run_until(world, lambda: received[-1] == b"")
    channel.close()
    peer.close()


def test_what_arrived_before_the_watch_is_called_back_for(world: World) -> None:
    channel, peer = world.connect()
    peer.send(b"early and long")
    world.run(0.01)
    received: list[bytes] = []

    def on_readable(_: int) -> None:
        try:
            received.append(channel.receive(3))
        except BlockingIOError:
            pass

    channel.watch_readable(on_readable, lost)
    run_until(world, lambda: len(b"".join(received)) == 14)
    channel.close()
    peer.close()


def test_what_a_receive_between_two_calls_has_left_is_called_back_for(world: World) -> None:
    """As when a view looks for messages: in the end, the descriptor itself may have nothing to report any more."""
    channel, peer = world.connect()
    received: list[bytes] = []

    def on_readable(_: int) -> None:
        try:
            received.append(channel.receive(5))
        except BlockingIOError:
            pass

    channel.watch_readable(on_readable, lost)
    for piece in (b"first", b"second", b"third"):
        assert peer.send(piece) == len(piece)

    def have_received() -> bool:
        on_readable(-1)
        return bool(received)

    wait_until(have_received)  # while the scheduler doesn't run
    run_until(world, lambda: b"".join(received) == b"firstsecondthird")
    channel.close()
    peer.close()


def test_unwatched_means_not_called(world: World) -> None:
    channel, peer = world.connect()
    called: list[int] = []
    channel.watch_readable(called.append, lost)
    channel.unwatch_readable()
    channel.unwatch_readable()
    peer.send(b"x")
    world.run(0.02)
    assert called == []
    received: list[bytes] = []

    def on_readable(_: int) -> None:
        try:
            received.append(channel.receive(10))
        except BlockingIOError:
            pass

    channel.watch_readable(on_readable, lost)
    run_until(world, lambda: received == [b"x"])
    channel.close()
    peer.close()


def test_unwatched_means_not_called_in_the_same_turn_either(world: World) -> None:
    channel, peer = world.connect()
    called: list[int] = []

    def callback(number: int) -> None:
        called.append(number)
        channel.unwatch_readable()
        channel.unwatch_writable()

    peer.send(b"x")
    world.run(0.01)
    channel.watch_readable(callback, lost)
    channel.watch_writable(callback, lost)
    run_until(world, lambda: bool(called))
    world.run()
    assert len(called) == 1
    channel.close()
    peer.close()


def test_writable_is_called_back_once_there_is_room(world: World) -> None:
    channel, peer = world.connect()
    sent = fill(channel)
    called: list[int] = []

    def on_writable(number: int) -> None:
        called.append(number)
        channel.unwatch_writable()

    channel.watch_writable(on_writable, lost)
    receive_all(world, peer, lambda data: len(data) >= sent)
    run_until(world, lambda: bool(called))
    world.run()
    assert len(called) == 1
    channel.close()
    peer.close()


def test_the_end_is_sent_behind_the_data_and_input_goes_on(world: World) -> None:
    channel, peer = world.connect()
    channel.send(b"last words")
    channel.shut_down()
    assert receive_all(world, peer) == b"last words"
    peer.close()
    channel.close()


def test_close_ends_everything(world: World) -> None:
    channel, peer = world.connect()
    called: list[int] = []
    channel.watch_readable(called.append, lost)
    channel.watch_writable(called.append, lost)
    channel.close()
    channel.close()
    world.run(0.02)
    assert called == []
    with pytest.raises(OSError):  # noqa: PT011  its kind is the system's
        channel.send(b"x")
    peer.close()


def test_timers_come_in_order_and_can_be_cancelled(world: World) -> None:
    channel, peer = world.connect()
    began = channel.clock()
    called: list[Any] = []
    channel.call_later(0.03, called.append, 3)
    channel.call_later(0.01, called.append, 1)
    cancelled = channel.call_later(0.02, called.append, 2)
    channel.call_later(0, called.append, 0)
    cancelled.cancel()
    world.run(0.1)
    assert called == [0, 1, 3]
    cancelled.cancel()
    assert channel.clock() - began >= 0.03
    channel.close()
    peer.close()


def test_park_returns_what_it_is_switched_back_with(world: World) -> None:
    channel, peer = world.connect()
    log: list[object] = []

    def view() -> None:
        channel.call_later(0.01, getcurrent().switch, "woken")
        log.append(channel.park())

    world.spawn(view)
    world.run(0.1)
    assert log == ["woken"]
    channel.close()
    peer.close()


def test_pause_lets_others_run_once(world: World) -> None:
    channel, peer = world.connect()
    log: list[str] = []

    def view(name: str) -> None:
        for _ in range(3):
            log.append(name)
            channel.pause()

    world.spawn(view, "a")
    world.spawn(view, "b")
    world.run(0.01)
    assert log == ["a", "b"] * 3
    channel.close()
    peer.close()


def test_pause_does_nothing_in_the_schedulers_own_greenlet(world: World) -> None:
    channel, peer = world.connect()
    log: list[str] = []

    def callback() -> None:
        channel.pause()
        log.append("returned")

    channel.call_later(0, callback)
    world.run(0.01)
    assert log == ["returned"]
    channel.close()
    peer.close()


def test_a_peer_may_be_used_after_its_channel(world: World) -> None:
    channel, peer = world.connect()
    channel.send(b"bye")
    channel.close()
    assert receive_all(world, peer) == b"bye"

    def refused() -> bool:
        try:
            peer.send(b"too late")
        except BlockingIOError:
            return False
        except OSError:
            return True
        return False

    run_until(world, refused)
    peer.close()


# Other threads


def test_other_threads_are_told_from_the_schedulers(world: World) -> None:
    channel, peer = world.connect()
    assert channel.in_own_thread()
    with ThreadPoolExecutor(1) as thread:
        assert not thread.submit(channel.in_own_thread).result(deadline(10))
        with pytest.raises(RuntimeError, match="takes no calls of other threads"):
            thread.submit(channel.call, print).result(deadline(10))
    channel.close()
    peer.close()
