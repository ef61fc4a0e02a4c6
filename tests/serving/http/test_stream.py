"""The stream of one connection, within this process."""

from __future__ import annotations

import socket

import pytest

from django_websocket.serving.http import stream
from django_websocket.serving.http.stream import FAIR_RECEIVE, LINGER_BYTES, Stream
from django_websocket.serving.patch import eventlet
from django_websocket.serving.wire import Wire
from tests.deadlines import deadline


def test_who_goes_on_sending_is_listened_to_no_longer_than_promised(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "LINGER_SECONDS", deadline(60))
    ours, theirs = socket.socketpair()
    with ours, theirs:
        for sock in (ours, theirs):
            sock.setblocking(False)
        lingering = eventlet.spawn(Stream(Wire(ours)).linger)
        sent = 0
        with eventlet.Timeout(deadline(10)):
            while not lingering.dead:
                try:
                    sent += theirs.send(bytes(16384))
                except BlockingIOError:
                    pass
                eventlet.sleep(0)
        assert sent >= LINGER_BYTES
        assert theirs.recv(1) == b"", "it was told that nothing more comes"


def test_a_client_that_always_has_more_to_send_leaves_others_their_turns() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        for sock in (ours, theirs):
            sock.setblocking(False)
        uploaded = Stream(Wire(ours))
        turns = received = 0

        def take_turns() -> None:
            nonlocal turns
            while True:
                turns += 1
                eventlet.sleep(0)

        other = eventlet.spawn(take_turns)
        try:
            while received < 20 * FAIR_RECEIVE:
                # Filled again each time, so that receiving never blocks.
                try:
                    theirs.send(bytes(FAIR_RECEIVE))
                except BlockingIOError:
                    pass
                received += len(uploaded.receive(FAIR_RECEIVE // 4, deadline(10)))
        finally:
            other.kill()
        assert turns >= 19
