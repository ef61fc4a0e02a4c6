"""WebSocketMiddleware, and which views it gives websockets to."""

from __future__ import annotations

from typing import Any

import pytest

from django_websocket.registry import registry
from tests.site.local import LocalSite


@pytest.fixture
def open_site(local_middleware_site: LocalSite, settings: Any) -> LocalSite:
    """Where every view gets websockets."""
    settings.WEBSOCKET_ACCEPT_ALL = True
    return local_middleware_site


@pytest.mark.parametrize("view", ["accepts_by_hand", "requires_by_hand"])
def test_views_with_an_attribute_get_websockets(local_middleware_site: LocalSite, view: str) -> None:
    with local_middleware_site.connect(f"/decorators/{view}/") as client:
        assert client.receive() == "websocket"


def test_plain_requests_and_views_with_an_attribute(local_middleware_site: LocalSite) -> None:
    assert local_middleware_site.ask("/decorators/accepts_by_hand/").content == b"plain"
    assert local_middleware_site.ask("/decorators/undecorated/").content == b"plain"
    refused = local_middleware_site.ask("/decorators/requires_by_hand/")
    assert (refused.status_code, refused.content) == (400, b"this URL only accepts websockets\n")


@pytest.mark.parametrize("view", ["undecorated", "refuses_by_hand", "nested"])
def test_other_views_get_none(local_middleware_site: LocalSite, view: str) -> None:
    answer = local_middleware_site.shake_hands(f"/decorators/{view}/")
    assert (answer.status_code, answer.content) == (400, b"this URL does not accept websockets\n")
    assert "undecorated ran" not in local_middleware_site.journal()


def test_without_the_middleware_an_undecorated_view_sees_a_plain_request(local_site: LocalSite) -> None:
    assert local_site.shake_hands("/decorators/undecorated/").content == b"plain"


@pytest.mark.parametrize("view", ["undecorated", "refuses_by_hand", "accepts", "requires_by_hand", "accepts_class"])
def test_accept_all(open_site: LocalSite, view: str) -> None:
    with open_site.connect(f"/decorators/{view}/") as client:
        assert client.receive() == "websocket"


def test_a_decorated_view_within_one_that_the_middleware_serves(open_site: LocalSite) -> None:
    """The decorator's hand-over is the one that accepts, so everything around it unwinds first."""
    with open_site.connect("/decorators/nested/") as client:
        assert client.receive() == "websocket"
        assert "unwound 101" in open_site.journal()
    assert open_site.shake_hands("/decorators/nested_refusal/").status_code == 403
    assert "unwound 403" in open_site.journal()
    assert open_site.shake_hands("/decorators/nested_error/").status_code == 500
    assert open_site.take_error()["error"] == "ValueError"
    assert not list(registry)


@pytest.mark.parametrize("view", ["asynchronous", "asynchronous_class"])
def test_async_views_can_not_take_websockets(local_middleware_site: LocalSite, view: str) -> None:
    assert local_middleware_site.shake_hands(f"/decorators/{view}/").status_code == 500
    assert local_middleware_site.take_error()["error"] == "TypeError"
    assert local_middleware_site.ask(f"/decorators/{view}/").content == b"plain"


def test_a_malformed_handshake_is_refused_for_every_view(local_middleware_site: LocalSite) -> None:
    answer = local_middleware_site.shake_hands("/decorators/undecorated/", {"Sec-WebSocket-Version": "8"})
    assert (answer.status_code, answer.headers["Sec-WebSocket-Version"]) == (400, "13")
    assert "undecorated ran" not in local_middleware_site.journal()
