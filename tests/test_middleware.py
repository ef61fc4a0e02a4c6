"""WebSocketMiddleware, and which views it gives websockets to."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from websockets.sync.client import ClientConnection

from tests.deadlines import deadline
from tests.site.fixtures import Serve
from tests.site.running import Site


@pytest.fixture
def open_site(serve: Serve) -> Iterator[Site]:
    """Where every view gets websockets."""
    with serve(websocket_middleware=True, settings={"WEBSOCKET_ACCEPT_ALL": True}) as site:
        yield site


def receive(client: ClientConnection) -> Any:
    return client.recv(timeout=deadline(10))


@pytest.mark.parametrize("view", ["accepts_by_hand", "requires_by_hand"])
def test_views_with_an_attribute_get_websockets(middleware_site: Site, view: str) -> None:
    with middleware_site.connect(f"/decorators/{view}/") as client:
        assert receive(client) == "websocket"


def test_plain_requests_and_views_with_an_attribute(middleware_site: Site) -> None:
    assert middleware_site.ask("/decorators/accepts_by_hand/").body == b"plain"
    assert middleware_site.ask("/decorators/undecorated/").body == b"plain"
    refused = middleware_site.ask("/decorators/requires_by_hand/")
    assert (refused.status, refused.body) == (400, b"this URL only accepts websockets\n")


@pytest.mark.parametrize("view", ["undecorated", "refuses_by_hand", "nested"])
def test_other_views_get_none(middleware_site: Site, view: str) -> None:
    answer = middleware_site.shake_hands(f"/decorators/{view}/")
    assert (answer.status, answer.body) == (400, b"this URL does not accept websockets\n")
    assert "undecorated ran" not in middleware_site.journal()


def test_without_the_middleware_an_undecorated_view_sees_a_plain_request(site: Site) -> None:
    assert site.shake_hands("/decorators/undecorated/").body == b"plain"


@pytest.mark.parametrize("view", ["undecorated", "refuses_by_hand", "accepts", "requires_by_hand", "accepts_class"])
def test_accept_all(open_site: Site, view: str) -> None:
    with open_site.connect(f"/decorators/{view}/") as client:
        assert receive(client) == "websocket"


def test_a_decorated_view_within_one_that_the_middleware_serves(open_site: Site) -> None:
    """The decorator's hand-over is the one that accepts, so everything around it unwinds first."""
    before = open_site.stats()
    with open_site.connect("/decorators/nested/") as client:
        assert receive(client) == "websocket"
        assert "unwound 101" in open_site.journal()
    assert open_site.shake_hands("/decorators/nested_refusal/").status == 403
    assert "unwound 403" in open_site.journal()
    assert open_site.shake_hands("/decorators/nested_error/").status == 500
    assert open_site.wait_for_error()["error"] == "ValueError"
    open_site.wait_until_back_at(before)


@pytest.mark.parametrize("view", ["asynchronous", "asynchronous_class"])
def test_async_views_can_not_take_websockets(middleware_site: Site, view: str) -> None:
    assert middleware_site.shake_hands(f"/decorators/{view}/").status == 500
    assert middleware_site.wait_for_error()["error"] == "TypeError"
    assert middleware_site.ask(f"/decorators/{view}/").body == b"plain"


def test_a_malformed_handshake_is_refused_for_every_view(middleware_site: Site) -> None:
    answer = middleware_site.shake_hands("/decorators/undecorated/", {"Sec-WebSocket-Version": "8"})
    assert (answer.status, answer.headers["Sec-WebSocket-Version"]) == (400, "13")
    assert "undecorated ran" not in middleware_site.journal()
