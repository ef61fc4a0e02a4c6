"""A client that offers subprotocols and gets none."""

from __future__ import annotations

import pytest
from django.test import RequestFactory

from django_websocket import subprotocols
from tests.site.local import LocalSite


@pytest.fixture(autouse=True)
def nothing_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subprotocols, "_told", set())


def test_the_log_says_once_for_each_pattern_why_a_browser_gives_up(local_site: LocalSite) -> None:
    for _ in range(3):
        with local_site.connect("/opening/order/", subprotocols=["chat", "superchat"]) as client:
            assert client.subprotocol is None
    [warning] = local_site.take_log("WARNING")
    assert warning["logger"] == "django.request"
    assert (
        "/opening/order/: a client offered the subprotocols chat, superchat, and the view speaks none"
        in (warning["message"])
    )
    local_site.shake_hands("/decorators/with_options/", {"Sec-WebSocket-Protocol": "mqtt"})
    [warning] = local_site.take_log("WARNING")
    assert "subprotocols mqtt, and the view speaks superchat, chat." in warning["message"]


def test_nothing_is_said_where_nothing_is_wrong(local_site: LocalSite) -> None:
    with local_site.connect("/decorators/with_options/", subprotocols=["chat", "mqtt"]) as client:
        assert client.receive() == "chat"
    with local_site.connect("/common/echo/"):
        pass
    with local_site.connect("/opening/accept_with/?subprotocol=mqtt", subprotocols=["mqtt"]) as client:
        assert client.subprotocol == "mqtt"
    assert local_site.take_log("WARNING") == []


def test_what_is_remembered_has_a_bound(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(subprotocols, "MAX_TOLD", 2)
    for number in range(5):
        subprotocols.warn_of_no_subprotocol(RequestFactory().get(f"/{number}/"), ["chat"], [])
    assert len(caplog.records) == 2


def test_what_is_remembered_is_short() -> None:
    for number in range(3):
        subprotocols.warn_of_no_subprotocol(RequestFactory().get(f"/{number}/{'x' * 8000}"), ["chat"], [])
    assert [len(path) for path in subprotocols._told] == [200] * 3
