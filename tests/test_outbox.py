"""The bytes that a channel did not take at once."""

from __future__ import annotations

import pytest

from django_websocket.outbox import Outbox
from tests.deadlines import deadline
from tests.worlds import World, receive_all, run_until

from .worlds import world as world  # a fixture


class End:
    """An outbox on a channel that is full, and the client."""

    def __init__(self, world: World, timeout: float = 10) -> None:
        self.world = world
        self.channel, self.peer = world.connect()
        self.emptied: list[int] = []
        self.failed: list[Exception] = []
        self.filled = 0
        try:
            while True:
                self.filled += self.channel.send(bytes(65536))
        except BlockingIOError:
            pass
        self.outbox = Outbox(self.channel, timeout, self.emptied.append, self.fail)

    def fail(self, error: Exception) -> None:
        """As the driver, which closes the channel."""
        self.failed.append(error)
        self.outbox.abort()

    def append(self, *parts: bytes) -> bytes:
        """Queue ``parts``; returns them joined, with what OpenSSL wants repeated after it took nothing."""
        repeated = bytes(65536)
        for part in (repeated, *parts):
            self.outbox.append(part)
        return repeated + b"".join(parts)

    def receive(self, count: int) -> bytes:
        """The next ``count`` bytes that the client gets, after what filled the channel."""
        data = receive_all(self.world, self.peer, lambda data: len(data) >= self.filled + count)
        assert not any(data[: self.filled])
        return data[self.filled :]

    def close(self) -> None:
        self.outbox.abort()
        self.channel.close()
        self.peer.close()


@pytest.fixture
def end(world: World) -> End:
    return End(world)


def test_all_goes_out_in_order(end: End, world: World) -> None:
    whole = end.append(*(bytes([number]) * size for number, size in enumerate((1, 100_000, 1, 3_000_000, 7), start=1)))
    assert end.outbox.size == len(whole)
    assert end.receive(len(whole)) == whole
    run_until(world, lambda: bool(end.emptied))
    assert end.outbox.size == 0
    assert end.outbox.sent == len(whole)
    assert end.emptied == [len(whole)]
    assert end.failed == []
    end.close()


def waiting(end: End, log: list[str], name: str) -> None:
    try:
        end.outbox.wait_empty()
    except ConnectionResetError:
        log.append(f"{name} lost")
    else:
        log.append(f"{name} sent")


def test_waiters_go_on_when_it_is_empty(end: End, world: World) -> None:
    whole = end.append(b"x" * 100_000)
    log: list[str] = []
    for name in "abc":
        world.spawn(waiting, end, log, name)
    world.run()
    assert log == []
    end.receive(len(whole))
    run_until(world, lambda: len(log) == 3)
    assert log == ["a sent", "b sent", "c sent"]
    end.close()


def test_waiters_are_told_that_it_is_over(end: End, world: World) -> None:
    end.append(b"x")
    log: list[str] = []
    for name in "abc":
        world.spawn(waiting, end, log, name)
    world.run()
    end.outbox.abort()
    world.run(0.01)
    assert log == ["a lost", "b lost", "c lost"]
    assert end.outbox.size == 0
    assert not end.emptied
    assert not end.failed
    end.close()


class Killed(BaseException):
    """Raised in a greenlet that waits."""


def test_a_waiter_that_was_ended_is_not_woken(end: End, world: World) -> None:
    whole = end.append(b"x" * 100_000)
    log: list[str] = []

    def wait() -> None:
        try:
            end.outbox.wait_empty()
        except Killed:
            log.append(str(end.channel.park()))

    waiter = world.spawn(wait)
    world.run()
    end.channel.call_later(0, waiter.throw, Killed)
    world.run(0.01)
    end.receive(len(whole))
    run_until(world, lambda: bool(end.emptied))
    world.run(0.01)
    assert log == []
    end.channel.call_later(0, waiter.switch, "its own end")
    world.run(0.01)
    assert log == ["its own end"]
    end.close()


def test_a_lost_connection_is_a_failure(end: End, world: World) -> None:
    end.append(b"x" * 100_000)
    end.peer.reset()
    run_until(world, lambda: bool(end.failed))
    [error] = end.failed
    assert isinstance(error, OSError)
    assert end.emptied == []
    end.close()


def test_no_progress_is_a_failure_and_slow_progress_is_none(world: World) -> None:
    timeout = deadline(1)
    end = End(world, timeout=timeout)
    end.append(bytes(200_000_000))
    began = end.channel.clock()
    while end.channel.clock() - began < 1.5 * timeout:
        taken = 0
        try:
            while taken < 1_000_000:
                taken += len(end.peer.receive(1_000_000))
        except BlockingIOError:
            pass
        world.run(timeout / 20)
    assert not end.failed
    assert not end.emptied
    until = end.channel.clock() + 10 * timeout
    while not end.failed and end.channel.clock() < until:
        world.run(0.1)
    assert isinstance(end.failed[0], TimeoutError)
    end.close()


def test_after_an_abort_nothing_is_called(end: End, world: World) -> None:
    end.append(b"x" * 100_000)
    end.outbox.abort()
    end.peer.close()
    world.run(0.01)
    assert not end.emptied
    assert not end.failed
    end.close()
