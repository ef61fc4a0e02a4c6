"""A client that offers subprotocols and gets none."""

from __future__ import annotations

import pytest
from django.test import RequestFactory

from django_websocket import subprotocols
from tests.deadlines import deadline
from tests.site.fixtures import Serve


def test_the_log_says_once_for_each_pattern_why_a_browser_gives_up(serve: Serve) -> None:
    with serve() as site:
        for _ in range(3):
            answer = site.shake_hands("/opening/order/", {"Sec-WebSocket-Protocol": "chat, superchat"})
            assert (answer.status, answer.headers["Sec-WebSocket-Protocol"]) == (101, None)
        [warning] = site.take_log("WARNING")
        assert warning["logger"] == "django.request"
        assert (
            "/opening/order/: a client offered the subprotocols chat, superchat, and the view speaks none"
            in (warning["message"])
        )
        site.shake_hands("/decorators/with_options/", {"Sec-WebSocket-Protocol": "mqtt"})
        [warning] = site.take_log("WARNING")
        assert "subprotocols mqtt, and the view speaks superchat, chat." in warning["message"]


def test_nothing_is_said_where_nothing_is_wrong(serve: Serve) -> None:
    with serve() as site:
        with site.connect("/decorators/with_options/", subprotocols=["chat", "mqtt"]) as client:
            assert client.recv(timeout=deadline(10)) == "chat"
        with site.connect("/common/echo/"):
            pass
        answer = site.shake_hands("/opening/accept_with/?subprotocol=mqtt", {"Sec-WebSocket-Protocol": "mqtt"})
        assert answer.headers["Sec-WebSocket-Protocol"] == "mqtt"
        assert site.take_log("WARNING") == []


def test_what_is_remembered_has_a_bound(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(subprotocols, "_told", set())
    monkeypatch.setattr(subprotocols, "MAX_TOLD", 2)
    for number in range(5):
        subprotocols.warn_of_no_subprotocol(RequestFactory().get(f"/{number}/"), ["chat"], [])
    assert len(caplog.records) == 2


def test_what_is_remembered_is_short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subprotocols, "_told", set())
    for number in range(3):
        subprotocols.warn_of_no_subprotocol(RequestFactory().get(f"/{number}/{'x' * 8000}"), ["chat"], [])
    assert [len(path) for path in subprotocols._told] == [200] * 3
