"""The signals' arguments, and that a wrong receiver harms nobody."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.http import HttpRequest

from django_websocket import WebSocket
from django_websocket.signals import websocket_closed, websocket_opened
from tests.site.local import LocalSite

Sent = list[tuple[Any, dict[str, Any]]]


@contextmanager
def receiver(signal: Any, error: Exception | None = None) -> Iterator[Sent]:
    """The senders and arguments of ``signal``; the receiver then raises ``error``."""
    sent: Sent = []

    def receive(sender: Any, signal: Any, **arguments: Any) -> None:
        sent.append((sender, arguments))
        if error is not None:
            raise error

    signal.connect(receive)
    try:
        yield sent
    finally:
        assert signal.disconnect(receive)


@pytest.fixture
def opened() -> Iterator[Sent]:
    with receiver(websocket_opened) as sent:
        yield sent


@pytest.fixture
def closed() -> Iterator[Sent]:
    with receiver(websocket_closed) as sent:
        yield sent


def code(closed: Sent) -> int:
    [(_, arguments)] = closed
    closed_with: int = arguments["code"]
    return closed_with


def test_both_ends_of_a_websocket_are_told(local_site: LocalSite, opened: Sent, closed: Sent) -> None:
    with local_site.connect("/common/echo/") as client:
        client.send("four")
        client.send("fives")
        assert (client.receive(), client.receive()) == ("four", "fives")
        [(sender, arguments)] = opened
        assert (sender, arguments["websocket"]) == (WebSocket, client.websocket)
        assert isinstance(arguments["request"], HttpRequest)
        assert closed == []
        local_site.client.advance(60)
        client.close(4001, "because")
    [(sender, arguments)] = closed
    request = opened[0][1]["request"]
    ping = 6
    assert 60 <= arguments.pop("duration") < 70
    assert (sender, arguments) == (
        WebSocket,
        {
            "websocket": client.websocket,
            "request": request,
            "code": 4001,
            "reason": "because",
            "messages_received": 2,
            "messages_sent": 2,
            "bytes_received": 10 + 11 + 15 + 3 * (4 + ping),
            "bytes_sent": 6 + 7 + 9 + 2 + 3 * ping,
        },
    )


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/opening/raises_after/", 1011),
        ("/opening/closes_first/", 4001),
        ("/opening/order/", 1000),
    ],
)
def test_the_code_is_that_of_the_first_close_frame(
    local_site: LocalSite, closed: Sent, path: str, expected: int
) -> None:
    with local_site.connect(path):
        local_site.client.advance(1)  # the view that raises sleeps before
    local_site.take_log()
    assert code(closed) == expected


def test_a_lost_connection_is_a_1006(local_site: LocalSite, closed: Sent) -> None:
    local_site.connect("/common/echo/").abort()
    assert code(closed) == 1006


def test_what_never_opened_is_not_told(local_site: LocalSite, opened: Sent, closed: Sent) -> None:
    assert local_site.ask("/common/echo/").status_code == 400
    assert local_site.shake_hands("/opening/raises_before/").status_code == 500
    assert local_site.take_error()["error"] == "ValueError"
    assert opened == closed == []


def test_a_receiver_that_fails_is_logged_and_harms_nobody(local_site: LocalSite) -> None:
    error = ValueError("on purpose, in a receiver")
    with receiver(websocket_opened, error) as opened, receiver(websocket_closed, error) as closed:
        with local_site.connect("/common/echo/") as client:
            client.send("hello")
            assert client.receive() == "hello"
        assert (len(opened), code(closed)) == (1, 1000)
    assert [entry["error"] for entry in local_site.take_log()] == ["ValueError"] * 2
