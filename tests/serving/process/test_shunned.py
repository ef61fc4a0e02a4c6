"""Listeners at one port, of which one is about to be closed."""

from __future__ import annotations

import select
import socket
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from django_websocket.serving.process.binding import bind_sockets, describe
from django_websocket.serving.process.shunned import shun
from tests.deadlines import deadline


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    [one] = bind_sockets("127.0.0.1:0", reuse_port=True)
    [other] = bind_sockets(describe(one), reuse_port=True)
    with one, other:
        yield one, other


def connecting(address: tuple[str, int], count: int, stack: ExitStack) -> list[socket.socket]:
    """So many clients."""
    clients = [stack.enter_context(socket.socket()) for _ in range(count)]
    for client in clients:
        client.setblocking(False)
        client.connect_ex(address)
    return clients


def accepted(listener: socket.socket, stack: ExitStack) -> int:
    """How many are in the queue."""
    count = 0
    while True:
        try:
            stack.enter_context(listener.accept()[0])
        except BlockingIOError:
            return count
        count += 1


def test_who_comes_finds_the_other(pair: tuple[socket.socket, socket.socket]) -> None:
    one, other = pair
    with ExitStack() as stack:
        before = connecting(one.getsockname(), 40, stack)
        assert shun(one)
        clients = connecting(one.getsockname(), 40, stack)
        first = accepted(one, stack)
        while select.select([one], [], [], 0.1)[0]:
            first += accepted(one, stack)
        assert 0 < first < 40, "those who had come before"
        one.close()
        came = first + accepted(other, stack)
        while came < 80:
            ready, _, _ = select.select([other], [], [], deadline(10))
            assert ready, f"{came} came"
            came += accepted(other, stack)
        assert [one for one in (*before, *clients) if one.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)] == []


def test_without_another_nobody_is_shunned() -> None:
    [alone] = bind_sockets("127.0.0.1:0")
    with alone, ExitStack() as stack:
        assert not shun(alone)
        connecting(alone.getsockname(), 1, stack)
        select.select([alone], [], [], deadline(10))
        assert accepted(alone, stack) == 1


def test_a_unix_socket_has_no_others() -> None:
    with socket.socket(socket.AF_UNIX) as sock:
        assert not shun(sock)
