"""The bytes that a socket's kernel buffer didn't take, on a real hub and a real pair of sockets."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator

import pytest

from django_websocket.serving.patch import eventlet
from django_websocket.serving.sockets.outbox import Outbox
from tests.deadlines import deadline


class End:
    """An outbox on one of two connected sockets, and the other one."""

    def __init__(self, timeout: float = 10) -> None:
        self.ours, self.theirs = socket.socketpair()
        self.ours.setblocking(False)
        self.theirs.setblocking(False)
        self.emptied: list[int] = []
        self.failed: list[BaseException] = []
        self.filled = 0
        try:
            while True:
                self.filled += self.ours.send(bytes(65536))
        except BlockingIOError:
            pass
        self.outbox = Outbox(self.ours, timeout, self.emptied.append, self.fail)

    def fail(self, error: BaseException) -> None:
        """As the transport, which drops the socket."""
        self.failed.append(error)
        self.outbox.abort()

    def read(self) -> bytes:
        """All that there is, after the hub had its turn; without what filled the buffer."""
        data = b""
        end = time.monotonic() + deadline(5)
        while time.monotonic() < end and not (self.emptied and len(data) >= self.filled + self.emptied[0]):
            eventlet.sleep(0)
            try:
                data += self.theirs.recv(1 << 20)
            except BlockingIOError:
                pass
        assert not any(data[: self.filled])
        return data[self.filled :]


@pytest.fixture
def end() -> Iterator[End]:
    end = End()
    yield end
    end.outbox.abort()
    end.ours.close()
    end.theirs.close()
    listeners = eventlet.hubs.get_hub().listeners
    assert not listeners["read"]
    assert not listeners["write"]


def test_all_goes_out_in_order(end: End) -> None:
    parts = [bytes([number]) * size for number, size in enumerate((1, 100_000, 1, 3_000_000, 7), start=1)]
    for part in parts:
        end.outbox.append(part)
    whole = b"".join(parts)
    assert end.outbox.size == len(whole)
    assert end.read() == whole
    assert end.outbox.size == 0
    assert end.outbox.sent == len(whole)
    assert end.emptied == [len(whole)]
    assert end.failed == []


def test_waiters_go_on_when_it_is_empty(end: End) -> None:
    end.outbox.append(b"x" * 100_000)
    waiters = [eventlet.spawn(end.outbox.wait_empty) for _ in range(3)]
    eventlet.sleep(0)
    assert not any(waiter.dead for waiter in waiters)
    end.read()
    for waiter in waiters:
        assert waiter.wait() is None


def test_waiters_are_told_that_it_is_over(end: End) -> None:
    end.outbox.append(b"x")
    waiters = [eventlet.spawn(end.outbox.wait_empty) for _ in range(3)]
    eventlet.sleep(0)
    end.outbox.abort()
    for waiter in waiters:
        with pytest.raises(ConnectionResetError):
            waiter.wait()
    assert end.outbox.size == 0
    assert not end.emptied
    assert not end.failed


def test_a_waiter_that_was_ended_is_not_woken(end: End) -> None:
    end.outbox.append(b"x" * 100_000)
    reached = []

    def wait() -> None:
        try:
            end.outbox.wait_empty()
        finally:
            eventlet.sleep(0.05)
            reached.append("its own end")

    waiter = eventlet.spawn(wait)
    eventlet.sleep(0)
    waiter.kill()
    end.read()
    eventlet.sleep(0.1)
    assert reached == ["its own end"]


def test_a_lost_connection_is_a_failure(end: End) -> None:
    end.outbox.append(b"x" * 100_000)
    end.theirs.close()
    eventlet.sleep(0.01)
    [error] = end.failed
    assert isinstance(error, OSError)
    assert end.emptied == []


def test_no_progress_is_a_failure_and_slow_progress_is_none() -> None:
    end = End(timeout=0.2)
    try:
        end.outbox.append(b"x" * 10_000_000)
        start = time.monotonic()
        while time.monotonic() - start < 0.6:
            try:
                end.theirs.recv(100_000)
            except BlockingIOError:
                pass
            eventlet.sleep(0.02)
        assert end.failed == []
        stopped = time.monotonic()
        while not end.failed:
            assert time.monotonic() - stopped < deadline(5)
            eventlet.sleep(0.01)
        assert time.monotonic() - stopped > 0.15
        assert isinstance(end.failed[0], TimeoutError)
    finally:
        end.outbox.abort()
        end.ours.close()
        end.theirs.close()


def test_after_an_abort_nothing_is_called(end: End) -> None:
    end.outbox.append(b"x" * 100_000)
    end.outbox.abort()
    end.theirs.close()
    eventlet.sleep(0.01)
    assert not end.emptied
    assert not end.failed
